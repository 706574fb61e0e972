"""Streaming: images at the frames' rate through a sound-speed map that is renewed behind them at its own rate."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import to_host
from .._checks import count
from ..acquisition.channel_data import ChannelData, require_channel_data
from ..acquisition.signals import demodulate
from ..beamforming.arrivals import arrivals
from ..beamforming.das import Beamformer
from ..beamforming.default_grids import default_grid
from ..errors import ArgumentError, Error
from ..inversion.autofocus_settings import AutofocusSettings
from ..media.medium import Medium
from .mapping import AutofocusResult, map_sound_speed, open_network
from .multistatic import TABLE_SPACING, covering


@dataclass(frozen=True)
class _Tables:
    """What a frame needs, replaced as one."""

    generation: int
    medium: Medium | None
    beamformer: Beamformer


class Autofocus:
    """Plan that images frames through a map of sound speed, and renews the map from them in the background.

    A call never waits for the map: it delays echoes by the tables at hand. Of some frames a copy goes to a thread that
    finds the next map (`map_sound_speed`), computes new tables and puts them in place at once.

    Parameters
    ----------
    channel_data : ChannelData
        Example of the frames to come: probe, sequence, sampling. It is not used otherwise.
    grid : Grid or SectorGrid, optional
        Of the image. Default: `default_grid`.
    model : SoundSpeedNetwork, OnnxModel or path, optional
        Network for the map, or for where the optimiser begins.
    optimise : bool
        Whether the optimiser runs; every map begins anew.
    initial : Medium or float [m/s], optional
        For the frames before the first map. Default: the speed that the sequence assumed.
    settings : AutofocusSettings, optional
        Of the optimiser.
    region : ((x, x), (z, z)) [m], optional
        Where the map is wanted, see `reconstruct_autofocus`.
    check : bool
        Compare each map with single speeds and use the better, see `map_sound_speed`.
    f_number, window, interpolation
        Of the image, see `Beamformer`.
    map_every : int
        A frame goes to the map when at least this many came since the last one that did, and its map is done.
        0: none by itself; `refresh` sends one.
    device : {"cpu", "cuda", "cuda:N"}
        Where frames are, and images.

    Raises
    ------
    ArgumentError
        Neither model nor optimiser, data that no map can be made from, a grid or sequence that does not fit.

    Notes
    -----
    On the host the thread shares the cores with the frames. Closing waits for the map under way.

    Examples
    --------
    >>> import sonoray
    >>> data, _ = sonoray.load_focus_example()
    >>> grid = sonoray.Grid.from_extent(x=(-0.01, 0.01), z=(0.01, 0.03), spacing=2e-4)
    >>> with sonoray.Autofocus(data, grid, map_every=0) as plan:
    ...     image = plan(data)
    >>> image.shape, plan.generation
    ((101, 101), 0)
    """

    def __init__(
        self,
        channel_data: ChannelData,
        grid: Any = None,
        *,
        model: Any = None,
        optimise: bool = True,
        initial: Medium | float | None = None,
        settings: AutofocusSettings | None = None,
        region: Any = None,
        check: bool = True,
        f_number: float = 1.0,
        window: str = "hann",
        interpolation: str = "cubic",
        map_every: int = 1,
        device: str = "cpu",
    ) -> None:
        require_channel_data(channel_data)
        if model is None and not optimise:
            raise ArgumentError("model: expected a network where optimise=False, got None")
        self._example = channel_data.select(frames=slice(0, 1))
        self._template = self._example if self._example.is_iq else demodulate(self._example)
        self.grid = default_grid(self._example) if grid is None else grid
        self.device = str(device)
        self._optimise, self._check, self._region = bool(optimise), bool(check), region
        self._settings = settings or AutofocusSettings()
        self._network = None if model is None else open_network(model, self.device)
        self._imaging: dict[str, Any] = {"f_number": f_number, "window": window, "interpolation": interpolation}
        self._map_every = count("map_every", map_every, 0, 1_000_000)
        self._since = self._map_every
        self.result: AutofocusResult | None = None
        self._lock = threading.Condition()
        self._job: ChannelData | None = None
        self._busy = self._closed = False
        self._error: BaseException | None = None
        self._tables = self._made(0, channel_data.sound_speed if initial is None else initial)
        self._thread = threading.Thread(target=self._work, name="sonoray-autofocus", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"Autofocus({self.grid!r}, generation {self.generation}, {self.device!r})"

    @property
    def medium(self) -> Medium | None:
        """Map of the tables in use; None while it is a single speed that was given."""
        return self._tables.medium

    @property
    def generation(self) -> int:
        """How many maps were put in place."""
        return self._tables.generation

    def __call__(self, frame: Any, *, out: Any = None, stream: Any = None) -> Any:
        """Image a frame; perhaps the next map is made from it.

        Parameters
        ----------
        frame : ChannelData of one frame, or its samples (n_tx, n_rx, n_samples) or (1, n_tx, n_rx, n_samples)
            As the example's. On a CUDA device I/Q samples there.
        out : (1, *grid.shape) complex64, optional
        stream : int or stream object, optional

        Returns
        -------
        (*grid.shape) complex64
            On the plan's device (1, *grid.shape).

        Raises
        ------
        ArgumentError
            A frame that differs from the example; or what ended the last attempt at a map. The tables are as before
            then: calling again images the frame.
        """
        self._surface()
        samples = self._samples(frame)
        image = self._tables.beamformer(samples, out=out, stream=stream)
        self._since += 1
        if self._map_every and self._since >= self._map_every:
            self._send(samples, stream)
        return image[0] if self.device == "cpu" else image

    def refresh(self, frame: Any, *, stream: Any = None) -> bool:
        """Send a frame to the map now; False if another is under way."""
        self._surface()
        return self._send(self._samples(frame), stream)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until no map is under way; whether that is so within ``timeout`` [s]. Raises what ended it."""
        with self._lock:
            done = self._lock.wait_for(lambda: not self._busy, timeout)
        self._surface()
        return done

    def close(self) -> None:
        """End the thread, after the map under way. Frames may go on with the last tables."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        self._thread.join()

    def __enter__(self) -> "Autofocus":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _surface(self) -> None:
        with self._lock:
            error, self._error = self._error, None
        if error is not None:
            raise error

    def _samples(self, frame: Any) -> Any:
        """I/Q samples with four axes."""
        if isinstance(frame, ChannelData):
            if frame.is_iq != self._example.is_iq or frame.n_frames != 1:
                kind = "I/Q" if self._example.is_iq else "RF"
                raise ArgumentError(f"frame: expected one frame of {kind} as the example, got {frame!r}")
            return (frame if frame.is_iq else demodulate(frame)).samples
        if len(frame.shape) == 3 and self.device == "cpu":
            frame = np.asarray(frame)[None]
        if self._example.is_iq or self.device != "cpu":
            return frame
        return demodulate(self._example.with_(samples=frame)).samples

    def _send(self, samples: Any, stream: Any) -> bool:
        with self._lock:
            if self._busy or self._closed:
                return False
            self._busy, self._since = True, 0
        try:
            kept = np.array(samples) if self.device == "cpu" else to_host(samples, stream=stream)
            job = self._template.with_(samples=kept)
        except BaseException:
            with self._lock:
                self._busy = False
            raise
        with self._lock:
            self._busy = not self._closed  # closed in the meantime: nobody would take the job
            self._job = job if self._busy else None
            self._lock.notify_all()
            return self._busy

    def _work(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._job is not None or self._closed)
                job, self._job = self._job, None
            if job is None:
                return
            try:
                self._renew(job)
            except Exception as error:
                self._error = error if isinstance(error, Error) else Error(f"no new map: {error!r}")
                self._error.__cause__ = None if self._error is error else error
            with self._lock:
                self._busy = False
                self._lock.notify_all()

    def _renew(self, job: ChannelData) -> None:
        result = map_sound_speed(
            job,
            model=self._network,
            optimise=self._optimise,
            region=self._region,
            settings=self._settings,
            check=self._check,
            device=self.device,
        )
        self._tables = self._made(self._tables.generation + 1, result.medium)
        self.result = result

    def _made(self, generation: int, speed: Medium | float) -> _Tables:
        data, medium = self._template, speed if isinstance(speed, Medium) else None
        path = speed if medium is None else covering(medium, data.probe, self.grid)
        times = arrivals(
            data.transmits,
            data.probe,
            self.grid,
            path,
            sequence_sound_speed=data.sound_speed,
            table_spacing=TABLE_SPACING,
            device=self.device,
        )
        return _Tables(generation, medium, Beamformer(times, data, device=self.device, **self._imaging))
