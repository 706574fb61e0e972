"""Slow float64 twins of arrival times: dense apertures instead of formulas, circular rays instead of solvers."""

import numpy as np


def dense_wave(firing_time, positions, points, travel_time, behind):
    """First (or, where ``behind``, last) arrival over a densely sampled aperture.

    ``firing_time`` (m,) and ``positions`` (m, 3) sample the aperture much finer than the elements do.
    """
    result = np.empty(len(points))
    for i, p in enumerate(points):
        phase = firing_time + travel_time(positions, p)
        result[i] = phase.max() if behind[i] else phase.min()
    return result


def gradient_time(a, b, c0, gradient):
    """Travel time between a (..., 3) and b (..., 3) where c = c0 + gradient z: rays are circles.

    Slotnick, Lessons in Seismic Computing (1959): T = arcosh(1 + g^2 d^2 / (2 c_a c_b)) / g.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    square = ((a - b) ** 2).sum(axis=-1)
    ca, cb = c0 + gradient * a[..., 2], c0 + gradient * b[..., 2]
    return np.arccosh(1 + gradient**2 * square / (2 * ca * cb)) / gradient


class GradientSolver:
    """Stands in for an eikonal solver in the medium c = c0 + gradient z, with exact times."""

    def __init__(self, grid, c0, gradient):
        self.grid, self.c0, self.gradient = grid, c0, gradient

    def mean_slowness(self, sources):
        points = self.grid.points()
        tables = []
        for s in np.atleast_2d(sources):
            distance = np.linalg.norm(points - s, axis=-1)
            time = gradient_time(points, s, self.c0, self.gradient)
            at_source = 1 / (self.c0 + self.gradient * s[2])
            tables.append(np.where(distance > 1e-7, time / np.maximum(distance, 1e-12), at_source))
        return np.array(tables, np.float32)
