"""Delay-and-sum beamforming of RF or I/Q data from any probe, transmit and medium, and its adjoint."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array, is_device_array, stream_handle, to_device, to_host
from .._backends import backend, place
from .._checks import array, count, option, scalar
from .._scipy import linear_operator
from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError, DeviceError
from .receive_aperture import aperture_axes, receive_weights, window_plan

_COMPOUNDING = ("coherent", "incoherent", "none")
_INTERPOLATION = ("linear", "cubic")


@dataclass(frozen=True, eq=False)
class Sampling:
    """When samples were taken: what a `Beamformer` needs to know of channel data it has not seen yet.

    Parameters
    ----------
    sampling_frequency : float [Hz]
    n_samples : int
        Of a trace; only `Beamformer.adjoint` needs it, calls take traces of any length.
    demodulation_frequency : float [Hz]
        0 for RF; for I/Q the frequency that was mixed down.
    start_time : float or (n_tx,) float64 [s]
        Time of the first sample, counted from each transmit's time zero.
    center_frequency : float [Hz]
        Of the pulse, for the directivity; 0: the probe's.

    Raises
    ------
    ArgumentError
        A value out of range, Hz against MHz.
    """

    sampling_frequency: float
    n_samples: int
    demodulation_frequency: float = 0.0
    start_time: Any = 0.0
    center_frequency: float = 0.0

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "sampling_frequency", scalar("sampling_frequency", self.sampling_frequency, 1e4, 1e9, "Hz"))
        set_(self, "n_samples", count("n_samples", self.n_samples, 1, 1 << 22))
        for name in ("demodulation_frequency", "center_frequency"):
            value = getattr(self, name)
            set_(self, name, 0.0 if value == 0 else scalar(name, value, 2e4, 1e8, "Hz"))
        start = np.asarray(self.start_time, float)
        set_(self, "start_time", array("start_time", start, (None,) * start.ndim, low=-1e-2, high=1e-1, unit="s"))

    @classmethod
    def of(cls, data: "ChannelData | Sampling") -> "Sampling":
        """Return the sampling of channel data."""
        if isinstance(data, Sampling):
            return data
        if not isinstance(data, ChannelData):
            raise ArgumentError(f"sampling: expected ChannelData or Sampling, got {type(data).__name__}")
        return cls(
            data.sampling_frequency, data.n_samples, data.demodulation_frequency, data.start_time, data.center_frequency
        )


class Beamformer:
    """Delay-and-sum beamformer: a linear map from channel data to samples at the points of a grid.

    At point p, with t running over transmits and e over elements,

        image(p) = sum_t w_t(p) sum_e a_e(p) s_te(T_t(p) + |p - e| n_e(p)) exp(2 pi i f T)

    where T_t is the transmit's arrival time, n_e the mean slowness between element and point (constant, or from a
    table that knows the medium), a_e the receive window, and the phase factor applies to I/Q data only. Of a long
    element (`Probe.lines`) the nearest point counts; a lens of the probe adds its delay.

    Parameters
    ----------
    arrivals : Arrivals
        Grid, probe, transmit arrival times and weights, and how to get receive times.
    sampling : ChannelData or Sampling
        Sampling and demodulation frequency and start times of the data to come; channel data serve as a template.
    f_number : float or None
        Receive aperture: element e contributes where the offset from its axis (its normal) is at most
        depth / (2 f_number), with depth counted along the normal. This holds for curved, ring and matrix arrays
        alike. None or 0: all elements everywhere.
    window : {"boxcar", "hann", "hamming", "blackman", "tukey", "kaiser"}, (name, number), function or array
        Weight over that aperture, a continuous function of u = offset / (depth / (2 f_number)). Tukey takes alpha
        (0.5), Kaiser beta (6). A function maps u in [0, 1] to weights; an array holds them at even steps of u from 0
        to 1, with straight lines between.
    aperture_axis : {"normal", "beam", "line"} or (3,)
        The axis from which offsets count, through the point: the elements' normals; each transmit's beam (along a
        plane wave, from a virtual source, towards a focus), so that the aperture lies where the beam meets the array;
        the lines of a `SectorGrid`; or one direction. Depth is then the distance along it.
    element_weights : (n_rx,) or (n_tx, n_rx) array_like, optional
        Further weights: apodization of one's own, dead elements, elements that listen to some transmits only. Where
        weights or beams differ between transmits, receive times are computed anew: four waves took 3.8 times as long.
    compounding : {"coherent", "incoherent", "none"}
        Sum over transmits; sum of magnitudes; or one image for each transmit.
    interpolation : {"linear", "cubic"}
        Between samples; cubic is Keys' (a = -1/2), about half as fast. Samples outside the record are zero.
    directivity : bool or float
        Weigh each element by sinc(width / wavelength sin a) cos a, a being the angle from its normal (soft
        baffle). True takes the probe's width and the centre frequency; a number is the width in wavelengths.
    device : {"cpu", "cuda", "cuda:N"}

    Raises
    ------
    ArgumentError
        A window without an f-number, channel data of another probe or number of transmits, arrays of the wrong
        shape, NaN, units that are wrong by orders of magnitude.
    DeviceError
        No such device.

    Notes
    -----
    Work: n_points n_tx n_rx n_frames interpolations. The host never copies the samples as a whole: of any strides
    and type it converts the few that a tile of the image needs. Results do not depend on the number of threads.
    Data whose frames lie next to each other in memory (``np.moveaxis(cube, -1, 0)`` of a C-ordered
    (n_tx, n_rx, n_samples, n_frames) array) are beamformed frame by frame in parallel lanes, which is fastest for
    many frames.

    References
    ----------
    .. [1] V. Perrot, M. Polichetti, F. Varray, D. Garcia, So you think you can DAS? A viewpoint on
       delay-and-sum beamforming, Ultrasonics 111, 106309 (2021).
    .. [2] R. Keys, Cubic convolution interpolation for digital image processing, IEEE Trans. ASSP 29, 1153 (1981).
    .. [3] A. Selfridge, G. Kino, B. Khuri-Yakub, A theory for the radiation pattern of a narrow-strip acoustic
       transducer, Appl. Phys. Lett. 37, 35 (1980).
    """

    def __init__(
        self,
        arrivals: Any,
        sampling: ChannelData | Sampling,
        *,
        f_number: float | None = 1.5,
        window: Any = "boxcar",
        aperture_axis: Any = "normal",
        element_weights: Any = None,
        compounding: str = "coherent",
        interpolation: str = "linear",
        directivity: bool | float = False,
        device: str = "cpu",
    ) -> None:
        self.arrivals = arrivals
        self.sampling = Sampling.of(sampling)
        self.device = str(device)
        self.compounding = option("compounding", compounding, _COMPOUNDING)
        self._grid_shape = tuple(int(n) for n in arrivals.grid.shape)
        self._n_tx = int(np.shape(arrivals.tx_time)[0])
        self._n_rx = int(arrivals.probe.n_elements)
        if isinstance(sampling, ChannelData) and sampling.probe != arrivals.probe:
            raise ArgumentError("sampling: expected channel data of the probe that the arrivals are for, got another")
        if isinstance(sampling, ChannelData) and sampling.n_tx != self._n_tx:
            raise ArgumentError(f"sampling: expected channel data of {self._n_tx} transmits, got {sampling.n_tx}")
        probe = arrivals.probe
        f = 0.0 if not f_number else scalar("f_number", f_number, 1e-3, 1e3, "(ratio)")
        weighting = window_plan(window)
        if not f and (weighting["taper"] or weighting["window"] is not None):
            raise ArgumentError(f"window: {window!r} needs an f_number, got f_number={f_number!r}")
        if not f and not (isinstance(aperture_axis, str) and aperture_axis == "normal"):
            raise ArgumentError(f"aperture_axis: {aperture_axis!r} needs an f_number, got f_number={f_number!r}")
        weighting["axes"] = aperture_axes(aperture_axis, arrivals.grid, getattr(arrivals, "beam_origins", None))
        weighting["rx_weight"] = receive_weights(element_weights, self._n_tx, self._n_rx)
        self._plan: dict[str, Any] = {
            **self._geometry(),
            **self._placed(weighting),
            "slowness": 1.0 / scalar("sound_speed", arrivals.sound_speed, 300.0, 12000.0, "m/s"),
            "sampling_frequency": self.sampling.sampling_frequency,
            "demodulation_frequency": self.sampling.demodulation_frequency,
            "f_number": f,
            "wavelengths": self._wavelengths(directivity),
            "lens_thickness": probe.lens_thickness,
            "lens_slowness": 1.0 / probe.lens_sound_speed if probe.lens_thickness else 0.0,
            "cubic": option("interpolation", interpolation, _INTERPOLATION) == "cubic",
            "compounding": _COMPOUNDING.index(self.compounding),
            "lanes": 0,
            "index": place(self.device),
        }

    def _geometry(self) -> dict[str, Any]:
        """Checked arrays of the plan, on its device."""
        a = self.arrivals
        n_tx, n_rx = self._n_tx, self._n_rx
        points = array("grid.points()", a.grid.points(), (*self._grid_shape, 3), np.float32, low=-4, high=4, unit="m")
        points = points.reshape(-1, 3)
        field = (n_tx, *self._grid_shape)
        tx_time = array("tx_time", a.tx_time, field, np.float32, low=-1e-1, high=1e-1, unit="s")
        tx_weight = None if a.tx_weight is None else array("tx_weight", a.tx_weight, field, np.float32)
        start_time = self.sampling.start_time
        if start_time.shape not in ((), (n_tx,)):
            raise ArgumentError(f"start_time: expected a number or {n_tx} values, got shape {start_time.shape}")
        start = np.broadcast_to(start_time, (n_tx,)) * self.sampling.sampling_frequency
        arrays: dict[str, Any] = {
            "points": points,
            "elements": np.ascontiguousarray(a.probe.positions, np.float32),
            "normals": np.ascontiguousarray(a.probe.normals, np.float32),
            "lines": None if a.probe.lines is None else np.ascontiguousarray(a.probe.lines, np.float32),
            "tx_time": tx_time.reshape(n_tx, -1),
            "tx_weight": None if tx_weight is None else tx_weight.reshape(n_tx, -1),
            # Whole part and rest: times late in a long record keep their digits.
            "start": np.stack([np.floor(start), start - np.floor(start)], axis=1).astype(np.float32),
            "rx_slowness": None,
        }
        table: dict[str, Any] = {"table_origin": [0.0] * 3, "table_rate": [0.0] * 3}
        if a.rx_slowness is not None:
            arrays["rx_slowness"], table = _slowness_table(a.rx_slowness, a.rx_grid, n_rx)
        n_columns = self._grid_shape[-1] if len(self._grid_shape) > 1 else 1
        return {**self._placed(arrays), **table, "n_columns": n_columns}

    def _placed(self, values: dict[str, Any]) -> dict[str, Any]:
        """Arrays among ``values`` brought to the plan's device."""
        if self.device == "cpu":
            return values
        return {k: to_device(v, self.device) if isinstance(v, np.ndarray) else v for k, v in values.items()}

    def _wavelengths(self, directivity: bool | float) -> float:
        """Element width in wavelengths; -1 for no directivity."""
        if directivity is False or directivity is None:
            return -1.0
        if directivity is not True:
            return scalar("directivity", directivity, 0.0, 100.0, "wavelengths")
        probe, s = self.arrivals.probe, self.sampling
        frequency = s.center_frequency or s.demodulation_frequency or probe.center_frequency
        if not frequency:
            raise ArgumentError("directivity: expected a center_frequency in the channel data or the probe, got none")
        if not probe.width:
            raise ArgumentError("directivity: expected a probe with an element width, got 0; or give it in wavelengths")
        return float(probe.width * frequency / self.arrivals.sound_speed)

    @property
    def is_iq(self) -> bool:
        """Whether it takes I/Q data."""
        return self.sampling.demodulation_frequency > 0

    @property
    def shape(self) -> tuple[int, int]:
        """(numbers in the image, numbers in the samples) of one frame, as a linear operator."""
        images = self._n_tx if self.compounding == "none" else 1
        return images * int(np.prod(self._grid_shape)), self._n_tx * self._n_rx * self.sampling.n_samples

    def __repr__(self) -> str:
        kind = "I/Q" if self.is_iq else "RF"
        return f"Beamformer({kind}, {self._n_tx} tx x {self._n_rx} rx -> {self._grid_shape}, {self.device!r})"

    def _image_shape(self, n_frames: int) -> tuple[int, ...]:
        return (n_frames, *((self._n_tx,) if self.compounding == "none" else ()), *self._grid_shape)

    def __call__(self, samples: Any, *, out: Any = None, stream: Any = None) -> Any:
        """Beamform.

        Parameters
        ----------
        samples : (n_frames, n_tx, n_rx, n_samples) int16, float32 or complex64, or ChannelData
            int16 or float32 for RF; complex64, or int16 pairs on a fifth axis of 2, for I/Q. Any strides. On the
            plan's device.
        out : (n_frames, *grid.shape), optional
            Written and returned.
        stream : int or stream object, optional
            CUDA stream; the call returns before the work is done.

        Returns
        -------
        (n_frames, *grid.shape) float32, or complex64 for I/Q
            With ``compounding="none"`` (n_frames, n_tx, *grid.shape); with "incoherent" always float32.

        Raises
        ------
        ArgumentError
            Wrong shape or type, RF for an I/Q beamformer or the reverse, channel data sampled otherwise.
        DeviceError
            An array in the wrong place.
        """
        n_frames, samples = self._accepted(samples)
        real = not self.is_iq or self.compounding == "incoherent"
        target = self._target(out, self._image_shape(n_frames), "float32" if real else "complex64")
        self._run("das", stream, samples=samples, image=target)
        return target if out is None else out

    def _accepted(self, samples: Any) -> tuple[int, Any]:
        """Number of frames, and the samples where they are, of data that this beamformer was made for."""
        if isinstance(samples, ChannelData):
            self._require_same_sampling(samples)
            samples = samples.samples
        shape, dtype, samples = self._located("samples", samples)
        pairs = len(shape) == 5 and shape[4] == 2 and dtype == np.int16
        if not (len(shape) == 4 or pairs) or shape[1:3] != (self._n_tx, self._n_rx) or 0 in shape:
            raise ArgumentError(
                f"samples: expected shape (n_frames, {self._n_tx} transmits, {self._n_rx} elements, n_samples), "
                f"got {shape}"
            )
        if not (pairs or dtype == np.complex64 if self.is_iq else not pairs and dtype in (np.int16, np.float32)):
            wanted = "complex64 or int16 pairs (I/Q)" if self.is_iq else "int16 or float32 (RF)"
            raise ArgumentError(f"samples: expected {wanted}, got {dtype} of shape {shape}")
        return shape[0], samples

    def adjoint(self, image: Any, *, out: Any = None, stream: Any = None) -> Any:
        """Apply the exact adjoint: channel data of point scatterers, weighted like the beamformer.

        Parameters
        ----------
        image : (n_frames, *grid.shape) float32, or complex64 for I/Q
            With ``compounding="none"`` (n_frames, n_tx, *grid.shape). C order. Points that are zero cost nothing
            on the host.
        out : (n_frames, n_tx, n_rx, n_samples), optional
        stream : int or stream object, optional

        Returns
        -------
        (n_frames, n_tx, n_rx, n_samples) float32, or complex64 for I/Q
            <beamformer(x), y> = <x, adjoint(y)> up to rounding.

        Raises
        ------
        ArgumentError
            Wrong shape or type, or incoherent compounding, which is not linear.
        """
        if self.compounding == "incoherent":
            raise ArgumentError("compounding: expected 'coherent' or 'none' for an adjoint, got 'incoherent'")
        shape, dtype, image = self._located("image", image)
        if shape[:1] == (0,) or shape != self._image_shape(shape[0] if shape else 0):
            raise ArgumentError(f"image: expected shape {('n_frames', *self._image_shape(1)[1:])}, got {shape}")
        wanted = np.dtype("complex64" if self.is_iq else "float32")
        if dtype != wanted:
            raise ArgumentError(f"image: expected {wanted}, got {dtype}")
        if isinstance(image, np.ndarray):
            image = np.ascontiguousarray(image)
        target = self._target(out, (shape[0], self._n_tx, self._n_rx, self.sampling.n_samples), wanted.name)
        self._run("das_adjoint", stream, image=image, samples=target)
        return target if out is None else out

    def aslinearoperator(self) -> Any:
        """The beamformer for `scipy.sparse.linalg`: one frame's samples to its image, both as vectors in C order.

        Returns
        -------
        scipy.sparse.linalg.LinearOperator
            Of `shape`, complex64 for I/Q, else float32, on host vectors. Columns of a matrix are frames.

        Raises
        ------
        ArgumentError
            Incoherent compounding, which is not linear.
        """
        if self.compounding == "incoherent":
            raise ArgumentError("compounding: expected 'coherent' or 'none' for a linear operator, got 'incoherent'")
        dtype = np.dtype("complex64" if self.is_iq else "float32")
        traces = (self._n_tx, self._n_rx, self.sampling.n_samples)

        def here(value: Any) -> Any:
            return value if self.device == "cpu" else to_device(value, self.device)

        def forward(columns: Any) -> Any:
            frames = np.ascontiguousarray(columns.reshape(self.shape[1], -1).T, dtype).reshape(-1, *traces)
            return to_host(self(here(frames))).reshape(len(frames), -1).T

        def back(vector: Any) -> Any:
            return to_host(self.adjoint(here(vector.reshape(self._image_shape(1)))))

        return linear_operator(self.shape, dtype, forward, back, forward)

    def _run(self, name: str, stream: Any, **arrays: Any) -> None:
        getattr(backend(self.device), name)(**self._plan, **arrays, stream=stream_handle(stream))

    def _require_same_sampling(self, data: ChannelData) -> None:
        mine, other = self.sampling, Sampling.of(data)
        if data.n_tx != self._n_tx:
            raise ArgumentError(f"samples: expected channel data of {self._n_tx} transmits, got {data.n_tx}")
        if self.is_iq and not data.is_iq:
            raise ArgumentError("samples: expected I/Q, as this beamformer was made for, got RF; demodulate() it")
        for name in ("sampling_frequency", "demodulation_frequency", "start_time"):
            if not np.all(getattr(mine, name) == getattr(other, name)):
                raise ArgumentError(f"samples: expected channel data with the {name} of this beamformer, got another")
        if data.probe != self.arrivals.probe:
            raise ArgumentError("samples: expected channel data of the beamformer's probe, got another probe")

    def _located(self, name: str, value: Any) -> tuple[tuple[int, ...], np.dtype[Any], Any]:
        """Shape and type of an array that must be where the plan is."""
        if self.device == "cpu":
            held = host_array(name, value)
            return held.shape, held.dtype, held
        if not is_device_array(value):
            raise DeviceError(f"{name}: expected an array on {self.device!r}, got a host array; use sonoray.to_device")
        shape, code, bits, _, index = backend(self.device).describe(value)
        if index != place(self.device):
            raise DeviceError(f"{name}: expected an array on {self.device!r}, got one on 'cuda:{index}'")
        kind = {0: "int", 1: "uint", 2: "float", 5: "complex"}.get(code, "void")
        return tuple(shape), np.dtype(f"{kind}{bits}" if kind != "void" else "V1"), value

    def _target(self, out: Any, shape: tuple[int, ...], dtype: str) -> Any:
        """Where the result goes: ``out`` if it fits, else a new array."""
        if out is None:
            if self.device != "cpu":
                return backend(self.device).empty(list(shape), dtype, place(self.device))
            return np.empty(shape, dtype)
        got_shape, got_dtype, out = self._located("out", out)
        if got_shape != shape or got_dtype != np.dtype(dtype):
            raise ArgumentError(f"out: expected {dtype} of shape {shape}, got {got_dtype} of shape {got_shape}")
        if isinstance(out, np.ndarray) and not (out.flags.c_contiguous and out.flags.writeable):
            raise ArgumentError("out: expected a writable C-ordered array, got a read-only or strided one")
        return out


def _slowness_table(values: Any, grid: Any, n_rx: int) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """The table (n_rx, n_x, n_y, n_z) of mean slownesses and where its nodes are."""
    if grid is None:
        raise ArgumentError("rx_grid: expected the grid of rx_slowness, got None")
    table = array("rx_slowness", values, (n_rx, *grid.shape), np.float32, low=1 / 12000.0, high=1 / 300.0, unit="s/m")
    shape, origin, spacing = list(grid.shape), list(grid.origin), list(grid.spacing)
    if len(shape) == 2:
        shape.insert(1, 1)
        origin.insert(1, 0.0)
        spacing.insert(1, 1.0)
    rate = [1.0 / h if n > 1 else 0.0 for n, h in zip(shape, spacing, strict=True)]
    return table.reshape(n_rx, *shape), {"table_origin": origin, "table_rate": rate}
