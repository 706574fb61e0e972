"""Adaptive beamforming: the delayed signals of a point are not only summed but compared."""

from typing import Any

from .._arrays import stream_handle
from .._backends import backend
from .._checks import option
from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError
from .adaptive_methods import Method, adaptive_method
from .das import Beamformer, Sampling

_OVER = ("receive", "transmit")
_COMPOUNDING = ("first", "coherent", "incoherent", "none")
# Probes whose element e + 1 need not lie beside element e, and rings, whose row has no first element: an aperture
# across the last and the first would be taken apart there.
_NOT_IN_A_ROW = ("bowl", "free", "matrix", "ring", "row_column")
_UNUSED = {"cutoff": 0, "exponent": 1.0, "fraction": 1.0, "loading": 0.0, "threshold": 0.0, "temporal_samples": 0}


class AdaptiveBeamformer:
    """Beamformer that weighs the delayed signals of a point by how they agree.

    Delays, apertures and interpolation are those of `Beamformer`; nothing is computed twice, and no signals of the
    whole image are kept.

    Parameters
    ----------
    arrivals : Arrivals
        Grid, probe, transmit arrival times and weights, and how to get receive times.
    sampling : ChannelData or Sampling
        Sampling of the data to come; channel data serve as a template.
    method : str or Method
        Such as "capon" or ``Capon(subarray=0.4)``, see `adaptive_method`.
    over : {"receive", "transmit"}
        What is compared: the elements' signals, or the delay-and-sum images of the transmits.
    compounding : {"first", "coherent", "incoherent", "none"}
        Over elements: "first" sums the transmits of each element before the method, which focuses them and costs least
        (the synthetic aperture's order); else the method sees every transmit for itself, and the results are summed,
        their magnitudes are summed, or there is one image for each transmit. Over transmits only "first", which then
        means the sum over elements.
    f_number : float or None
        Receive aperture, see `Beamformer`: elements inside take part alike in every comparison.
    window : {"boxcar", "hann", "hamming", "tukey"} or ("tukey", alpha)
        Weights of the sum that the method changes. Capon, eigenspace and short-lag coherence over elements take a
        boxcar only: they find their weights themselves.
    interpolation : {"linear", "cubic"}
        Between samples.
    device : {"cpu", "cuda", "cuda:N"}

    Raises
    ------
    ArgumentError
        As `Beamformer`; a window with a method that finds its weights; phase coherence of RF; spatial frequencies,
        subarrays or lags of elements that are not in a row from first to last (kinds other than linear, phased and
        curvilinear); a comparison of transmits where there is one.
    DeviceError
        No such device.

    Notes
    -----
    Not linear: there is no adjoint. Results do not depend on the number of threads, and scale with the data. Signals
    below 1e-36 count as none.

    Examples
    --------
    >>> import sonoray
    >>> data, _ = sonoray.load_example()
    >>> data = sonoray.demodulate(data)
    >>> times = sonoray.arrivals(data.transmits, data.probe, sonoray.default_grid(data), data.sound_speed)
    >>> AdaptiveBeamformer(times, data, "coherence-factor")(data).dtype
    dtype('complex64')
    """

    def __init__(
        self,
        arrivals: Any,
        sampling: ChannelData | Sampling,
        method: str | Method,
        *,
        over: str = "receive",
        compounding: str = "first",
        f_number: float | None = 1.5,
        window: Any = "boxcar",
        interpolation: str = "linear",
        device: str = "cpu",
    ) -> None:
        self.method = adaptive_method(method)
        self.over = option("over", over, _OVER)
        self.compounding = option("compounding", compounding, _COMPOUNDING)
        first = compounding == "first"
        if over == "transmit" and not first:
            raise ArgumentError(f"compounding: expected 'first' over transmits, got {compounding!r}")
        self._sum = Beamformer(
            arrivals,
            sampling,
            f_number=f_number,
            window=window,
            compounding="coherent" if first else compounding,
            interpolation=interpolation,
            device=device,
        )
        self.arrivals, self.sampling, self.device = self._sum.arrivals, self._sum.sampling, self._sum.device
        self._refuse(window)
        order = 2 if over == "transmit" else 0 if first else 1
        self._plan = {**self._sum._plan, "kind": self.method.code, "over": order, **_UNUSED, **self.method.numbers()}

    def _refuse(self, window: Any) -> None:
        """Settings that do not go together."""
        method, name = self.method, self.method.name
        if method.needs_iq and not self.is_iq:
            raise ArgumentError(f"sampling: expected I/Q for {name}, got RF; demodulate() it")
        if self.over == "transmit":
            if self._sum._n_tx < 2:
                raise ArgumentError("over: expected 'receive' for data of one transmit, got 'transmit'")
            return
        if method.finds_weights and (self._sum._plan["taper"] or self._sum._plan["window"] is not None):
            raise ArgumentError(f"window: expected 'boxcar' with {name}, which finds its own weights, got {window!r}")
        kind = self.arrivals.probe.kind
        if method.ordered and kind in _NOT_IN_A_ROW:
            raise ArgumentError(
                f"method: {name} expects elements in a row (a linear, phased or curvilinear probe), got a {kind} probe"
            )

    @property
    def is_iq(self) -> bool:
        """Whether it takes I/Q data."""
        return self._sum.is_iq

    def __repr__(self) -> str:
        return f"Adaptive{self._sum!r}"[:-1] + f", {self.method!r} over {self.over})"

    def __call__(self, samples: Any, *, out: Any = None, stream: Any = None) -> Any:
        """Beamform.

        Parameters
        ----------
        samples, out, stream :
            As for `Beamformer.__call__`.

        Returns
        -------
        (n_frames, *grid.shape) float32, or complex64 for I/Q
            With ``compounding="none"`` (n_frames, n_tx, *grid.shape); with "incoherent", and of coherence, always
            float32.

        Raises
        ------
        ArgumentError
            As `Beamformer.__call__`.
        DeviceError
            An array in the wrong place.
        """
        n_frames, samples = self._sum._accepted(samples)
        real = not self.is_iq or self.compounding == "incoherent" or self.method.is_coherence
        target = self._sum._target(out, self._sum._image_shape(n_frames), "float32" if real else "complex64")
        call = backend(self.device).adaptive
        call(**self._plan, samples=samples, image=target, stream=stream_handle(stream))
        return target if out is None else out
