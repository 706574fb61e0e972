"""Ray-Born reconstruction, judged on data of the Helmholtz equation (all scattering), and its parts.

Evidence: an independent solver's data with known truth; finite differences of the misfit; invariance under gains of the
elements; round trips through checkpoints; the gain of the Hessian's symbol against the exact operator.
"""

import numpy as np
import pytest

from sonoray import ArgumentError, FormatError, Grid, Medium
from sonoray.assets import load_ring_example
from sonoray.inversion.born_level import LevelMaker
from sonoray.inversion.born_scene import make_scene
from sonoray.inversion.born_settings import RayBornSettings
from sonoray.inversion.born_updates import State, make_update
from sonoray.inversion.evaluation import sound_speed_errors
from sonoray.inversion.hessian_symbol import HessianSymbol
from sonoray.inversion.ray_born import reconstruct_ray_born
from sonoray.inversion.spectra import Spectra
from sonoray.simulation import simulate_helmholtz

WATER, RADIUS, N = 1500.0, 0.022, 48
FREQUENCIES = np.linspace(0.25e6, 0.5e6, 8)


def ring():
    angle = 2 * np.pi * (np.arange(N) + 0.3) / N
    return RADIUS * np.c_[np.cos(angle), 0 * angle, np.sin(angle)]


def phantom(absorption=None):
    grid = Grid.from_extent(x=(-0.024, 0.024), z=(-0.024, 0.024), spacing=0.6e-3)
    x, z = np.meshgrid(grid.x, grid.z, indexing="ij")
    c = np.full(grid.shape, WATER)
    body = np.hypot(x - 0.001, z) < 0.012
    c[body] = 1520.0
    c[np.hypot(x + 0.003, z - 0.004) < 0.003] = 1480.0
    c[np.hypot(x - 0.005, z + 0.003) < 0.002] = 1550.0
    return Medium(grid, c, absorption=None if absorption is None else np.where(body, absorption, 0.0))


def measured(medium, **options):
    p = ring()
    values = simulate_helmholtz(medium, p, FREQUENCIES, layer=1.5, **options).astype(np.complex64)
    return Spectra(FREQUENCIES, values, ~np.eye(N, dtype=bool))


@pytest.fixture(scope="module")
def data():
    return measured(phantom())


def invert(data, **options):
    options = {"emitters": ring(), "receivers": ring(), "sound_speed": WATER, "spacing": 0.5e-3, **options}
    return reconstruct_ray_born(data, **options)


def error(result):
    return sound_speed_errors(result.medium, phantom(), WATER, radius=0.018)["relative_error"]


@pytest.fixture(scope="module")
def found(data):
    return invert(data, truth=phantom())


def test_map_from_water_on_data_of_another_solver(found):
    assert error(found) < 30  # water: 100; the pixels of the edges alone make 15
    h = found.history
    assert len(h) == found.total == 4
    assert h[-1]["relative_error"] < h[0]["relative_error"] < 100
    assert [e["low"] for e in h] == sorted(e["low"] for e in h)


def test_the_symbol_does_as_well_as_the_exact_hessian(data, found):
    newton = error(invert(data, method="gauss_newton"))
    assert error(found) < 1.1 * newton < 33


def test_plain_gradient_improves_the_map(data):
    assert error(invert(data, method="gradient")) < 40


@pytest.mark.parametrize(("weighting", "most"), [("rwave", 32), ("uniform", 46)])
def test_published_step_improves_the_map(data, weighting, most):
    """Steps three times too short leave 52 and 69 %."""
    settings = RayBornSettings.published(frequencies=None, weighting=weighting, step=0.3)
    assert error(invert(data, settings=settings)) < most


def test_gains_of_the_elements_do_not_change_the_map(data, found):
    rng = np.random.default_rng(1)
    a, b = (np.exp(0.3 * rng.standard_normal(N) + 2j * np.pi * rng.random(N)) for _ in range(2))
    values = (data.values * a[:, None] * b).astype(np.complex64)
    other = invert(data.with_(values=values))
    difference = sound_speed_errors(other.medium, found.medium, WATER, radius=0.018)["relative_error"]
    assert difference < 2  # gains are iterated to 1e-5


def test_noise_and_wild_data_do_not_ruin_the_map(data):
    rng = np.random.default_rng(2)
    level = np.median(np.abs(data.values[:, ~np.eye(N, dtype=bool)]))
    noise = rng.standard_normal((2, *data.values.shape))
    values = data.values + 0.1 * level * (noise[0] + 1j * noise[1]) / np.sqrt(2)
    wild = rng.random(values.shape) < 0.02
    values = np.where(wild, 30 * level, values).astype(np.complex64)
    assert error(invert(data.with_(values=values))) < 35


def test_absorption_is_estimated():
    lossy = phantom(absorption=20.0)  # 1.7 dB/cm at 1 MHz: strong, since the disc is small
    data = measured(lossy, exponent=2.0)  # no dispersion with an even power
    options = {"exponent": 2.0, "gain": "none"}
    result = invert(data, absorption=None, settings=RayBornSettings(absorption="estimated", **options))
    x, z = np.meshgrid(result.medium.grid.x, result.medium.grid.z, indexing="ij")
    inside, outside = np.hypot(x - 0.001, z) < 0.01, np.hypot(x - 0.001, z) > 0.014
    alpha = result.medium.absorption
    assert abs(alpha[inside].mean() - 20) < 4
    assert alpha[outside & (np.hypot(x, z) < 0.018)].mean() < 2
    assert error(result) < 25
    known = invert(data, absorption=lossy, settings=RayBornSettings(absorption="known", **options))
    ignored = invert(data, settings=RayBornSettings(**options))
    assert known.history[-1]["residual"] < 0.7 * ignored.history[-1]["residual"]


def scene_of(data, spacing=0.5e-3):
    return make_scene(data, ring(), ring(), WATER, 0.785, None, spacing)


def test_gradient_is_that_of_the_misfit(data):
    """The transpose at a map with no split: finite differences of the linear prediction's misfit."""
    scene = scene_of(data)
    settings = RayBornSettings(gain="none", robust="none", frequencies_per_set=2)
    maker = LevelMaker(scene, settings, 0.4e6, "cpu")
    level = maker.around(np.zeros(scene.n_nodes), None, [2, 3])
    rng = np.random.default_rng(3)
    direction = rng.standard_normal(scene.n_nodes)
    slope = sum(d.transposed(d.residual, WATER).real for d in level.data) @ direction * 0.25e-6

    def misfit(step):
        return 0.5 * sum(
            float((d.weights * np.abs(d.residual - d.forward(step * direction + 0j, WATER)) ** 2).sum(dtype=float))
            for d in level.data
        )

    size = 1e-2
    numeric = (misfit(-size) - misfit(size)) / (2 * size)
    assert slope == pytest.approx(numeric, rel=2e-3)


def test_symbol_is_that_of_the_exact_hessian():
    """Smooth waves across the image: their energy under the exact Hessian and under its symbol."""
    n, radius = 128, 0.05
    angle = 2 * np.pi * np.arange(n) / n
    p = radius * np.c_[np.cos(angle), 0 * angle, np.sin(angle)]
    frequencies = np.array([0.3e6])
    data = Spectra(frequencies, np.ones((1, n, n), np.complex64), ~np.eye(n, dtype=bool))
    scene = make_scene(data, p, p, WATER, 0.785, None, 1e-3)
    settings = RayBornSettings(gain="none", robust="none")
    level = LevelMaker(scene, settings, 0.3e6, "cpu").around(np.zeros(scene.n_nodes), None, [0])
    symbol = HessianSymbol(scene.grid, scene.mask, scene.radius, settings.largest_angle)
    points = scene.grid.points().reshape(-1, 3)[scene.mask.ravel()]
    window = np.exp(-((points**2).sum(axis=1)) / (2 * 0.012**2))
    d = level.data[0]
    for kappa in (400.0, 800.0, 1400.0):
        v = window * np.cos(kappa * points[:, 0])
        exact = v @ d.transposed(d.forward(v + 0j, WATER), WATER).real / level.total
        model = v @ symbol.apply(symbol.of(d.wave_number, level.fraction), v)
        assert model == pytest.approx(exact, rel=0.15), kappa


def test_resumes_bit_for_bit(data, found, tmp_path):
    path = tmp_path / "born.checkpoint"

    class StopHereError(Exception):
        pass

    def stop(result):
        if len(result.history) == 2:
            raise StopHereError

    with pytest.raises(StopHereError):
        invert(data, checkpoint=path, report=stop, truth=phantom())
    again = invert(data, checkpoint=path, resume=True, truth=phantom())
    assert np.array_equal(again.medium.sound_speed, found.medium.sound_speed)
    assert len(again.history) == len(found.history)
    with pytest.raises(ArgumentError, match="checkpoint"):
        invert(data, checkpoint=path, resume=True, regularization=0.02)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(FormatError):
        invert(data, checkpoint=path, resume=True)


def test_initial_map_is_used_and_the_tolerance_ends_early(data):
    result = invert(data, initial=phantom(), tolerance=0.9)
    assert len(result.history) == 3
    assert error(result) < 25


def test_updates_refuse_nothing_and_keep_bounds(data):
    result = invert(data, lowest=1490.0, highest=1510.0)
    assert result.medium.sound_speed.min() >= 1489.99
    assert result.medium.sound_speed.max() <= 1510.01


def test_subset_of_elements(data, found):
    pairs = np.zeros((N, N), bool)
    pairs[::2, 1::2] = True
    assert error(invert(data, pairs=pairs)) < 45
    everything = invert(data.with_(pairs=np.ones((N, N), bool) & ~np.eye(N, dtype=bool)))
    assert np.array_equal(everything.medium.sound_speed, found.medium.sound_speed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sound_speed": None}, "sound_speed"),
        ({"sound_speed": 1.5}, "sound_speed"),
        ({"sound_speed": 1200.0}, "lowest, highest"),
        ({"emitters": None}, "emitters"),
        ({"emitters": ring() * 1e3}, "emitters"),
        ({"receivers": ring()[:5]}, "receivers"),
        ({"pairs": np.ones((3, 3), bool)}, "pairs"),
        ({"pairs": np.zeros((N, N), bool)}, "pairs"),
        ({"spacing": 1.0}, "spacing"),
        ({"method": "newton"}, "method"),
        ({"iterations": 3}, "options"),
        ({"frequencies": (1.0, 2.0)}, "frequencies"),
        ({"frequencies": (0.5, 0.9, 10)}, "frequencies"),
        ({"initial": 1500.0}, "initial"),
        ({"absorption": 3.0}, "absorption"),
        ({"settings": RayBornSettings(absorption="known")}, "absorption"),
        ({"initial": Medium(Grid.from_extent(x=(1, 1.1), z=(0, 0.1), spacing=0.01), 1500.0)}, "initial"),
        ({"settings": RayBornSettings(frequencies=(1e6, 2e6, 5))}, "frequencies"),
        ({"emitters": ring() + np.linspace(0, 0.02, N)[:, None] * [0, 1, 0]}, "plane"),
        ({"grid": Grid.from_extent(x=(-0.01, 0.01), z=(-0.01, 0.01), spacing=1e-3)}, "grid"),
    ],
)
def test_refusals_name_the_argument(data, change, message):
    with pytest.raises(ArgumentError, match=message):
        invert(data, **change)


def test_order_of_frequencies_does_not_matter(data, found):
    backwards = data.select(np.arange(len(FREQUENCIES))[::-1])
    assert np.array_equal(invert(backwards).medium.sound_speed, found.medium.sound_speed)


def test_a_silent_set_is_passed_over_and_silence_refused(data):
    values = data.values.copy()
    values[2:4] = 0
    assert error(invert(data.with_(values=values))) < 45
    with pytest.raises(ArgumentError, match="zero"):
        invert(data.with_(values=0 * values))
    with pytest.raises(ArgumentError, match="frequencies"):
        invert(data.select([0]), method="single_step")


def test_published_mode_refuses_absorption():
    with pytest.raises(ArgumentError, match="absorption"):
        RayBornSettings.published(absorption="known")


def quick_ring():
    data, water, truth = load_ring_example()
    pairs = np.zeros((64, 64), bool)
    pairs[::4, 2::4] = True
    return data, water, truth, {"pairs": pairs, "spacing": 4e-3, "initial": truth}


def test_recordings_without_sound_are_refused():
    data, water, _, options = quick_ring()
    rng = np.random.default_rng(0)
    with pytest.raises(ArgumentError, match="frequencies"):
        reconstruct_ray_born(data, water, frequencies=(2.0e6, 2.4e6, 4), **options)
    noise = data.with_(samples=rng.standard_normal(data.samples.shape, np.float32))
    with pytest.raises(ArgumentError, match="frequencies"):
        reconstruct_ray_born(noise, None, frequencies=(0.3e6, 0.4e6, 4), **options)
    with pytest.raises(ArgumentError, match="constant"):
        reconstruct_ray_born(data.with_(samples=0 * data.samples), None, frequencies=(0.3e6, 0.4e6, 4), **options)
    with pytest.raises(ArgumentError, match="pairs"):
        reconstruct_ray_born(data, water, **{**options, "pairs": np.ones((8, 64), bool)})


def test_the_speed_of_the_water_shots_counts():
    data, water, _, options = quick_ring()
    options |= {"frequencies": (0.3e6, 0.4e6, 4), "gain": "none"}
    same = reconstruct_ray_born(data, water, **options)
    other = reconstruct_ray_born(data, water.with_(sound_speed=water.sound_speed - 1), **options)
    given = reconstruct_ray_born(data, water, water_sound_speed=water.sound_speed - 1, **options)
    assert not np.array_equal(same.medium.sound_speed, other.medium.sound_speed)
    assert np.array_equal(given.medium.sound_speed, other.medium.sound_speed)


def test_refuses_other_data():
    with pytest.raises(ArgumentError, match="data"):
        reconstruct_ray_born(np.zeros((3, 3)))


@pytest.mark.parametrize("field", ["step", "regularization", "memory", "largest_angle", "tolerance", "smoothing"])
def test_settings_refuse_what_is_out_of_range(field):
    with pytest.raises(ArgumentError, match=field):
        RayBornSettings(**{field: -1.0})


def test_absorption_is_not_estimated_by_methods_that_cannot():
    with pytest.raises(ArgumentError, match="absorption"):
        RayBornSettings(absorption="estimated", method="gradient")


def test_update_keeps_a_map_that_explains_the_data(data):
    """Residuals of zero leave the map where regularisation lets it be."""
    scene = scene_of(data)
    settings = RayBornSettings(gain="none", robust="none", regularization=0.0)
    level = LevelMaker(scene, settings, 0.4e6, "cpu").around(np.zeros(scene.n_nodes), None, [0, 1])
    for d in level.data:
        d.residual[...] = 0
    state = State(np.zeros(scene.n_nodes))
    make_update(scene, settings)(level, state)
    assert np.abs(state.chi).max() == 0


def shipped_ring(level):
    """Raw traces of the shipped ring with white noise [dB below the peak opposite in water], water, truth."""
    data, water, truth = load_ring_example()
    peak = np.abs(water.samples[0, 0, water.n_rx // 2]).max()
    rng = np.random.default_rng(0)

    def noisy(d):
        noise = rng.standard_normal(d.samples.shape, np.float32)
        return d.with_(samples=d.samples + np.float32(peak * 10 ** (-level / 20)) * noise)

    return noisy(data), noisy(water), truth


@pytest.mark.slow
@pytest.mark.parametrize(("level", "with_water", "most"), [(40, True, 18), (40, False, 18), (30, True, 18)])
def test_from_raw_traces_of_a_full_wave_solver(level, with_water, most):
    data, water, truth = shipped_ring(level)
    result = reconstruct_ray_born(data, water if with_water else None)

    def error(radius):
        return sound_speed_errors(result.medium, truth, result.sound_speed, radius=radius)["relative_error"]

    assert error(0.1) < most
    assert error(0.06) < 15
    x, z = np.meshgrid(result.medium.grid.x, result.medium.grid.z, indexing="ij")
    for cx, cz, radius, speed in ((-16, 12, 10, 1475), (18, 14, 8, 1545), (-6, -22, 6, 1460), (22, -14, 4, 1520)):
        inside = np.hypot(x - 1e-3 * cx, z - 1e-3 * cz) < 0.8e-3 * radius
        assert abs(result.medium.sound_speed[inside].mean() - speed) < 5
