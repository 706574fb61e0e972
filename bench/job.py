"""The jobs that every package gets: geometry, synthetic channel data and a float64 answer. NumPy only."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class Job:
    """Plane waves on a linear array, delay-and-sum with linear interpolation, coherent compounding.

    The wave passes the coordinate origin at sample 0. With ``f_number`` 0 every element counts at every point, without
    weights; otherwise those with \\|x - x_e\\| <= z / (2 f_number).
    """

    n_tx: int
    kind: str  # "rf": float32; "iq": complex64, demodulated at fc
    f_number: float = 0.0
    n_frames: int = 1
    n_elements: int = 128
    n_samples: int = 2048
    pitch: float = 0.3e-3
    c: float = 1540.0
    fs: float = 25e6
    fc: float = 5e6
    x_range: tuple = (-12e-3, 12e-3, 256)
    z_range: tuple = (5e-3, 45e-3, 512)
    task: ClassVar[str] = "das"

    @property
    def x(self):
        return np.linspace(*self.x_range)

    @property
    def z(self):
        return np.linspace(*self.z_range)

    @property
    def elements(self):
        """Lateral element positions [m]."""
        return (np.arange(self.n_elements) - (self.n_elements - 1) / 2) * self.pitch

    @property
    def angles(self):
        """Within +-8 degrees the image lies in the footprint of every wave."""
        return np.zeros(1) if self.n_tx == 1 else np.deg2rad(np.linspace(-8, 8, self.n_tx))

    @property
    def nominal(self):
        """Point, element, transmit and frame combinations."""
        return self.x_range[2] * self.z_range[2] * self.n_elements * self.n_tx * self.n_frames

    @property
    def effective(self):
        """Those inside the f-number's aperture."""
        if not self.f_number:
            return self.nominal
        reach = self.z / (2 * self.f_number)
        inside = np.abs(self.x[:, None] - self.elements)[:, None, :] <= reach[None, :, None]
        return int(inside.sum()) * self.n_tx * self.n_frames

    @property
    def bytes(self):
        """Least memory traffic: samples read once, the image written once."""
        size = 4 if self.kind == "rf" else 8
        samples = self.n_frames * self.n_tx * self.n_elements * self.n_samples
        return size * (samples + self.n_frames * self.x_range[2] * self.z_range[2])

    def data(self):
        """Six scatterers in noise, (n_frames, n_tx, n_elements, n_samples)."""
        rng = np.random.default_rng(0)
        t = np.arange(self.n_samples) / self.fs
        shape = (self.n_tx, self.n_elements, self.n_samples)
        out = np.zeros(shape, np.float32 if self.kind == "rf" else np.complex64)
        for i, a in enumerate(self.angles):
            for sx, sz in ((-8e-3, 10e-3), (0, 15e-3), (5e-3, 25e-3), (-3e-3, 33e-3), (9e-3, 32e-3), (1e-3, 30e-3)):
                tau = (sx * np.sin(a) + sz * np.cos(a) + np.hypot(self.elements - sx, sz)) / self.c
                envelope = np.exp(-0.5 * ((t - tau[:, None]) / 0.25e-6) ** 2)
                phase = 2 * np.pi * self.fc * ((t - tau[:, None]) if self.kind == "rf" else -tau[:, None])
                out[i] += (envelope * (np.cos(phase) if self.kind == "rf" else np.exp(1j * phase))).astype(out.dtype)
        noise = 0.02 * rng.standard_normal(shape).astype(np.float32)
        out += noise if self.kind == "rf" else noise + 1j * np.roll(noise, 7, -1)
        scale = np.cos(np.arange(self.n_frames))[:, None, None, None].astype(np.float32) + 2
        return out * scale if self.n_frames > 1 else out[None]

    def some_points(self, n=1500):
        """Indices (n,), (n,) of grid points at which results are compared."""
        rng = np.random.default_rng(1)
        return rng.integers(0, self.x_range[2], n), rng.integers(0, self.z_range[2], n)

    def reference(self, data, frame=0):
        """Float64 delay-and-sum of one frame at `some_points`."""
        ix, iz = self.some_points()
        x, z = self.x[ix][:, None], self.z[iz][:, None]
        offset = x - self.elements
        receive = np.hypot(offset, z)
        inside = np.abs(offset) <= z / (2 * self.f_number) if self.f_number else np.ones(offset.shape, bool)
        total = np.zeros(len(ix), complex)
        for i, a in enumerate(self.angles):
            tau = (x * np.sin(a) + z * np.cos(a) + receive) / self.c
            s = tau * self.fs
            k = np.clip(np.floor(s).astype(int), 0, self.n_samples - 2)
            f = s - k
            e = np.arange(self.n_elements)
            trace = data[frame, i]
            v = trace[e, k] * (1 - f) + trace[e, k + 1] * f
            if self.kind == "iq":
                v = v * np.exp(2j * np.pi * self.fc * tau)
            total += np.where(inside & (f <= 1), v, 0).sum(axis=1)
        return total

    def error(self, image, data, frame=0):
        """Relative L2 error of one frame's image (n_x, n_z), after the best scale (packages normalise differently)."""
        want = self.reference(data, frame)
        got = np.asarray(image)[self.some_points()].astype(complex)
        scale = np.vdot(got, want) / max(np.vdot(got, got).real, 1e-300)
        return float(np.linalg.norm(scale * got - want) / np.linalg.norm(want))

    def judge(self, images, data):
        """Facts about the images of all frames: the error of the last one."""
        frame = self.n_frames - 1
        return {"error": self.error(images[frame], data, frame)}


def common(n_tx, kind, f_number=0.0):
    """128 elements, 256 x 512 points, 2048 samples at 25 MHz."""
    return Job(n_tx, kind, f_number)


def ensemble():
    """mach's published protocol: one plane wave, 32 frames of I/Q, 251 x 251 points, f-number 1."""
    return Job(
        1, "iq", 1.0, n_frames=32, n_samples=1200, pitch=0.298e-3, c=1480.0, fs=20.832e6, fc=5.208e6,
        x_range=(-12.5e-3, 12.5e-3, 251), z_range=(10e-3, 35e-3, 251),
    )  # fmt: skip
