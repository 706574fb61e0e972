"""ttcrpy: travel times on a 2-D grid by fast sweeping (``fsm``; first order: ``fsm1``) or shortest paths.

Those of ``spm`` run over the cells' edges, those of ``dspm`` over nodes and denser ones near the source. ``+rays`` asks
for ray paths as well.
"""

import numpy as np
from ttcrpy.rgrid import Grid2d

NOTES = {
    "fsm": "fast sweeping, third-order WENO",
    "fsm1": "fast sweeping, first order",
    "spm": "shortest paths, cells, 10 secondary nodes per edge",
    "dspm": "dynamic shortest paths",
}


def prepare(job, data, option):
    method, _, rays = (option or "fsm").partition("+")
    axis = np.array(job.axis)
    cells = method == "spm"  # its shortest paths want a slowness for every cell
    name = method.rstrip("1").upper()
    grid = Grid2d(axis, axis, method=name, cell_slowness=cells, weno=method == "fsm", n_threads=1)
    slowness = 1.0 / data
    if cells:
        slowness = 0.25 * (slowness[1:, 1:] + slowness[:-1, 1:] + slowness[1:, :-1] + slowness[:-1, :-1])
    grid.set_slowness(slowness)
    receivers = np.ascontiguousarray(job.elements[:, [0, 2]])

    def one(source):
        where = np.tile(source[[0, 2]], (len(receivers), 1))
        result = grid.raytrace(where, receivers, return_rays=bool(rays))
        return result[0] if rays else result

    def execute():
        return np.stack([one(source) for source in job.sources])

    return execute, np.asarray, NOTES[method] + (", with ray paths" if rays else "")
