"""Networks at work: `OnnxModel`, the only import of ONNX Runtime (extras ``cpu`` and ``gpu``)."""

import contextlib
import io
import os
import threading
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .._arrays import stream_handle
from .._backends import device_module, devices, place
from .._checks import count
from ..errors import ArgumentError, DeviceError, FormatError, MissingExtraError
from .buffers import Buffer, borrow, host_view, like
from .models import ModelSpec
from .onnx_file import OnnxFile, read_onnx
from .signature import Port, Signature
from .tiling import run_tiled

_WHEELS = ("onnxruntime", "onnxruntime-gpu")
_MAX_GRAPHS = 16
_NO_PROVIDER = "are CUDA and cuDNN of the versions that it needs there? pip install 'sonoray[gpu]' brings them"


class OnnxModel:
    """A network in an ONNX file, run by ONNX Runtime on arrays that are never copied.

    Arrays are bound by their address: NumPy, torch, CuPy and sonoray arrays that are C-ordered, of the graph's type,
    and already on the model's device; anything else is refused and says why. Complex I/Q enters where the graph has
    real and imaginary part as its last axis.

    Weights outside the file must lie in its folder. A model that carries a `ModelSpec` is checked against its digest,
    and calls against what it promises; other models run as they are, or with the ``spec`` given.

    On the host, calls from several threads may run at the same time (each releases the GIL and has its own binding);
    on CUDA they take turns. Pickling stores path and options; the other process loads the same file, or refuses it if
    it changed.

    Parameters
    ----------
    path : str or Path
        Of the ONNX file.
    device : {"cpu", "cuda", "cuda:N", "auto"}
        "cuda" never falls back; "auto" takes CUDA where sonoray and ONNX Runtime have it and the model runs there,
        else the host. See ``device``.
    spec : ModelSpec, optional
        Instead of the file's.
    digest : str, optional
        SHA-256 that the model must have, from its card, say.
    stream : int or stream object, optional
        CUDA stream for every call, so that calls queue behind the kernels there and return before they are done;
        inputs and outputs must live until the stream gets there. By default a call waits for the device's default
        stream and returns when it is done.
    cuda_graph : bool
        Replay recorded work (ORT's CUDA graphs): fixed shapes, the same few input and ``out`` buffers every time.
    cpu_nodes : bool
        With CUDA, let ONNX Runtime run nodes on the host (shape arithmetic, or what CUDA lacks). False refuses models
        that have such nodes.
    tf32 : bool
        With CUDA, multiply with 10 bits of mantissa: faster, relative errors of 1e-3.
    memory_limit : int, optional [byte]
        Of ONNX Runtime's arena on CUDA.
    max_batch : int, optional
        Longer batches are run in pieces, which bounds the memory of what lies between the layers.
    threads : int, optional
        Default: SONORAY_THREADS, else one per core.

    Raises
    ------
    FormatError
        No ONNX model, damaged or tampered with, weights outside its folder, or operators that ONNX Runtime lacks.
    DeviceError
        CUDA asked for and not there.
    MissingExtraError
        ONNX Runtime is not installed, or its two wheels are, which overwrite each other.

    Examples
    --------
    >>> model = OnnxModel("speed.onnx", device="auto")  # doctest: +SKIP
    >>> speed = model(iq)  # doctest: +SKIP
    """

    def __init__(
        self,
        path: Any,
        *,
        device: str = "cpu",
        spec: ModelSpec | None = None,
        digest: str | None = None,
        stream: Any = None,
        cuda_graph: bool = False,
        cpu_nodes: bool = False,
        tf32: bool = False,
        memory_limit: int | None = None,
        max_batch: int | None = None,
        threads: int | None = None,
    ) -> None:
        if spec is not None and not isinstance(spec, ModelSpec):
            raise ArgumentError(f"spec: expected a ModelSpec, got {type(spec).__name__}")
        self.path = Path(path).absolute()
        self.max_batch = None if max_batch is None else count("max_batch", max_batch)
        self._options = {
            "device": device, "spec": spec, "cuda_graph": bool(cuda_graph), "cpu_nodes": bool(cpu_nodes),
            "tf32": bool(tf32), "memory_limit": memory_limit, "max_batch": max_batch, "threads": threads,
        }  # fmt: skip
        self._ort = _onnxruntime()
        self._stream = stream_handle(stream)
        self._lock = threading.Lock()
        self._graphs: dict[Any, tuple[int, Any]] = {}
        self.device = _resolved(self._ort, device)
        file = read_onnx(self.path)
        self.spec, self.digest = _verified(file, spec, digest)
        try:
            self._session = self._open(file)
        except DeviceError:
            if device != "auto":
                raise
            self.device = "cpu"
            self._session = self._open(file)
        try:
            ports = self._session.get_inputs(), self._session.get_outputs()
            self._signature = Signature(*ports, self.spec, self.path)
        except UnicodeDecodeError as error:
            raise FormatError(f"{self.path}: expected names in UTF-8: {error}") from None
        self.inputs, self.outputs = self._signature.inputs, self._signature.outputs

    def __repr__(self) -> str:
        ports = ", ".join(f"{p.name} {p.shape}" for p in self.inputs)
        name = self.spec.name if self.spec else self.path.name
        return f"OnnxModel({name!r}, {ports} -> {', '.join(p.name for p in self.outputs)}, on {self.device!r})"

    def __reduce__(self) -> Any:
        if self._stream:
            raise ArgumentError("stream: expected none for pickling, since a stream belongs to one process")
        return _rebuilt, (str(self.path), {**self._options, "device": self.device, "digest": self.digest})

    def __call__(self, *inputs: Any, out: Any = None, **named: Any) -> Any:
        """Run the network.

        Parameters
        ----------
        *inputs, **named : arrays
            In the graph's order, or by name.
        out : array or sequence of arrays, optional
            Where to write the outputs, in the graph's order; complex where the graph gives (..., 2). Must not share
            memory with the inputs.

        Returns
        -------
        array or tuple of arrays
            ``out``, or new arrays in the library of the first input (NumPy, torch, CuPy; for sonoray's own device
            arrays the same).

        Raises
        ------
        ArgumentError
            Shape, type or range that the network does not take.
        DeviceError
            Arrays that are not on the model's device; a CUDA call that failed.
        """
        if self._options["cuda_graph"] and out is None:
            raise ArgumentError("out: expected the same arrays in every call, since cuda_graph replays addresses")
        signature, stream = self._signature, self._stream or None
        values = signature.ordered(inputs, named)
        buffers = signature.borrowed(values, self.device, stream)
        shapes = signature.shapes(buffers)
        targets = signature.targets(out, shapes, buffers, self.device, stream)
        targets = [t or self._allocated(p, s) for t, p, s in zip(targets, self.outputs, shapes, strict=True)]
        pieces = signature.pieces(buffers, self.max_batch)
        results = self._run(buffers, targets) if len(pieces) == 1 else self._run_pieces(buffers, targets, pieces)
        if out is not None:
            return out
        found = tuple(like(values[0], result) if values else result for result in results)
        return found[0] if len(found) == 1 else found

    def tiled(
        self,
        image: Any,
        *,
        tile: tuple[int, int] | None = None,
        overlap: int | tuple[int, int] = 32,
        margin: int | tuple[int, int] = 8,
        max_tiles: int = 8,
    ) -> Any:
        """Run a network from images to images of the same size on a large image, tile by tile, and blend the results.

        Parameters
        ----------
        image : (batch, channel, n_rows, n_columns)
            What the network takes, only larger. Tiles are copied out of it.
        tile : (n_rows, n_columns), optional
            Default: what the graph says, else 256 x 256, rounded up to what the network's ``pad_multiple`` asks for.
        overlap : int or pair
            Of neighbouring tiles; where they overlap their weights change linearly from one to the other.
        margin : int or pair
            At inner edges this much of a tile is not used. A network that looks no further than ``margin`` gives what
            it would give for the whole image.
        max_tiles : int
            That go through the network at once.

        Returns
        -------
        (batch, channel_out, n_rows, n_columns), NumPy, torch or CuPy as the image

        Raises
        ------
        ArgumentError
            Not one input and one output of four axes, or a result of another size than the tile.
        """
        if len(self.inputs) != 1 or len(self.outputs) != 1 or len(self.inputs[0].shape) != 4:
            raise ArgumentError(f"tiled: expected a network with one input (batch, channel, row, column), got {self}")
        shape = self.inputs[0].shape
        fixed = [n if isinstance(n, int) else None for n in shape[2:]]
        multiple = self.spec.inputs[0].pad_multiple[2:] if self.spec and self.spec.inputs[0].pad_multiple else (1, 1)
        if isinstance(shape[0], int):
            max_tiles = shape[0]
        return run_tiled(
            self, image, tile=tile, fixed=fixed, multiple=multiple, overlap=overlap, margin=margin, max_tiles=max_tiles
        )

    def _open(self, file: OnnxFile) -> Any:
        """Create the session; ONNX Runtime gets bytes, so that it opens no file by itself."""
        if self.device == "cpu" and (self._stream or self._options["cuda_graph"]):
            raise ArgumentError("stream, cuda_graph: expected a model on CUDA, got one on 'cpu'")
        ort, options = self._ort, self._ort.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised, not printed
        options.inter_op_num_threads = 1
        threads = self._options["threads"]
        options.intra_op_num_threads = place("cpu") if threads is None else count("threads", threads, 1, 1024)
        if not options.intra_op_num_threads:
            # Given as a number ONNX Runtime does not pin its threads to cores.
            options.intra_op_num_threads = len(os.sched_getaffinity(0))
        for key, value in (
            ("session.load_model_format", "ONNX"),
            ("session.intra_op.allow_spinning", "0"),
            ("session.inter_op.allow_spinning", "0"),
        ):
            options.add_session_config_entry(key, value)
        self._weights = [(w, ort.OrtValue.ortvalue_from_numpy(w)) for w in file.weights.values()]  # used in place
        if self._weights:
            options.add_external_initializers(list(file.weights), [value for _, value in self._weights])
        providers: list[Any] = ["CPUExecutionProvider"]
        if self.device != "cpu":
            if not self._options["cpu_nodes"]:
                options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
            providers.insert(0, ("CUDAExecutionProvider", self._cuda_options()))
        try:
            # Its own fallback prints, and tries again on the host.
            session = ort.InferenceSession(file.data, options, providers=providers, enable_fallback=False)
        except MemoryError:
            raise
        except Exception as error:  # ONNX Runtime's own classes share no base
            text = _brief(error)
            if self.device != "cpu" and ("fallback" in text or "CUDA" in text):
                # With fallback off, this is also what a provider that does not start leads to.
                hint = f"; {_NO_PROVIDER}; or it has nodes for the host: cpu_nodes=True" if "fallback" in text else ""
                raise DeviceError(f"device {self.device!r}: {self.path} cannot run there: {text}{hint}") from None
            raise FormatError(f"{self.path}: ONNX Runtime cannot use this model: {text}") from None
        session.disable_fallback()
        if self.device != "cpu" and session.get_providers()[0] != "CUDAExecutionProvider":
            raise DeviceError(f"device {self.device!r}: ONNX Runtime could not start its CUDA provider; {_NO_PROVIDER}")
        return session

    def _cuda_options(self) -> dict[str, str]:
        result = {
            "device_id": str(_index(self.device)),
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
            "use_tf32": str(int(bool(self._options["tf32"]))),
        }
        if self._stream:
            result["user_compute_stream"] = str(self._stream)
        if self._options["cuda_graph"]:
            result["enable_cuda_graph"] = "1"
        limit = self._options["memory_limit"]
        if limit is not None:
            result["gpu_mem_limit"] = str(count("memory_limit", limit, 1 << 20, 1 << 48))
        return result

    def _allocated(self, port: Port, shape: tuple[int | None, ...]) -> Buffer | None:
        """New memory for an output; None where only running tells its shape."""
        known = tuple(n for n in shape if n is not None)
        if len(known) < len(shape):
            return None
        if self.device == "cpu":
            return borrow(port.name, np.empty(known, port.dtype))
        array = device_module(self.device).empty(list(known), port.dtype.name, _index(self.device))
        return Buffer(port.name, borrow(port.name, array).pointer, known, port.dtype, self.device, array)

    def _run_pieces(
        self, buffers: Sequence[Buffer], targets: Sequence[Buffer | None], pieces: Sequence[tuple[int, int]]
    ) -> list[Any]:
        """Run a batch part by part, each written to its place."""
        cut_in, cut_out = self._signature.batched_inputs, self._signature.batched_outputs
        for port, target, cut in zip(self.outputs, targets, cut_out, strict=True):
            if target is None or not cut:
                raise ArgumentError(
                    f"max_batch: expected outputs with a batch and, without out, shapes known before; got {port.name} "
                    f"{port.shape}, so it cannot be run in pieces"
                )
        for start, n in pieces:
            self._run(
                [b.rows(start, n) if cut else b for b, cut in zip(buffers, cut_in, strict=True)],
                [t and t.rows(start, n) for t in targets],
            )
        return [t and t.owner for t in targets]

    def _run(self, buffers: Sequence[Buffer], targets: Sequence[Buffer | None]) -> list[Any]:
        """Bind addresses and run; returns the outputs' arrays."""
        binding = self._session.io_binding()
        kind, index = self.device.partition(":")[0], _index(self.device)
        for b in buffers:
            binding.bind_input(b.name, kind, index, b.dtype.type, b.shape, b.pointer)
        for port, t in zip(self.outputs, targets, strict=True):
            if t is not None:
                binding.bind_output(port.name, kind, index, t.dtype.type, t.shape, t.pointer)
            elif kind == "cpu":
                binding.bind_output(port.name, kind)
            else:
                raise ArgumentError(f"out: expected an array for {port.name}, whose shape {port.shape} is not known")
        try:
            if kind == "cpu":
                self._session.run_with_iobinding(binding)
            else:
                self._run_on_device(binding, (*buffers, *targets), index)
        except (ArgumentError, DeviceError, MemoryError):
            raise
        except Exception as error:  # ONNX Runtime's own classes share no base
            text, shapes = _brief(error), ", ".join(f"{b.name} {b.shape}" for b in buffers)
            wrong = DeviceError if "CUDA" in text or "CUDNN" in text else ArgumentError
            raise wrong(
                f"{self.path.name}: expected inputs that the network can run on, got {shapes}: {text}"
            ) from None
        if None not in targets:
            return [t and t.owner for t in targets]
        return [
            t.owner if t else host_view(value.data_ptr(), tuple(value.shape()), port.dtype, value)
            for port, t, value in zip(self.outputs, targets, binding.get_outputs(), strict=True)
        ]

    def _run_on_device(self, binding: Any, memory: tuple[Any, ...], index: int) -> None:
        options = self._ort.RunOptions()
        if self._stream:
            options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        with self._lock:
            if self._options["cuda_graph"]:
                key = tuple((m.pointer, m.shape) for m in memory)
                if key not in self._graphs and len(self._graphs) == _MAX_GRAPHS:
                    raise ArgumentError(
                        f"cuda_graph: expected the same input and out buffers in every call, got a set number "
                        f"{_MAX_GRAPHS + 1} of them"
                    )
                # The recording holds these addresses, so their memory is kept.
                number, _ = self._graphs.setdefault(key, (len(self._graphs) + 1, memory))
                options.add_run_config_entry("gpu_graph_id", str(number))
            if not self._stream:
                device_module(self.device).synchronise(index, 0)
            self._session.run_with_iobinding(binding, options)


def _rebuilt(path: str, options: dict[str, Any]) -> OnnxModel:
    return OnnxModel(path, **options)


def _onnxruntime() -> Any:
    """ONNX Runtime; MissingExtraError if it is absent, or there twice."""
    installed = []
    for name in _WHEELS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed.append(f"{name} {metadata.version(name)}")
    if len(installed) > 1:
        raise MissingExtraError(
            f"expected one ONNX Runtime, got {' and '.join(installed)}, which overwrite each other's files: "
            "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install 'sonoray[gpu]' or 'sonoray[cpu]'"
        )
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            f"networks need ONNX Runtime: pip install 'sonoray[cpu]', or 'sonoray[gpu]' for CUDA ({error})"
        ) from None
    return onnxruntime


def _resolved(ort: Any, device: str) -> str:
    """The device to use, "cpu" or "cuda:N"; DeviceError says what is missing for CUDA."""
    has_provider = "CUDAExecutionProvider" in ort.get_available_providers()
    if device == "auto":
        device = "cuda" if has_provider and len(devices()) > 1 else "cpu"
    if device == "cpu":
        return "cpu"
    device_module(device)  # refuses other names, and devices that are not there
    if not has_provider:
        raise DeviceError(
            f"device {device!r}: this ONNX Runtime ({ort.__version__}) has no CUDA provider: "
            "pip uninstall -y onnxruntime, then pip install 'sonoray[gpu]'"
        )
    if hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
            ort.preload_dlls()
    return f"cuda:{_index(device)}"


def _index(device: str) -> int:
    return int(device.partition(":")[2] or 0)


def _verified(file: OnnxFile, spec: ModelSpec | None, digest: str | None) -> tuple[ModelSpec | None, str]:
    """The spec that counts and the model's digest; FormatError if the file is not what its digest says."""
    own = ModelSpec.from_metadata(file.metadata, file.path)
    found = file.digest() if own is None else own.digest_for(file)
    for wanted, where in ((own.digest if own else "", "its spec"), (digest or "", "the caller")):
        if wanted and wanted != found:
            raise FormatError(
                f"{file.path}: expected the digest {wanted} of {where}, got {found}; the file was changed"
            )
    return spec or own, found


def _brief(error: Exception) -> str:
    """The first line of ONNX Runtime's message, without addresses of its sources."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text[:500]
