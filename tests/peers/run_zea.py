"""Child: an adaptive method of zea on plane waves, Keras with the JAX backend. Arguments: in.npz out.npz."""

import os
import sys

os.environ["KERAS_BACKEND"] = "jax"

import jax.numpy as jnp
import numpy as np
from zea import ops
from zea.beamform.beamformer import tof_correction

METHODS = {
    "coherence-factor": ops.CoherenceFactor,
    "generalized-coherence-factor": lambda: ops.GeneralizedCoherenceFactor(m_zero=4),
    "dmas": ops.DelayMultiplyAndSum,
    "capon": lambda: ops.MinimumVariance(subarray_size=64, diagonal_loading=0.01, axial_averaging=0),
    "refocus": lambda: ops.Refocus(method="tikhonov", param=float(given["regularization"]), with_batch_dim=False),
}
given = np.load(sys.argv[1])
method = METHODS[str(given["method"])]()
signals = given["signals"]
n_tx, _, n = signals.shape
parts = [signals.real, signals.imag] if np.iscomplexobj(signals) else [signals]
raw = jnp.asarray(np.stack(parts, -1), jnp.float32)
positions = np.zeros((n, 3))
positions[:, 0] = given["elements"]
common = {
    "t0_delays": jnp.asarray(given["delays"], jnp.float32),
    "tx_apodizations": jnp.ones((n_tx, n)),
    "probe_geometry": jnp.asarray(positions, jnp.float32),
    "initial_times": jnp.full(n_tx, given["start_time"], jnp.float32),
    "sampling_frequency": jnp.float32(given["fs"]),
    "demodulation_frequency": jnp.float32(given["fc"]) if len(parts) == 2 else None,
}
if str(given["method"]) == "refocus":
    image = np.asarray(method.call(**{method.key: raw}, **common)[method.output_key])[..., 0]
else:
    x, z = np.meshgrid(given["x"], given["z"], indexing="ij")
    points = np.stack([x, 0 * x, z], -1).reshape(-1, 3)
    wave = {
        "sound_speed": jnp.float32(given["c"]),
        "f_number": 0.0,
        "polar_angles": jnp.asarray(given["angles"], jnp.float32),
        "focus_distances": jnp.full(n_tx, jnp.inf),
        "t_peak": jnp.zeros(n_tx),
        "transmit_origins": jnp.zeros((n_tx, 3)),
    }
    some = [points[i : i + 256] for i in range(0, len(points), 256)]  # covariances take memory
    values = [method.process_image(tof_correction(raw, jnp.asarray(p, jnp.float32), **common, **wave)) for p in some]
    values = np.concatenate([np.asarray(v) for v in values]).reshape(*x.shape, len(parts))
    image = values[..., 0] + 1j * values[..., 1] if len(parts) == 2 else values[..., 0]
np.savez(sys.argv[2], image=image)
