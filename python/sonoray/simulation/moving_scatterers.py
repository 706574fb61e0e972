"""Beamformed I/Q images of moving scatterers with a known velocity: cheap truth for Doppler estimators.

Every scatterer has its place and its phase along both directions, so that velocity vectors, aliasing and displacement
can be checked to a small share of a wavelength. `flow_images` makes the same images of a beam by convolution, in a
time that does not grow with the scatterers; clips by the thousand are made of those.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, scalar
from ..errors import ArgumentError
from ..media.grids import Grid

_FWHM = 2 * np.sqrt(2 * np.log(2))
Field = Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[Any, Any]]


def simulate_flow_images(
    grid: Grid,
    velocity: Field,
    frame_times: Any,
    center_frequency: float,
    *,
    sound_speed: float = 1540.0,
    angles: tuple[float, float] = (0.0, 0.0),
    resolution: tuple[float, float] = (5e-4, 3e-4),
    region: Callable[[NDArray[np.float64], NDArray[np.float64]], Any] | None = None,
    density: float = 10.0,
    seed: int = 0,
) -> NDArray[np.complex64]:
    """Images of scatterers that drift with a velocity field, through a Gaussian point spread function.

    image_n(p) = sum_s a_s g(p - p_s(t_n)) exp(2 pi i f (tau(p) - tau(p_s))), with tau(p) = p . (u_tx + u_rx) / c the
    time along the two directions and g a Gaussian along x and z. Images add: call it for blood and for tissue.

    Parameters
    ----------
    grid : Grid
        2-D.
    velocity : callable
        From x and z [m], arrays, to velocities along x and z [m/s]. Steady; z points away from the probe.
    frame_times : (n_frames,) float64 [s]
        When the frames are taken, evenly or not.
    center_frequency : float [Hz]
    sound_speed : float [m/s]
    angles : (transmit, receive) [rad]
        From the z axis towards x.
    resolution : (lateral, axial) [m]
        Full widths at half maximum of the point spread function's magnitude.
    region : callable, optional
        From x and z to bool: where scatterers start. Default everywhere.
    density : float
        Scatterers per resolution cell.
    seed : int
        Of places and complex normal amplitudes; equal seeds are the same scatterers.

    Returns
    -------
    (n_frames, *grid.shape) complex64
        Mean power about 1 where there are scatterers.

    Raises
    ------
    ArgumentError
        A grid that is not 2-D, values in the wrong unit, more than 2 million scatterers.
    """
    if not isinstance(grid, Grid) or grid.ndim != 2:
        raise ArgumentError(f"grid: expected a 2-D Grid, got {grid!r}")
    times = array("frame_times", frame_times, (None,), low=-1e3, high=1e3, unit="s")
    wave = 2 * np.pi * scalar("center_frequency", center_frequency, 2e4, 1e8, "Hz")
    wave /= scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s")
    widths = array("resolution", resolution, (2,), low=1e-6, high=1e-1, unit="m")
    tilt = array("angles", angles, (2,), low=-np.pi / 2, high=np.pi / 2, unit="rad")
    wave_x, wave_z = wave * np.sin(tilt).sum(), wave * np.cos(tilt).sum()
    (x0, x1), (z0, z1) = grid.extent
    margin = 2 * widths
    low, high = np.array([x0, z0]) - margin, np.array([x1, z1]) + margin
    number = scalar("density", density, 0.1, 1e4, "(per cell)") * np.prod((high - low) / widths)
    if number > 2e6:
        raise ArgumentError(f"density: expected at most 2 million scatterers, got {number:.0f}")
    rng = np.random.default_rng(seed)
    x, z = rng.uniform(low, high, (int(number), 2)).T
    amplitude = rng.standard_normal((int(number), 2)) @ [1, 1j]
    # power at a point: 2 per amplitude, times scatterers per area, times the integral of g^2
    amplitude /= np.sqrt(2 * number / np.prod(high - low) * np.pi * np.prod(widths / _FWHM))
    if region is not None:
        inside = np.broadcast_to(np.asarray(region(x, z), bool), x.shape)
        x, z, amplitude = x[inside], z[inside], amplitude[inside]
    frames = np.empty((len(times), *grid.shape), "c8")
    now = times[0]
    for n, time in enumerate(times):
        x, z = _moved(velocity, x, z, time - now)
        now = time
        # The Gaussian and the phase are products of one factor in x and one in z.
        across = _factor(grid.x, x, widths[0], wave_x) * amplitude
        frames[n] = across.astype("c8") @ _factor(grid.z, z, widths[1], wave_z).astype("c8").T
    return frames


def _factor(axis: NDArray[Any], at: NDArray[np.float64], width: float, wave: float) -> NDArray[np.complex128]:
    offset = axis[:, None] - at
    return np.asarray(np.exp(-0.5 * (offset * (_FWHM / width)) ** 2 + 1j * wave * offset))


def _moved(
    velocity: Field, x: NDArray[np.float64], z: NDArray[np.float64], step: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scatterers one interval later, by the midpoint rule."""
    if step == 0:
        return x, z
    vx, vz = velocity(x, z)
    vx, vz = velocity(x + step / 2 * np.asarray(vx), z + step / 2 * np.asarray(vz))
    return x + step * np.asarray(vx), z + step * np.asarray(vz)
