"""Maps from synthetic speckle over known maps: accuracy, history, interruption, descent, refusals, settings."""

import dataclasses

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, Grid, Medium
from sonoray.inversion.autofocus import AutofocusReconstruction, reconstruct_autofocus
from sonoray.inversion.autofocus_scene import Scene
from sonoray.inversion.autofocus_settings import METHODS, AutofocusSettings
from sonoray.inversion.focus_criteria import CRITERIA
from tests.reference.autofocus import PROBE, speckle, truth

# Not the defaults, so that tuning these does not move the tests; 32 elements want a strong prior.
QUICK = AutofocusSettings(
    patches=(9, 10),
    kernel=(5, 0.5),
    sub_aperture=6.0,
    f_number=0.5,
    threshold=0.95,
    phase_noise=0.1,
    robust=6.0,
    brightness=2.0,
    regularization=2e-9,
    edge=2e3,
    lateral=1.0,
    pull=0.0,
    pull_constant=0.0,
    spacing=1.5e-3,
    iterations=2,
    limits=(1350.0, 1700.0),
)
TINY = dataclasses.replace(QUICK, patches=(4, 5), kernel=(3, 0.5), iterations=4, threshold=0.9, smoothness=0.0)


def regions(found):
    """Map, and where x and z of its nodes lie, (n_x, n_z) each."""
    at = found.medium.grid.points()
    return found.sound_speed.astype(float), at[..., 0], at[..., 2]


@pytest.fixture(scope="module")
def layers():
    return reconstruct_autofocus(
        speckle("layers"), settings=QUICK, regularization=5e-10, iterations=3, truth=truth("layers")
    )


@pytest.mark.parametrize("speed", [1440.0, 1500.0, 1580.0, 1640.0])
def test_constant_is_found(speed):
    found = reconstruct_autofocus(speckle(speed), settings=QUICK, iterations=1)
    assert np.ptp(found.start.sound_speed) == 0
    assert found.start.sound_speed[0, 0] == pytest.approx(speed, abs=3)
    assert found.history[0]["mean_sound_speed"] == pytest.approx(speed, abs=10)


@pytest.mark.parametrize("seed", [0, 1])
def test_inclusion_is_found(seed):
    found = reconstruct_autofocus(speckle("inclusion", seed), settings=QUICK, truth=truth("inclusion"))
    c, x, z = regions(found)
    away = np.hypot(x, z - 10e-3)
    contrast = c[(away > 6e-3) & (np.abs(x) < 6e-3) & (z > 3e-3) & (z < 20e-3)].mean() - c[away < 4e-3].mean()
    assert 0.5 * 50 < contrast < 1.5 * 50


def test_layers_are_found(layers):
    c, x, z = regions(layers)
    middle = np.abs(x) < 6e-3
    contrast = c[middle & (z > 9.5e-3) & (z < 20e-3)].mean() - c[middle & (z > 0) & (z < 6.5e-3)].mean()
    assert 0.5 * 80 < contrast < 1.5 * 80
    (x0, x1), (z0, z1) = layers.region
    inside = (x >= x0) & (x <= x1) & (z >= z0) & (z <= z1)
    true = np.where(z < 8e-3, 1480.0, 1560.0)[inside]
    error = layers.history[-1]["mean_absolute_error"]
    assert error < 0.6 * np.abs(layers.start.sound_speed[inside] - true).mean()
    assert error < 20.0


def test_result_and_history(layers):
    assert isinstance(layers, AutofocusReconstruction) and layers.settings.iterations == 3
    assert layers.sound_speed.dtype == np.float32 and layers.sound_speed.shape == layers.medium.grid.shape
    low, high = layers.settings.limits
    assert low - 0.01 <= layers.sound_speed.min() and layers.sound_speed.max() <= high + 0.01
    assert [h["iteration"] for h in layers.history] == list(range(1, len(layers.history) + 1))
    keys = {"iteration", "loss", "change", "mean_sound_speed", "mean_absolute_error", "bias"}
    assert all(set(h) == keys and np.isfinite(list(h.values())).all() for h in layers.history)
    assert layers.history[-1]["loss"] < 0.2 * layers.history[0]["loss"]
    error = np.abs(layers.history[-1]["bias"])
    assert error <= layers.history[-1]["mean_absolute_error"]


def test_repeats_exactly_whatever_the_number_of_threads(monkeypatch):
    for options in ({}, {"method": "lbfgs", "patches": (4, 5)}):
        found = []
        for threads in ("1", "2", "1"):
            monkeypatch.setenv("SONORAY_THREADS", threads)
            found.append(reconstruct_autofocus(speckle(1580.0), settings=QUICK, **options).sound_speed)
        assert np.array_equal(found[0], found[2])
        assert np.abs(found[0] - found[1]).max() < 1e-3


def test_scale_and_phase_of_the_data_do_not_matter():
    data = speckle(1500.0)
    found, scaled = (
        reconstruct_autofocus(d, settings=QUICK).sound_speed
        for d in (data, data.with_(samples=data.samples * np.complex64(3e4 * np.exp(1j))))
    )
    assert np.abs(found - scaled).max() < 0.2


def test_noise_is_borne():
    data = speckle(1580.0)
    random = np.random.default_rng(0)
    noise = random.standard_normal((*data.samples.shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
    noise *= 0.3 * np.std(data.samples) / np.std(noise)
    found = reconstruct_autofocus(data.with_(samples=data.samples + noise), settings=QUICK, iterations=1)
    assert found.start.sound_speed[0, 0] == pytest.approx(1580, abs=6)


def test_start_from_a_map_is_kept():
    start = truth("inclusion")
    found = reconstruct_autofocus(speckle("inclusion"), settings=QUICK, initial=start, iterations=1)
    assert np.ptp(found.start.sound_speed) == pytest.approx(50, abs=1)
    constant = reconstruct_autofocus(speckle("inclusion"), settings=QUICK, initial=1500.0, iterations=1)
    assert np.all(constant.start.sound_speed == np.float32(1500))


def test_region_is_where_the_patches_are():
    region = ((-4e-3, 3e-3), (6e-3, 15e-3))
    found = reconstruct_autofocus(speckle(1580.0), settings=QUICK, region=region, iterations=1)
    assert found.region == region
    assert found.history[-1]["mean_sound_speed"] == pytest.approx(1580, abs=10)


def test_report_is_called_and_can_end_the_search():
    class EnoughError(Exception):
        pass

    seen = []

    def report(entry):
        seen.append(dict(entry))
        entry.clear()  # its own copy
        if len(seen) == 2:
            raise EnoughError

    with pytest.raises(EnoughError):
        reconstruct_autofocus(speckle("inclusion"), settings=QUICK, iterations=5, report=report)
    assert [s["iteration"] for s in seen] == [1, 2]
    found = reconstruct_autofocus(speckle("inclusion"), settings=QUICK, report=lambda entry: entry.clear())
    assert found.history[0]["iteration"] == 1


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_descent_reduces_each_criterion(method, criterion):
    data = speckle(1540.0)
    options = {"method": method, "criterion": criterion, "step": 4.0}
    found = reconstruct_autofocus(data, settings=TINY, initial=1510.0, **options)
    scene = Scene(data, dataclasses.replace(TINY, **options), None, "cpu")
    before, after = (scene.loss(1 / m.sound_speed.astype(float))[0] for m in (found.start, found.medium))
    assert after < before - 0.003
    assert len(found.history) <= TINY.iterations
    assert np.all(found.start.sound_speed == np.float32(1510))


@pytest.mark.parametrize("path", ["eikonal", "straight"])
def test_descent_finds_a_constant(path):
    """With a handful of nodes; many converge slowly, fine structure first."""
    found = reconstruct_autofocus(
        speckle(1540.0), settings=TINY, method="lbfgs", path=path, initial=1515.0, iterations=15, spacing=0.01
    )
    assert found.history[-1]["mean_sound_speed"] == pytest.approx(1540, abs=6)
    assert found.history[-1]["loss"] < 0.6 * found.history[0]["loss"]


def with_one(samples, value):
    changed = np.array(samples)
    changed[0, 5, 7, 40] = value
    return changed


BAD_DATA = {
    "not channel data": (lambda d: d.samples, "ChannelData"),
    "RF": (lambda d: dataclasses.replace(d, samples=d.samples.real.copy(), demodulation_frequency=0.0), "I/Q.*RF"),
    "two frames": (lambda d: d.with_(samples=np.concatenate([d.samples, d.samples])), "one frame, got 2"),
    "silence": (lambda d: d.with_(samples=np.zeros_like(d.samples)), "silence"),
    "NaN": (lambda d: d.with_(samples=np.full_like(d.samples, np.nan)), "NaN"),
    "one NaN": (lambda d: d.with_(samples=with_one(d.samples, np.nan)), "NaN"),
    "half of the elements fire": (
        lambda d: d.with_(samples=d.samples[:, ::2].copy(), transmits=d.transmits[::2], start_time=0.0),
        "32 elements to transmit alone",
    ),
    "plane waves": (
        lambda d: d.with_(
            samples=d.samples[:, :3].copy(),
            transmits=[sonoray.Transmit.plane(a) for a in (-0.1, 0.0, 0.1)],
            start_time=0.0,
        ),
        r"'plane'.*decode\(\)",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD_DATA.values(), ids=BAD_DATA)
def test_data_refused(change, message):
    with pytest.raises(ArgumentError, match=message):
        reconstruct_autofocus(change(speckle(1540.0)), settings=TINY)


def test_no_pair_that_correlates_is_refused():
    with pytest.raises(ArgumentError, match=r"above 1 .*got .* at most; lower threshold, or begin nearer"):
        reconstruct_autofocus(speckle(1540.0), settings=QUICK, threshold=1.0, initial=1400.0)


def test_a_start_outside_the_limits_is_refused():
    with pytest.raises(ArgumentError, match=r"initial.*m/s"):
        reconstruct_autofocus(speckle(1540.0), settings=QUICK, initial=1800.0)


BAD_SETTINGS = [
    {"method": "newton"},
    {"criterion": "beauty"},
    {"path": "bent"},
    {"spacing": 1.5},
    {"sub_aperture": 0.0},
    {"f_number": -1.0},
    {"patches": (9,)},
    {"patches": (9, 0)},
    {"patches": 9},
    {"kernel": (5.5, 0.5)},
    {"kernel": (5, 0.0)},
    {"kernel": 5},
    {"kernel": (5,)},
    {"threshold": 1.5},
    {"phase_noise": 0.0},
    {"robust": -1.0},
    {"brightness": float("nan")},
    {"regularization": -1e-10},
    {"edge": 0.0},
    {"lateral": -1.0},
    {"pull": -1.0},
    {"pull_constant": -1.0},
    {"smoothness": -1.0},
    {"iterations": 0},
    {"iterations": 2.5},
    {"step": 0.0},
    {"limits": (1700.0, 1350.0)},
    {"limits": (1.35, 1.7)},
    {"limits": (1350.0, 1500.0, 1700.0)},
    {"limits": 1500.0},
]


@pytest.mark.parametrize("options", BAD_SETTINGS, ids=str)
def test_settings_refused_by_name(options):
    with pytest.raises(ArgumentError, match=next(iter(options))):
        AutofocusSettings(**options)


def test_unknown_option_is_refused():
    with pytest.raises(ArgumentError, match="AutofocusSettings.*sharpness"):
        reconstruct_autofocus(speckle(1540.0), sharpness=3)


def test_settings_are_frozen_and_defaults_pass():
    settings = AutofocusSettings()
    assert settings.method in METHODS
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.iterations = 3


def test_published_settings_run_on_small_data():
    """AMSGrad on the phase error along straight paths: 17 x 17 patches of 5 x 5 points, 0.9, 301 steps of 10 m/s."""
    settings = AutofocusSettings.published()
    assert (settings.method, settings.criterion, settings.path) == ("adam", "phase_error", "straight")
    assert (settings.patches, settings.kernel[0], settings.threshold) == ((17, 17), 5, 0.9)
    assert (settings.iterations, settings.step) == (301, 10.0)
    found = reconstruct_autofocus(
        speckle(1540.0), settings=settings, patches=(4, 5), iterations=12, initial=1500.0, sub_aperture=6.0
    )
    assert len(found.history) == 12 and found.history[-1]["loss"] < 0.8 * found.history[0]["loss"]


def test_truth_may_lie_on_another_grid():
    coarse = Medium(Grid((2, 2), 0.04, (-0.02, 0.0)), np.full((2, 2), 1570.0, np.float32))
    found = reconstruct_autofocus(speckle(1580.0), settings=QUICK, truth=coarse, iterations=1)
    assert found.history[0]["bias"] == pytest.approx(found.history[0]["mean_sound_speed"] - 1570, abs=0.01)
    assert found.medium.grid.contains(PROBE.positions).all()


def test_defaults_on_full_wave_data():
    """The example that ships comes from another solver: fat over muscle, no constant within 16 m/s of it."""
    data, truth = sonoray.load_focus_example()
    found = reconstruct_autofocus(data, truth=truth)
    assert found.history[-1]["mean_absolute_error"] < 13.0
