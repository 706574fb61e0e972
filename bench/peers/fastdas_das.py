"""fast-das: C++ in double precision with delays that the caller computed; its Hilbert transform is left out.

Its time axis starts half a sample late (a ramp comes out as delay - 0.5), so delays are given half a sample larger.
"""

import fastDAS
import numpy as np


def prepare(job, data, option):
    if job.kind != "rf" or job.n_frames > 1 or job.f_number:
        raise NotImplementedError("no phase rotation, no f-number; one frame per call")
    das = fastDAS.DAS(target=fastDAS.CalculateIn.CPP)
    x, z = np.meshgrid(job.x, job.z, indexing="ij")
    transmit = np.stack([x * np.sin(a) + z * np.cos(a) for a in job.angles]) / job.c * job.fs + 0.5
    receive = np.stack([np.hypot(x - e, z) for e in job.elements]) / job.c * job.fs
    analytic = np.ascontiguousarray(data[0], np.complex128)

    def execute():
        return das.delay_and_sum(analytic, transmit, receive)

    return execute, lambda result: result.sum(0).real[None], "complex128; delays computed before"
