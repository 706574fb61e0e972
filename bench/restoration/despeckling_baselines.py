"""Classical filters that despeckling is compared with, and the grids that they are tuned on.

Every filter takes and gives (rows, columns) in [0, 1]. BM3D is the authors' package (free for non-commercial use only,
so it is needed nowhere else).
"""

import json
import warnings
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from sonoray.imaging.low_rank import low_rank_despeckle
from sonoray.imaging.speckle_filters import obnlm, srad

_DYNAMIC_RANGE = 55.0  # dB that SRAD assumes to undo the compression; the images have 45 to 65


@dataclass(frozen=True)
class Baseline:
    """A filter ``call(image, deviation, **setting)`` and the settings that it is tuned over."""

    name: str
    call: object
    grid: tuple[dict, ...]

    def __call__(self, image, deviation, setting):
        return np.clip(self.call(image.astype(np.float64), deviation, **setting), 0, 1).astype(np.float32)


def _median(image, deviation, size):
    """Of 256 grey levels: by a histogram that moves, since windows are large."""
    from skimage.filters.rank import median

    return median((255 * image).round().astype(np.uint8), np.ones((size, size), np.uint8)) / 255


def _bm3d(image, deviation, factor):
    import bm3d

    return bm3d.bm3d(image, factor * deviation)


def _estimated_bm3d(image, deviation, factor):
    from skimage.restoration import estimate_sigma

    return _bm3d(image, float(estimate_sigma(image)), factor)


def _srad(image, deviation, iterations, variation):
    scale = _DYNAMIC_RANGE * np.log(10) / 10
    found = srad(np.exp(scale * (image - 1)), iterations=iterations, time_step=0.4, initial_variation=variation)
    return 1 + np.log(found) / scale


def grid(**lists):
    names = list(lists)
    rows = [{}]
    for name in names:
        rows = [{**row, name: value} for row in rows for value in lists[name]]
    return tuple(rows)


def classical(with_slow=True):
    """Every classical filter; those that take seconds an image only ``with_slow``."""
    found = [
        Baseline(
            "median",
            _median,
            grid(size=[13, 17, 21, 27, 35, 45, 57, 75, 99, 129, 169]),
        ),
        Baseline(
            "SRAD",
            _srad,
            grid(
                iterations=[30, 60, 150, 300, 600, 1200],
                variation=[1.0, 1.5, 2.2, 3.0, 4.5, 6.5, 9.0, 10.0],
            ),
        ),
        Baseline(
            "NLM",
            lambda i, d, h, patch, window: denoise_nl_means(i, patch, window, h * d, fast_mode=True),
            grid(h=[0.4, 0.6, 0.8, 1.0, 1.2, 1.5], patch=[9, 13, 17, 21, 27, 35], window=[7, 11, 15, 21, 29]),
        ),
        Baseline(
            "OBNLM",
            lambda i, d, strength, block, search: obnlm(i, strength=strength, block=block, search=search),
            grid(strength=[1.1, 1.6, 2.0, 2.6, 3.4, 4.4], block=[2, 4, 6, 8, 10], search=[5, 8, 12, 16, 22]),
        ),
        Baseline(
            "Gaussian blur", lambda i, d, sigma: gaussian_filter(i, sigma), grid(sigma=[4, 5, 6.5, 8, 10, 13, 17])
        ),
        Baseline("TV", lambda i, d, weight: denoise_tv_chambolle(i, weight), grid(weight=[0.35, 0.6, 0.85, 1.2, 1.7])),
    ]
    if with_slow:
        found += [
            Baseline("BM3D, true sigma", _bm3d, grid(factor=[1.8, 3.0, 5.0, 8.0, 12.0, 18.0])),
            Baseline("BM3D, estimated sigma", _estimated_bm3d, grid(factor=[10.0, 25.0, 40.0, 60.0, 90.0, 130.0, 190.0])),
            Baseline(
                "NLLR",
                lambda i, d, strength, rounds: low_rank_despeckle(i, strength=strength, rounds=rounds),
                grid(strength=[12.0, 25.0, 50.0, 100.0, 200.0, 400.0], rounds=[2]),
            ),
        ]
    return found


def tuned(baseline, noisy, clean, deviations, judge, *, scores=None, run=map, keep=None):
    """The setting of which no neighbour in the grid has a larger mean of ``judge(found, truth)``.

    Climbs from the best setting known, or the middle of the grid, to the best neighbour (one value one place on) until
    there is none. One at an edge of the grid is warned of.

    Parameters
    ----------
    scores : dict, optional
        From settings (`label`) to scores that are known already; gets the others.
    run : callable
        ``map``, or that of a pool of processes.
    keep : callable, optional
        Called after each score, to save them.
    """
    scores = {} if scores is None else scores
    axes = {name: list(dict.fromkeys(row[name] for row in baseline.grid)) for name in baseline.grid[0]}
    known = [setting for setting in baseline.grid if label(setting) in scores]
    middle = {name: values[len(values) // 2] for name, values in axes.items()}
    best = max(known, key=lambda setting: scores[label(setting)]) if known else middle
    while True:
        near = [best, *_neighbours(axes, best)]
        missing = [setting for setting in near if label(setting) not in scores]
        # Functions without a name do not travel to other processes, which look them up.
        call = baseline.call if run is map else None
        jobs = [(baseline.name, call, setting, noisy, clean, deviations, judge) for setting in missing]
        for setting, score in zip(missing, run(_score, jobs), strict=True):
            scores[label(setting)] = score
            if keep is not None:
                keep()
        higher = max(near, key=lambda setting: scores[label(setting)])
        if higher == best:
            break
        best = higher
    for name in edges(baseline.grid, best):
        warnings.warn(f"{baseline.name}: best {name}, {best[name]}, is at the edge of its grid", stacklevel=2)
    return best


def _neighbours(axes, setting):
    for name, values in axes.items():
        at = values.index(setting[name])
        yield from ({**setting, name: value} for value in values[max(at - 1, 0) : at] + values[at + 1 : at + 2])


def edges(grid, setting):
    """Names of the values of a setting that are the least or largest tried."""
    tried = {name: {row[name] for row in grid} for name in setting}
    return [name for name, values in tried.items() if len(values) > 1 and setting[name] in (min(values), max(values))]


def label(setting):
    return json.dumps(setting, sort_keys=True)


def _score(job):
    name, call, setting, noisy, clean, deviations, judge = job
    call = call or next(each.call for each in classical() if each.name == name)
    one = Baseline(name, call, ())
    found = [one(i, d, setting) for i, d in zip(noisy, deviations, strict=True)]
    return float(np.mean([judge(a, b) for a, b in zip(found, clean, strict=True)]))
