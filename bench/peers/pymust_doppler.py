"""PyMUST: iq2doppler. Its wfilt raises AttributeError in 0.1.9, so that there is no wall filter to compare with."""

import numpy as np
import pymust


def prepare(job, data, option):
    if job.order >= 0:
        raise NotImplementedError("wfilt does not run")
    param = pymust.utils.Param()
    param.fc, param.c, param.PRF = job.f0, job.c, job.rate
    packet = np.ascontiguousarray(data.transpose(2, 1, 0))
    return lambda: pymust.iq2doppler(packet, param)[0], lambda velocity: velocity.T, "frames last; with variance"
