"""zea: Keras with the JAX backend on the CPU, in patches of 1024 points as its own pipeline does."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import numpy as np
from zea.beamform.beamformer import tof_correction

_PATCH = 1024


def prepare(job, data, option):
    if job.n_frames > 1 or job.f_number:
        raise NotImplementedError("adapter covers one frame without f-number")
    raw = data[0].transpose(0, 2, 1)
    raw = jnp.asarray(np.stack([raw.real, raw.imag], -1) if job.kind == "iq" else raw[..., None], jnp.float32)
    positions = np.zeros((job.n_elements, 3), np.float32)
    positions[:, 0] = job.elements
    x, z = np.meshgrid(job.x, job.z, indexing="ij")
    points = jnp.asarray(np.stack([x, 0 * x, z], -1).reshape(-1, _PATCH, 3), jnp.float32)
    geometry = {
        "t0_delays": jnp.asarray(job.elements * np.sin(job.angles)[:, None] / job.c, jnp.float32),
        "tx_apodizations": jnp.ones((job.n_tx, job.n_elements)),
        "sound_speed": jnp.float32(job.c),
        "probe_geometry": jnp.asarray(positions),
        "initial_times": jnp.zeros(job.n_tx),
        "sampling_frequency": jnp.float32(job.fs),
        "demodulation_frequency": jnp.float32(job.fc),
        "f_number": 0.0,
        "polar_angles": jnp.asarray(job.angles, jnp.float32),
        "focus_distances": jnp.full(job.n_tx, jnp.inf),
        "t_peak": jnp.zeros(job.n_tx),
        "transmit_origins": jnp.zeros((job.n_tx, 3)),
    }

    @jax.jit
    def beamform(raw, points):
        return jax.lax.map(lambda p: tof_correction(raw, p, **geometry).sum((0, 2)), points)

    def execute():
        return beamform(raw, points).block_until_ready()

    def images(result):
        image = np.asarray(result).reshape(len(job.x), len(job.z), -1)
        return (image[..., 0] + 1j * image[..., 1] if job.kind == "iq" else image[..., 0])[None]

    return execute, images, "compiled before; times as first arrival over elements"
