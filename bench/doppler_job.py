"""The Doppler job that every package gets: a packet of I/Q images, its velocity without spatial averaging."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class DopplerJob:
    """Colour Doppler of one packet.

    Parameters
    ----------
    n_frames, n_x, n_z : int
    order : int
        Of the polynomial that is removed from each point first; -1: none.
    """

    n_frames: int = 32
    n_x: int = 251
    n_z: int = 251
    order: int = -1
    f0: float = 5e6
    rate: float = 1e4
    c: float = 1540.0
    task: ClassVar[str] = "doppler"

    @property
    def nyquist(self):
        """Largest unambiguous velocity [m/s]."""
        return self.c * self.rate / (4 * self.f0)

    @property
    def work(self):
        """Samples."""
        return self.n_frames * self.n_x * self.n_z

    def data(self):
        """(n_frames, n_x, n_z) complex64: flow between -0.9 and 0.9 of Nyquist along x, 20 dB of noise; still echoes
        30 dB stronger if a filter is asked for."""
        rng = np.random.default_rng(0)
        shape = (self.n_x, self.n_z)

        def normal(*lengths):
            return (rng.standard_normal(lengths) + 1j * rng.standard_normal(lengths)) / np.sqrt(2)

        phase = np.pi * np.linspace(-0.9, 0.9, self.n_x)[:, None]
        frames = normal(*shape) * np.exp(1j * phase * np.arange(self.n_frames)[:, None, None])
        frames += 0.1 * normal(self.n_frames, *shape)
        if self.order >= 0:
            frames += 30 * normal(*shape)
        return frames.astype("c8")

    def judge(self, velocity, data):
        """Root mean square difference from lag one in double precision, over Nyquist."""
        frames = data.astype("c16")
        if self.order >= 0:
            basis = np.linalg.qr(np.vander(np.linspace(-1, 1, self.n_frames), self.order + 1))[0]
            frames -= np.tensordot(basis, np.tensordot(basis.T, frames, 1), 1)
        exact = np.angle((frames[1:] * frames[:-1].conj()).sum(axis=0)) / np.pi
        off = np.asarray(velocity, float) / self.nyquist - exact
        off -= 2 * np.round(off / 2)
        return {"error": float(np.sqrt(np.mean(off**2)))}
