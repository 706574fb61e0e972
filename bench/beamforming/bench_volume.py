"""Volumes: points per CPU second of matrix, row-column and lensed probes, beside the same work in a plane.

A point is one combination of image point, receiving element and transmit. The floor is that of `bench_das`: samples
read once and the image written once, over the bandwidth of a large copy.
"""

import numpy as np

import sonoray
from bench import harness

C0, FC, FS, N_SAMPLES = 1540.0, 3e6, 12e6, 640
WAVE = C0 / FC


def cases():
    """(name, probe, transmits, weights of elements, grid, options)."""
    matrix = sonoray.Probe.matrix(16, 16, WAVE / 2, center_frequency=FC)
    rows = sonoray.Probe.row_column(64, 64, WAVE / 2, center_frequency=FC)
    line = sonoray.Probe.linear(256, WAVE / 2, center_frequency=FC)
    lensed = sonoray.Probe.linear(256, WAVE / 2, center_frequency=FC, lens_thickness=1e-3, lens_sound_speed=1000.0)
    volume = sonoray.Grid((32, 32, 64), (0.5e-3, 0.5e-3, 0.4e-3), (-8e-3, -8e-3, 5e-3))
    plane = sonoray.Grid((128, 256), (0.2e-3, 0.1e-3), (-13e-3, 5e-3))
    waves = [sonoray.Transmit.plane(a) for a in np.linspace(-0.1, 0.1, 4)]
    crossed = sonoray.orthogonal_plane_waves(rows, np.linspace(-0.1, 0.1, 2))
    listen = sonoray.orthogonal_receivers(crossed, rows)
    hann = {"f_number": 1.0, "window": "hann"}
    return [
        ("256 in a line, plane", line, waves, None, plane, {"f_number": None}),
        ("256 in a line, plane, lens", lensed, waves, None, plane, {"f_number": None}),
        ("256 in a line, plane, f/1 Hann", line, waves, None, plane, hann),
        ("256 in a line, plane, f/1 Hann around beams", line, waves, None, plane, {**hann, "aperture_axis": "beam"}),
        ("16 x 16 matrix, volume", matrix, waves, None, volume, {"f_number": None}),
        ("16 x 16 matrix, volume, f/1 Hann", matrix, waves, None, volume, hann),
        ("64 + 64 row-column, volume", rows, crossed, listen, volume, {"f_number": None}),
    ]


def main(argv=None):
    args = harness.options(__doc__).parse_args(argv)
    bandwidth = harness.bandwidth()
    rng = np.random.default_rng(0)
    contenders = []
    for name, probe, transmits, weights, grid, options in cases():
        shape = (1, len(transmits), probe.n_elements, N_SAMPLES)
        samples = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
        times = sonoray.arrivals(transmits, probe, grid, C0)
        plan = sonoray.Beamformer(times, sonoray.Sampling(FS, N_SAMPLES, FC, 5e-6), element_weights=weights, **options)
        receivers = probe.n_elements if weights is None else int(weights[0].sum())
        floor = 8 * (samples.size + grid.size) / bandwidth

        def run(plan=plan, samples=samples):
            return harness.repeated_time(lambda: plan(samples))

        work = grid.size * receivers * len(transmits)
        contenders.append(harness.Contender("sonoray", name, run, work, floor=floor))
    results = harness.measure(contenders, args.rounds)
    print({**harness.machine(), "copy GB/s": round(bandwidth / 1e9, 1)})
    print(harness.table(results))
    if args.json:
        harness.save(results, args.json)


if __name__ == "__main__":
    main()
