"""Windowed transform of ring data at chosen frequencies, and the fit of gains.

Work: samples, for the gains pairs. Per process CPU-second (threads add up), median of interleaved rounds.

Floor of a transform: every sample read once and every value written once, at the bandwidth of a large copy, or
2 x 2 x traces x samples x frequencies floating-point operations at the rate of this machine's single-precision matrix
product (measured below on a product of a thousand squared), whichever takes longer: the second, by an order of
magnitude. The window saves some of it: what it closes is not multiplied, so that windowed transforms can come below.
"rfft of all" is what a fast Fourier transform (scipy, single precision, windowed the same way, nearest frequencies of
its own grid) takes.

Floor of the gains: at each frequency, model, data and weights read once per pass, eight passes. They are small enough
for the second-level cache; what takes the time is medians, of which a pass has one.

    PYTHONPATH=python:. python bench/inversion/bench_spectra.py [--rounds 6] [--threads 1] [--json FILE]

Set OPENBLAS_NUM_THREADS to the number of threads of the matrix products before it starts.
"""

import time
import tracemalloc

import numpy as np
import scipy.fft

import sonoray
from bench.harness import Contender, bandwidth, measure, options, own_time, save, table
from sonoray.inversion.gains import fit_gains
from sonoray.inversion.pairs import pair_distances, pairs_by_distance
from sonoray.inversion.spectra import ArrivalWindow, spectra

SPEED, RATE, RADIUS = 1480.0, 5e6, 0.11


def ring(n, n_samples, seed=0):
    """Channel data of an n-element ring: noise, which takes as long as waves."""
    angle = 2 * np.pi * np.arange(n) / n
    positions = RADIUS * np.c_[np.cos(angle), 0 * angle, np.sin(angle)]
    samples = np.random.default_rng(seed).standard_normal((1, n, n, n_samples), dtype=np.float32)
    transmits = [sonoray.Transmit.single(k) for k in range(n)]
    return sonoray.ChannelData(samples, sonoray.Probe(positions, kind="ring"), transmits, RATE, sound_speed=SPEED)


def product_rate(n=1024, repeats=5):
    """Floating-point operations per CPU second of a single-precision matrix product, the best of ``repeats``."""
    a = np.random.default_rng(0).standard_normal((n, n), dtype=np.float32)
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        a @ a
        times.append(time.process_time() - start)
    return 2 * n**3 / min(times[1:])


def all_frequencies(data, frequencies):
    """Windowed FFTs of all traces, of which the nearest frequencies are kept."""
    n = data.n_samples
    index = np.rint(frequencies * n / RATE).astype(int)
    found = np.empty((len(index), data.n_tx, data.n_rx), np.complex64)
    window = ArrivalWindow()
    positions = data.probe.positions
    arrival = window.arrival(pair_distances(positions, positions), SPEED)
    for k in range(data.n_tx):
        weights = window(data.times(k), arrival[k], arrival.max())
        found[:, k] = np.conj(scipy.fft.rfft(data.samples[0, k] * weights)[:, index]).T
    return found


def extra_memory(call):
    """Bytes allocated by a call at its peak, its result included."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def contenders(n=256, n_samples=851, n_frequencies=140):
    """Transforms of one ring, and gains at two of its frequencies."""
    data, f = ring(n, n_samples), np.linspace(0.35e6, 0.95e6, n_frequencies)
    positions = data.probe.positions
    opposite = pairs_by_distance(positions, positions, np.pi / 4 * RADIUS)
    case = f"{n} x {n} ring, {n_samples} samples, {n_frequencies} frequencies"
    copied, rate = bandwidth(), product_rate()
    print(f"copy {copied / 1e9:.1f} GB/s, sgemm {rate / 1e9:.0f} Gflop/s per CPU second")

    def floor(traces):
        flops = 4.0 * traces * n_samples * n_frequencies
        return max(flops / rate, traces * (4 * n_samples + 8 * n_frequencies) / copied)

    calls = (
        ("window, all pairs", lambda: spectra(data, f), n * n),
        ("no window, all pairs", lambda: spectra(data, f, window=None), n * n),
        ("window, opposite 74 %", lambda: spectra(data, f, pairs=opposite), int(opposite.sum())),
        ("rfft of all", lambda: all_frequencies(data, f), n * n),
    )
    found = [
        Contender(
            name,
            case,
            own_time(call),
            float(traces * n_samples),
            floor=floor(traces),
            facts={"memory": extra_memory(call)},
        )
        for name, call, traces in calls
    ]
    rng = np.random.default_rng(1)
    model = (rng.standard_normal((2, n, n)) + 1j * rng.standard_normal((2, n, n))).astype(np.complex64)
    noise = (rng.standard_normal((2, n, n)) + 1j * rng.standard_normal((2, n, n))).astype(np.complex64)
    measured = model + np.float32(0.3) * noise
    for kind in ("receiver", "rank_one"):
        run = own_time(lambda k=kind: fit_gains(model, measured, opposite, kind=k))
        name = f"gains, {kind}, 2 frequencies"
        found.append(Contender(name, f"{n} x {n} pairs", run, 2.0 * n * n, floor=8 * 20 * 2.0 * n * n / copied))
    return found


def main():
    """Print the table."""
    arguments = options(__doc__).parse_args()
    results = measure(contenders(), arguments.rounds)
    print(table(results, "Msamples"))
    for r in results:
        print(f"{r.name}: {1e3 * r.cpu:.0f} ms of CPU, {r.cpu / r.floor:.2f} x floor of {1e3 * r.floor:.0f} ms")
    if arguments.json:
        save(results, arguments.json)


if __name__ == "__main__":
    main()
