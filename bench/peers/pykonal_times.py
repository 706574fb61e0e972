"""pykonal: fast marching on a 3-D grid of one layer. Sources lie between nodes: those next to it get straight times."""

import numpy as np
import pykonal

_NEAR = 2.0  # cells around the source


def prepare(job, data, option):
    if option:
        raise NotImplementedError(f"no option {option}")
    axis, h = np.array(job.axis), job.spacing
    n = len(axis)
    values = np.ascontiguousarray(data[:, :, None])
    receivers = np.c_[job.elements[:, [0, 2]], np.zeros(job.n_elements)]

    def one(source):
        solver = pykonal.EikonalSolver(coord_sys="cartesian")
        solver.velocity.min_coords = axis[0], axis[0], 0.0
        solver.velocity.node_intervals = h, h, h
        solver.velocity.npts = n, n, 1
        solver.velocity.values = values
        cell = np.round((source[[0, 2]] - axis[0]) / h).astype(int)
        reach = int(_NEAR) + 1
        for i in range(cell[0] - reach, cell[0] + reach + 1):
            for j in range(cell[1] - reach, cell[1] + reach + 1):
                away = np.hypot(axis[i] - source[0], axis[j] - source[2])
                if away <= _NEAR * h:
                    solver.traveltime.values[i, j, 0] = away / data[i, j]
                    solver.unknown[i, j, 0] = False
                    solver.trial.push(i, j, 0)
        solver.solve()
        return solver.traveltime.resample(receivers)

    def execute():
        return np.stack([one(source) for source in job.sources])

    return execute, np.asarray, "fast marching, one layer of a 3-D grid"
