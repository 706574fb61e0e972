"""sonoray's adaptive methods."""

import numpy as np

import sonoray
from bench.adaptive_job import CUTOFF, LOADING, SUBARRAY

_SETTINGS = {
    "generalized-coherence-factor": {"cutoff": CUTOFF},
    "capon": {"subarray": SUBARRAY, "diagonal_loading": LOADING},
}


def prepare(job, data, option):
    probe = sonoray.Probe.linear(job.n_elements, job.pitch, center_frequency=job.fc)
    transmits = sonoray.plane_waves(job.angles)
    channel_data = sonoray.ChannelData(data, probe, transmits, job.fs, demodulation_frequency=job.fc, sound_speed=job.c)
    grid = sonoray.Grid((len(job.x), len(job.z)), (np.diff(job.x).mean(), np.diff(job.z).mean()), (job.x[0], job.z[0]))
    times = sonoray.arrivals(transmits, probe, grid, job.c, sequence_sound_speed=job.c)
    method = sonoray.adaptive_method(job.method, **_SETTINGS.get(job.method, {}))
    beamform = sonoray.AdaptiveBeamformer(times, channel_data, method, compounding="coherent", f_number=None)
    level = sonoray._backends.host_module().cpu_level()
    return lambda: beamform(channel_data), np.asarray, f"level {level}"
