"""Moveouts that travel times predict, without any echoes: ten times cheaper examples to start training on."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ...autofocus.moveouts import Moveouts
from ...media.medium import Medium
from ...rays.eikonal import EikonalSolver

_PER_BIN = 12  # pairs of sub-apertures that stand for a bin


class ExpectedMoveouts:
    """Plan that predicts the slopes of `Moveouts` from a medium.

    What is focused at a point at the nominal speed comes from another point p' on the line from the common midpoint
    through it, where the travel time there and back is the nominal one. The error of the time of a sub-aperture is
    the mean over its elements of T_e(p') less the nominal time; the slope is its change along the offset.

    Parameters
    ----------
    plan : Moveouts
        Whose patches and bins are used.
    """

    def __init__(self, plan: Moveouts) -> None:
        s = plan.settings
        self.plan, self._x = plan, plan.probe.positions[:, 0]
        centers, x = plan.patch_centers, self._x
        self._n_midpoints = len(s.midpoints) - 1
        inside = np.abs(centers[:, :1] - x) <= centers[:, 1:] / (2 * s.f_number)
        self._mask = inside.astype(np.float32)
        self._members = sliding_window_view(self._mask, s.sub_aperture, axis=1).sum(axis=-1)
        self._choose(inside.shape[0])
        middle = 0.5 * (np.array(s.midpoints[:-1]) + np.array(s.midpoints[1:]))
        start = np.clip(centers[:, :1] + middle * centers[:, 1:], x[0], x[-1])
        along = np.stack([centers[:, :1] - start, np.repeat(centers[:, 1:], self._n_midpoints, axis=1)], axis=-1)
        along = along.reshape(-1, 2)
        self._along = along / np.linalg.norm(along, axis=1)[:, None]
        pitch = float(x[1] - x[0])
        self._nearest = np.clip(np.rint((start.ravel() - x[0]) / pitch), 0, len(x) - 1).astype(int)
        self._points = np.repeat(centers, self._n_midpoints, axis=0)
        away = self._points[:, 0] - x[self._nearest]
        self._nominal_nearest = np.hypot(away, self._points[:, 1]) / s.sound_speed
        self._nominal = np.hypot(centers[:, :1] - x, centers[:, 1:]) / s.sound_speed
        self._scale = s.sound_speed / pitch

    def _choose(self, n_patches: int) -> None:
        """Up to `_PER_BIN` pairs for each bin, drawn once."""
        plan, s = self.plan, self.plan.settings
        bins, first, second, sign = plan.pairs
        patch = bins // s.n_bins
        filled = self._members > 0
        ok = filled[patch, first] & filled[patch, second] & filled[patch, first + 1] & filled[patch, second - 1]
        shuffled = np.random.default_rng(0).permutation(np.flatnonzero(ok))
        order = shuffled[np.argsort(bins[shuffled], kind="stable")]
        found = bins[order]
        begin = np.flatnonzero(np.r_[True, found[1:] != found[:-1]])
        rank = np.arange(len(found)) - np.repeat(begin, np.diff(np.r_[begin, len(found)]))
        order = order[rank < _PER_BIN]
        self._bins = bins[order]
        self._count = np.maximum(np.bincount(self._bins, minlength=n_patches * s.n_bins), 1)
        row = (patch[order] * self._n_midpoints + bins[order] % self._n_midpoints) * self._members.shape[1]
        i, j = first[order], second[order]
        self._ends = [row + i, row + j, row + i + 1, row + j - 1]
        self._sign = -sign[order].astype(np.float64)

    def __call__(self, medium: Medium) -> NDArray[np.float32]:
        """Slopes (n_bins, n_columns, n_rows); 0 in bins without pairs."""
        x, s, n_patches = self._x, self.plan.settings, len(self._nominal)
        elements = np.stack([x, np.zeros_like(x), np.zeros_like(x)], axis=1)
        slowness = np.asarray(EikonalSolver(medium).mean_slowness(elements)).reshape(len(x), -1)
        shift = np.zeros(len(self._points))
        for _ in range(2):
            at = self._points + shift[:, None] * self._along
            mean = sum(w * slowness[self._nearest, k] for w, k in _corners(medium, at))
            time = mean * np.hypot(at[:, 0] - x[self._nearest], at[:, 1])
            shift -= (time - self._nominal_nearest) * s.sound_speed
        at = self._points + shift[:, None] * self._along
        columns = np.ascontiguousarray(slowness.T)
        means: Any = sum(w[:, None].astype(np.float32) * columns[k] for w, k in _corners(medium, at))
        times = (means * np.hypot(at[:, :1] - x, at[:, 1:])).reshape(n_patches, self._n_midpoints, -1)
        errors = (times - self._nominal[:, None]) * self._mask[:, None]
        summed = sliding_window_view(errors, s.sub_aperture, axis=2).sum(axis=-1)
        late = (summed / np.maximum(self._members, 1)[:, None]).ravel()
        i, j, i_next, j_last = self._ends
        slopes = self._sign * self._scale * (late[i] + late[j] - late[i_next] - late[j_last])
        mean_slopes = np.bincount(self._bins, slopes, len(self._count)) / self._count
        return self.plan.arranged(mean_slopes).astype(np.float32)


def _corners(medium: Medium, points: NDArray[np.float64]) -> list[tuple[NDArray[np.float64], NDArray[np.intp]]]:
    """Weights and flat indices of the nodes around points (n, 2), for bilinear interpolation."""
    grid = medium.grid
    n_x, n_z = grid.shape
    fx = np.clip((points[:, 0] - grid.origin[0]) / grid.spacing[0], 0, n_x - 1.001)
    fz = np.clip((points[:, 1] - grid.origin[1]) / grid.spacing[1], 0, n_z - 1.001)
    i, j = fx.astype(np.intp), fz.astype(np.intp)
    a, b = fx - i, fz - j
    k = i * n_z + j
    return [((1 - a) * (1 - b), k), ((1 - a) * b, k + 1), (a * (1 - b), k + n_z), (a * b, k + n_z + 1)]
