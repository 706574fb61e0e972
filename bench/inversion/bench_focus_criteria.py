"""Focus criteria at the published setting of differentiable beamforming: 128 elements, 17 x 17 patches of 5 x 5 points.

Patches at half-wavelength spacing over x +-20 mm and z 4 to 44 mm, sub-apertures of 17 elements. A unit of work is one
value: a pair of elements focused at a point, masked or not. The floor counts what a value needs at least in arithmetic
(place in the record, four weights, four complex taps, two phases, its share of sums over sub-apertures and of
correlations; for a gradient also slopes and the way back), at the rate at which NumPy's matrix product multiplies and
adds in the same rounds. Beamforming the same values with the library's delay-and-sum shows what interpolation costs.

    PYTHONPATH=python:. python bench/inversion/bench_focus_criteria.py [--rounds 6] [--threads 1 2] [--patches 17]

The setting's authors publish no timing. Their code (JAX) took 1.3 CPU-s for a loss with gradient on 64 elements and
9 x 9 patches on a processor of this kind, which is 18 CPU-s at the full setting.
"""

import os
from dataclasses import dataclass

import numpy as np

from bench import harness
from sonoray import Beamformer, ChannelData, Probe, full_synthetic_aperture
from sonoray.beamforming.arrivals import Arrivals
from sonoray.inversion.focus_criteria import CRITERIA, FocusCriterion

FC, FS, C0, SIDE = 5e6, 10e6, 1540.0, 5
ARITHMETIC = {"sgemm": 1.0, "loss": 53.0, "gradient": 107.0, "rows": 36.0, "row gradient": 60.0, "beamform": 34.0}


@dataclass
class Points:
    """Any points as a grid."""

    positions: np.ndarray

    @property
    def shape(self):
        return (len(self.positions),)

    def points(self):
        return self.positions


def make_data(n_elements, n_samples, rng):
    """Noise instead of echoes: only where the samples lie decides about the speed."""
    probe = Probe.linear(n_elements, 0.3e-3)
    samples = np.empty((1, n_elements, n_elements, n_samples), np.complex64)
    for tx in samples[0]:
        tx.real, tx.imag = rng.standard_normal((2, n_elements, n_samples), np.float32)
    return ChannelData(samples, probe, full_synthetic_aperture(probe), FS, FC)


def make_patches(n):
    """Points (n^2, SIDE^2, 3)."""
    line = (np.arange(SIDE) - SIDE // 2) * 0.5 * C0 / FC
    x, z = np.linspace(-20e-3, 20e-3, n), np.linspace(4e-3, 44e-3, n)
    x, z = x[:, None, None, None] + line[:, None], z[:, None, None] + line
    return np.stack(np.broadcast_arrays(x, 0.0, z), axis=-1).reshape(n * n, SIDE * SIDE, 3)


def contenders(n_elements, n_patches):
    """What is timed, with and without an f-number."""
    data, patches = make_data(n_elements, 800, np.random.default_rng(0)), make_patches(n_patches)
    points = patches.reshape(-1, 3)
    times = (np.linalg.norm(data.probe.positions[:, None] - points, axis=2) / C0).astype(np.float32)
    work = float(n_elements**2 * len(points))
    square = np.ones((1024, 1024), np.float32)
    jobs = [harness.Contender("NumPy's product", "floor", harness.own_time(lambda: square @ square), 1024.0**3)]
    for f_number in (0.5, None):
        case = f"{n_elements} elements, {len(patches)} patches, f-number {f_number}"
        for criterion in CRITERIA:
            plan = FocusCriterion(data, patches, criterion=criterion, f_number=f_number)
            rows = plan._plan["rx_weight"]
            masked = 1.0 if rows is None else float((rows.sum(0, dtype=float) ** 2).mean()) / n_elements**2
            calls = {"loss": plan, "gradient": plan.gradient}
            if criterion == CRITERIA[0]:
                calls = {"correlations": plan.correlations} | calls
            jobs += [
                harness.Contender(
                    f"{criterion}: {name}", case, harness.own_time(lambda c=call: c(times, times)), work, masked * work
                )
                for name, call in calls.items()
            ]
    arrivals = Arrivals(Points(points), data.probe, times, sound_speed=C0)
    beamform = Beamformer(arrivals, data, f_number=None, interpolation="cubic")
    return [*jobs, harness.Contender("delay and sum, cubic", case, harness.own_time(lambda: beamform(data)), work)]


def operations(name):
    """Arithmetic per value that no implementation can do without."""
    if name == "NumPy's product":
        return ARITHMETIC["sgemm"]
    if name.startswith("delay"):
        return ARITHMETIC["beamform"]
    gradient = name.endswith("gradient")
    if name.startswith("phase_error"):
        return ARITHMETIC["gradient" if gradient else "loss"]
    return ARITHMETIC["row gradient" if gradient else "rows"]


def main():
    """Run and print."""
    parser = harness.options(__doc__)
    parser.add_argument("--elements", type=int, default=128)
    parser.add_argument("--patches", type=int, default=17)
    args = parser.parse_args()
    everything = []
    for threads in args.threads:
        os.environ["SONORAY_THREADS"] = str(threads)
        results = harness.measure(contenders(args.elements, args.patches), args.rounds, verbose=False)
        rate = results[0].rate
        for r in results:
            r.floor = r.work * operations(r.name) / rate
        print(f"\nthreads: {threads}; the floor's rate: {rate / 1e9:.0f} G multiply-adds per CPU-s")
        print(harness.table(results[1:], "Mvalues"))
        everything += results
    print(f"\n{harness.machine()}")
    if args.json:
        harness.save(everything, args.json)


if __name__ == "__main__":
    main()
