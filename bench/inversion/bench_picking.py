"""Pickers: traces per CPU-second, on a synthetic ring of one arrival per trace.

Work: traces. Per process CPU-second (threads add up), median of interleaved rounds. Water templates and the fit of the
pick bias are part of a call where it needs them.

Floor (one x86 core at 3 GHz, AVX2, 851 samples per trace): the samples must be read once (3.4 kB, 0.17 us at 20 GB/s),
made double, and summed as u and u^2 after their mean is known: about six operations per sample, 4 lanes, two pipes:
0.2 us. The AIC adds two logarithms per split, 20 splits at 5 ns: 0.2 us. 0.4 us per trace, 2.5 Mtraces/s. Matching
correlates some 30 taps at 45 lags (0.06 us) and takes about eight least-squares steps over 15 to 30 samples with a
division of the template's table each (1 us).

r-Wave's picker takes 7.2 ms of CPU per trace under Octave (measured on the same simulated ring).

    PYTHONPATH=python:. python bench/inversion/bench_picking.py [--rounds 6] [--threads 1] [--json FILE]
"""

import os
import time

import numpy as np

import sonoray
from bench.harness import Contender, bandwidth, measure, options, save, table

SPEED, RATE, RADIUS = 1480.0, 5e6, 0.11


def ring(n, n_samples, seed=0):
    """Channel data of an n-element ring and one water shot: pulses of 0.6 MHz with 40 dB of noise."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(n) / n
    positions = RADIUS * np.c_[np.cos(angle), 0 * angle, np.sin(angle)]
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    probe = sonoray.Probe(positions, kind="ring")
    t = np.arange(n_samples) / RATE

    def record(times, tx):
        samples = np.empty((1, len(tx), n, n_samples), np.float32)
        for k, each in enumerate(times):
            x = np.clip((t - each[:, None]) / 4e-6, 0, 1)
            samples[0, k] = np.sin(2 * np.pi * 6e5 * 4e-6 * x) * np.sin(np.pi * x) ** 2
            samples[0, k] += 0.01 * rng.standard_normal((n, n_samples), np.float32)
        transmits = [sonoray.Transmit.single(k) for k in tx]
        return sonoray.ChannelData(samples, probe, transmits, RATE, sound_speed=SPEED)

    data = record(distance / rng.uniform(1460, 1500, distance.shape), range(n))
    return data, record(distance[:1] / SPEED, [0]), distance > np.pi / 2 * RADIUS


def run(call):
    """One timed execution: (wall, CPU) seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def contenders(threads, n=128, n_samples=851):
    """Every picker on one ring."""
    os.environ["SONORAY_THREADS"] = str(threads)
    data, water, pairs = ring(n, n_samples)
    case = f"{n} x {n} ring, {int(pairs.sum())} pairs, {n_samples} samples, {threads} threads"
    work, options = float(pairs.sum()), {"pairs": pairs, "spread": 40.0, "pulse_duration": 4e-6}
    floor = max(0.4e-6, 4 * n_samples / bandwidth()) * work
    found = []
    for method in ("aic", "energy_ratio", "sta_lta", "threshold"):
        found.append((method, lambda m=method: sonoray.pick_first_arrivals(data, method=m, **options)))
    for method in ("cross_correlation", "onset_match"):
        found.append((method, lambda m=method: sonoray.match_first_arrivals(data, water, method=m, **options)))
    found.append(("whole travel times", lambda: sonoray.pick_travel_times(data, water, **options)))
    return [Contender(name, case, lambda c=call: run(c), work, floor=floor) for name, call in found]


def main():
    """Print the table."""
    arguments = options(__doc__).parse_args()
    results = []
    for threads in arguments.threads:
        results += measure(contenders(threads), arguments.rounds)
    print(table(results, "Mtraces"))
    for r in results:
        print(f"{r.name}: {1e6 * r.cpu / r.work:.2f} us of CPU per trace, {r.work / r.cpu:,.0f} traces per CPU-second")
    if arguments.json:
        save(results, arguments.json)


if __name__ == "__main__":
    main()
