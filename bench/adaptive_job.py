"""The adaptive job that every package gets: delayed signals of plane waves, each adapted for itself, and a float64
answer. NumPy only."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bench.job import Job

SUBARRAY, LOADING, CUTOFF = 0.5, 0.01, 4


@dataclass(frozen=True)
class AdaptiveJob(Job):
    """I/Q of `Job` without f-number; the results of the transmits are summed.

    Capon: subarrays of half the aperture, loading 0.01 of the mean eigenvalue, no temporal smoothing. Generalised
    coherence factor: frequencies -4 to 4. p-DAS: p = 2.
    """

    method: str = "coherence-factor"
    task: ClassVar[str] = "adaptive"

    def some_points(self, n=200):
        """See `Job.some_points`."""
        return super().some_points(n)

    def reference(self, data, frame=0):
        """Float64 values of one frame at `some_points`."""
        ix, iz = self.some_points()
        x, z = self.x[ix][:, None], self.z[iz][:, None]
        receive = np.hypot(x - self.elements, z)
        total = np.zeros(len(ix), complex)
        for i, a in enumerate(self.angles):
            tau = (x * np.sin(a) + z * np.cos(a) + receive) / self.c
            s = tau * self.fs
            k = np.clip(np.floor(s).astype(int), 0, self.n_samples - 2)
            f = s - k
            e = np.arange(self.n_elements)
            trace = data[frame, i].astype(complex)
            signals = (trace[e, k] * (1 - f) + trace[e, k + 1] * f) * np.exp(2j * np.pi * self.fc * tau)
            total += [_VALUES[self.method](v) for v in np.where(f <= 1, signals, 0)]
        return total


def _coherence_factor(v):
    return v.sum() * abs(v.sum()) ** 2 / (len(v) * np.sum(np.abs(v) ** 2))


def _generalized(v):
    power = np.abs(np.fft.fft(v)) ** 2
    k = np.arange(len(v))
    return v.sum() * power[np.minimum(k, len(v) - k) <= CUTOFF].sum() / power.sum()


def _dmas(v):
    s = v / np.sqrt(np.abs(v))
    return (s.sum() ** 2 - np.sum(s**2)) / 2


def _power_das(v):
    mean = np.mean(v / np.sqrt(np.abs(v)))
    return mean * abs(mean)


def _capon(v):
    length = int(SUBARRAY * len(v))
    runs = np.lib.stride_tricks.sliding_window_view(v, length)
    r = runs.T @ runs.conj() / len(runs)
    w = np.linalg.solve(r + LOADING * np.trace(r).real / length * np.eye(length), np.ones(length))
    return (w / w.sum()).conj() @ runs.mean(axis=0)


_VALUES = {
    "coherence-factor": _coherence_factor,
    "generalized-coherence-factor": _generalized,
    "dmas": _dmas,
    "pdas": _power_das,
    "capon": _capon,
}


def operations(job):
    """Floating-point operations that a point and transmit need at least, delays counted.

    Per element 45 for distance, phase and interpolation; then of each method. Capon: products of complex numbers are 8,
    L K + L^2 for the covariance by its diagonals, L^3 / 6 for Cholesky's factorisation, L^2 for two solutions.
    """
    m = job.n_elements
    length = int(SUBARRAY * m)
    own = {
        "coherence-factor": 8 * m,
        "generalized-coherence-factor": (8 + 14 * CUTOFF) * m,
        "dmas": 24 * m,
        "pdas": 18 * m,
        "capon": 8 * (length * (m - length + 1) + length**2 + length**3 / 6 + length**2),
    }
    return 45 * m + own[job.method]
