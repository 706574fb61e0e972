"""Slow float64 twin of the travel-time operator: fine midpoint quadrature, no grid lines, no closed forms."""

import itertools

import numpy as np


def interpolation_weights(grid, points):
    """Flat nodes and multilinear weights (n, 2^ndim) of points (n, ndim) in grid coordinates [m]."""
    cell = (points - np.array(grid.origin)) / np.array(grid.spacing)
    first = np.clip(np.floor(cell).astype(int), 0, np.array(grid.shape) - 2)
    u = cell - first
    nodes, weights = [], []
    for corner in itertools.product((0, 1), repeat=grid.ndim):
        nodes.append(np.ravel_multi_index(tuple((first + corner).T), grid.shape))
        weights.append(np.prod(np.where(np.array(corner) == 1, u, 1 - u), axis=1))
    return np.stack(nodes, 1), np.stack(weights, 1)


def dense_matrix(grid, paths, per_cell=400):
    """(n_rays, grid.size) by the midpoint rule with ``per_cell`` samples per spacing and segment.

    Its error is about 1 / per_cell^2 of a cell where the interpolant's slope jumps.
    """
    matrix = np.zeros((paths.n_rays, grid.size))
    for ray in range(paths.n_rays):
        nodes = paths[ray]
        for a, b in itertools.pairwise(nodes):
            length = np.linalg.norm(b - a)
            n = int(np.ceil(per_cell * length / min(grid.spacing))) + 1
            t = (np.arange(n) + 0.5) / n
            where, weight = interpolation_weights(grid, a + (b - a) * t[:, None])
            np.add.at(matrix[ray], where.ravel(), weight.ravel() * length / n)
    return matrix


def integral_along(field, a, b, n=20001):
    """Integral of a function of points (n, ndim) along a straight segment by Simpson's rule, n odd."""
    t = np.linspace(0, 1, n)
    weight = np.full(n, 2.0)
    weight[1::2] = 4.0
    weight[[0, -1]] = 1.0
    values = field(np.asarray(a) + (np.asarray(b) - np.asarray(a)) * t[:, None])
    return float(weight @ values / (3 * (n - 1)) * np.linalg.norm(np.asarray(b) - np.asarray(a)))
