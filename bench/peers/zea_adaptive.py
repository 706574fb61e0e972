"""zea: its operations on `tof_correction`, through Keras with the JAX backend on the CPU, in patches of 64 points for
minimum variance (a patch's subarrays and covariances take memory), of 1024 for the others."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import numpy as np
from zea import ops
from zea.beamform.beamformer import tof_correction

from bench.adaptive_job import CUTOFF, LOADING, SUBARRAY


def operation(job):
    """What makes values of delayed signals."""
    if job.method == "coherence-factor":
        return ops.CoherenceFactor()
    if job.method == "generalized-coherence-factor":
        return ops.GeneralizedCoherenceFactor(m_zero=CUTOFF)
    if job.method == "dmas":
        return ops.DelayMultiplyAndSum()
    if job.method == "capon":
        length = int(SUBARRAY * job.n_elements)
        return ops.MinimumVariance(subarray_size=length, diagonal_loading=LOADING, axial_averaging=0)
    raise NotImplementedError(f"no {job.method}")


def prepare(job, data, option):
    method = operation(job)
    patch = 64 if job.method == "capon" else 1024
    raw = data[0].transpose(0, 2, 1)
    raw = jnp.asarray(np.stack([raw.real, raw.imag], -1), jnp.float32)
    positions = np.zeros((job.n_elements, 3), np.float32)
    positions[:, 0] = job.elements
    x, z = np.meshgrid(job.x, job.z, indexing="ij")
    points = jnp.asarray(np.stack([x, 0 * x, z], -1).reshape(-1, patch, 3), jnp.float32)
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
        return jax.lax.map(lambda p: method.process_image(tof_correction(raw, p, **geometry)), points)

    def images(result):
        image = np.asarray(result).reshape(len(job.x), len(job.z), 2)
        return (image[..., 0] + 1j * image[..., 1])[None]

    return lambda: beamform(raw, points).block_until_ready(), images, "compiled before; times as first arrival"
