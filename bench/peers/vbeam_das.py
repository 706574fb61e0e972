"""vbeam: JAX on the CPU."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import vbeam.beamformers as vb
from spekk import Spec
from vbeam.apodization import NoApodization
from vbeam.core import ElementGeometry, WaveData
from vbeam.data_importers.setup import SignalForPointSetup
from vbeam.fastmath import backend_manager
from vbeam.interpolation import FastInterpLinspace
from vbeam.scan import linear_scan
from vbeam.wavefront import PlaneWavefront, ReflectedWavefront

_SIGNAL_FOR_POINT = vb.signal_for_point


def signal_setup(job, data):
    """Geometry, signals and names of axes of the first frame."""
    backend_manager.active_backend = "jax"
    n_tx, n = job.n_tx, job.n_elements
    positions = np.zeros((n, 3), np.float32)
    positions[:, 0] = job.elements
    return SignalForPointSetup(
        sender=ElementGeometry(jnp.zeros(3), 0.0, 0.0),
        point_position=None,
        receiver=ElementGeometry(jnp.asarray(positions), jnp.zeros(n), jnp.zeros(n)),
        signal=jnp.asarray(data[0]),
        transmitted_wavefront=PlaneWavefront(),
        reflected_wavefront=ReflectedWavefront(),
        speed_of_sound=jnp.float32(job.c),
        wave_data=WaveData(
            azimuth=jnp.asarray(job.angles, jnp.float32),
            elevation=jnp.zeros(n_tx),
            source=jnp.zeros((n_tx, 3)),
            t0=jnp.zeros(n_tx),
        ),
        interpolate=FastInterpLinspace(min=0.0, d=1 / job.fs, n=job.n_samples),
        modulation_frequency=jnp.float32(job.fc) if job.kind == "iq" else None,
        apodization=NoApodization(),
        spec=Spec(
            {
                "signal": ["transmits", "receivers", "signal_time"],
                "receiver": ["receivers"],
                "point_position": ["points"],
                "wave_data": ["transmits"],
            }
        ),
        scan=linear_scan(jnp.asarray(job.x, jnp.float32), jnp.asarray(job.z, jnp.float32)),
    )


def prepare(job, data, option):
    if job.n_frames > 1 or job.f_number:
        raise NotImplementedError("adapter covers one frame without f-number")
    setup = signal_setup(job, data)
    # Real samples go without phase rotation (vbeam itself would make them analytic first).
    real = functools.partial(_SIGNAL_FOR_POINT, modulation_frequency=None)
    vb.signal_for_point = _SIGNAL_FOR_POINT if job.kind == "iq" else real
    beamform = jax.jit(
        vb.get_das_beamformer(setup, compensate_for_apodization_overlap=False, log_compress=False, scan_convert=False)
    )
    arguments = {k: v for k, v in setup.data.items() if v is not None}

    def execute():
        return beamform(**arguments).block_until_ready()

    return execute, lambda result: np.asarray(result)[None], "compiled before"
