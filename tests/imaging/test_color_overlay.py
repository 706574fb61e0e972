"""Colour overlays: maps, boxes, what is painted, and finding it again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoray import ArgumentError
from sonoray.imaging.color_overlay import (
    POWER_MAPS,
    VELOCITY_MAPS,
    colorbar,
    draw_overlay,
    find_color,
    map_colors,
    persist,
    persist_variance,
    steered_box,
)

LIMIT = 0.4
GREY = np.random.default_rng(0).integers(0, 200, (2, 40, 50), dtype=np.uint8)


def flow(value=0.2):
    velocity = np.zeros(GREY.shape)
    velocity[:, 10:25, 12:40] = value
    return velocity


@pytest.mark.parametrize("name", VELOCITY_MAPS)
def test_velocity_maps_are_red_towards_and_blue_away_and_bright_at_the_ends(name):
    colors = map_colors(np.linspace(-1, 1, 201), name).astype(int)
    slow_to, slow_from = colors[120], colors[80]
    assert slow_to[0] > slow_to[2]
    assert slow_from[2] > slow_from[0]
    brightness = colors.sum(axis=-1)
    assert brightness[0] > brightness[90] and brightness[-1] > brightness[110]
    np.testing.assert_array_equal(map_colors(0.3, name, inverted=True), map_colors(-0.3, name))
    # What is painted must be recognisable: no grey but near the change of direction.
    assert np.ptp(colors, axis=-1).min() > 20


@pytest.mark.parametrize("name", POWER_MAPS)
def test_power_maps_grow_brighter(name):
    assert (np.diff(map_colors(np.linspace(0, 1, 30), name).astype(int).sum(axis=-1)) > 0).all()
    np.testing.assert_array_equal(map_colors(0.4, name, inverted=True), map_colors(0.4, name))


def test_variance_adds_green():
    colors = map_colors([0.5, 0.5, -0.5, -0.5], "classic", variance=[0, 1, 0, 1]).astype(int)
    assert colors[1, 1] > colors[0, 1] + 100
    assert colors[3, 1] > colors[2, 1]
    assert colors[1].argmax() == colors[3].argmax() == 1


@settings(max_examples=40, deadline=None)
@given(st.floats(-0.9, 0.9), st.integers(0, 25), st.integers(1, 30), st.integers(-10, 30), st.integers(1, 40))
def test_boxes_are_parallelograms(steering, top, height, left, width):
    box = steered_box((40, 50), (top, top + height), (left, left + width), steering)
    rows = np.flatnonzero(box.any(axis=1))
    assert not len(rows) or (rows.min() >= top and rows.max() < top + height)
    for r in rows:
        columns = np.flatnonzero(box[r])
        start = left + np.tan(steering) * (r - top)
        assert columns.min() >= start - 1e-9
        assert columns.max() < start + width
        assert len(columns) <= width + 1


def test_paint_is_where_flow_is_and_nowhere_else():
    overlay = draw_overlay(GREY, flow(), nyquist=LIMIT, min_velocity=0.05)
    np.testing.assert_array_equal(overlay.mask, flow() > 0)
    np.testing.assert_array_equal(overlay.painted, overlay.mask)
    np.testing.assert_array_equal(overlay.image[~overlay.mask], GREY[~overlay.mask][:, None].repeat(3, 1))
    np.testing.assert_array_equal(overlay.image[overlay.mask], map_colors(0.5)[None].repeat(overlay.mask.sum(), 0))


def test_thresholds_priority_and_box():
    power = np.where(np.arange(50) < 30, 2.0, 0.5) * np.ones(GREY.shape)
    inside = steered_box((40, 50), (5, 20), (15, 45), 0.2)
    overlay = draw_overlay(GREY, flow(), power, nyquist=LIMIT, box=inside, min_velocity=0.05, min_power=1.0,
                           priority=120, outline=(255, 255, 0))  # fmt: skip
    np.testing.assert_array_equal(overlay.mask, (flow() > 0) & (power > 1) & inside & (GREY <= 120))
    ring = overlay.painted & ~overlay.mask
    assert (overlay.image[ring] == (255, 255, 0)).all()
    edge = np.flatnonzero(inside[5])
    assert overlay.painted[:, 5, edge].all()
    assert not draw_overlay(GREY, flow(), nyquist=LIMIT, min_velocity=0.3).mask.any()


def test_power_maps_need_power_and_span_it():
    with pytest.raises(ArgumentError, match="power: expected an array for the map 'ember'"):
        draw_overlay(GREY, flow(), nyquist=LIMIT, color_map="ember")
    power = np.geomspace(1, 1000, GREY.size).reshape(GREY.shape)
    overlay = draw_overlay(GREY, np.ones(GREY.shape), power, nyquist=2.0, color_map="ember", min_power=1.0)
    np.testing.assert_array_equal(overlay.image[-1, -1, -1], map_colors(1.0, "ember"))
    np.testing.assert_array_equal(overlay.image[0, 0, 1], map_colors(0.0, "ember"))


def test_persistence_fades_and_does_not_cancel_aliased_flow():
    velocity = np.array([0.39, -0.39, 0.39])[:, None]
    power = np.array([1.0, 1.0, 0.0])[:, None]
    same, still = persist(velocity, power, LIMIT, 0.0)
    np.testing.assert_allclose(same, velocity, rtol=1e-6)
    np.testing.assert_allclose(still, power)
    averaged, faded = persist(velocity, power, LIMIT, 0.5)
    assert abs(averaged[1, 0]) > 0.38
    np.testing.assert_allclose(faded[:, 0], [1, 1, 0.5])


def test_variance_persists_as_velocity_does():
    variance = np.array([0.8, 0.2, 0.9])[:, None]
    power = np.array([1.0, 1.0, 0.0])[:, None]
    np.testing.assert_allclose(persist_variance(variance, power, 0.0)[:, 0], variance[:, 0], rtol=1e-6)
    # Without power the last value stays, as the last velocity does.
    np.testing.assert_allclose(persist_variance(variance, power, 0.5)[:, 0], [0.8, 0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(persist_variance(variance, 0 * power, 0.5), variance, rtol=1e-6)
    with pytest.raises(ArgumentError, match="variance: expected shape"):
        persist_variance(variance[1:], power, 0.5)


def test_colour_is_found_again():
    velocity = flow() - 2 * flow() * (np.arange(50) > 25)
    overlay = draw_overlay(GREY, velocity, nyquist=LIMIT, min_velocity=0.05)
    np.testing.assert_array_equal(find_color(overlay.image), overlay.mask)
    found = find_color(overlay.image, opening=2, grow=1)
    assert found[overlay.mask].all()
    assert found.sum() < 1.25 * overlay.mask.sum()
    assert not find_color(np.repeat(GREY[..., None], 3, -1)).any()
    specks = np.repeat(GREY[..., None], 3, -1)
    specks[0, 5, 5] = (255, 0, 0)
    assert not find_color(specks, opening=2).any()
    assert find_color(specks, grow=1).sum() == 5


def test_colorbar_runs_from_the_fastest_towards_to_the_fastest_away():
    bar = colorbar(21, 4)
    np.testing.assert_array_equal(bar[0, 0], map_colors(1.0))
    np.testing.assert_array_equal(bar[-1, 3], map_colors(-1.0))
    assert colorbar(10, 3, "ember").shape == (10, 3, 3)
    green = colorbar(11, 5, "classic", variance=True).astype(int)
    assert green[3, -1, 1] > green[3, 0, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: map_colors(0.1, "jet"), "color_map: expected one of"),
        (lambda: map_colors([np.nan]), "values: expected finite"),
        (lambda: map_colors([0.1, 0.2], variance=[0.1]), "variance: expected shape"),
        (lambda: draw_overlay(GREY.astype(float), flow(), nyquist=1), "bmode: expected uint8"),
        (lambda: draw_overlay(GREY, flow()[0], nyquist=1), "velocity: expected shape"),
        (lambda: draw_overlay(GREY, flow(), nyquist=0), "nyquist: expected"),
        (lambda: draw_overlay(GREY, flow(), nyquist=1, box=np.ones((4, 4), bool)), "box: expected bool of shape"),
        (lambda: draw_overlay(GREY, flow(), nyquist=1, priority=300), "priority: expected 0 to 255"),
        (lambda: draw_overlay(GREY, flow(), nyquist=1, outline=(1, 2)), "outline: expected three integers"),
        (lambda: steered_box((40, 50), (5, 5), (1, 9)), "rows: expected a first limit below"),
        (lambda: steered_box((40, 50), (1, 5), (1, 9), 1.5), "steering: expected"),
        (lambda: find_color(GREY), "frames: expected uint8 of shape"),
        (lambda: persist(flow(), flow(), 1.0, 1.0), "persistence: expected 0 to 0.99"),
        (lambda: colorbar(1, 1), "height: expected 2"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
