"""sonoray. ``eikonal``: receive times from a table that the eikonal equation gave, in a uniform medium."""

import numpy as np

import sonoray
from sonoray.beamforming.arrivals import arrivals
from sonoray.beamforming.das import Beamformer


def prepare(job, data, option):
    probe = sonoray.Probe.linear(job.n_elements, job.pitch, center_frequency=job.fc)
    transmits = sonoray.plane_waves(job.angles)
    channel_data = sonoray.ChannelData(
        data, probe, transmits, job.fs, demodulation_frequency=job.fc if job.kind == "iq" else 0.0, sound_speed=job.c
    )
    spacing = (np.diff(job.x).mean(), np.diff(job.z).mean())
    grid = sonoray.Grid((len(job.x), len(job.z)), spacing, (job.x[0], job.z[0]))
    medium = job.c
    if option == "eikonal":
        half = job.elements[-1] + job.pitch
        h = 0.2e-3
        shape = (int(2 * half / h) + 2, int(job.z[-1] / h) + 2)
        medium = sonoray.Medium(sonoray.Grid(shape, h, (-half, 0.0)), job.c)
    if job.n_frames > 1:  # frames next to each other in memory, as ensembles are best kept
        samples = np.moveaxis(np.ascontiguousarray(np.moveaxis(data, 0, -1)), -1, 0)
        channel_data = channel_data.with_(samples=samples)
    arrive = arrivals(transmits, probe, grid, medium, sequence_sound_speed=job.c)
    beamform = Beamformer(arrive, channel_data, f_number=job.f_number)

    def execute():
        return beamform(channel_data)

    level = sonoray._backends.host_module().cpu_level()
    return execute, np.asarray, f"level {level}" + (", eikonal receive table" if option == "eikonal" else "")
