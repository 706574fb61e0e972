"""sonoray. Default: the eikonal equation; ``link``: two-point rays."""

import numpy as np

import sonoray
from bench.ray_job import sampled


def medium(job, data):
    """The job's map as a `Medium`."""
    axis = job.axis
    return sonoray.Medium(sonoray.Grid(data.shape, job.spacing, (axis[0], axis[0])), data)


def eikonal_times(solver, axis, sources, receivers, batch=64):
    """Times (n_sources, n_receivers) [s]: mean slowness, which is smooth at the source, between nodes, by distance."""
    times = []
    for first in range(0, len(sources), batch):
        some = sources[first : first + batch]
        distance = np.linalg.norm(some[:, None] - receivers, axis=-1)
        times.append(sampled(solver.mean_slowness(some), axis, receivers) * distance)
    return np.concatenate(times)


def prepare(job, data, option):
    if option == "link":
        from sonoray.rays.linking import RayLinker

        linker = RayLinker(medium(job, data))
        return lambda: linker(job.sources, job.elements), lambda linked: linked.time, "two-point rays, cubic spline"
    solver = sonoray.EikonalSolver(medium(job, data))

    def execute():
        return eikonal_times(solver, job.axis, job.sources, job.elements)

    return execute, lambda times: times, "eikonal, second order"
