"""How well multistatic I/Q data focus with given travel times: criteria to find sound speed from, and gradients."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array, is_device_array, stream_handle, to_device, to_host
from .._backends import backend, place
from .._checks import array, count, option, scalar
from ..acquisition.channel_data import ChannelData, require_channel_data
from ..errors import ArgumentError, DeviceError

CRITERIA = ("phase_error", "coherence_factor", "lag_one_coherence", "speckle_brightness")
_MARGIN = 4  # zeros at both ends of a trace, as the compiled core wants them


@dataclass(frozen=True, eq=False)
class CommonMidpointCorrelations:
    """Correlations of neighbouring pairs of sub-apertures that share their midpoint.

    A is the pair of transmit sub-aperture i and receive sub-aperture j + 1, B that of i + 1 and j.

    Parameters
    ----------
    correlation : (n_patches, n_i, n_j) complex64
        <A conj(B)> / sqrt(<A conj(A)> <B conj(B)>), each summed over the points of a patch; 0 where a sub-aperture
        has no element or no signal. Its angle is 2 pi f times the error of A's travel time (given less true) less
        that of B's, f being the frequency of the pulse: 0 with the right times.
    energy : (n_patches, n_i, n_j) float32
        sqrt(<A conj(A)> <B conj(B)>), in units of the mean square of the samples.
    midpoint : (n_i, n_j, 3) float64 [m]
        Of transmit and receive sub-apertures.
    offset : (n_i, n_j, 3) float64 [m]
        From transmit to receive sub-aperture, mean of A and B.
    """

    correlation: Any
    energy: Any
    midpoint: NDArray[np.float64]
    offset: NDArray[np.float64]


class FocusCriterion:
    """Focusing quality of multistatic I/Q data as a function of travel times, to be minimised.

    The value of transmit a and receiver b at point p is u = iq_ab(T) exp(2 pi i f_d T) with T = T_a(p) + T_b(p) and
    the data interpolated by Keys' cubic in time. The criteria are those of [1]_:

    - ``"phase_error"``: mean of log(1 + (scale phi)^2) over pairs of sub-apertures with a common midpoint [2]_,
      phi being the angle of their correlation (see `correlations`); only pairs with a correlation above
      ``threshold`` count. With no such pair the loss is log(1 + (scale pi)^2), the largest possible.
    - ``"coherence_factor"``: 1 - mean over points of abs(sum s_b) / sum abs(s_b), s_b being the sum of u over
      transmits.
    - ``"lag_one_coherence"``: 1 - mean over patches and neighbouring receivers of their correlation,
      Re <s_b conj(s_b+1)> / sqrt(<abs(s_b)^2> <abs(s_b+1)^2>), summed over the points of a patch.
    - ``"speckle_brightness"``: 1 - mean over points of abs(sum s_b), per pair of active elements and in units of
      the root mean square of the samples.

    None depends on the data's scale or phase.

    Parameters
    ----------
    channel_data : ChannelData
        One frame of I/Q data. For the phase error the transmits are single elements, next to each other and in the
        order of the array; for the others anything whose arrival times are known. A copy is kept.
    patches : (n_patches, n_kernel, 3) float64 [m]
        Points; correlations are summed over those of a patch, so let it span a few resolution cells.
    criterion : {"phase_error", "coherence_factor", "lag_one_coherence", "speckle_brightness"}
    sub_aperture : int
        Elements of a sub-aperture, odd.
    f_number : float or None
        Elements whose offset from a point, across their normal, exceeds depth / (2 f_number) and half a sub-aperture
        do not count. None or 0: all count.
    threshold : float
        Least correlation of a pair that counts in the phase error.
    scale : float
        Of phases in the phase error: those above 1 / scale count less and less.
    device : {"cpu", "cuda", "cuda:N"}

    Raises
    ------
    ArgumentError
        RF data, several frames, transmits that do not suit the criterion, a sub-aperture that does not fit, silent
        data, arrays of the wrong shape or in the wrong units.
    DeviceError
        No such device.

    Notes
    -----
    Work: n_patches n_kernel n_tx n_rx interpolations, twice or three times as much for a gradient. Memory: the data,
    and for a gradient 16 n_kernel n_tx n_rx bytes per thread. Results do not depend on the number of threads.

    References
    ----------
    .. [1] W. Simson, L. Zhuang, S. Sanabria, N. Antil, J. Dahl, D. Hyun, Differentiable beamforming for ultrasound
       autofocusing, MICCAI 2023, 428.
    .. [2] D. Rachlin, Direct estimation of aberrating delays in pulse-echo imaging systems, J. Acoust. Soc. Am. 88,
       191 (1990).
    """

    def __init__(
        self,
        channel_data: ChannelData,
        patches: Any,
        *,
        criterion: str = "phase_error",
        sub_aperture: int = 17,
        f_number: float | None = 0.5,
        threshold: float = 0.9,
        scale: float = 100.0,
        device: str = "cpu",
    ) -> None:
        self.criterion = option("criterion", criterion, CRITERIA)
        self.device, self._module = str(device), backend(device)
        _require_iq(channel_data)
        channel_data.probe.require_points("focus criteria")
        self.probe = channel_data.probe
        self._transmits = channel_data.transmits
        self._n_tx, self._n_rx = channel_data.n_tx, channel_data.n_rx
        self.patches = array("patches", patches, (None, None, 3), low=-4, high=4, unit="m")
        if not self.patches.size:
            raise ArgumentError(f"patches: expected at least one point, got shape {self.patches.shape}")
        self.sub_aperture = count("sub_aperture", sub_aperture, 1, 65535)
        if not self.sub_aperture % 2:
            raise ArgumentError(f"sub_aperture: expected an odd number of elements, got {self.sub_aperture}")
        self.f_number = 0.0 if not f_number else scalar("f_number", f_number, 1e-3, 1e3, "(ratio)")
        self.threshold = scalar("threshold", threshold, 0.0, 1.0, "(correlation)")
        self.scale = scalar("scale", scale, 1e-3, 1e6, "(1/rad)")
        if self.criterion == "phase_error":
            self._require_common_midpoints()
        arrays = {
            **_normalised(channel_data),
            **{f"{side}_weight": weight for side, weight in zip(("tx", "rx"), self._weights(), strict=True)},
        }
        if self.device != "cpu":
            arrays = {k: v if v is None else to_device(v, self.device) for k, v in arrays.items()}
        self._plan: dict[str, Any] = {
            **arrays,
            "margin": _MARGIN,
            "n_kernel": self.patches.shape[1],
            "sampling_frequency": channel_data.sampling_frequency,
            "demodulation_frequency": channel_data.demodulation_frequency,
            "cubic": True,
            "index": place(self.device),
        }

    @property
    def n_points(self) -> int:
        """Number of points, of all patches together."""
        return int(self.patches.shape[0] * self.patches.shape[1])

    def __repr__(self) -> str:
        size = f"{self._n_tx} tx x {self._n_rx} rx, {len(self.patches)} patches of {self.patches.shape[1]} points"
        return f"FocusCriterion({self.criterion!r}, {size}, {self.device!r})"

    def __call__(self, tx_time: Any, rx_time: Any, *, stream: Any = None) -> float:
        """Loss with these travel times.

        Parameters
        ----------
        tx_time : (n_tx, n_points) float32 [s]
            From each transmit's time zero to the points, patch after patch. On the plan's device.
        rx_time : (n_rx, n_points) float32 [s]
            From the points to the receivers.
        stream : int or stream object, optional

        Returns
        -------
        float

        Raises
        ------
        ArgumentError
            Times of the wrong shape or in the wrong unit.
        """
        return self._loss(tx_time, rx_time, None, None, stream)

    def gradient(self, tx_time: Any, rx_time: Any, *, stream: Any = None) -> tuple[float, Any, Any]:
        """Loss and its exact derivatives with respect to the travel times.

        The choice of the pairs that count in the phase error is taken as fixed.

        Parameters
        ----------
        tx_time, rx_time : (n, n_points) float32 [s]
            As in a call.
        stream : int or stream object, optional

        Returns
        -------
        loss : float
        tx_slope : (n_tx, n_points) float32 [1/s]
        rx_slope : (n_rx, n_points) float32 [1/s]

        Raises
        ------
        ArgumentError
            Times of the wrong shape or in the wrong unit.
        """
        tx_slope = self._empty((self._n_tx, self.n_points), "float32")
        rx_slope = self._empty((self._n_rx, self.n_points), "float32")
        return self._loss(tx_time, rx_time, tx_slope, rx_slope, stream), tx_slope, rx_slope

    def _loss(self, tx_time: Any, rx_time: Any, tx_slope: Any, rx_slope: Any, stream: Any) -> float:
        loss = self._empty((1,), "float64")
        self._module.focus_loss(
            **self._plan,
            **self._times(tx_time, rx_time),
            measure=CRITERIA.index(self.criterion),
            sub_aperture=self.sub_aperture,
            threshold=self.threshold,
            scale=self.scale,
            loss=loss,
            tx_slope=tx_slope,
            rx_slope=rx_slope,
            stream=stream_handle(stream),
        )
        return float((loss if self.device == "cpu" else to_host(loss, stream=stream))[0])

    def correlations(self, tx_time: Any, rx_time: Any, *, stream: Any = None) -> CommonMidpointCorrelations:
        """Correlate pairs of sub-apertures that share their midpoint.

        Parameters
        ----------
        tx_time : (n_tx, n_points) float32 [s]
            From each transmit's time zero to the points, patch after patch. On the plan's device.
        rx_time : (n_rx, n_points) float32 [s]
            From the points to the receivers.
        stream : int or stream object, optional

        Returns
        -------
        CommonMidpointCorrelations

        Raises
        ------
        ArgumentError
            Transmits that share no midpoints with receivers, times of the wrong shape or in the wrong unit.
        """
        self._require_common_midpoints()
        times = self._times(tx_time, rx_time)
        shape = (len(self.patches), self._n_tx - self.sub_aperture, self._n_rx - self.sub_aperture)
        correlation, energy = self._empty(shape, "complex64"), self._empty(shape, "float32")
        self._module.focus_correlations(
            **self._plan,
            **times,
            sub_aperture=self.sub_aperture,
            correlation=correlation,
            energy=energy,
            stream=stream_handle(stream),
        )
        return CommonMidpointCorrelations(correlation, energy, *self._midpoints())

    def _midpoints(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Midpoints and offsets of all pairs, (n_i, n_j, 3)."""
        fires = [t.element for t in self._transmits if t.element is not None]
        half = self.sub_aperture // 2
        tx, rx = (np.array(p[half : len(p) - half]) for p in (self.probe.positions[fires], self.probe.positions))
        tx, rx = 0.5 * (tx[1:] + tx[:-1])[:, None], 0.5 * (rx[1:] + rx[:-1])[None]
        return 0.5 * (tx + rx), rx - tx

    def _require_common_midpoints(self) -> None:
        """Refuse transmits that are not single elements next to each other, in the order of the array."""
        elements = [-1 if t.element is None else t.element for t in self._transmits]
        if -1 in elements:
            kind = self._transmits[elements.index(-1)].kind
            raise ArgumentError(
                f"channel_data: expected single-element transmits, got {kind!r}; acquisition.encoding decodes plane, "
                "diverging and focused sequences"
            )
        if any(np.diff(elements) != 1):
            raise ArgumentError(
                f"channel_data: expected transmits by neighbouring elements in their order, got {elements[:8]}..."
            )
        least = min(self._n_tx, self._n_rx)
        if self.sub_aperture >= least:
            raise ArgumentError(f"sub_aperture: expected less than {least} elements, got {self.sub_aperture}")

    def _weights(self) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        """Which transmits and receivers count at which points, (n, n_points) each."""
        if not self.f_number:
            return None, None
        rx = aperture_mask(self.probe, self.patches.reshape(-1, 3), self.f_number, self.sub_aperture)
        one = np.ones(self.n_points, np.float32)
        tx = np.stack([one if t.element is None else rx[t.element] for t in self._transmits])
        return tx, rx

    def _times(self, tx_time: Any, rx_time: Any) -> dict[str, Any]:
        """Checked travel times."""
        times = {"tx_time": (tx_time, self._n_tx), "rx_time": (rx_time, self._n_rx)}
        return {name: _located(name, value, (n, self.n_points), self.device) for name, (value, n) in times.items()}

    def _empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        if self.device == "cpu":
            return np.empty(shape, dtype)
        return self._module.empty(list(shape), dtype, place(self.device))


def aperture_mask(probe: Any, points: Any, f_number: float, least: int) -> NDArray[np.float32]:
    """Which elements count at which points.

    Parameters
    ----------
    probe : Probe
    points : (n, 3) float64 [m]
    f_number : float
    least : int
        Elements that the aperture spans near the array.

    Returns
    -------
    (n_elements, n) float32
        1 where the point lies in front of the element, off its axis by at most depth / (2 f_number) or by half of
        ``least`` elements; else 0.
    """
    mask = np.empty((probe.n_elements, len(points)), np.float32)
    for e in range(probe.n_elements):
        ray = points - probe.positions[e]
        depth = ray @ probe.normals[e]
        across = np.linalg.norm(ray - depth[:, None] * probe.normals[e], axis=1)
        mask[e] = (across <= np.maximum(depth / (2 * f_number), 0.5 * least * probe.pitch)) & (depth >= 0)
    return mask


def square_patches(centers: NDArray[np.float64], n: int, step: float) -> NDArray[np.float64]:
    """Points of patches about ``centers`` (n_patches, 3): n x n of them in x and z, ``step`` [m] apart.

    Returns
    -------
    (n_patches, n^2, 3) float64 [m]
    """
    offset = (np.arange(n) - 0.5 * (n - 1)) * step
    dx, dz = (a.ravel() for a in np.meshgrid(offset, offset, indexing="ij"))
    return np.asarray(centers[:, None] + np.stack([dx, np.zeros_like(dx), dz], axis=1)[None])


def _require_iq(data: Any) -> None:
    require_channel_data(data)
    if not data.is_iq:
        raise ArgumentError("channel_data: expected I/Q data, got RF; demodulate() it")
    if data.n_frames != 1:
        raise ArgumentError(f"channel_data: expected one frame, got {data.n_frames}; select(frames=0) takes the first")


def _normalised(data: ChannelData) -> dict[str, Any]:
    """Samples of unit mean square between zeros, and the start times in samples."""
    samples = data.samples[0]
    power = np.mean([np.vdot(trace, trace).real / data.n_samples for tx in samples for trace in tx], dtype=float)
    if not power > 0:
        raise ArgumentError("channel_data: expected samples other than zero, got only zeros")
    padded = _with_margins(samples)
    padded *= np.float32(power**-0.5)
    return {"samples": padded, "start": np.asarray(data.start_time * data.sampling_frequency, np.float64)}


def _with_margins(samples: NDArray[Any]) -> NDArray[np.complex64]:
    padded = np.zeros((*samples.shape[:2], samples.shape[2] + 2 * _MARGIN), np.complex64)
    padded[:, :, _MARGIN:-_MARGIN] = samples
    return padded


def _shape(name: str, value: Any, n_axes: int) -> tuple[int, ...]:
    shape = tuple(int(n) for n in getattr(value, "shape", np.shape(value)))
    if len(shape) != n_axes or 0 in shape:
        raise ArgumentError(f"{name}: expected {n_axes} axes, got shape {shape}")
    return shape


def _require_there(name: str, value: Any, device: str) -> None:
    if not is_device_array(value):
        raise DeviceError(f"{name}: expected an array on {device!r}, got a host array; use sonoray.to_device")


def _located(name: str, value: Any, shape: tuple[int, ...], device: str, unit: str = "s", most: float = 1e-1) -> Any:
    """Return times, or weights that may be None, which must be where the plan is."""
    if value is None:
        return None
    if device == "cpu":
        return array(name, host_array(name, value), shape, np.float32, low=-most, high=most, unit=unit)
    _require_there(name, value, device)
    if _shape(name, value, len(shape)) != shape:
        raise ArgumentError(f"{name}: expected shape {shape}, got {tuple(value.shape)}")
    return value


def das_time_gradient(
    samples: Any,
    cotangent: Any,
    tx_time: Any,
    rx_time: Any,
    *,
    sampling_frequency: float,
    demodulation_frequency: float = 0.0,
    start_time: Any = 0.0,
    tx_weight: Any = None,
    rx_weight: Any = None,
    interpolation: str = "linear",
    device: str = "cpu",
    stream: Any = None,
) -> tuple[Any, Any]:
    """Derivatives of a delay-and-sum image with respect to travel times.

    Of sum over p of Re(conj(g_p) image_p), with image_p = sum over t and e of w_t(p) w_e(p) s_te(T_t(p) + T_e(p))
    exp(2 pi i f (T_t(p) + T_e(p))): the coherent image of a `Beamformer` whose receive times and weights are these.

    Parameters
    ----------
    samples : (n_tx, n_rx, n_samples) float32 or complex64
        RF or I/Q. On the device complex64 only.
    cotangent : (n_points,) float32, or complex64 for I/Q
        g.
    tx_time : (n_tx, n_points) float32 [s]
    rx_time : (n_rx, n_points) float32 [s]
    sampling_frequency : float [Hz]
    demodulation_frequency : float [Hz]
        0 for RF.
    start_time : float or (n_tx,) [s]
    tx_weight : (n_tx, n_points) float32, optional
    rx_weight : (n_rx, n_points) float32, optional
    interpolation : {"linear", "cubic"}
    device : {"cpu", "cuda", "cuda:N"}
        Where all arrays are.
    stream : int or stream object, optional

    Returns
    -------
    tx_slope : (n_tx, n_points) float32 [1/s]
    rx_slope : (n_rx, n_points) float32 [1/s]

    Raises
    ------
    ArgumentError
        Wrong shapes, units or types, NaN.
    DeviceError
        No such device, or an array that is not there.
    """
    module = backend(device)
    shape = _shape("samples", samples, 3)
    n_points = _shape("tx_time", tx_time, 2)[1]
    tables = {
        "tx_time": _located("tx_time", tx_time, (shape[0], n_points), device),
        "rx_time": _located("rx_time", rx_time, (shape[1], n_points), device),
        "tx_weight": _located("tx_weight", tx_weight, (shape[0], n_points), device, "(weight)", 1e6),
        "rx_weight": _located("rx_weight", rx_weight, (shape[1], n_points), device, "(weight)", 1e6),
    }
    rate = scalar("sampling_frequency", sampling_frequency, 1e4, 1e9, "Hz")
    f = scalar("demodulation_frequency", demodulation_frequency, 0.0, 1e8, "Hz")
    start = np.broadcast_to(np.asarray(start_time, float), (shape[0],)) if np.ndim(start_time) == 0 else start_time
    start = array("start_time", start, (shape[0],), low=-1e-2, high=1e-1, unit="s") * rate
    if device == "cpu":
        kind = np.complex64 if f else np.float32
        samples = _with_margins(array("samples", host_array("samples", samples), shape, kind))
        cotangent = array("cotangent", host_array("cotangent", cotangent), (n_points,), kind).astype(np.complex64)
        slopes = tuple(np.empty((n, n_points), np.float32) for n in shape[:2])
    else:
        start = to_device(start, device)
        for name, value in (("samples", samples), ("cotangent", cotangent)):
            _require_there(name, value, device)
        slopes = tuple(module.empty([n, n_points], "float32", place(device)) for n in shape[:2])
    module.focus_image_slopes(
        samples=samples,
        margin=_MARGIN if device == "cpu" else 0,
        start=start,
        **tables,
        n_kernel=1,
        sampling_frequency=rate,
        demodulation_frequency=f,
        cubic=option("interpolation", interpolation, ("linear", "cubic")) == "cubic",
        cotangent=cotangent,
        tx_slope=slopes[0],
        rx_slope=slopes[1],
        index=place(device),
        stream=stream_handle(stream),
    )
    return slopes[0], slopes[1]
