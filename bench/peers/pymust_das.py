"""PyMUST: a sparse delay-and-sum matrix per transmit. ``build``: made anew each time; ``apply``: reused."""

import numpy as np
import pymust


def matrix(job, angle):
    """Delay-and-sum matrix of one plane wave; rows are points in column-major order."""
    param = pymust.utils.Param()
    param.Nelements, param.pitch, param.fc, param.fs, param.c = job.n_elements, job.pitch, job.fc, job.fs, job.c
    param.kerf = 0.1 * job.pitch
    param.width = job.pitch - param.kerf
    param.bandwidth, param.radius, param.fnumber = 70, np.inf, job.f_number
    param.t0 = np.zeros(1)
    param.TXdelay = (job.elements * np.sin(angle) / job.c)[None]
    x, z = np.meshgrid(job.x, job.z, indexing="ij")
    size = np.array([job.n_samples, job.n_elements], float)
    # An imaginary size asks for the phase rotation of I/Q.
    m = pymust.dasmtx(size * (1j if job.kind == "iq" else 1), x, z, param, "linear")
    return m.astype(np.complex64 if job.kind == "iq" else np.float32)


def prepare(job, data, option):
    # (n_tx, n_samples * n_elements, n_frames): samples run fastest, then elements
    traces = [np.ascontiguousarray(data[:, i].reshape(job.n_frames, -1).T) for i in range(job.n_tx)]
    shape = (len(job.x), len(job.z))
    if option == "build":
        note = "matrix built each time"

        def execute():
            return sum(matrix(job, a) @ v for a, v in zip(job.angles, traces, strict=True))
    else:
        if job.n_tx > 1:
            raise NotImplementedError("one matrix per transmit would need gigabytes")
        m = matrix(job, job.angles[0]).tocsr()
        size = m.data.nbytes + m.indices.nbytes + m.indptr.nbytes
        note = f"matrix of {size / 1e6:.0f} MB reused"

        def execute():
            return m @ traces[0]

    def images(result):
        return np.asarray(result).T.reshape(job.n_frames, *shape[::-1]).transpose(0, 2, 1)

    return execute, images, note
