"""ultraspy: p-DAS and DMAS (of I/Q with the squares, too) in numba; its Capon is plain Python over the points."""

import os

os.environ.setdefault("ULTRASPY_CPU_LIB", "numba")

import numpy as np
from ultraspy.beamformers.capon import Capon
from ultraspy.beamformers.fdmas import FilteredDelayMultiplyAndSum
from ultraspy.beamformers.pdas import PDelayAndSum
from ultraspy.scan import GridScan

from bench.adaptive_job import SUBARRAY

NOTES = {
    "capon": "plain Python; times as first arrival over elements",
    "dmas": "squares, too; times as first arrival over elements",
    "pdas": "times as first arrival over elements",
}


def prepare(job, data, option):
    if job.n_tx > 1 or job.method not in NOTES:
        raise NotImplementedError(f"adapter covers {', '.join(NOTES)} of one transmit")
    if job.method == "pdas":
        beamformer = PDelayAndSum(is_iq=True, on_gpu=False)
        beamformer.set_p(2)
    elif job.method == "dmas":
        beamformer = FilteredDelayMultiplyAndSum(is_iq=True, on_gpu=False)
    else:
        beamformer = Capon(is_iq=True, on_gpu=False, diagonal_loading_mode=True, l_prop=SUBARRAY)
    n = job.n_elements
    probe = np.zeros((3, 1, n), np.float32)
    probe[0] = job.elements
    for name, value in {
        "emitted_probe": probe,
        "received_probe": probe,
        "emitted_thetas": np.zeros((1, n)),
        "received_thetas": np.zeros((1, n)),
        "delays": job.elements * np.sin(job.angles)[:, None] / job.c,
        "transmissions_idx": [0],
        "sound_speed": job.c,
        "f_number": [0.0, 0.0],
        "t0": 0.0,
        "sampling_freq": job.fs,
        "central_freq": job.fc,
    }.items():
        beamformer.update_setup(name, value)
    beamformer.update_option("fix_t0", False)
    scan = GridScan(job.x, job.z, on_gpu=False)
    traces = np.ascontiguousarray(data[0])

    def images(result):
        image = np.asarray(result).squeeze()
        return (image if image.shape == (len(job.x), len(job.z)) else image.T)[None]

    return lambda: beamformer.beamform_cpu(traces, scan), images, NOTES[job.method]
