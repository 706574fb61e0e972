"""Classical filters that despeckling is compared with, and the grids that they are tuned on.

Every filter takes and gives (rows, columns) in [0, 1]. BM3D is the authors' package (free for non-commercial use only,
so it is needed nowhere else).
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, median_filter
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


def _grid(**lists):
    names = list(lists)
    rows = [{}]
    for name in names:
        rows = [{**row, name: value} for row in rows for value in lists[name]]
    return tuple(rows)


def classical(with_slow=True):
    """Every classical filter; those that take seconds an image only ``with_slow``."""
    found = [
        Baseline("median", lambda i, d, size: median_filter(i, size), _grid(size=[9, 13, 17, 21, 27])),
        Baseline("SRAD", _srad, _grid(iterations=[60, 150], variation=[1.0, 1.5, 2.2, 3.0])),
        Baseline(
            "NLM",
            lambda i, d, h, patch, window: denoise_nl_means(i, patch, window, h * d, fast_mode=True),
            _grid(h=[1.0, 1.2, 1.5], patch=[9, 13, 17], window=[15]),
        ),
        Baseline(
            "OBNLM",
            lambda i, d, strength, block, search: obnlm(i, strength=strength, block=block, search=search),
            _grid(strength=[0.7, 1.1, 1.6, 2.2], block=[4], search=[8]),
        ),
        Baseline("Gaussian blur", lambda i, d, sigma: gaussian_filter(i, sigma), _grid(sigma=[2, 3, 4, 5, 6.5, 8])),
        Baseline("TV", lambda i, d, weight: denoise_tv_chambolle(i, weight), _grid(weight=[0.35, 0.6, 0.85, 1.2])),
    ]
    if with_slow:
        found += [
            Baseline("BM3D, true sigma", _bm3d, _grid(factor=[1.0, 1.8, 3.0, 5.0])),
            Baseline("BM3D, estimated sigma", _estimated_bm3d, _grid(factor=[1.0, 4.0, 10.0, 25.0])),
            Baseline("NLLR", lambda i, d: low_rank_despeckle(i), ({},)),
        ]
    return found


def tuned(baseline, noisy, clean, deviations, judge):
    """The setting with the largest mean of ``judge(found, truth)``."""
    if len(baseline.grid) == 1:
        return baseline.grid[0]
    scores = []
    for setting in baseline.grid:
        found = [baseline(i, d, setting) for i, d in zip(noisy, deviations, strict=True)]
        scores.append(np.mean([judge(a, b) for a, b in zip(found, clean, strict=True)]))
    return baseline.grid[int(np.argmax(scores))]
