"""Child: plane waves with vbeam on JAX, in double precision: delay-and-sum, or times the coherence factor if `method`
says so. Arguments: in.npz out.npz."""

import functools
import os
import sys

os.environ["JAX_ENABLE_X64"] = "1"

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

given = np.load(sys.argv[1])
backend_manager.active_backend = "jax"
signals = given["signals"].transpose(0, 2, 1)
n_tx, n, n_samples = signals.shape
positions = np.zeros((n, 3))
positions[:, 0] = given["elements"]
is_iq = np.iscomplexobj(signals)
setup = SignalForPointSetup(
    sender=ElementGeometry(jnp.zeros(3), 0.0, 0.0),
    point_position=None,
    receiver=ElementGeometry(jnp.asarray(positions), jnp.zeros(n), jnp.zeros(n)),
    signal=jnp.asarray(signals, complex if is_iq else float),
    transmitted_wavefront=PlaneWavefront(),
    reflected_wavefront=ReflectedWavefront(),
    speed_of_sound=float(given["c"]),
    wave_data=WaveData(
        azimuth=jnp.asarray(given["angles"]),
        elevation=jnp.zeros(n_tx),
        source=jnp.zeros((n_tx, 3)),
        t0=jnp.zeros(n_tx),
    ),
    interpolate=FastInterpLinspace(min=float(given["start_time"]), d=1 / float(given["fs"]), n=n_samples),
    modulation_frequency=float(given["fc"]) if is_iq else None,
    apodization=NoApodization(),
    spec=Spec(
        {
            "signal": ["transmits", "receivers", "signal_time"],
            "receiver": ["receivers"],
            "point_position": ["points"],
            "wave_data": ["transmits"],
        }
    ),
    scan=linear_scan(jnp.asarray(given["x"]), jnp.asarray(given["z"])),
)
if not is_iq:  # otherwise vbeam rotates the phase of real samples, too
    vb.signal_for_point = functools.partial(vb.signal_for_point, modulation_frequency=None)
arguments = {k: v for k, v in setup.data.items() if v is not None}
beamform = vb.get_das_beamformer(
    setup, compensate_for_apodization_overlap=False, log_compress=False, scan_convert=False
)
image = np.asarray(beamform(**arguments))
if "method" in given:
    image = image * np.asarray(vb.get_coherence_beamformer(setup, scan_convert=False)(**arguments))
np.savez(sys.argv[2], image=image)
