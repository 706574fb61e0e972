"""Images of speckle whose truth is known: Rayleigh or K-distributed, correlated by a point spread function.

Images are as displayed: rows (depth) by columns, values in [0, 1]. Nothing is beamformed here: complex scatterers,
white in space, are weighted with an echogenicity and convolved with a Gaussian point spread function; the magnitude is
the envelope. `echogenicities` draws what is imaged.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammainc, gammaincinv, gammaln, ndtr

from .._checks import array, finite, pair, scalar

Image = NDArray[np.float32]
DECIBEL = 10.0 / np.log(10.0)  # of a power's logarithm


@dataclass(frozen=True)
class SpeckleModel:
    """How echoes become an image.

    Parameters
    ----------
    psf : tuple[float, float]
        Standard deviations of the point spread function's amplitude along rows and columns, pixels. The envelope's
        power is then correlated as exp(-d^2 / (2 psf^2)).
    widening : float
        By what factor the width along columns grows from the first row to the last; 0 keeps it.
    scatterers : float, optional
        Shape of the K distribution: how many scatterers a resolution cell holds effectively. None: infinitely many,
        so Rayleigh.
    noise : float
        Power of the electronic noise, dB relative to tissue of 0 dB. It is white.
    dynamic_range : float
        From black to white, dB.
    white : float
        What is shown as 1, dB.

    Raises
    ------
    ArgumentError
        A value out of range.
    """

    psf: tuple[float, float] = (0.8, 1.2)
    widening: float = 0.0
    scatterers: float | None = None
    noise: float = -45.0
    dynamic_range: float = 50.0
    white: float = 16.0

    def __post_init__(self) -> None:
        for value in pair("psf", self.psf):
            scalar("psf", value, 0.3, 30.0, "pixels")
        scalar("widening", self.widening, 0.0, 4.0, "(factor)")
        if self.scatterers is not None:
            scalar("scatterers", self.scatterers, 0.2, 1000.0, "(per resolution cell)")
        scalar("noise", self.noise, -200.0, 0.0, "dB")
        scalar("dynamic_range", self.dynamic_range, 10.0, 150.0, "dB")
        scalar("white", self.white, -50.0, 80.0, "dB")

    @property
    def signal_to_noise(self) -> float:
        """Mean over standard deviation of the envelope in homogeneous tissue, without electronic noise."""
        if self.scatterers is None:
            return float(np.sqrt(np.pi / (4 - np.pi)))
        shape = self.scatterers
        squared_mean = np.pi / 4 * np.exp(2 * (gammaln(shape + 0.5) - gammaln(shape))) / shape
        return float(np.sqrt(squared_mean / (1 - squared_mean)))

    @property
    def log_bias(self) -> float:
        """Mean of the tissue's envelope in dB minus its mean power in dB, without electronic noise."""
        bias = -np.euler_gamma
        if self.scatterers is not None:
            bias += digamma(self.scatterers) - np.log(self.scatterers)
        return float(DECIBEL * bias)

    def mean_logarithm(self, echogenicity: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of the envelope in dB where tissue [dB] and electronic noise are seen together.

        Given the local power of K-distributed tissue, the sum is Rayleigh's: the mean logarithm is that of the sum of
        powers, averaged over the gamma distribution, minus Euler's constant. Noise alone has no K part.
        """
        nats, floor = echogenicity / DECIBEL, self.noise / DECIBEL
        if self.scatterers is None:
            total = np.logaddexp(nats, floor)
        else:
            n = 2 + int(10 * float(np.ptp(nats)))  # linear interpolation errs by 0.1**2 / 32 nats, 0.001 dB
            at = np.linspace(nats.min(), nats.max(), n)
            total = np.interp(nats, at, _mean_log_sum(at, floor, self.scatterers))
        return np.asarray(DECIBEL * (total - np.euler_gamma))

    def compress(self, decibels: NDArray[np.float64]) -> Image:
        """Decibels as grey levels."""
        return np.clip((decibels - self.white) / self.dynamic_range + 1, 0, 1).astype(np.float32)


@dataclass(frozen=True)
class SpeckleImage:
    """An image and what it would be without speckle.

    Parameters
    ----------
    image, clean : NDArray[np.float32]
        ``(n_rows, n_columns)``, grey levels in [0, 1]. ``clean`` is the grey level of the mean logarithm of the
        envelope; edges in it are as sharp as in the echogenicity.
    """

    image: Image
    clean: Image


def simulate_speckle(
    echogenicity: NDArray[np.floating],
    rng: np.random.Generator,
    model: SpeckleModel | None = None,
    *,
    mask: NDArray[np.bool_] | None = None,
) -> SpeckleImage:
    """Simulate one log-compressed image.

    Parameters
    ----------
    echogenicity : NDArray
        ``(n_rows, n_columns)``, mean echo power, dB.
    rng : np.random.Generator
    model : SpeckleModel, optional
    mask : NDArray[np.bool_], optional
        True inside the field of view; outside both images are 0.

    Returns
    -------
    SpeckleImage

    Raises
    ------
    ArgumentError
        No finite two-dimensional echogenicity, or a mask of another shape.
    """
    model = model or SpeckleModel()
    decibels = array("echogenicity", echogenicity, (None, None))
    finite("echogenicity", decibels)
    envelope = speckle_envelope(decibels, rng, model)
    image = model.compress(2 * DECIBEL * np.log(np.maximum(envelope, 1e-12)))
    clean = model.compress(model.mean_logarithm(decibels))
    if mask is not None:
        inside = array("mask", mask, image.shape, np.bool_)
        image, clean = image * inside, clean * inside
    return SpeckleImage(image, clean)


def speckle_envelope(
    echogenicity: NDArray[np.float64], rng: np.random.Generator, model: SpeckleModel
) -> NDArray[np.float64]:
    """Envelope of echoes; its mean square is that of the echogenicity, plus the noise.

    K-distributed echoes are Rayleigh's times the root of a gamma-distributed power whose mean is 1 and that varies
    over the same distances (compound form of Jakeman and Pusey, IEEE Trans. Antennas Propag. 24, 1976, eq. 11).

    Parameters
    ----------
    echogenicity : NDArray[np.float64]
        ``(n_rows, n_columns)``, dB.
    rng : np.random.Generator
    model : SpeckleModel

    Returns
    -------
    NDArray[np.float64]
        ``(n_rows, n_columns)``
    """
    n_rows = echogenicity.shape[0]
    widths = model.psf[1] * (1 + model.widening * np.arange(n_rows) / max(1, n_rows - 1))
    margins = (int(4 * model.psf[0]) + 1, int(4 * widths.max()) + 1)
    padded = np.pad(echogenicity, [(m, m) for m in margins], mode="edge")
    widths = np.pad(widths, margins[0], mode="edge")
    inner = (slice(margins[0], -margins[0]), slice(margins[1], -margins[1]))
    field = _convolved(_white(rng, padded.shape) * 10 ** (padded / 20), model.psf[0], widths)[inner]
    if model.scatterers is not None:
        # A Gaussian field of unit variance, squared magnitude and all, is mapped onto the gamma distribution.
        normal = np.sqrt(2) * _convolved(_white(rng, padded.shape), model.psf[0], widths)[inner].real
        field = field * np.sqrt(_gamma_quantile(model.scatterers, ndtr(normal)))
    field = field + 10 ** (model.noise / 20) * _white(rng, field.shape)
    return np.abs(field)


def sector_mask(shape: tuple[int, int], opening: float = 70.0, inner_radius: float = 0.15) -> NDArray[np.bool_]:
    """Field of view of a curved or phased array, its axis in the middle of the columns.

    Parameters
    ----------
    shape : tuple[int, int]
        Rows and columns.
    opening : float
        Full angle, degrees.
    inner_radius : float
        Radius at which the image begins, as a part of the outer one.

    Returns
    -------
    NDArray[np.bool_]
        True inside.
    """
    half = np.radians(scalar("opening", opening, 10.0, 170.0, "degrees")) / 2
    inner = scalar("inner_radius", inner_radius, 0.0, 0.9, "(part of the outer radius)")
    n_rows, n_columns = shape
    top = inner * np.cos(half)  # depth at which the innermost arc leaves the sector
    outer = min((n_rows - 1) / (1 - top), (n_columns - 1) / (2 * np.sin(half)))
    z, x = np.mgrid[:n_rows, :n_columns].astype(np.float64)
    z, x = z / outer + top, (x - (n_columns - 1) / 2) / outer
    radius = np.hypot(z, x)
    return (radius >= inner) & (radius <= 1 + 1e-9) & (np.abs(np.arctan2(x, z)) <= half + 1e-9)


def _white(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Complex Gaussian noise of unit mean power."""
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def _convolved(
    field: NDArray[np.complex128], row_width: float, column_widths: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Convolution with Gaussians that keep the power of white noise; each row has its width along columns."""
    n_rows, n_columns = field.shape
    along_rows = np.exp(-2 * (np.pi * row_width * np.fft.fftfreq(n_rows)) ** 2)[:, None]
    along_columns = np.exp(-2 * (np.pi * column_widths[:, None] * np.fft.fftfreq(n_columns)) ** 2)
    along_rows /= np.sqrt(np.mean(along_rows**2))
    along_columns /= np.sqrt(np.mean(along_columns**2, axis=1, keepdims=True))
    field = np.fft.ifft(np.fft.fft(field, axis=0) * along_rows, axis=0)
    return np.fft.ifft(np.fft.fft(field, axis=1) * along_columns, axis=1)


def _mean_log_sum(level: NDArray[np.float64], floor: float, shape: float) -> NDArray[np.float64]:
    """Mean of log(exp(level) T + exp(floor)) where T is gamma-distributed with mean 1: trapezoids over log T."""
    below, above = max(40 / shape, 12 / np.sqrt(shape)), np.log1p(max(100 / shape, 12 / np.sqrt(shape)))
    u = np.linspace(-below, above, 1001)
    density = np.exp(shape * (u - np.expm1(u)))  # up to its factor
    return np.asarray(np.logaddexp(level[:, None] + u, floor) @ (density / density.sum()))


def _gamma_quantile(shape: float, probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles of the gamma distribution of mean 1, through a table: the inverse takes a microsecond a value."""
    low, high = 1e-9, gammaincinv(shape, 1 - 1e-9)
    table = np.concatenate([[0.0], np.geomspace(low * high, high, 4000)])
    return np.interp(probability, gammainc(shape, table), table) / shape
