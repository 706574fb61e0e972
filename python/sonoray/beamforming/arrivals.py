"""Arrivals: when each transmit passes the points of an image, and how long echoes travel to each element.

The beamformer sees only these times, so a transmit of any kind in a medium of any kind is the same job to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, freeze, option, scalar
from ..acquisition.probes import Probe
from ..acquisition.transmits import Transmit
from ..errors import ArgumentError
from ..media.grids import Grid
from ..media.medium import Medium
from .apodization import nearest_weight, transmit_weight
from .huygens import Aperture, wave_arrival
from .lens import lens_delay
from .receive_aperture import beam_origins
from .tables import check_inside, interpolate, receive_tables
from .wavefronts import FocusModel, closed_form, true_focus

_CHUNK = 8192  # points whose times to every element are in memory at once


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Arrival times of every transmit, and the receive paths, at the points of a grid. Made by `arrivals`.

    Parameters
    ----------
    grid : Grid, SectorGrid or any object with ``shape`` and ``points()`` giving (*shape, 3) [m]
    probe : Probe
    tx_time : (n_tx, *grid.shape) float32 [s]
        When the wave of each transmit passes each point, counted from the transmit's time zero.
    tx_weight : (n_tx, *grid.shape) float32, optional
        How far each point lies inside each beam; None stands for one everywhere.
    sound_speed : float [m/s]
        Receive time is |p - e| / sound_speed where there is no table.
    rx_slowness : (n_rx, *rx_grid.shape) float32 [s/m], optional
        Mean slowness from each element to the nodes of ``rx_grid``; receive time is |p - e| times its
        multilinear interpolation.
    rx_grid : Grid, optional
    beam_origins : (n_tx, 4) float64, optional
        Where each transmit's beam comes from: (x, y, z, 1) a source [m], (-direction, 0) a plane wave.

    Raises
    ------
    ArgumentError
        Shapes that do not fit, NaN, a slowness or time in the wrong unit.
    """

    grid: Any
    probe: Probe
    tx_time: NDArray[np.float32]
    tx_weight: NDArray[np.float32] | None = None
    sound_speed: float = 1540.0
    rx_slowness: NDArray[np.float32] | None = None
    rx_grid: Grid | None = None
    beam_origins: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        shape = tuple(_points(self.grid).shape[:-1])
        if not isinstance(self.probe, Probe):
            raise ArgumentError(f"probe: expected a Probe, got {type(self.probe).__name__}")
        time = array("tx_time", self.tx_time, (None, *shape), np.float32, low=-0.1, high=0.1, unit="s")
        set_(self, "tx_time", freeze(time))
        if self.tx_weight is not None:
            weight = array("tx_weight", self.tx_weight, time.shape, np.float32)
            set_(self, "tx_weight", freeze(weight))
        set_(self, "sound_speed", scalar("sound_speed", self.sound_speed, 300.0, 12000.0, "m/s"))
        if (self.rx_slowness is None) != (self.rx_grid is None):
            raise ArgumentError("rx_grid: expected both rx_slowness and rx_grid, or neither")
        if self.rx_slowness is not None:
            assert self.rx_grid is not None
            table_shape = (self.probe.n_elements, *self.rx_grid.shape)
            table = array("rx_slowness", self.rx_slowness, table_shape, np.float32, low=8e-5, high=3.4e-3, unit="s/m")
            set_(self, "rx_slowness", freeze(table))
        if self.beam_origins is not None:
            set_(self, "beam_origins", freeze(array("beam_origins", self.beam_origins, (len(time), 4))))

    @property
    def n_tx(self) -> int:
        """Number of transmits."""
        return len(self.tx_time)

    def rx_time(self, element: int) -> NDArray[np.float64]:
        """Travel time from ``element`` to every point, grid.shape float64 [s]."""
        points = _points(self.grid).reshape(-1, 3)
        if not 0 <= element < self.probe.n_elements:
            raise ArgumentError(f"element: expected below {self.probe.n_elements} for this probe, got {element}")
        times = _travel_times(self, points, np.array([element]))[:, 0]
        return times.reshape(self.tx_time.shape[1:])


def arrivals(
    transmits: Transmit | Sequence[Transmit],
    probe: Probe,
    grid: Any,
    medium_or_c0: Any,
    *,
    sequence_sound_speed: float | None = None,
    table_spacing: float | None = None,
    weighting: str = "auto",
    wavelength: float | None = None,
    device: str = "cpu",
) -> Arrivals:
    """Compute when each transmit reaches each point and how echoes travel back.

    Delays are what the probe fired, computed with the speed that the sequence assumed; the wave is what they send in
    the true medium. Where both speeds agree the closed forms hold; else the wave is the envelope of the elements'
    waves (Huygens): the first arrival, or the last one behind a focus [1]_. Around a focus the wave is taken as flat
    over its depth, 2 wavelength f_number^2 to either side, so that times do not jump there; with another speed or a
    medium, around the point where the waves then meet.

    Parameters
    ----------
    transmits : Transmit or sequence of Transmit, n_tx long
    probe : Probe
    grid : Grid, SectorGrid or any object with ``shape`` and ``points()`` giving (*shape, 3) [m]
    medium_or_c0 : float [m/s], Medium or EikonalSolver
        A number: straight paths. A medium: first arrivals from the eikonal equation; its grid must cover
        the image and the elements.
    sequence_sound_speed : float [m/s], optional
        `ChannelData.sound_speed`. Default: the number given as ``medium_or_c0``; needed with a medium if
        any transmit is plane, diverging or focused.
    table_spacing : float [m], optional
        Spacing of the receive tables. Default: the coarsest that changes no time by more than 1 ns.
    weighting : {"auto", "beam", "nearest", "none"}
        Which transmits get zero weight outside their beam: focused ones, also plane and diverging ones, none.
        "nearest": each point takes the focused transmit alone whose line passes nearest (scan lines).
    wavelength : float [m], optional
        For the size of the focus. Default: from the probe's center frequency; 0.3 mm if that is unknown.
    device : {"cpu", "cuda", "cuda:N"}
        Where a `Medium` is solved.

    Returns
    -------
    Arrivals

    Raises
    ------
    ArgumentError
        A transmit that does not fit the probe, a speed not in m/s, a medium that does not cover the points or
        the elements, a missing ``sequence_sound_speed``.

    Notes
    -----
    Huygens costs n_tx * n_points * n_elements operations; elements are refined to a continuous aperture by
    quartic interpolation between neighbours, which at 0.3 mm pitch errs by 0.01 ns at 2 mm depth, 0.1 ns at
    1 mm and 1.2 ns at 0.5 mm. Beam weights follow straight paths at the sequence's speed in any medium.

    References
    ----------
    .. [1] O. M. H. Rindal, A. Rodriguez-Molares, A. Austeng, A simple, artifact-free, virtual source model,
       IEEE International Ultrasonics Symposium 2018 (times around the focus).

    Examples
    --------
    >>> from sonoray import Grid, Probe, Transmit
    >>> grid = Grid.from_extent(x=(0.0, 0.0), z=(0.01, 0.02), spacing=0.01)
    >>> arrivals(Transmit.plane(), Probe.linear(16, 3e-4), grid, 1500.0).tx_time.ravel() * 1500
    array([0.01, 0.02], dtype=float32)
    """
    sequence = (transmits,) if isinstance(transmits, Transmit) else tuple(transmits)
    if not sequence or not all(isinstance(t, Transmit) for t in sequence):
        raise ArgumentError("transmits: expected a sequence of at least one Transmit")
    if not isinstance(probe, Probe):
        raise ArgumentError(f"probe: expected a Probe, got {type(probe).__name__}")
    option("weighting", weighting, ("auto", "beam", "nearest", "none"))
    for i, t in enumerate(sequence):
        if not t.weights(probe).any():
            raise ArgumentError(f"transmits[{i}]: expected at least one firing element, got none")
    points = _points(grid)
    shape, points = points.shape[:-1], points.reshape(-1, 3)
    c_sequence = _sequence_speed(sequence, medium_or_c0, sequence_sound_speed)
    solver = _solver(medium_or_c0, device)
    if solver is not None and probe.lines is not None:
        raise ArgumentError(
            "probe: expected point-like elements in a medium, got rows and columns: the eikonal equation is solved "
            "from points; give a sound speed [m/s] instead"
        )
    if solver is None:
        speed = scalar("medium_or_c0", medium_or_c0, 300.0, 12000.0, "m/s")
        table = table_grid = None
    else:
        check_inside(points, probe, solver.grid)
        table, table_grid = receive_tables(solver, probe, points, table_spacing)
        speed = 1.0 / float(table.mean(dtype=np.float64))
    length = _wavelength(probe, speed, wavelength)
    result = Arrivals(grid, probe, np.zeros((len(sequence), *shape), np.float32), None, speed, table, table_grid)
    times = np.empty((len(sequence), len(points)), np.float32)
    pending = []
    for i, t in enumerate(sequence):
        closed = None
        # One element makes a circular wave, whatever the delays of the others would have made.
        if solver is None and (t.kind == "element" or np.count_nonzero(t.weights(probe)) > 1):
            closed = closed_form(t, probe, points, c=speed, c_sequence=c_sequence, wavelength=length)
        if closed is None:
            pending.append(i)
        else:
            times[i] = closed
    _fire(times, sequence, pending, c_sequence=c_sequence, paths=result, points=points, wavelength=length)
    weight = _weights(sequence, probe, points, weighting, length)
    return Arrivals(
        grid,
        probe,
        times.reshape(-1, *shape),
        None if weight is None else weight.reshape(-1, *shape),
        speed,
        table,
        table_grid,
        beam_origins(sequence, probe),
    )


def _points(grid: Any) -> NDArray[np.float64]:
    if not hasattr(grid, "points") or not hasattr(grid, "shape"):
        raise ArgumentError(f"grid: expected a Grid or SectorGrid, got {type(grid).__name__}")
    return np.asarray(array("grid.points()", grid.points(), (*grid.shape, 3), low=-4, high=4, unit="m"))


def _solver(medium: Any, device: str) -> Any:
    """Return the eikonal solver of a medium, a given solver itself, None for a number."""
    if isinstance(medium, Medium):
        from ..rays.eikonal import EikonalSolver

        return EikonalSolver(medium, device=device)
    return medium if hasattr(medium, "mean_slowness") else None


def _sequence_speed(sequence: Sequence[Transmit], medium: Any, given: float | None) -> float:
    if given is not None:
        return scalar("sequence_sound_speed", given, 300.0, 12000.0, "m/s")
    if not isinstance(medium, Medium) and not hasattr(medium, "mean_slowness"):
        return scalar("medium_or_c0", medium, 300.0, 12000.0, "m/s")
    steered = sorted({t.kind for t in sequence} & {"plane", "diverging", "focused"})
    if steered:
        raise ArgumentError(
            f"sequence_sound_speed: expected the speed [m/s] with which the delays of {steered[0]!r} transmits were "
            "computed (ChannelData.sound_speed), got None"
        )
    return 1540.0  # not used: single elements and free delays assume no speed


def _wavelength(probe: Probe, speed: float, given: float | None) -> float:
    if given is not None:
        return scalar("wavelength", given, 1e-6, 0.1, "m")
    if probe.center_frequency:
        return speed / probe.center_frequency
    return 3e-4


def _weights(
    sequence: Sequence[Transmit], probe: Probe, points: NDArray[np.float64], weighting: str, wavelength: float
) -> NDArray[np.float32] | None:
    if weighting == "nearest":
        return nearest_weight(sequence, probe, points)
    kinds = {"auto": ("focused",), "beam": ("focused", "plane", "diverging"), "none": ()}[weighting]
    if not any(t.kind in kinds for t in sequence):
        return None
    weight = np.ones((len(sequence), len(points)), np.float32)
    for i, t in enumerate(sequence):
        if t.kind in kinds:
            weight[i] = transmit_weight(t, probe, points, wavelength=wavelength)
    return weight


def _travel_times(paths: Arrivals, points: NDArray[np.float64], elements: NDArray[np.intp]) -> NDArray[np.float64]:
    """Travel time between points and elements, (n_points, n_elements) [s]."""
    offsets = paths.probe.offsets(points, elements)
    squares = (offsets[..., k] ** 2 for k in range(3))
    distance = np.sqrt(sum(squares))
    slowness: Any = 1.0 / paths.sound_speed
    if paths.rx_slowness is not None:
        assert paths.rx_grid is not None
        slowness = interpolate(paths.rx_slowness[elements], paths.rx_grid, points)
    time = np.asarray(distance * slowness)
    return time + lens_delay(paths.probe, offsets, slowness, elements) if paths.probe.lens_thickness else time


def _fire(
    times: NDArray[np.float32],
    sequence: Sequence[Transmit],
    pending: list[int],
    *,
    c_sequence: float,
    paths: Arrivals,
    points: NDArray[np.float64],
    wavelength: float,
) -> None:
    """Fill the rows ``pending`` of ``times`` (n_tx, n_points) by Huygens."""
    if not pending:
        return
    probe = paths.probe
    fired = {i: sequence[i].firing_times(probe, c_sequence) for i in pending}
    firing = {i: np.flatnonzero(np.isfinite(fired[i])) for i in pending}
    used = np.unique(np.concatenate(list(firing.values())))
    apertures: dict[bytes, Aperture] = {}
    for i in pending:
        key = firing[i].tobytes()
        if key not in apertures:
            apertures[key] = Aperture(probe.positions[firing[i]])
    models = {
        i: _focus_model(sequence[i], paths, firing[i], fired[i][firing[i]], wavelength)
        for i in pending
        if sequence[i].kind == "focused" and len(firing[i]) > 1
    }
    flat_time = 0.25 * wavelength / paths.sound_speed
    for start in range(0, len(points), _CHUNK):
        part = points[start : start + _CHUNK]
        travel = _travel_times(paths, part, used)
        for i in pending:
            columns = np.searchsorted(used, firing[i])
            own = travel if len(columns) == len(used) else travel[:, columns]
            aperture = apertures[firing[i].tobytes()]
            focusing = sequence[i].kind in ("focused", "delays")
            wave, near = wave_arrival(aperture, own + fired[i][firing[i]], focusing=focusing, flat_time=flat_time)
            at = np.flatnonzero(near)
            if i in models and len(at):
                wave[at] += near[at] * models[i].excess(aperture, part[at], flat_time)
            times[i, start : start + len(part)] = wave


def _focus_model(
    t: Transmit, paths: Arrivals, firing: NDArray[np.intp], fired: NDArray[np.float64], wavelength: float
) -> FocusModel:
    """Model of the wave around the focus that the firing elements make in the true medium.

    Outside the image the travel times take the mean slowness of the nearest image point.
    """
    assert t.focus is not None
    elements = paths.probe.positions[firing]
    focus = true_focus(t.focus, elements, fired, lambda p: _travel_times(paths, p, firing), paths.sound_speed)
    line = None if paths.probe.lines is None else paths.probe.lines[firing[0]]
    return FocusModel(focus, elements, paths.sound_speed, wavelength, line)
