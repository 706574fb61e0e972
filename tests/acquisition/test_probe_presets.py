"""Probes by name: what ships is complete and plausible."""

import numpy as np
import pytest

from sonoray import ArgumentError, Probe
from sonoray.acquisition.probe_presets import SOURCES, probe_presets


@pytest.mark.parametrize("name", probe_presets())
def test_every_preset_is_a_plausible_probe(name):
    spec = probe_presets()[name]
    probe = Probe.preset(name)
    assert (probe.kind, probe.n_elements, probe.name) == (spec.kind, spec.n_elements, name)
    assert probe.pitch == pytest.approx(spec.pitch, rel=1e-3)  # chord against arc
    assert 0.5 * spec.pitch < probe.width <= spec.pitch
    assert 0.3 < spec.bandwidth / spec.center_frequency < 1.2
    assert (spec.kind == "curvilinear") == (spec.radius > 0)
    if spec.elevation_focus:
        assert 4e-3 < spec.elevation_focus < 0.15
    assert spec.source in SOURCES
    # Phased probes steer: their pitch is below 0.7 wavelengths, whatever the source says.
    assert spec.kind != "phased" or spec.pitch < 0.7 * 1540 / spec.center_frequency


def test_a_curved_probe_has_its_radius():
    probe = Probe.preset("C5-2v")
    centre = np.array([0, 0, -49.6e-3])
    np.testing.assert_allclose(np.linalg.norm(probe.positions - centre, axis=1), 49.6e-3, rtol=1e-12)


def test_names_in_any_case_and_none_unknown():
    assert Probe.preset("l11-5V") == Probe.preset("L11-5v")
    with pytest.raises(ArgumentError, match=r"L11-4v.*'X1'"):
        Probe.preset("X1")
