"""How good a picture is: against the truth where there is one, and without.

Images are (..., rows, columns) in [0, 1]; figures are means over the leading axes. Needs scikit-image (extra
``metrics``) where it knows the figure.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray

from .._arrays import host_array
from .._checks import finite, scalar
from ..errors import ArgumentError, MissingExtraError


def psnr(image: Any, truth: Any, mask: Any = None) -> float:
    """Peak signal to noise ratio [dB], -10 log10 of the mean square error; peak 1.

    Parameters
    ----------
    image, truth : (..., rows, columns) in [0, 1]
    mask : (..., rows, columns) bool, optional
        Where to compare.

    Returns
    -------
    float
        Infinite where they are equal.

    Raises
    ------
    ArgumentError
        Shapes differ, NaN, values outside [0, 1], an empty mask.
    """
    a, b, where = _pair(image, truth, mask)
    return _mean(_psnr, a, b, where)


def ssim(image: Any, truth: Any, mask: Any = None) -> float:
    """Structural similarity index [1]_: Gaussian window of sigma 1.5, K1 0.01, K2 0.03, range 1.

    Parameters
    ----------
    image, truth : (..., rows, columns) in [0, 1]
        At least 11 x 11.
    mask : (..., rows, columns) bool, optional
        Where the map of similarity is averaged. The windows of points inside look up to 5 pixels outside.

    Raises
    ------
    ArgumentError, MissingExtraError

    References
    ----------
    .. [1] Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Process. 13(4), 2004, eq. 13.
    """
    a, b, where = _pair(image, truth, mask)
    if min(a.shape[-2:]) < 11:
        raise ArgumentError(f"image: expected at least 11 x 11 pixels, got {a.shape[-2:]}")
    return _mean(_ssim, a, b, where)


def homogeneity(image: Any) -> float:
    """Homogeneity of the grey-level co-occurrence matrix [1]_: sum of p(i, j) / (1 + (i - j)^2).

    256 levels between the image's least and largest value, neighbours in a row, symmetric. Speckle2Self [2]_ is judged
    by it. Fewer grey levels or a gamma raise it, too: never judge by it alone.

    Parameters
    ----------
    image : (..., rows, columns)

    Raises
    ------
    ArgumentError, MissingExtraError

    References
    ----------
    .. [1] Haralick, Shanmugam, Dinstein, IEEE Trans. Syst. Man Cybern. 3(6), 1973, f5.
    .. [2] arXiv 2507.06828.
    """
    feature = _skimage("feature")
    values = []
    for plane in _planes("image", image):
        low, high = float(plane.min()), float(plane.max())
        levels = np.rint((plane - low) / max(high - low, 1e-30) * 255).astype(np.uint8)
        matrix = feature.graycomatrix(levels, [1], [0], levels=256, symmetric=True, normed=True)
        values.append(float(feature.graycoprops(matrix, "homogeneity")[0, 0]))
    return float(np.mean(values))


def equivalent_looks(region: Any) -> float:
    """Equivalent number of looks: squared mean over variance of a region without structure.

    Of displayed (log-compressed) values it only compares images of the same grey scale.

    Parameters
    ----------
    region : array
        ``image[mask]``, not negative.

    Returns
    -------
    float
        Infinite for a constant region.

    Raises
    ------
    ArgumentError
        Less than two values, negative ones, NaN.
    """
    values = np.asarray(host_array("region", region), np.float64)
    finite("region", values)
    if values.size < 2 or values.min() < 0:
        raise ArgumentError(f"region: expected at least two values, none negative, got {values.size} values")
    variance = float(values.var())
    return float("inf") if variance == 0 else float(values.mean() ** 2 / variance)


def edge_preservation(image: Any, reference: Any, mask: Any = None) -> float:
    """Correlation of the high-pass filtered image with the high-pass filtered reference [1]_, beta; 1 is best.

    Parameters
    ----------
    image, reference : (..., rows, columns) in [0, 1]
        The reference is the truth, or the image before.
    mask : (..., rows, columns) bool, optional
        Where there are edges, say.

    Returns
    -------
    float
        0 where one of the two has no structure.

    Raises
    ------
    ArgumentError

    References
    ----------
    .. [1] Sattar, Floreby, Salomonsson, Lovstrom, IEEE Trans. Image Process. 6(6), 1997, eq. 21: the Laplacian is the
       high-pass filter.
    """
    a, b, where = _pair(image, reference, mask)
    return _mean(_edge_preservation, a, b, where)


def texture_ratio(image: Any, truth: Any, mask: Any = None, *, sigma: float = 2.0) -> float:
    """Deviation of what varies faster than ``sigma`` pixels, relative to the truth's: below 1 is blurred.

    Parameters
    ----------
    image, truth : (..., rows, columns) in [0, 1]
    mask : (..., rows, columns) bool, optional
    sigma : float
        Of the Gaussian whose result is taken off.

    Raises
    ------
    ArgumentError
        Also a truth without texture.
    """
    a, b, where = _pair(image, truth, mask)
    width = (scalar("sigma", sigma, 0.3, 100.0, "pixels"),) * 2
    spreads = []
    for planes in (a, b):
        fine = planes - scipy.ndimage.gaussian_filter(planes, (0, *width))
        spreads.append(np.mean([float(p[w].std()) for p, w in zip(fine, where, strict=True) if w.any()]))
    if spreads[1] == 0:
        raise ArgumentError("truth: expected an image with texture, got a smooth one")
    return float(spreads[0] / spreads[1])


class FillFigures(NamedTuple):
    """How good a video is in which part was filled in; NaN where nothing was.

    Attributes
    ----------
    ssim_frame, ssim_mask : float
        Of whole frames, and inside the mask.
    psnr_mask : float [dB]
        Of all hidden pixels together.
    fine, fine_truth : float
        Deviation inside the mask of what varies faster than 2 pixels, in grey levels of 255: texture. Compare means
        over many videos; a black truth has none.
    flicker : float
        Mean absolute change of the error from frame to frame where both are hidden, in grey levels of 255.
    """

    ssim_frame: float
    ssim_mask: float
    psnr_mask: float
    fine: float
    fine_truth: float
    flicker: float


def fill_figures(video: Any, truth: Any, mask: Any) -> FillFigures:
    """Judge a video in which what ``mask`` hides was filled in.

    Parameters
    ----------
    video, truth : (n_frames, rows, columns) in [0, 1]
    mask : (n_frames, rows, columns) bool

    Returns
    -------
    FillFigures

    Raises
    ------
    ArgumentError, MissingExtraError
        See `ssim`.
    """
    whole = ssim(video, truth)
    if not np.any(mask):
        return FillFigures(whole, *[float("nan")] * 5)
    a, b, where = _pair(video, truth, mask)
    fine = [255 * float((v - scipy.ndimage.gaussian_filter(v, (0, 2, 2)))[where].std()) for v in (a, b)]
    both = where[1:] & where[:-1]
    flicker = 255 * float(np.abs(np.diff(a - b, axis=0))[both].mean()) if both.any() else float("nan")
    return FillFigures(whole, ssim(video, truth, mask), _psnr(a, b, where), fine[0], fine[1], flicker)


def _psnr(a: NDArray[np.float64], b: NDArray[np.float64], where: NDArray[np.bool_]) -> float:
    error = float(np.mean((a[where] - b[where]) ** 2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def _ssim(a: NDArray[np.float64], b: NDArray[np.float64], where: NDArray[np.bool_]) -> float:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    mean, similarity = _skimage("metrics").structural_similarity(a, b, full=True, **options)
    return float(mean if where.all() else similarity[where].mean())


def _edge_preservation(a: NDArray[np.float64], b: NDArray[np.float64], where: NDArray[np.bool_]) -> float:
    fine = [scipy.ndimage.laplace(plane)[where] for plane in (a, b)]
    p, q = (values - values.mean() for values in fine)
    norm = float(np.sqrt((p**2).sum() * (q**2).sum()))
    return float((p * q).sum()) / norm if norm > 1e-12 else 0.0


def _mean(
    figure: Callable[[Any, Any, Any], float], a: NDArray[np.float64], b: NDArray[np.float64], where: NDArray[np.bool_]
) -> float:
    return float(np.mean([figure(*planes) for planes in zip(a, b, where, strict=True) if planes[2].any()]))


def _planes(name: str, image: Any) -> NDArray[np.float64]:
    values = np.asarray(host_array(name, image))
    if values.ndim < 2 or 0 in values.shape or values.dtype.kind not in "fiub":
        raise ArgumentError(f"{name}: expected real numbers (..., rows, columns), got {values.dtype} {values.shape}")
    finite(name, values)
    return values.astype(np.float64).reshape(-1, *values.shape[-2:])


def _pair(image: Any, truth: Any, mask: Any) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    shapes = [np.shape(image), np.shape(truth)] + ([] if mask is None else [np.shape(mask)])
    if len(set(shapes)) > 1:
        raise ArgumentError(f"image, truth, mask: expected equal shapes, got {shapes}")
    a, b = _planes("image", image), _planes("truth", truth)
    for name, planes in (("image", a), ("truth", b)):
        low, high = float(planes.min()), float(planes.max())
        if low < -1e-3 or high > 1 + 1e-3:
            raise ArgumentError(f"{name}: expected values from 0 to 1, got {low:g} to {high:g}")
    where = np.ones(a.shape, bool) if mask is None else np.asarray(mask).astype(bool).reshape(a.shape)
    if not where.any():
        raise ArgumentError("mask: expected some points inside, got none")
    return a, b, where


def _skimage(part: str) -> Any:
    try:
        import skimage
    except ImportError:
        raise MissingExtraError("this figure needs scikit-image: pip install 'sonoray[metrics]'") from None
    return getattr(skimage, part)
