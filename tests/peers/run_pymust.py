"""Child: delay-and-sum with PyMUST's sparse matrix. Arguments: in.npz out.npz."""

import sys

import numpy as np
import pymust

given = np.load(sys.argv[1])
n_samples, n_elements = given["signals"].shape[1:]
is_iq = np.iscomplexobj(given["signals"])
x, z = np.meshgrid(given["x"], given["z"], indexing="ij")
image = 0
for delays, signal in zip(given["delays"], given["signals"], strict=True):
    param = pymust.utils.Param()
    for name in ("pitch", "fc", "fs", "c"):
        setattr(param, name, float(given[name]))
    param.Nelements, param.radius, param.fnumber = n_elements, np.inf, float(given["f_number"])
    param.kerf = 0.1 * param.pitch
    param.width = param.pitch - param.kerf
    param.t0, param.TXdelay = np.array([float(given["start_time"])]), delays[None]
    size = np.array([n_samples, n_elements], float) * (1j if is_iq else 1)
    matrix = pymust.dasmtx(size, x, z, param, "linear")
    image = image + (matrix @ signal.astype(complex).flatten(order="F")).reshape(x.shape, order="F")
np.savez(sys.argv[2], image=image)
