"""The ray-Born operator: scattering of single waves between Green's functions of rays, as matrix products."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backends import backend, place
from .._blas import one_blas_thread
from .._checks import array, option, scalar
from .._scipy import linear_operator
from ..errors import ArgumentError
from ..media.grids import Grid
from ..rays.amplitudes import dispersion_delay
from .born_device import DeviceTiles
from .born_waves import NO_LATTICE, Complex, Fields, Look, Side, Tone, Workspace, facing, lattice, speed_at
from .pairs import checked_pairs

WEIGHTINGS = ("uniform", "rwave", "beylkin")
_TILE_BYTES = 2e6  # of the waves of a tile: they stay in a processor's cache between the kernel and the product
_TILE_ROWS = 2  # points of a tile per element, at least: else adding up the data of tiles takes longer than products
_CHUNKS = 16  # parts of the points, at most, whose sums are added up in order: results do not depend on threads
_BLOCK = 32  # columns of a triangular product


class BornOperator:
    """Linear change of the data of one frequency with the squared slowness, and ways back, in 2-D.

    dP_er = omega^2 sum over points x of G(x_e, x) dm(x) G(x, x_r) dA with m = 1 / c^2 and the Green's functions of
    rays G = sqrt(2 c f / (pi omega r)) / 4 exp(i (omega T + pi / 4 - caustics pi / 2)), where f is the focusing of
    `GreensFields`. The time factor is exp(-i omega t).

    The sum over points is a product of matrices, the sums over pairs of `adjoint` and `backproject` are one, too:
    tiles of Green's functions are computed on the fly by the compiled core and multiplied by NumPy's BLAS, so that
    memory does not grow with the number of points.

    Parameters
    ----------
    fields_e, fields_r : GreensFields
        Of emitters and receivers; the same object for elements that are both, which halves the work.
    frequency : float [Hz]
    cell_area : float [m^2]
        dA of a point.
    points : (n, 3) float64, optional [m]
        Image points, in the plane y = 0. Default: those of the fields.
    grid : Grid, optional
        2-D grid at whose nodes the fields lie, if they are not given at the image points: they are interpolated
        linearly (the distance to the source is not: it is exact). Points outside take values of the border.
    pairs : (n_tx, n_rx) bool, optional
        Which pairs count; the others are 0 in data and left out of images. Default all.
    exponent : float, optional
        Of the absorption's power law. Default that of the fields.
    reference_frequency : float, optional [Hz]
        Where the medium's sound speed holds in spite of dispersion; see `dispersion_delay`.
    device : {"cpu", "cuda", "cuda:N"}, optional
        Data and images are host arrays in either case; what is between stays on the device.

    Raises
    ------
    ArgumentError
        Fields of different points, sizes that do not fit, absorption without an exponent, wrong units.

    References
    ----------
    .. [1] G. Beylkin, Imaging of discontinuities in the inverse scattering problem by inversion of a causal
       generalized Radon transform, J. Math. Phys. 26, 99 (1985).
    .. [2] A. Javaherian, Hessian-inversion-free ray-born inversion for high-resolution quantitative ultrasound
       tomography, arXiv:2211.00316 (2022).
    """

    def __init__(
        self,
        fields_e: Fields,
        fields_r: Fields,
        frequency: float,
        *,
        cell_area: float,
        points: Any = None,
        grid: Grid | None = None,
        pairs: Any = None,
        exponent: float | None = None,
        reference_frequency: float | None = None,
        device: str = "cpu",
    ) -> None:
        self.device, self._module = device, backend(device)
        if fields_e.reference_sound_speed != fields_r.reference_sound_speed:
            raise ArgumentError("fields_r: expected the reference sound speed of fields_e")
        if fields_r is not fields_e and not np.array_equal(fields_e.points, fields_r.points):
            raise ArgumentError("fields_r: expected fields at the points of fields_e")
        self.points = array(
            "points", fields_e.points if points is None else points, (None, 3), low=-2.0, high=2.0, unit="m"
        )
        if not len(self.points):
            raise ArgumentError("points: expected at least one point, got none")
        if points is not None and grid is None:
            raise ArgumentError("grid: expected the grid of the fields' nodes, since points are given, got None")
        self._lattice = lattice(grid, fields_e)
        self.reference_sound_speed = fields_e.reference_sound_speed
        self._local_speed = speed_at(fields_e, self.points, grid)
        self._e = Side("fields_e", fields_e)
        self._r = self._e if fields_r is fields_e else Side("fields_r", fields_r)
        self.shape = (self._e.n, self._r.n)
        """(n_tx, n_rx): shape of the data."""
        self.cell_area = scalar("cell_area", cell_area, 1e-12, 1e-2, "m^2")
        self.pairs = _checked_pairs(pairs, self.shape)
        self._exponent = getattr(fields_e, "exponent", None) if exponent is None else exponent
        if self._exponent is None and (self._e.absorption is not None or self._r.absorption is not None):
            raise ArgumentError(
                "exponent: expected the power of the absorption law, since the medium absorbs, got None"
            )
        self._reference_frequency = reference_frequency
        self._plane = np.ascontiguousarray(self.points[:, [0, 2]].T, np.float32)
        self._rooms: list[Workspace] = []
        self._tiles: DeviceTiles | None = None
        if device != "cpu":
            sides = [self._e] if self._r is self._e else [self._e, self._r]
            self._tiles = DeviceTiles(
                self._module, device, sides, self._lattice, self._plane, self.reference_sound_speed
            )
        self._set(frequency)

    def at(self, frequency: float) -> "BornOperator":
        """Return the operator of another frequency; geometry and buffers are shared."""
        other = copy(self)
        other._set(frequency)
        return other

    def __len__(self) -> int:
        """Number of image points."""
        return len(self.points)

    def __call__(self, change: Any) -> Complex:
        """Change of the data.

        Parameters
        ----------
        change : (n,) float64 or complex128 [s^2/m^2]
            Of 1 / c^2, at the points.

        Returns
        -------
        (n_tx, n_rx) complex64
            Per unit of the source's spectrum.
        """
        kind = np.complex128 if np.iscomplexobj(change) else np.float64
        factor = array("change", change, (len(self.points),), kind) * self._strength()
        same = self._r is self._e
        first = np.sqrt(factor.astype(np.complex128)).astype(np.complex64) if same else factor.astype(np.complex64)
        look = Look(first, np.ones(len(factor), np.complex64))

        def predict(tiles: list[slice], work: Workspace) -> Complex:
            data, part = np.zeros(self.shape, np.complex64), work.room("product", self.shape)
            for tile in tiles:
                if not first[tile].any():
                    continue
                left = self._waves(work, self._e, tile, look)[0]
                right = left if same else self._waves(work, self._r, tile, look)[0]
                np.matmul(left.T, right, out=part)  # of an array with its own transpose NumPy computes one half
                data += part
            return data

        if self._tiles is not None:
            data = self._tiles.predict(look, self._tone)
        else:
            data = sum(self._in_threads(predict, self._e.n + (0 if same else self._r.n)))
        return data if self.pairs is None else np.where(self.pairs, data, np.complex64(0))

    def adjoint(self, residual: Any, *, complex: bool = False) -> NDArray[Any]:
        """Transpose: Re of omega^2 dA sum over pairs of conj(G_e G_r) residual.

        Parameters
        ----------
        residual : (n_tx, n_rx) complex64
        complex : bool
            Keep the imaginary part: the transpose for complex changes.

        Returns
        -------
        (n,) float64 or complex128
        """
        total = self._sum_over_pairs(residual, np.ones(1, np.float32), None, 0.0)
        total *= self._strength()
        return total if complex else np.ascontiguousarray(total.real)

    def aslinearoperator(self) -> Any:
        """The operator for `scipy.sparse.linalg`, on data as vectors in C order.

        Returns
        -------
        scipy.sparse.linalg.LinearOperator
            (n_tx n_rx, n) complex64. Changes are complex there, too: the imaginary part is what absorption would be.
        """
        shape = (self.shape[0] * self.shape[1], len(self.points))
        back = partial(self.adjoint, complex=True)
        return linear_operator(shape, np.complex64, self, lambda data: back(data.reshape(self.shape)))

    def backproject(
        self,
        residual: Any,
        weighting: str = "uniform",
        *,
        pitch: Any,
        normals: Any = None,
        largest_gain: float = 10.0,
    ) -> NDArray[np.complex128]:
        """One step of the inversion without a Hessian: residuals times inverse Green's functions and angle measures.

        -1 / ((2 pi)^3 omega c^2) sum over pairs of w (dtheta_e / a_e) (dtheta_r / a_r) exp(-i (Psi_e + Psi_r))
        residual [1]_ [2]_: times the frequencies' spacing in rad/s and added up over the frequencies, its real part is
        the change of 1 / c^2. dtheta is the angle by which the ray at the point turns from one element to the next, a
        and Psi the amplitude and phase of its Green's function.

        Parameters
        ----------
        residual : (n_tx, n_rx) complex64
            Predicted minus measured data.
        weighting : {"uniform", "rwave", "beylkin"}
            w: 2, abs(t_e - t_r)^2 or abs(t_e + t_r)^2 with the rays' directions t at the point, away from the
            elements. Straight transmission counts most in the second, nothing in the third, which inverts the
            linear operator exactly for complete data of small changes. The first takes one product, the others three.
        pitch : float, (n_sources,), or (emitters', receivers') [m]
            Length of the array's curve per element.
        normals : (n_sources, 3), or (emitters', receivers'), optional
            Of the array's curve; without them rays are taken to leave along the normal.
        largest_gain : float
            The most by which amplitudes of one element are raised to make up for absorption.

        Returns
        -------
        (n,) complex128
            The imaginary part is what absorption would explain.
        """
        option("weighting", weighting, WEIGHTINGS)
        sign = {"uniform": 0.0, "rwave": -2.0, "beylkin": 2.0}[weighting]
        factor = np.array([2.0, sign, sign] if sign else [2.0], np.float32)
        both = self._r is self._e
        facings = [
            facing(side, _which(pitch, k), _which(normals, k))
            for k, side in enumerate((self._e,) if both else (self._e, self._r))
        ]
        cap = float(np.log(scalar("largest_gain", largest_gain, 1.0, 1e4, "(factor)")))
        total = self._sum_over_pairs(residual, factor, facings, cap)
        return np.asarray(-total / (np.pi**2 * self.reference_sound_speed * self._local_speed**2))

    def _set(self, frequency: float) -> None:
        self.frequency = scalar("frequency", frequency, 1e3, 1e9, "Hz")
        power, delay = 0.0, 0.0
        if self._exponent is not None:
            y = scalar("exponent", self._exponent, 0.0, 3.0, "(power)")
            power = (self.frequency / 1e6) ** y
            reference = self._reference_frequency
            if self._e.absorption is not None or self._r.absorption is not None:
                delay = float(dispersion_delay(np.ones(1), self.frequency, y, reference_frequency=reference)[0])
        self._tone = Tone(self.frequency, power, delay)

    def _strength(self) -> float:
        """Of scattering: omega^2 dA times the amplitudes of two Green's functions at r / f = 1."""
        omega = 2 * np.pi * self.frequency
        return omega**2 * self.cell_area * self.reference_sound_speed / (8 * np.pi * omega)

    def _in_threads(self, work: Callable[[list[slice], Workspace], Any], n_sources: int) -> list[Any]:
        """Results of ``work`` on parts of the points, in their order; each part is a list of tiles."""
        size = max(64, int(_TILE_BYTES / (8 * n_sources)) // 64 * 64, _TILE_ROWS * max(self.shape))
        tiles = [slice(i, min(i + size, len(self.points))) for i in range(0, len(self.points), size)]
        n = min(len(tiles), _CHUNKS)
        chunks = [tiles[len(tiles) * k // n : len(tiles) * (k + 1) // n] for k in range(n)]

        def run(chunk: list[slice]) -> Any:
            try:
                room = self._rooms.pop()
            except IndexError:
                room = Workspace()
            room.threads = 1 if alone else place(self.device)
            try:
                return work(chunk, room)
            finally:
                self._rooms.append(room)

        with one_blas_thread() as alone:
            threads = min(n, place(self.device) or self._module.thread_count())
            if not alone or threads == 1:
                return [run(chunk) for chunk in chunks]
            with ThreadPoolExecutor(threads) as pool:
                return list(pool.map(run, chunks))

    def _waves(self, work: Workspace, side: Side, tile: slice, look: Look) -> Complex:
        """Green's functions (planes, points of the tile, elements), weighted as ``look`` says."""
        out = work.room("left" if side is self._e else "right", (look.planes, len(self.points[tile]), side.n))
        toward = None if look.facings is None else look.facings[0 if side is self._e else 1]
        scale = look.scale if side is self._e else look.other
        self._module.born_waves(
            side.sources,
            *side.rows(tile if self._lattice is None else slice(None)),
            self.reference_sound_speed,
            *(self._lattice or NO_LATTICE),
            np.ascontiguousarray(self._plane[:, tile]),
            scale[tile],
            toward,
            self.frequency,
            -self._tone.power if toward is None else self._tone.power,
            look.cap,
            self._tone.delay,
            out,
            work.threads,
            0,
        )
        return out

    def _sum_over_pairs(self, residual: Any, factor: Any, facings: Any, cap: Any) -> NDArray[np.complex128]:
        """Sum over planes q and pairs of factor_q conj(w_eq w_rq) residual_er at every point."""
        values = array("residual", residual, self.shape, np.complex64)
        if self.pairs is not None:
            values = np.where(self.pairs, values, np.complex64(0))
        same, planes = self._r is self._e, len(factor)
        result = np.empty(len(self.points), np.complex64)
        one = np.ones(len(self.points), np.complex64)
        look = Look(one, one, facings, cap, planes)
        # conj(a) M conj(b) is conj(a conj(M) b): no conjugate of a large array is ever made.
        if self._tiles is not None:
            found = self._tiles.project(look, self._tone, values.conj().T, factor)
            return found.conj().astype(np.complex128)
        matrix = _upper(values.conj()) if same else np.ascontiguousarray(values.conj().T)

        def project(tiles: list[slice], work: Workspace) -> None:
            for tile in tiles:
                left = self._waves(work, self._e, tile, look)
                product = work.room("product", left.shape)
                if same:
                    _times_upper(left.reshape(-1, self._e.n), matrix, product.reshape(-1, self._e.n))
                else:
                    right = self._waves(work, self._r, tile, look)
                    np.matmul(right.reshape(-1, self._r.n), matrix, out=product.reshape(-1, self._e.n))
                self._module.born_rowdot(left, product, factor, result[tile], work.threads, 0)

        self._in_threads(project, planes * (self._e.n + (0 if same else self._r.n)))
        return result.conj().astype(np.complex128)


def _checked_pairs(pairs: Any, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    if pairs is None:
        return None
    chosen = checked_pairs(pairs, shape)
    return None if chosen.all() else chosen


def _which(value: Any, side: int) -> Any:
    return value[side] if isinstance(value, tuple) else value


def _upper(matrix: NDArray[Any]) -> Complex:
    """Upper triangle with the same quadratic form: of g M g only the symmetric part of M counts."""
    both = np.triu(matrix) + np.tril(matrix, -1).T
    return np.ascontiguousarray(both, np.complex64)


def _times_upper(left: Complex, upper: Complex, out: Complex) -> None:
    """Left times an upper triangle, by blocks of columns; what lies below is not multiplied."""
    n = len(upper)
    blocks = max(1, min(8, n // _BLOCK))
    ends = [n * k // blocks for k in range(blocks + 1)]
    for a, b in pairwise(ends):
        np.matmul(left[:, :b], upper[:b, a:b], out=out[:, a:b])
