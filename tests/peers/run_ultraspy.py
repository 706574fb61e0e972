"""Child: an adaptive method of ultraspy on one plane wave, in numba. Arguments: in.npz out.npz."""

import os
import sys

os.environ["ULTRASPY_CPU_LIB"] = "numba"

import numpy as np
from ultraspy.beamformers.capon import Capon
from ultraspy.beamformers.fdmas import FilteredDelayMultiplyAndSum
from ultraspy.beamformers.pdas import PDelayAndSum
from ultraspy.scan import GridScan

given = np.load(sys.argv[1])
signals = np.ascontiguousarray(given["signals"].transpose(0, 2, 1))
is_iq, method, n = np.iscomplexobj(signals), str(given["method"]), signals.shape[1]
if method == "capon":
    beamformer = Capon(is_iq=is_iq, on_gpu=False, diagonal_loading_mode=True, l_prop=0.5, delta_l=100)
elif method == "pdas":
    beamformer = PDelayAndSum(is_iq=is_iq, on_gpu=False)
    beamformer.set_p(float(given["p"]))
else:
    beamformer = FilteredDelayMultiplyAndSum(is_iq=is_iq, on_gpu=False, oversample=1)
probe = np.zeros((3, 1, n), np.float32)
probe[0] = given["elements"]
for name, value in {
    "emitted_probe": probe,
    "received_probe": probe,
    "emitted_thetas": np.zeros((1, n)),
    "received_thetas": np.zeros((1, n)),
    "delays": given["delays"],
    "transmissions_idx": [0],
    "sound_speed": float(given["c"]),
    "f_number": [0.0, 0.0],
    "t0": float(given["start_time"]),
    "sampling_freq": float(given["fs"]),
    "central_freq": float(given["fc"]),
}.items():
    beamformer.update_setup(name, value)
beamformer.update_option("fix_t0", False)
scan = GridScan(given["x"], given["z"], on_gpu=False)
if method == "dmas":  # before the band-pass around 2 f, which needs a finer grid than the comparison
    image = beamformer._beamform_numba(signals, *scan.ravel_pixels(), beamformer.setups, beamformer.options)
else:
    image = beamformer.beamform_cpu(signals, scan)
shape = len(given["x"]), len(given["z"])
image = np.asarray(image).squeeze()
np.savez(sys.argv[2], image=image.reshape(shape) if method == "dmas" or image.shape == shape else image.T)
