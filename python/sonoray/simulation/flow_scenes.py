"""Scenes with flow: vessels, hearts, organs, as maps over material points, and how they move in time.

A scene is drawn once, for tissue at rest. In time, tissue is displaced by d(x, t) = dilation(t) stretch(x) + drift(t);
what lies at x was drawn at x - d(x, t). Lengths are in pixels of the picture, velocities in units of the fastest flow.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .flow_tissue import tissue_echo

SCENES = ("vessel", "cross_section", "bifurcation", "vessels", "chamber", "organ")


@dataclass(frozen=True)
class FlowScene:
    """What lies where, and how it moves.

    Maps have the picture's shape plus ``margin`` on every side.

    Parameters
    ----------
    kind : str
        One of ``SCENES``.
    margin : int [px]
    echo : (n_rows, n_columns) float32 [dB]
        Echo level of the tissue; inside vessels that of their content has still to be put in.
    distance : (n_rows, n_columns) float32 [px]
        To the nearest wall, negative inside vessels and chambers.
    flow : (2, n_rows, n_columns) float32
        Velocity of blood along columns and rows, largest 1.
    pulsatile : (n_rows, n_columns) float32
        Blood flows with flow (1 - pulsatile + pulsatile pulse(t)).
    turbulence : (n_rows, n_columns) float32
        Random part of the velocity over the fastest flow.
    stretch : (2, n_rows, n_columns) float32
        Displacement of tissue for a dilation of 1 px, along columns and rows.
    pulse : function of time in heart beats
        About -1 to 1.
    dilation : function of time in heart beats, returns px
    drift : function of time in heart beats, returns (2,) px
    leaflets : function of time in heart beats, returns (n, 4) px
        Line segments (column, row, column, row) of valves, without margin; empty where there are none.
    """

    kind: str
    margin: int
    echo: NDArray[np.float32]
    distance: NDArray[np.float32]
    flow: NDArray[np.float32]
    pulsatile: NDArray[np.float32]
    turbulence: NDArray[np.float32]
    stretch: NDArray[np.float32]
    pulse: Callable[[float], float]
    dilation: Callable[[float], float]
    drift: Callable[[float], NDArray[np.float64]]
    leaflets: Callable[[float], NDArray[np.float64]]


def make_scene(kind: str, rng: np.random.Generator, shape: tuple[int, int], size: float, margin: int) -> FlowScene:
    """Draw a scene.

    Parameters
    ----------
    kind : str
        One of ``SCENES``.
    rng : Generator
        The same state with another ``size`` gives the same scene with wider or narrower vessels.
    shape : (n_rows, n_columns)
    size : float
        Width of vessels and chambers over half the picture.
    margin : int [px]

    Returns
    -------
    FlowScene
    """
    full = (shape[0] + 2 * margin, shape[1] + 2 * margin)
    z, x = (np.mgrid[: full[0], : full[1]] - margin).astype(np.float32)
    beat = _Beat(rng)
    tissue_seed, shape_seed = rng.integers(0, 2**63, 2)
    draw = np.random.default_rng(shape_seed)
    canvas = _Canvas(x, z, shape, size * min(shape) / 2)
    fields, leaflets = _fields(kind, draw, canvas, beat)
    distance, flow, pulsatile, turbulence, normal = fields
    flow /= max(float(np.sqrt((flow**2).sum(axis=0)).max()), 1e-6)
    echo = tissue_echo(np.random.default_rng(tissue_seed), full)
    if kind == "organ":
        echo += _organ_echo(draw, canvas)
    echo += _wall_echo(draw, distance, normal, kind)
    reach = draw.uniform(0.06, 0.2) * min(shape)
    inner = max(-float(distance.min()), 1.0)
    fade = np.where(distance > 0, np.exp(-np.maximum(distance, 0) / reach), np.maximum(1 + distance / inner, 0))
    strength = draw.uniform(0.06, 0.18) if kind == "chamber" else draw.uniform(0.0, 0.1)
    amplitude = min(strength * inner, 0.06 * min(shape))
    return FlowScene(
        kind, margin, echo.astype("f4"), distance, flow.astype("f4"), pulsatile, turbulence,
        (normal * fade).astype("f4"), beat.chamber if kind == "chamber" else beat.artery,
        lambda t: amplitude * beat.dilation(t), _drift(draw), leaflets,
    )  # fmt: skip


def blood_share(kind: str, rng: np.random.Generator, box: NDArray[np.bool_], size: float) -> float:
    """Share of the picture that is both blood and ``box`` (n_rows, n_columns) in a scene at rest; quick."""
    step = 3
    z, x = np.mgrid[: box.shape[0] : step, : box.shape[1] : step].astype(np.float32)
    beat = _Beat(rng)
    draw = np.random.default_rng(rng.integers(0, 2**63, 2)[1])
    canvas = _Canvas(x, z, (box.shape[0], box.shape[1]), size * min(box.shape) / 2)
    distance = _fields(kind, draw, canvas, beat)[0][0]
    return float(((distance < 0) & box[::step, ::step]).mean())


class _Beat:
    """The heart's rhythm, in beats."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.phase = rng.random()
        self.rest, self.decay, self.notch = rng.uniform(0.05, 0.4), rng.uniform(3, 7), rng.uniform(0, 0.3)

    def artery(self, t: float) -> float:
        """A steep rise, a slow fall and a dicrotic notch."""
        s = (t + self.phase) % 1
        systole = np.sin(np.pi * min(s / 0.3, 1.0)) ** 2 if s < 0.15 else np.exp(-self.decay * (s - 0.15))
        return float(self.rest + (1 - self.rest) * systole - self.notch * np.exp(-(((s - 0.38) / 0.04) ** 2)))

    def chamber(self, t: float) -> float:
        """Out in systole, in by an early and a late (atrial) wave."""
        s = (t + self.phase) % 1
        out = -np.sin(np.pi * s / 0.38) if s < 0.38 else 0.0
        early, late = np.exp(-(((s - 0.52) / 0.07) ** 2)), np.exp(-(((s - 0.85) / 0.06) ** 2))
        return float(out + early + (0.3 + self.notch) * late)

    def dilation(self, t: float) -> float:
        s = (t + self.phase) % 1
        return float(np.sin(2 * np.pi * (s - 0.1)) + 0.3 * np.sin(4 * np.pi * s))


@dataclass(frozen=True)
class _Canvas:
    x: NDArray[np.float32]
    z: NDArray[np.float32]
    shape: tuple[int, int]
    radius: float  # of the widest vessel, px


_Fields = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def _fields(
    kind: str, rng: np.random.Generator, canvas: _Canvas, beat: _Beat
) -> tuple[_Fields, Callable[[float], NDArray[np.float64]]]:
    if kind == "chamber":
        return _chamber(rng, canvas, beat)
    return _tubes(_CENTRE_LINES[kind](rng, canvas), canvas), _no_leaflets


def _tubes(discs: NDArray[np.float64], canvas: _Canvas) -> _Fields:
    """Fields of vessels that are unions of discs (column, row, radius, flow along x, along z, pulsatile)."""
    discs = discs.astype(np.float32)
    points = np.stack([canvas.x.ravel(), canvas.z.ravel()], axis=1)
    centres, radius = discs[:, :2], discs[:, 2]
    square = (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)
    nearest = (np.sqrt(np.maximum(square, 0)) - radius).argmin(axis=1)
    disc = discs[nearest]
    away = points - disc[:, :2]
    r = np.hypot(away[:, 0], away[:, 1])
    flow = disc[:, 3:5] * np.maximum(1 - (r / disc[:, 2]) ** 2, 0)[:, None]  # laminar
    normal = away / np.maximum(r, 1e-3)[:, None]
    shape = canvas.x.shape
    return (
        (r - disc[:, 2]).reshape(shape), flow.T.reshape(2, *shape), disc[:, 5].reshape(shape),
        np.full(shape, 0.03, "f4"), normal.T.reshape(2, *shape),
    )  # fmt: skip


def _curve(
    start: tuple[float, float], direction: float, length: float, bends: NDArray[np.float64], radius: float,
    taper: float = 0.0, speed: float = 1.0, pulsatile: float = 0.7, n: int = 48,
) -> NDArray[np.float64]:  # fmt: skip
    """Discs along a curve whose direction changes by ``bends[0] s + bends[1] sin(2 pi s)``."""
    s = np.linspace(0, 1, n)
    angle = direction + bends[0] * s + bends[1] * np.sin(2 * np.pi * s)
    step = length / (n - 1)
    x = start[0] + np.concatenate([[0], np.cumsum(np.cos(angle[:-1]) * step)])
    z = start[1] + np.concatenate([[0], np.cumsum(np.sin(angle[:-1]) * step)])
    width = radius * (1 - taper * s)
    return np.stack([x, z, width, speed * np.cos(angle), speed * np.sin(angle), np.full(n, pulsatile)], axis=1)


def _vessel(rng: np.random.Generator, canvas: _Canvas) -> NDArray[np.float64]:
    """One vessel through the whole picture, straight or curved, with a stenosis at times."""
    rows, columns = canvas.shape
    angle, length = rng.normal(0, 0.3), 2.0 * columns
    row = rows * rng.uniform(0.35, 0.65)
    start = (columns / 2 - np.cos(angle) * length / 2, row - np.sin(angle) * length / 2)
    sign, bends = rng.choice([-1, 1]), rng.normal(0, [0.15, 0.2])
    narrow, where, pulsatile = (
        rng.uniform(0.2, 0.6) * (rng.random() < 0.3),
        rng.uniform(0.35, 0.65),
        rng.uniform(0.2, 0.9),
    )
    discs = _curve(start, angle - bends[0] / 2, length, bends, canvas.radius, 0, sign, pulsatile, n=72)
    slim = 1 - narrow * np.exp(-(((np.linspace(0, 1, len(discs)) - where) / 0.06) ** 2))
    discs[:, 2] *= slim
    discs[:, 3:5] /= slim[:, None] ** 2  # what flows in flows out
    return discs


def _cross_section(rng: np.random.Generator, canvas: _Canvas) -> NDArray[np.float64]:
    """One to three vessels that cross the picture's plane: artery and veins side by side."""
    rows, columns = canvas.shape
    discs = []
    for i in range(rng.integers(1, 4)):
        scale = (1, rng.uniform(0.5, 1.1))[i > 0]
        radius, sign = canvas.radius * scale, rng.choice([-1, 1])
        x, z, flat = columns * rng.uniform(0.25, 0.75), rows * rng.uniform(0.25, 0.75), rng.uniform(0, 0.6)
        tilt, pulsatile = rng.normal(0, 0.4), (rng.uniform(0.5, 0.9), rng.uniform(0, 0.3))[i > 0]
        offset = np.linspace(-flat, flat, 9) * radius
        one = np.stack([x + offset * np.cos(tilt), z + offset * np.sin(tilt)], 1)
        rest = np.tile([radius, 0.1 * sign, 0.6 * sign, pulsatile], (9, 1))
        discs.append(np.concatenate([one, rest], 1))
    return np.concatenate(discs)


def _bifurcation(rng: np.random.Generator, canvas: _Canvas) -> NDArray[np.float64]:
    """A vessel that parts into two."""
    rows, columns = canvas.shape
    x, z = columns * rng.uniform(0.35, 0.65), rows * rng.uniform(0.35, 0.65)
    angle, sign = rng.normal(0, 0.3) + np.pi * rng.integers(0, 2), rng.choice([-1, 1])
    pulsatile, bends = rng.uniform(0.3, 0.9), rng.normal(0, [0.15, 0.1], (3, 2))
    stem = _curve((x, z), angle + np.pi, 1.2 * columns, bends[0], canvas.radius, 0, -sign, pulsatile)
    spread, widths, speeds = rng.uniform(0.25, 0.7, 2), rng.uniform(0.6, 0.85, 2), rng.uniform(0.6, 1.1, 2)
    branches = [
        _curve((x, z), angle + s * a, 1.2 * columns, b, canvas.radius * w, 0.1, sign * v, pulsatile)
        for s, a, b, w, v in zip((1, -1), spread, bends[1:], widths, speeds, strict=True)
    ]  # fmt: skip
    return np.concatenate([stem, *branches])


def _vessels(rng: np.random.Generator, canvas: _Canvas) -> NDArray[np.float64]:
    """Two to four vessels of either direction, artery and veins."""
    rows, columns = canvas.shape
    discs, angle = [], rng.normal(0, 0.35)
    n = int(rng.integers(2, 5))
    for i in range(n):
        row = rows * ((i + 0.5 + rng.normal(0, 0.12)) / n)
        turn, length = angle + rng.normal(0, 0.15), 1.9 * columns
        start = (columns / 2 - np.cos(turn) * length / 2, row - np.sin(turn) * length / 2)
        radius = canvas.radius * rng.uniform(0.5, 1.0) * 2 / n
        discs.append(_curve(start, turn, length, rng.normal(0, [0.1, 0.15]), radius, 0, rng.choice([-1, 1]) *
                            rng.uniform(0.4, 1), rng.choice([rng.uniform(0, 0.3), rng.uniform(0.5, 0.9)])))  # fmt: skip
    return np.concatenate(discs)


def _organ(rng: np.random.Generator, canvas: _Canvas) -> NDArray[np.float64]:
    """A tree of small vessels that part twice, as in kidney, liver and thyroid, veins beside arteries."""
    rows, columns = canvas.shape
    root = np.array([columns * rng.uniform(0.3, 0.7), rows * rng.uniform(0.6, 0.9)])
    discs = []
    for sign, shift in ((1, 0.0), (-1, 1.6 * canvas.radius)):
        for _ in range(rng.integers(2, 4)):
            angle = -np.pi / 2 + rng.uniform(-1.1, 1.1)
            stem = _curve((root[0] + shift, root[1]), angle, rows * rng.uniform(0.2, 0.35), rng.normal(0, [0.4, 0.2]),
                          canvas.radius * 0.7, 0.3, sign, 0.6, n=14)  # fmt: skip
            discs.append(stem)
            for _ in range(rng.integers(2, 4)):
                end, turn = stem[-1, :2], angle + rng.uniform(-0.9, 0.9)
                discs.append(_curve((end[0], end[1]), turn, rows * rng.uniform(0.15, 0.35), rng.normal(0, [0.5, 0.2]),
                                    canvas.radius * 0.45, 0.5, 0.6 * sign, 0.6, n=12))  # fmt: skip
    return np.concatenate(discs)


_CENTRE_LINES = {
    "vessel": _vessel, "cross_section": _cross_section, "bifurcation": _bifurcation, "vessels": _vessels,
    "organ": _organ,
}  # fmt: skip


def _chamber(
    rng: np.random.Generator, canvas: _Canvas, beat: _Beat
) -> tuple[_Fields, Callable[[float], NDArray[np.float64]]]:
    """A ventricle and, mostly, an atrium below it, with a valve between, vortices and, at times, a leaking jet."""
    rows, columns = canvas.shape
    tilt, long, wide = rng.normal(0, 0.35), rng.uniform(1.1, 1.5), rng.uniform(0.75, 1.0)
    a, b = canvas.radius * long, canvas.radius * wide
    cx, cz = columns * rng.uniform(0.42, 0.58), rows * rng.uniform(0.42, 0.55)
    axis, side = np.array([-np.sin(tilt), np.cos(tilt)]), np.array([np.cos(tilt), np.sin(tilt)])  # axis: to the valve
    waves, phases = rng.normal(0, 0.05, 3), rng.uniform(0, 2 * np.pi, 3)
    two, jet = rng.random() < 0.7, rng.random() < 0.5
    width, off, jet_width = rng.uniform(0.35, 0.6), rng.normal(0, 0.1), rng.uniform(0.08, 0.16)
    opening = rng.uniform(0.45, 0.6) * b
    swirl = rng.uniform(0, 0.5) * rng.choice([-1, 1])
    parts = []
    for s, radii in ((0.0, (a, b)), (a + 0.75 * b, (0.75 * b, 0.95 * b)))[: 1 + two]:
        px, pz = canvas.x - (cx + s * axis[0]), canvas.z - (cz + s * axis[1])
        u, n = px * axis[0] + pz * axis[1], px * side[0] + pz * side[1]
        turn = np.arctan2(n / radii[1], u / radii[0])
        ring = 1 + sum(w * np.cos(k * turn + p) for k, w, p in zip((2, 3, 4), waves, phases, strict=True))
        q = np.hypot(u / radii[0], n / radii[1]) / ring
        slope = np.hypot(u / radii[0] ** 2, n / radii[1] ** 2) / np.maximum(q * ring**2, 1e-3)
        parts.append((q, (q - 1) / np.maximum(slope, 1e-3), u, n))
    distance = np.minimum.reduce([p[1] for p in parts])
    if two:  # the valve's orifice joins the chambers
        u, n = parts[0][2] - a, parts[0][3]
        distance = np.minimum(distance, np.maximum(np.abs(n) - opening, np.abs(u) - 0.3 * b))
    down, right = np.gradient(distance)
    normal = np.stack([right, down])
    normal /= np.maximum(np.hypot(*normal), 1e-3)
    # A stream function makes the flow free of divergence and tangential at the wall.
    stream = np.zeros_like(canvas.x)
    for q, _, _, n in parts:
        h = n / b - off
        stream += np.where(
            q < 1, (h * np.exp(-((h / width) ** 2)) + swirl * np.exp(-(q**2) * 2)) * (1 - np.minimum(q, 1) ** 2), 0
        )
    flow = np.stack([np.gradient(stream, axis=0), -np.gradient(stream, axis=1)])
    flow /= max(float(np.hypot(*flow).max()), 1e-6)
    core = np.exp(-((parts[0][3] / (1.3 * width * b)) ** 2)) * (distance < 0)
    flow += 0.6 * core * -axis[:, None, None]
    turbulence = np.full(flow.shape[1:], 0.06)
    if jet and two:
        reach = np.clip((parts[0][2] - a) / b, 0, None)
        beam = np.exp(-(((parts[0][3] / b) / (jet_width + 0.12 * reach)) ** 2)) * (reach > 0) * (distance < 0)
        flow, turbulence = flow - 1.2 * beam * axis[:, None, None] * -1, turbulence + 0.5 * beam
    fields = (distance.astype("f4"), flow.astype("f4"), np.ones_like(canvas.x), turbulence.astype("f4"),
              normal.astype("f4"))  # fmt: skip
    base = np.array([cx, cz]) + a * 0.95 * axis

    def leaflets(t: float) -> NDArray[np.float64]:
        opened = np.clip(beat.chamber(t) + 0.25, 0, 1)
        segments = []
        for s in (1, -1):
            hinge = base + s * opening * side
            angle = 0.15 + 1.2 * opened
            tip = hinge - opening * (s * np.cos(angle) * side + np.sin(angle) * axis)
            segments.append([*hinge, *tip])
        return np.array(segments)

    return fields, leaflets if two else _no_leaflets


def _no_leaflets(t: float) -> NDArray[np.float64]:
    return np.zeros((0, 4))


def _organ_echo(rng: np.random.Generator, canvas: _Canvas) -> NDArray[np.float32]:
    """A round organ with a bright capsule and a brighter centre."""
    rows, columns = canvas.shape
    u, v = canvas.x / columns - rng.uniform(0.45, 0.55), canvas.z / rows - rng.uniform(0.45, 0.55)
    r = np.hypot(u / rng.uniform(0.4, 0.6), v / rng.uniform(0.3, 0.45))
    inside = 1 / (1 + np.exp(np.clip((r - 1) * 30, -30, 30)))
    return np.asarray(rng.uniform(-6, 3) * inside + rng.uniform(5, 12) * np.exp(-(((r - 1) * 25) ** 2))
                      + rng.uniform(0, 7) * np.exp(-((r / 0.45) ** 2)), np.float32)  # fmt: skip


def _wall_echo(
    rng: np.random.Generator, distance: NDArray[np.float32], normal: NDArray[np.float32], kind: str
) -> NDArray[np.float32]:
    """Walls: brightest where they face the probe; intima, media and adventitia of vessels, heart muscle."""
    facing = rng.uniform(0.15, 0.5) + rng.uniform(0.5, 0.85) * np.abs(normal[1]) ** rng.uniform(1, 4)
    bright, width = rng.uniform(8, 22), rng.uniform(0.8, 2.0)
    wall = bright * np.exp(-(((distance - width) / width) ** 2))
    if kind == "chamber":
        muscle = rng.uniform(5, 11)
        wall += rng.uniform(-4, 3) * ((distance > 0) & (distance < muscle))
        wall += rng.uniform(4, 12) * np.exp(-(((distance - muscle) / 1.5) ** 2))
    elif rng.random() < 0.6:
        gap = rng.uniform(2, 5)
        wall -= rng.uniform(2, 7) * np.exp(-(((distance - gap) / 1.2) ** 2))
        wall += rng.uniform(6, 18) * np.exp(-(((distance - 1.9 * gap) / rng.uniform(1.2, 2.5)) ** 2))
    return np.asarray(wall * facing, np.float32)


def _drift(rng: np.random.Generator) -> Callable[[float], NDArray[np.float64]]:
    """Slow motion of everything: breathing and the probe."""
    speed, sway, phase = rng.normal(0, 2.5, 2), rng.normal(0, 0.8, 2), rng.uniform(0, 2 * np.pi, 2)

    def drift(t: float) -> NDArray[np.float64]:
        return np.asarray(speed * t + sway * np.sin(2 * np.pi * t + phase))

    return drift
