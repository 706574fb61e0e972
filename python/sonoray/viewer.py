"""An interactive viewer: images, cines, volumes, sound-speed maps, flow over B-mode.

`scene_of` says what is shown of which object, `Viewer` draws it with sliders into a figure that need not have a window,
`open_window` gives it one (extra ``plot``), `open_napari` shows it there (extra ``viewer``).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._checks import count, option, scalar
from .acquisition.scan_lines import ScanLines
from .errors import ArgumentError, Error, MissingExtraError
from .imaging.detection import envelope
from .imaging.scan_conversion import covering_grid, scan_convert, scan_convert_lines
from .media.grids import Grid, SectorGrid
from .media.medium import Medium

_MM = 1e3
_SLIDER = 0.045  # of the figure's height, for each
_FIELDS = {
    "sound_speed": "sound speed [m/s]",
    "density": "density [kg/m³]",
    "absorption": "absorption [Np/m at 1 MHz]",
}


@dataclass(frozen=True, eq=False)
class Scene:
    """What a viewer shows.

    Parameters
    ----------
    values : (n_frames, *grid.shape) float32 or uint8, or (n_frames, rows, columns[, 3]) uint8 without a grid
        Decibels below the maximum, a quantity with a unit, or grey levels.
    grid : Grid, optional
        2-D or 3-D; None for pictures.
    kind : {"decibel", "quantity", "picture"}
    label : str
        Beside the colour bar, with the unit.
    colors : (n_frames, *grid.shape, 3) uint8, optional
        Painted over grey levels, as a scanner paints flow.
    rate : float [Hz]
        Of the frames; 0 if unknown.

    Raises
    ------
    ArgumentError
        Shapes that do not fit.
    """

    values: NDArray[Any]
    grid: Grid | None
    kind: str
    label: str = ""
    colors: NDArray[np.uint8] | None = None
    rate: float = 0.0

    def __post_init__(self) -> None:
        option("kind", self.kind, ("decibel", "quantity", "picture"))
        shape = self.values.shape
        if self.grid is None:
            fits = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
        else:
            fits = shape[1:] == self.grid.shape and self.grid.ndim in (2, 3)
        if not fits or 0 in shape:
            raise ArgumentError(f"values: expected frames that fit their grid, got shape {shape}")
        if self.colors is not None and self.colors.shape != (*shape, 3):
            raise ArgumentError(f"colors: expected shape {(*shape, 3)}, got {self.colors.shape}")


def scene_of(data: Any, *, field: str = "sound_speed", label: str = "", rate: float = 0.0, rf: bool = False) -> Scene:
    """Return what is shown of an object.

    Parameters
    ----------
    data : tuple (image, grid), ScanLines, Medium, FlowImages, or frames (n_frames, rows, columns[, 3 or 4])
        Complex images are detected, those of sectors scan converted. What is real and not uint8 is a quantity. Lines
        are detected, averaged over their shots and scan converted.
    field : {"sound_speed", "density", "absorption"}
        Of a medium.
    label : str
        Of real images.
    rate : float [Hz]
    rf : bool
        Real images are RF along depth, to be detected.

    Raises
    ------
    ArgumentError
        Something else; a field that the medium does not have.
    """
    if isinstance(data, Medium):
        option("field", field, tuple(_FIELDS))
        values = getattr(data, field)
        if values is None:
            raise ArgumentError(f"field: expected one that the medium has, got {field!r}, which it has not")
        return Scene(np.asarray(values, np.float32)[None], data.grid, "quantity", _FIELDS[field])
    if isinstance(data, ScanLines):
        return _lines_scene(data)
    if hasattr(data, "picture") and hasattr(data, "bmode"):
        return Scene(data.bmode, data.grid, "picture", colors=data.picture, rate=data.image_rate)
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[1], Grid | SectorGrid):
        return _image_scene(*data, label, rate, rf)
    pictures = np.asarray(data)
    if pictures.dtype.kind not in "uf" or pictures.ndim not in (3, 4):
        raise ArgumentError(
            f"data: expected (image, grid), ScanLines, Medium, FlowImages or frames, got {type(data).__name__}"
        )
    if pictures.dtype == np.uint8:
        return Scene(pictures[..., :3] if pictures.ndim == 4 else pictures, None, "picture", rate=rate)
    return Scene(pictures.astype("f4"), None, "quantity", label, rate=rate)


def _image_scene(image: Any, grid: Grid | SectorGrid, label: str, rate: float, rf: bool) -> Scene:
    values = np.asarray(image)
    values = values.reshape(-1, *grid.shape)
    if rf and values.dtype.kind in "if" and isinstance(grid, Grid):
        values = envelope(values.astype("f4"))
    else:
        rf = False
    kind = "decibel" if rf or values.dtype.kind == "c" else "picture" if values.dtype == np.uint8 else "quantity"
    if kind == "decibel":
        values = _decibels(values if rf else envelope(values))
    if isinstance(grid, SectorGrid):
        flat = covering_grid(grid)
        fill = float(values.min()) if kind == "decibel" else 0.0
        values, grid = scan_convert(values, grid, flat, fill=fill), flat
    return Scene(
        values if kind == "picture" else values.astype("f4"),
        grid,
        kind,
        "dB" if kind == "decibel" else label,
        rate=rate,
    )


def _lines_scene(lines: ScanLines) -> Scene:
    flat = covering_grid(lines)
    if lines.samples.dtype == np.uint8:
        grey = np.rint(lines.samples.mean(axis=1)).astype(np.uint8)
        return Scene(scan_convert_lines(grey, lines, flat), flat, "picture", rate=lines.frame_rate)
    samples = lines.samples if lines.samples.dtype.kind == "c" else lines.samples.astype("f4")
    values = _decibels(np.sqrt(np.mean(envelope(samples) ** 2, axis=1)))
    values = scan_convert_lines(values, lines, flat, fill=float(values.min()))
    return Scene(values, flat, "decibel", "dB", rate=lines.frame_rate)


def _decibels(magnitude: NDArray[Any]) -> NDArray[np.float32]:
    """Below the largest."""
    largest = max(float(magnitude.max()), float(np.finfo("f4").tiny))
    return np.asarray(20 * np.log10(np.maximum(magnitude / largest, 1e-15)), np.float32)


class Viewer:
    """A figure of a scene, with sliders for what there is to choose.

    Parameters
    ----------
    scene : Scene
    dynamic_range : float [dB]
        At the start, for decibels.
    frame : int
        At the start.
    figure : matplotlib.figure.Figure, optional
        Default a new one without a window.
    title : str

    Attributes
    ----------
    figure : matplotlib.figure.Figure
    axes : list of matplotlib.axes.Axes
        One for an image; for a volume the planes y, x and z = constant.
    images : list of matplotlib.image.AxesImage
    sliders : dict of str to matplotlib.widgets.Slider
        "frame" of several, "x", "y", "z" [mm] of volumes, "dynamic range" [dB] of decibels, "colour" (0 B-mode alone, 1
        flow over it) of overlays.

    Raises
    ------
    ArgumentError
        A frame that there is not.
    MissingExtraError
        matplotlib is not installed.
    """

    def __init__(
        self, scene: Scene, *, dynamic_range: float = 60.0, frame: int = 0, figure: Any = None, title: str = ""
    ) -> None:
        self.scene = scene
        self._first_frame = count("frame", frame, 0, len(scene.values) - 1)
        self._range = scalar("dynamic_range", dynamic_range, 1.0, 300.0, "dB")
        self.figure = figure if figure is not None else _windowless()
        self.sliders: dict[str, Any] = {}
        grid = scene.grid
        volume = grid is not None and grid.ndim == 3
        wanted = self._choices()
        bottom = 0.1 + _SLIDER * len(wanted)
        places = self.figure.subplots(1, 3 if volume else 1, squeeze=False)[0]
        self.figure.subplots_adjust(left=0.08, right=0.88, top=0.92, bottom=bottom, wspace=0.45)
        self.axes = list(places)
        self.images = [self._drawn(ax, k) for k, ax in enumerate(self.axes)]
        if title:
            self.figure.suptitle(title)
        if scene.kind != "picture":
            self.figure.colorbar(self.images[-1], ax=self.axes, label=scene.label)
        for k, (name, low, high, start, step) in enumerate(wanted):
            self._add_slider(name, (low, high, start, step), 0.03 + _SLIDER * (len(wanted) - 1 - k))
        self.update()

    def _choices(self) -> list[tuple[str, float, float, float, float | None]]:
        """Name, lowest, highest, first value and step of each slider."""
        scene = self.scene
        found: list[tuple[str, float, float, float, float | None]] = []
        if len(scene.values) > 1:
            found.append(("frame", 0.0, len(scene.values) - 1.0, float(self._first_frame), 1.0))
        if scene.grid is not None and scene.grid.ndim == 3:
            for name, (low, high), n in zip("xyz", scene.grid.extent, scene.grid.shape, strict=True):
                if n > 1:
                    found.append((name, low * _MM, high * _MM, 0.5 * (low + high) * _MM, None))
        if scene.kind == "decibel":
            found.append(("dynamic range", 10.0, max(100.0, self._range), self._range, 1.0))
        if scene.colors is not None:
            found.append(("colour", 0.0, 1.0, 1.0, None))
        return found

    def _add_slider(self, name: str, numbers: tuple[float, float, float, float | None], bottom: float) -> None:
        from matplotlib.widgets import Slider

        low, high, start, step = numbers
        place = self.figure.add_axes((0.2, bottom, 0.55, 0.6 * _SLIDER))
        unit = {"x": " [mm]", "y": " [mm]", "z": " [mm]", "dynamic range": " [dB]"}.get(name, "")
        slider = Slider(place, name + unit, low, high, valinit=start, valstep=step)
        slider.on_changed(self.update)
        self.sliders[name] = slider

    def _value(self, name: str, default: float) -> float:
        return float(self.sliders[name].val) if name in self.sliders else default

    def _index(self, axis: int) -> int:
        """The chosen plane along an axis of a volume."""
        grid = self.scene.grid
        assert grid is not None
        low, high = grid.extent[axis]
        at = self._value("xyz"[axis], 0.5 * (low + high) * _MM) / _MM
        return int(np.clip(round((at - low) / grid.spacing[axis]), 0, grid.shape[axis] - 1))

    def _plane(self, k: int) -> NDArray[Any]:
        """What axes k show now, as displayed."""
        scene, frame = self.scene, round(self._value("frame", 0.0))
        values = scene.values[frame]
        if scene.grid is None:
            return np.asarray(values)
        if scene.grid.ndim == 3:
            axis = (1, 0, 2)[k]
            return np.asarray(values.take(self._index(axis), axis=axis).T)
        if scene.colors is None:
            return np.asarray(values.T)
        share = self._value("colour", 1.0)
        mixed = (1 - share) * values[..., None].astype("f4") + share * scene.colors[frame]
        return np.asarray(np.rint(mixed).astype(np.uint8).swapaxes(0, 1))

    def _drawn(self, ax: Any, k: int) -> Any:
        scene = self.scene
        options: dict[str, Any] = {}
        if scene.grid is not None:
            across, down = ((0, 2), (1, 2), (0, 1))[k] if scene.grid.ndim == 3 else (0, 1)
            names = "xyz" if scene.grid.ndim == 3 else "xz"
            (a0, a1), (d0, d1) = scene.grid.extent[across], scene.grid.extent[down]
            ha, hd = scene.grid.spacing[across] / 2, scene.grid.spacing[down] / 2
            options["extent"] = [v * _MM for v in (a0 - ha, a1 + ha, d1 + hd, d0 - hd)]
            ax.set_xlabel(f"{names[across]} [mm]")
            ax.set_ylabel(f"{names[down]} [mm]")
        else:
            ax.set_axis_off()
        if scene.kind == "quantity":
            low, high = float(np.nanmin(scene.values)), float(np.nanmax(scene.values))
            options |= {"cmap": "viridis", "vmin": low, "vmax": high if high > low else low + 1}
        elif scene.kind == "decibel":
            options |= {"cmap": "gray", "vmin": -self._range, "vmax": 0}
        else:
            options |= {"cmap": "gray", "vmin": 0, "vmax": 255}
        return ax.imshow(self._plane(k), aspect="equal", origin="upper", **options)

    def update(self, _: Any = None) -> None:
        """Draw what the sliders say."""
        for k, image in enumerate(self.images):
            image.set_data(self._plane(k))
            if self.scene.kind == "decibel":
                image.set_clim(-self._value("dynamic range", self._range), 0)
        if self.scene.grid is not None and self.scene.grid.ndim == 3:
            for axis, ax in zip((1, 0, 2), self.axes, strict=True):
                at = self.scene.grid.extent[axis][0] + self._index(axis) * self.scene.grid.spacing[axis]
                ax.set_title(f"{'xyz'[axis]} = {at * _MM:.1f} mm", fontsize="small")
        self.figure.canvas.draw_idle()


def open_window(scene: Scene, *, dynamic_range: float = 60.0, frame: int = 0, title: str = "") -> None:
    """Show a scene in a window until it is closed.

    Parameters
    ----------
    scene, dynamic_range, frame, title
        As for `Viewer`.

    Raises
    ------
    Error
        No display.
    MissingExtraError
        matplotlib is not installed.
    """
    _windowless()  # names the extra that is missing
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(9, 7))
    if not hasattr(figure.canvas.manager, "window"):
        plt.close(figure)
        raise Error("view: expected a display for a window, found none; -o picture.png writes the first view instead")
    options: dict[str, Any] = {"dynamic_range": dynamic_range, "frame": frame, "title": title}
    viewer = Viewer(scene, figure=figure, **options)  # noqa: F841 - owns the sliders
    plt.show()


def open_napari(scene: Scene, *, dynamic_range: float = 60.0, frame: int = 0, title: str = "") -> Any:
    """Show a scene in napari: volumes in three dimensions, lengths in millimetres.

    Parameters
    ----------
    scene, dynamic_range, frame, title
        As for `Viewer`.

    Returns
    -------
    napari.Viewer

    Raises
    ------
    MissingExtraError
        napari is not installed.
    """
    try:
        import napari
    except ImportError:
        raise MissingExtraError("napari is not installed: pip install 'sonoray[viewer]'") from None
    first = count("frame", frame, 0, len(scene.values) - 1)
    viewer = napari.Viewer(title=title or "sonoray")
    # napari's last axes are rows and columns: depth first, then x.
    axes = (0, *range(scene.values.ndim - 1, 0, -1)) if scene.grid is not None else None
    values = scene.values if axes is None else scene.values.transpose(axes)
    scale = None if scene.grid is None else (1.0, *(h * _MM for h in scene.grid.spacing[::-1]))
    limits = {"decibel": (-dynamic_range, 0.0), "picture": (0, 255)}.get(scene.kind)
    colors = "viridis" if scene.kind == "quantity" else "gray"
    rgb = scene.grid is None and values.ndim == 4
    shown: dict[str, Any] = {"rgb": True} if rgb else {"colormap": colors, "contrast_limits": limits}
    viewer.add_image(values, name=scene.label or scene.kind, scale=scale, **shown)
    if scene.colors is not None and axes is not None:
        viewer.add_image(scene.colors.transpose((*axes, scene.colors.ndim - 1)), name="colour", rgb=True, scale=scale)
    if len(scene.values) > 1:
        viewer.dims.set_current_step(0, first)
    napari.run()
    return viewer


def _windowless() -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib is not installed: pip install 'sonoray[plot]'") from None
    figure = Figure(figsize=(9, 7))
    FigureCanvasAgg(figure)
    return figure
