"""What a network expects and gives: `ModelSpec`, kept inside the ONNX file as metadata."""

import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import count, finite, option, scalar
from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError, FormatError
from .onnx_file import OnnxFile, parse_onnx, read_onnx

KEY = "sonoray"  # of the whole spec as JSON; KEY.name and so on repeat what a person wants to see
_FORMAT = 1
_JSON_BYTES = 1 << 20
NORMALIZATIONS = ("none", "scale", "rms")


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a network.

    Parameters
    ----------
    name : str
        As in the graph.
    axes : tuple of str
        What each axis counts, such as ("batch", "tx", "rx", "sample", "part"). "batch" is the first, if there is one;
        "part" has length 2, real and imaginary.
    unit : str
        Of the values that enter or leave the graph; "1" for none.
    normalization : {"none", "scale", "rms"}
        What is to be done before the graph, see `normalized`. "none" if the graph does it itself.
    scale, offset : float
        Of the normalisation.
    value_range : (low, high), optional
        Of the values that enter the graph; host inputs outside it are refused.
    pad_multiple : tuple of int, optional
        The length of each axis must be a multiple of it. Empty: any length.

    Raises
    ------
    ArgumentError
    """

    name: str
    axes: tuple[str, ...]
    unit: str = "1"
    normalization: str = "none"
    scale: float = 1.0
    offset: float = 0.0
    value_range: tuple[float, float] | None = None
    pad_multiple: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        _text("name", self.name, required=True)
        what = f"tensor {self.name!r}"
        set_(self, "axes", _tuple(f"{what}: axes", self.axes))
        for axis in self.axes:
            _text(f"{what}: axes", axis, required=True)
        if "batch" in self.axes[1:]:
            raise ArgumentError(f"{what}: axes: expected 'batch' only in front, got {self.axes}")
        _text(f"{what}: unit", self.unit)
        option(f"{what}: normalization", self.normalization, NORMALIZATIONS)
        set_(self, "scale", scalar(f"{what}: scale", self.scale, 1e-30, 1e30, "(positive)"))
        set_(self, "offset", scalar(f"{what}: offset", self.offset, -1e30, 1e30, "(number)"))
        if self.value_range is not None:
            ends = _tuple(f"{what}: value_range", self.value_range)
            ends = tuple(scalar(f"{what}: value_range", v, -1e38, 1e38, "(number)") for v in ends)
            if len(ends) != 2 or not ends[0] < ends[1]:
                raise ArgumentError(f"{what}: value_range: expected two rising numbers, got {self.value_range}")
            set_(self, "value_range", ends)
        multiple = _tuple(f"{what}: pad_multiple", self.pad_multiple)
        if multiple and len(multiple) != len(self.axes):
            raise ArgumentError(f"{what}: pad_multiple: expected one for each of {self.axes}, got {multiple}")
        set_(self, "pad_multiple", tuple(count(f"{what}: pad_multiple", m, 1, 65536) for m in multiple))

    def normalized(self, values: Any, *, out: Any = None) -> NDArray[Any]:
        """Return what the network wants for measured ``values``.

        "scale": (values - offset) / scale. "rms": values / (scale * RMS of each item of the batch), an item without
        signal staying zero. "none": a copy.

        Parameters
        ----------
        values : array, real or complex
            On the host; complex where the network takes real and imaginary parts ("part", last).
        out : array, optional
            Where to write it, float32 or complex64.
        """
        given = np.asarray(values)
        kind = np.complex64 if given.dtype.kind == "c" else np.float32
        target = np.empty(given.shape, kind) if out is None else out
        if self.normalization == "rms":
            axes = tuple(range(1 if self.axes[:1] == ("batch",) else 0, given.ndim))
            power = np.mean(np.abs(given.astype(kind, copy=False)) ** 2, axis=axes, keepdims=True, dtype=np.float64)
            factor = np.sqrt(power) * self.scale
            return np.divide(given, np.where(factor > 0, factor, 1), out=target, casting="same_kind")
        if self.normalization == "scale":
            np.subtract(given, kind(self.offset), out=target, casting="same_kind")
            return np.divide(target, kind(self.scale), out=target)
        np.copyto(target, given, casting="same_kind")
        return target

    def check_values(self, values: NDArray[Any]) -> None:
        """Refuse NaN, infinities and values outside ``value_range``."""
        if self.value_range is None or not values.size:
            finite(self.name, values)
            return
        flat = values.view(values.real.dtype) if values.dtype.kind == "c" else values
        low, high = float(flat.min()), float(flat.max())
        if np.isnan(low):
            finite(self.name, values)
        if low < self.value_range[0] or high > self.value_range[1]:
            raise ArgumentError(
                f"{self.name}: expected values from {self.value_range[0]:g} to {self.value_range[1]:g} {self.unit}, "
                f"got {low:g} to {high:g}; is it in the right unit, is it normalised ({self.normalization})?"
            )


@dataclass(frozen=True)
class Difference:
    """Where channel data does not fit a model.

    Parameters
    ----------
    what : str
        Name of the field of `ModelSpec`.
    expected, got : object
    unit : str
    curable : bool
        Whether `fit_channel_data` can cure it by resampling.
    """

    what: str
    expected: Any
    got: Any
    unit: str = ""
    curable: bool = False

    def __str__(self) -> str:
        texts = [f"{v:.6g}" if isinstance(v, float) else str(v) for v in (self.expected, self.got)]
        return f"{self.what}: expected {texts[0]}{self.unit and ' ' + self.unit}, got {texts[1]}"


_LIMITS = {  # name -> low, high, unit
    "pitch": (1e-6, 0.05, "m"),
    "sampling_frequency": (1e4, 1e9, "Hz"),
    "start_time": (-1e-2, 1e-1, "s"),
    "sound_speed": (300.0, 12000.0, "m/s"),
}


@dataclass(frozen=True)
class ModelSpec:
    """What a network is, what it expects and what it gives. None: not said, so anything goes.

    Parameters
    ----------
    name, version : str
    task : str
        Such as "sound speed", "despeckling".
    inputs, outputs : sequence of TensorSpec
        In the graph's order.
    licence : str
        SPDX identifier of the weights' licence, or its name.
    description, source : str
        For people: what it was trained on and for; where it is from.
    training_data : str
        SHA-256 (hexadecimal) of the training data or of the recipe that makes it.
    n_tx, n_elements, n_samples : int, optional
        Transmits, elements of the probe and samples per trace that the channel data must have.
    pitch : float, optional [m]
    sampling_frequency : float, optional [Hz]
    demodulation_frequency : float, optional [Hz]
        0: RF.
    start_time : float, optional [s]
        Of every transmit.
    sound_speed : float, optional [m/s]
        Nominal speed c0 that the network's features assume.
    settings : dict
        What the code around the network needs, as JSON can hold it (grid of the map, numbers of offsets).
    opset : int
        Of the graph; filled in by `attach_spec` and `write_spec`.
    digest : str
        SHA-256 (hexadecimal) over graph, weights and this spec; filled in likewise.

    Raises
    ------
    ArgumentError
        A value outside its range, or of the wrong kind.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    version: str = "1"
    task: str = ""
    licence: str = ""
    description: str = ""
    source: str = ""
    training_data: str = ""
    n_tx: int | None = None
    n_elements: int | None = None
    n_samples: int | None = None
    pitch: float | None = None
    sampling_frequency: float | None = None
    demodulation_frequency: float | None = None
    start_time: float | None = None
    sound_speed: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    opset: int = 0
    digest: str = ""

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        _text("name", self.name, required=True)
        for name in ("version", "task", "licence", "description", "source"):
            _text(name, getattr(self, name))
        for name in ("inputs", "outputs"):
            tensors = _tuple(name, getattr(self, name))
            if not tensors or not all(isinstance(t, TensorSpec) for t in tensors):
                raise ArgumentError(f"{name}: expected at least one TensorSpec, got {tensors!r}")
            if len({t.name for t in tensors}) < len(tensors):
                raise ArgumentError(f"{name}: expected distinct names, got {[t.name for t in tensors]}")
            set_(self, name, tensors)
        for name in ("n_tx", "n_elements", "n_samples"):
            if getattr(self, name) is not None:
                set_(self, name, count(name, getattr(self, name), 1, 1 << 24))
        for name, (low, high, unit) in _LIMITS.items():
            if getattr(self, name) is not None:
                set_(self, name, scalar(name, getattr(self, name), low, high, unit))
        if self.demodulation_frequency is not None:
            f = self.demodulation_frequency
            set_(self, "demodulation_frequency", 0.0 if f == 0 else scalar("demodulation_frequency", f, 2e4, 1e8, "Hz"))
        for name in ("training_data", "digest"):
            if getattr(self, name) and not re.fullmatch(r"[0-9a-f]{64}", str(getattr(self, name))):
                raise ArgumentError(f"{name}: expected 64 hexadecimal digits (SHA-256), got {getattr(self, name)!r}")
        count("opset", self.opset, 0, 1000)
        set_(self, "settings", _settings(self.settings))

    def with_(self, **changes: Any) -> "ModelSpec":
        """Return a copy with some fields replaced, checked again."""
        return replace(self, **changes)

    def check(
        self, channel_data: ChannelData, *, frequency_tolerance: float = 1e-4, pitch_tolerance: float = 5e-3
    ) -> tuple[Difference, ...]:
        """Say where channel data does not fit; empty if it does.

        Parameters
        ----------
        channel_data : ChannelData
        frequency_tolerance, pitch_tolerance : float
            Relative. 1e-4 moves the last of 1024 samples by a tenth of a sample.
        """
        found = []
        for name, n in (
            ("n_tx", channel_data.n_tx),
            ("n_elements", channel_data.probe.n_elements),
            ("n_samples", channel_data.n_samples),
        ):
            if getattr(self, name) not in (None, n):
                found.append(Difference(name, getattr(self, name), n, curable=name == "n_samples"))
        for name, got, tolerance, unit in (
            ("pitch", channel_data.probe.pitch, pitch_tolerance, "m"),
            ("sampling_frequency", channel_data.sampling_frequency, frequency_tolerance, "Hz"),
            ("demodulation_frequency", channel_data.demodulation_frequency, frequency_tolerance, "Hz"),
        ):
            want = getattr(self, name)
            if want is not None and abs(got - want) > tolerance * want:
                found.append(Difference(name, want, got, unit, curable=name != "pitch"))
        if self.start_time is not None:
            late = channel_data.start_time - self.start_time
            worst = float(channel_data.start_time[np.abs(late).argmax()])
            if np.abs(late).max() * channel_data.sampling_frequency > 0.01:
                found.append(Difference("start_time", self.start_time, worst, "s", curable=True))
        return tuple(found)

    def to_metadata(self) -> dict[str, str]:
        """Return the entries for an ONNX file: all of it as JSON, and what people look for as plain keys."""
        result = {}
        for item in fields(self):
            value = getattr(self, item.name)
            unsaid = value is None or value == "" or (item.name == "opset" and not value)
            if item.name not in ("inputs", "outputs", "settings") and not unsaid:
                result[f"{KEY}.{item.name}"] = str(value)
        # Last, so that it is missing from a file whose end is.
        result[KEY] = json.dumps({"format": _FORMAT, **asdict(self)}, sort_keys=True, allow_nan=False)
        return result

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: Any = "model") -> "ModelSpec | None":
        """Return the spec in an ONNX file's metadata; None where it has none of ours.

        Raises
        ------
        FormatError
            Not what `to_metadata` writes; a plain key that contradicts the JSON.
        """
        if KEY not in metadata:
            if any(key.startswith(f"{KEY}.") for key in metadata):
                raise FormatError(f"{path}: metadata: expected {KEY!r} beside {KEY}.*, got none; is the file cut off?")
            return None
        try:
            if len(metadata[KEY]) > _JSON_BYTES:
                raise ArgumentError(f"expected at most {_JSON_BYTES} bytes, got {len(metadata[KEY])}")
            values = json.loads(metadata[KEY])
            if not isinstance(values, dict) or values.pop("format", None) != _FORMAT:
                raise ArgumentError(f"expected format {_FORMAT}; a newer sonoray may have written it")
            for name in ("inputs", "outputs"):
                values[name] = tuple(TensorSpec(**tensor) for tensor in values.get(name, ()))
            spec = cls(**values)
        except (ArgumentError, TypeError, ValueError, RecursionError) as error:
            raise FormatError(f"{path}: metadata {KEY!r}: expected a ModelSpec: {error}") from None
        for key, value in spec.to_metadata().items():
            if key != KEY and metadata.get(key, value) != value:
                raise FormatError(f"{path}: metadata {key!r}: expected {value!r} as in {KEY!r}, got {metadata[key]!r}")
        return spec

    def digest_for(self, file: OnnxFile) -> str:
        """SHA-256 (hexadecimal) over a model's graph and weights and this spec."""
        return file.digest(self.with_(digest="").to_metadata()[KEY])


def attach_spec(model: Any, spec: ModelSpec) -> ModelSpec:
    """Put a spec into an ``onnx.ModelProto`` that is complete; save it afterwards, unchanged and as one file.

    Parameters
    ----------
    model : onnx.ModelProto
        Changed in place. Weights in other files: save it, then use `write_spec`.
    spec : ModelSpec

    Returns
    -------
    ModelSpec
        With opset and digest.

    Raises
    ------
    ArgumentError, FormatError
        Tensors that the graph does not have; values outside the model.
    """
    filled, metadata = _filled(parse_onnx(model.SerializeToString()), spec)
    del model.metadata_props[:]
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    return filled


def write_spec(path: Any, spec: ModelSpec, out: Any = None) -> ModelSpec:
    """Put a spec into an ONNX file; needs no onnx package.

    Parameters
    ----------
    path : str or Path
    spec : ModelSpec
    out : str or Path, optional
        Default ``path``, which is replaced in one step.

    Returns
    -------
    ModelSpec
        With opset and digest.

    Raises
    ------
    FormatError
        ``path`` holds no model.
    ArgumentError
        ``out`` lies in another folder than the files that hold the model's weights.
    """
    path, target = Path(path), Path(path if out is None else out)
    file = read_onnx(path)
    if file.weights and target.parent.resolve() != path.parent.resolve():
        raise ArgumentError(f"out: expected the folder of {path}, beside its weights, got {target.parent}")
    filled, metadata = _filled(file, spec)
    temporary = target.with_name(f".{target.name[:64]}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(file.with_metadata(metadata))
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return filled


def _filled(file: OnnxFile, spec: ModelSpec) -> tuple[ModelSpec, dict[str, str]]:
    """The spec with opset and digest, and all of the file's new metadata."""
    spec = spec.with_(opset=file.opset, digest="")
    spec = spec.with_(digest=spec.digest_for(file))
    foreign = {k: v for k, v in file.metadata.items() if k != KEY and not k.startswith(f"{KEY}.")}
    return spec, {**foreign, **spec.to_metadata()}


def _text(name: str, value: Any, required: bool = False) -> None:
    if not isinstance(value, str) or (required and not value) or len(value) > 65536:
        raise ArgumentError(f"{name}: expected {'a' if required else 'an optional'} text, got {value!r:.100}")


def _tuple(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, tuple | list):
        raise ArgumentError(f"{name}: expected a sequence, got {value!r:.100}")
    return tuple(value)


def _settings(value: Any) -> dict[str, Any]:
    """A copy that JSON gives back as it is."""
    try:
        if not isinstance(value, dict):
            raise TypeError(f"expected a dict, got {type(value).__name__}")
        result: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"settings: expected values that JSON can hold: {error}") from None
    return result
