"""From channel data to a B-mode image in one call: the pipeline behind ``sonoray beamform``.

without the direct wave -> demodulate -> arrival times -> delay-and-sum or an adaptive method, frame by frame, on a grid
that suits the probe.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import to_device, to_host
from .._checks import option, scalar
from .._progress import progress as show_progress
from ..acquisition.channel_data import ChannelData
from ..acquisition.probes import Probe
from ..acquisition.signals import demodulate
from ..errors import ArgumentError
from ..media.grids import Grid, SectorGrid
from ..media.medium import Medium
from .adaptive import AdaptiveBeamformer
from .adaptive_methods import Method, adaptive_method
from .arrivals import Arrivals, arrivals
from .das import Beamformer
from .default_grids import default_grid, inside_medium
from .direct_wave import OPENING_ANGLE, has_single_elements, measure_direct_wave, remove_direct_wave
from .receive_aperture import orthogonal_receivers

_COMPOUNDING = ("coherent", "incoherent", "first")  # those that leave one image of a frame
_AROUND = ("ring", "bowl")  # probes that the transmitted wave crosses
_WIDE = ("phased", *_AROUND)  # probes that look further sideways than an f-number about each normal allows


def reconstruct_bmode(
    channel_data: ChannelData,
    *,
    grid: Grid | SectorGrid | None = None,
    depth: tuple[float, float] | None = None,
    spacing: float | None = None,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    sound_speed: float | None = None,
    medium: Medium | None = None,
    f_number: float | None = None,
    window: Any = None,
    aperture_axis: Any = "normal",
    weighting: str = "auto",
    method: str | Method = "das",
    over: str = "receive",
    compounding: str | None = None,
    mute_direct: bool | None = None,
    opening_angle: float | None = OPENING_ANGLE,
    frames: slice | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> tuple[NDArray[Any], Grid | SectorGrid]:
    """Beamform channel data to complex images, ready for `envelope` and `log_compress`.

    Parameters
    ----------
    channel_data : ChannelData
        RF is demodulated first, which needs its center frequency.
    grid : Grid or SectorGrid, optional
        Default: `default_grid`, as far as a ``medium`` reaches.
    depth, spacing, x, y : optional
        Of the default grid, see `default_grid`.
    sound_speed : float [m/s], optional
        One speed for all paths; default: the one that the sequence assumed.
    medium : Medium, optional
        A sound-speed map: delays along refracted paths, from the eikonal equation. Excludes ``sound_speed``.
    f_number : float, optional
        Depth over aperture on receive; 0 uses every element everywhere. Default: 1.5, but 0 for phased, ring and
        bowl probes, which look far to the side of their elements' normals.
    window : optional
        Receive apodization, see `Beamformer`. Default: hann over the f-number's aperture, boxcar without one or for
        methods that find their own weights.
    aperture_axis : {"normal", "beam", "line"} or (3,)
        What the receive aperture is centred on, see `Beamformer`; delay-and-sum only. An f-number of 1.5 is then the
        default for phased probes, too.
    weighting : {"auto", "beam", "nearest", "none"}
        Which transmits make a point, see `arrivals`.
    method : str or Method
        "das" (delay and sum) or an adaptive method such as "capon", see `adaptive_method`. The image of
        "short-lag-coherence" is a coherence, from 0 (or less) to 1.
    over : {"receive", "transmit"}
        What an adaptive method compares, see `AdaptiveBeamformer`.
    compounding : {"coherent", "incoherent", "first"}, optional
        Default: "coherent"; "first" for adaptive methods.
    mute_direct : bool, optional
        Take out the wave that goes straight from emitter to receiver, which otherwise hides all echoes, and correct
        the pulse's lag that it shows (`remove_direct_wave`). Default: for rings and bowls that fire single elements.
        A center frequency that is not known is then that of this wave.
    opening_angle : float, optional [rad]
        Then: pairs of elements further apart, seen from the middle, are left out; they see an object in transmission
        only. None: all pairs.
    frames : slice, optional
        Default all.
    device : {"cpu", "cuda", "cuda:N"}
    progress : bool
        Show the frames' progress on standard error.

    Returns
    -------
    image : (n_frames, *grid.shape) complex64, in host memory
        Incoherent sums of magnitudes have no imaginary part.
    grid : Grid or SectorGrid

    Raises
    ------
    ArgumentError
        Both speeds given, an unknown center frequency, a grid outside the medium, another compounding.
    """
    if compounding is not None:
        option("compounding", compounding, _COMPOUNDING if method != "das" else _COMPOUNDING[:2])
    if sound_speed is not None and medium is not None:
        raise ArgumentError("sound_speed: expected either sound_speed or medium, got both")
    if sound_speed is not None:
        sound_speed = scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s")
    data = channel_data if frames is None else channel_data.select(frames=frames)
    if grid is not None and any(value is not None for value in (depth, spacing, x, y)):
        raise ArgumentError("grid: expected either a grid or depth, spacing, x, y of the default one, got both")
    if grid is None:
        seen = data if sound_speed is None else data.with_(sound_speed=sound_speed)
        grid = default_grid(seen, depth=depth, spacing=spacing, x=x, y=y)
        grid = grid if medium is None else inside_medium(grid, medium)
    speed = medium if medium is not None else (sound_speed or data.sound_speed)
    if mute_direct is None and data.probe.kind in _AROUND and has_single_elements(data):
        data = _without_direct_wave(data, speed, opening_angle)
    elif mute_direct:
        before = data
        data = _without_direct_wave(data, speed, opening_angle)
        if data is before:
            warnings.warn("no wave from emitter to receiver stands out; nothing is muted", stacklevel=2)
    data = data if data.is_iq else demodulate(data)
    times = arrivals(
        data.transmits,
        data.probe,
        grid,
        speed,
        sequence_sound_speed=channel_data.sound_speed,
        weighting=weighting,
        device=device,
    )
    f_number = receive_f_number(data.probe, f_number, aperture_axis)
    options = {"f_number": f_number, "window": window, "compounding": compounding, "device": device}
    beamformer = _beamformer(times, data, method, over, {**options, "aperture_axis": aperture_axis})
    image = np.empty((data.n_frames, *grid.shape), np.complex64)
    is_coherence = isinstance(beamformer, AdaptiveBeamformer) and beamformer.method.is_coherence
    block = min(32, data.n_frames)
    for i in show_progress(range(0, data.n_frames, block), "beamforming", enabled=progress):
        part = data.select(frames=slice(i, i + block))
        samples = part.samples if device == "cpu" else to_device(part.samples, device)
        values = to_host(beamformer(samples))
        image[i : i + block] = np.maximum(values, 0) if is_coherence else values  # opposed signals count as incoherent
    return image, grid


def _beamformer(
    times: Arrivals, data: ChannelData, method: str | Method, over: str, options: dict[str, Any]
) -> Beamformer | AdaptiveBeamformer:
    """The plan of a method, with the defaults of `reconstruct_bmode` for options that are None."""
    found = None if method == "das" else adaptive_method(method)
    if found is None and over != "receive":
        raise ArgumentError(f"over: expected 'receive' for delay-and-sum, got {over!r}")
    own_weights = found is not None and found.finds_weights and over == "receive"
    window = options["window"]
    if window is None:
        window = "hann" if options["f_number"] and not own_weights else "boxcar"
    compounding = options["compounding"] or ("coherent" if found is None else "first")
    options = {**options, "window": window, "compounding": compounding}
    crossed = data.probe.kind == "row_column"
    if found is None:
        listen = orthogonal_receivers(data.transmits, data.probe) if crossed else None
        return Beamformer(times, data, element_weights=listen, **options)
    if crossed or not _by_normals(options.pop("aperture_axis")):
        raise ArgumentError(
            f"method: expected 'das' for row-column probes and apertures around beams or lines, got {found.name!r}"
        )
    return AdaptiveBeamformer(times, data, found, over=over, **options)


def receive_f_number(probe: Probe, f_number: float | None, aperture_axis: Any) -> float:
    """The f-number of `reconstruct_bmode`, whose default depends on the probe."""
    if f_number is not None:
        return f_number
    return 0.0 if probe.kind in _WIDE and _by_normals(aperture_axis) else 1.5


def _by_normals(aperture_axis: Any) -> bool:
    return isinstance(aperture_axis, str) and aperture_axis == "normal"


def _without_direct_wave(data: ChannelData, speed: float | Medium, opening_angle: float | None) -> ChannelData:
    """The very same data where no such wave stands out."""
    wave = measure_direct_wave(data, speed)
    return data if wave is None else remove_direct_wave(data, wave, opening_angle=opening_angle)
