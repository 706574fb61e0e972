"""ultraspy: numba kernels on the CPU."""

import os

os.environ.setdefault("ULTRASPY_CPU_LIB", "numba")

import numpy as np
from ultraspy.beamformers.das import DelayAndSum
from ultraspy.scan import GridScan


def prepare(job, data, option):
    if job.n_frames > 1:
        raise NotImplementedError("one frame per call")
    n_tx, n = job.n_tx, job.n_elements
    beamformer = DelayAndSum(is_iq=job.kind == "iq", on_gpu=False)
    probe = np.zeros((3, n_tx, n), np.float32)
    probe[0] = job.elements
    for name, value in {
        "emitted_probe": probe,
        "received_probe": probe,
        "emitted_thetas": np.zeros((n_tx, n)),
        "received_thetas": np.zeros((n_tx, n)),
        "delays": job.elements * np.sin(job.angles)[:, None] / job.c,
        "transmissions_idx": list(range(n_tx)),
        "sound_speed": job.c,
        "f_number": [job.f_number, 0.0],
        "t0": 0.0,
        "sampling_freq": job.fs,
        "central_freq": job.fc,
    }.items():
        beamformer.update_setup(name, value)
    beamformer.update_option("fix_t0", False)
    scan = GridScan(job.x, job.z, on_gpu=False)
    traces = np.ascontiguousarray(data[0])

    def execute():
        return beamformer.beamform_cpu(traces, scan)

    def images(result):
        image = np.asarray(result).squeeze()
        return (image if image.shape == (len(job.x), len(job.z)) else image.T)[None]

    return execute, images, "times as first arrival over elements"
