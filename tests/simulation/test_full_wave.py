"""Full-wave channel data. Evidence: analytic (2-D Green's function, geometry), invariants (linearity, reciprocity)."""

import numpy as np
import pytest
import scipy.signal
import scipy.special

from sonoray import ArgumentError, Grid, Medium, Probe, Transmit
from sonoray.errors import MissingExtraError
from sonoray.simulation import GaussianPulse, simulate_channel_data

C = 1500.0
PULSE = GaussianPulse(3e6, 0.6)
OPTIONS = {"pulse": PULSE, "sampling_frequency": 25e6, "duration": 14e-6, "sound_speed": C}
SMALL = Grid.from_extent(x=(-5e-3, 5e-3), z=(0.0, 12e-3), spacing=6e-5)


def run(*args, **changes):
    pytest.importorskip("devito", reason="needs the extra 'sim'")
    return simulate_channel_data(*args, **{**OPTIONS, **changes})


def delay_between(a, b, fs):
    """By how much ``a`` is later than ``b``: weighted least squares of the cross spectrum's phase [s]."""
    n = 8 * len(a)
    f, cross = np.fft.rfftfreq(n, 1 / fs), np.fft.rfft(a, n) * np.conj(np.fft.rfft(b, n))
    use = np.abs(cross) > 0.05 * np.abs(cross).max()
    f, cross = f[use], cross[use]
    return -np.sum(np.angle(cross) * f * np.abs(cross)) / np.sum(2 * np.pi * f**2 * np.abs(cross))


@pytest.mark.slow
def test_direct_wave_is_the_green_function():
    """Dipole source to receivers anywhere, against p = -(i k / 4) F H1(k r) cos(angle): 0.3 % and 0.2 ns."""
    positions = np.array([[0.0, 0, 0], [1.23e-3, 0, 11.3e-3], [-4.1e-3, 0, 7.3e-3], [3.9e-3, 0, 1.5e-3]])
    data = run(Medium(SMALL, C), Probe(positions), [Transmit.single(0)])
    period = 400e-6
    f = np.arange(1, int(8e6 * period)) / period
    for e in (1, 2, 3):
        way = positions[e] - positions[0]
        r = np.linalg.norm(way)
        k = 2 * np.pi * f / C
        force = 2 * data.probe.pitch * PULSE.spectrum(f)
        spectrum = -0.25j * k * force * scipy.special.hankel2(1, k * r) * way[2] / r
        exact = 2 / period * np.real(np.exp(2j * np.pi * np.outer(data.times(), f)) @ spectrum)
        got = data.samples[0, 0, e]
        assert np.linalg.norm(got - exact) < 3e-3 * np.linalg.norm(exact)
        assert abs(delay_between(got, exact, 25e6)) < 0.2e-9


@pytest.mark.slow
def test_flat_array_hears_only_echoes_and_absorbing_layers_none():
    """Homogeneous medium: neither a direct wave along the array nor anything from the borders (-80 dB)."""
    probe = Probe.linear(24, 0.3e-3, width=0.25e-3)
    data = run(Medium(SMALL, C), probe, [Transmit.plane(np.deg2rad(10))], start_time=1e-6)
    assert np.abs(data.samples).max() < 1e-4  # the pulse itself has a pressure of 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "transmit",
    [Transmit.plane(np.deg2rad(-9)), Transmit.focused([0.8e-3, 0, 6e-3]), Transmit.diverging([0, 0, -6e-3])],
    ids=lambda t: t.kind,
)
def test_echo_of_a_point_comes_when_geometry_says(transmit):
    """Envelope peaks at transmit plus receive time, for each kind of transmit, to 1 ns on average.

    The scatterer is a Gaussian bump an eighth of a wavelength wide, in the density only, so that nothing delays. Half
    the difference between a bump and a dent leaves its Born echo: a strong small scatterer has a phase of its own.
    """
    target = np.array([0.8e-3, 0, 6e-3])
    grid = Grid.from_extent(x=(-8.2e-3, 8.2e-3), z=(0.0, 7e-3), spacing=6e-5)
    x, z = np.meshgrid(*grid.axes, indexing="ij")
    bump = 0.05 * np.exp(-0.5 * ((x - target[0]) ** 2 + (z - target[2]) ** 2) / 6e-5**2)
    probe = Probe.linear(64, 0.25e-3, width=0.2e-3)
    more, less = (
        run(Medium(grid, C, 1000 * (1 + sign * bump)), probe, [transmit], start_time=5e-6, duration=13e-6).samples[0, 0]
        for sign in (1, -1)
    )
    if transmit.kind == "plane":
        sent = target @ transmit.direction / C
    elif transmit.kind == "focused":
        sent = np.linalg.norm(target) / C
    else:
        sent = (np.linalg.norm(target - transmit.focus) - 6e-3) / C
    expected = sent + np.linalg.norm(probe.positions - target, axis=1) / C
    traces = scipy.signal.resample(more - less, 40 * more.shape[-1], axis=-1)
    peak = np.abs(scipy.signal.hilbert(traces, axis=-1)).argmax(axis=-1) / (40 * 25e6) + 5e-6
    # The constant phase of 2-D echoes and the spectrum's growth with frequency do not move a symmetric envelope; what
    # is left is the edge waves of the finite aperture, which are apart from the echo here.
    assert abs(np.mean(peak - expected)) < 1e-9
    assert np.abs(peak - expected).max() < 3e-9


@pytest.mark.slow
def test_linear_in_the_elements_and_repeatable():
    """Two elements at once are the sum of each alone; a second run gives the same bits."""
    grid = Grid.from_extent(x=(-2e-3, 2e-3), z=(0.0, 4e-3), spacing=6e-5)
    speed = np.full(grid.shape, C)
    speed[:, 30:34] = 1600
    probe = Probe.linear(8, 0.3e-3, width=0.25e-3)
    weights = np.eye(8)[[1, 5]]
    each = [Transmit.free(np.zeros(8), apodization=w) for w in (weights[0], -2 * weights[1])]
    both = Transmit.free(np.zeros(8), apodization=weights[0] - 2 * weights[1])
    data = run(Medium(grid, speed), probe, [*each, both], duration=5e-6)
    again = run(Medium(grid, speed), probe, [both], duration=5e-6)
    one, two, sum_ = data.samples[0]
    np.testing.assert_allclose(one + two, sum_, atol=1e-5 * np.abs(sum_).max())
    np.testing.assert_array_equal(again.samples[0, 0], sum_)
    assert np.finfo(np.float32).smallest_subnormal > 0  # the thread's floating-point mode is as it was


@pytest.mark.slow
def test_progress_and_interrupt():
    grid = Grid.from_extent(x=(-2e-3, 2e-3), z=(0.0, 2e-3), spacing=6e-5)
    seen = []
    run(Medium(grid, C), Probe.linear(4, 0.3e-3), [Transmit.plane()] * 2, duration=3e-6, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) > 4

    def stop(fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Medium(grid, C), Probe.linear(4, 0.3e-3), [Transmit.plane()], duration=3e-6, progress=stop)


PROBE = Probe.linear(8, 0.3e-3)


@pytest.mark.parametrize(
    ("medium", "probe", "changes", "message"),
    [
        (Medium(SMALL, C), PROBE, {"spacing": 1e-4}, "spacing: expected at most .*3.9 nodes per wavelength"),
        (Medium(SMALL, C), PROBE, {"sampling_frequency": 8e6}, "sampling_frequency: expected at least"),
        (Medium(SMALL, C), PROBE, {"duration": -1e-6}, "duration"),
        (Medium(SMALL, C), PROBE, {"duration": 14.0}, "duration.*really in s"),
        (Medium(SMALL, C), PROBE, {"start_time": 2e-5}, "duration: expected more than start_time"),
        (Medium(SMALL, C), Probe.linear(128, 0.3e-3), {}, "probe: expected elements"),
        (Medium(SMALL, C), Probe([[0, 1e-3, 0]]), {}, "probe: expected elements"),
        (Medium(SMALL, C, absorption=5.0), PROBE, {}, "medium: expected no absorption"),
        (Medium(Grid((4, 4, 4), 1e-3, (0, 0, 0)), C), PROBE, {}, "medium: expected a 2-D grid"),
    ],
)
def test_refusals(medium, probe, changes, message):
    with pytest.raises(ArgumentError, match=message):
        simulate_channel_data(medium, probe, [Transmit.plane()], **{**OPTIONS, **changes})


def test_pulse_refusals():
    with pytest.raises(ArgumentError, match="center_frequency.*Hz"):
        GaussianPulse(3.0)
    with pytest.raises(ArgumentError, match="fractional_bandwidth.*60 %"):
        GaussianPulse(3e6, 60)


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "devito", None)
    with pytest.raises(MissingExtraError, match=r"sonoray\[sim\]"):
        simulate_channel_data(Medium(SMALL, C), PROBE, [Transmit.plane()], **OPTIONS)
