"""Presets of imaging: those that ship, one's own, and mistakes in it."""

import pytest

from sonoray import ArgumentError, FormatError, ImagingPreset, imaging_preset
from sonoray.beamforming.presets import imaging_presets


def test_the_presets_that_ship():
    assert set(imaging_presets()) == {"vascular", "abdominal", "cardiac", "small-parts", "research"}
    assert all(preset.description and preset == imaging_preset(name) for name, preset in imaging_presets().items())
    assert imaging_preset("research").tgc == 0


def test_a_file_of_ones_own(tmp_path):
    own = tmp_path / "mine.toml"
    own.write_text('[knee]\nf_number = 1.1\nwall_filter = "svd:2"\n')
    assert imaging_preset(own) == ImagingPreset("knee", f_number=1.1, wall_filter="svd:2")


@pytest.mark.parametrize("window", ["boxcar", "hann", "hamming", "blackman", "tukey", "kaiser"])
def test_windows_are_those_of_the_beamformer(tmp_path, window):
    own = tmp_path / "mine.toml"
    own.write_text(f'[a]\nwindow = "{window}"\n')
    assert imaging_preset(own).window == window


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a]\nf_numbr = 1.0\n", "f_numbr"),
        ("[a]\nf_number = 99.0\n", "f_number"),
        ('[a]\nwindow = "hannning"\n', "window"),
        ('[a]\nf_number = "wide"\n', "f_number"),
        ('[a]\nwall_filter = "poly:x"\n', "wall_filter"),
        ("[a]\naverage = 2.5\n", "average"),
        ("f_number = 1.0\n", "outside of any"),
        ("[a]\n[b]\n", "one table"),
        ("", "one table"),
        ("[a\n", "TOML"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path, text, said):
    own = tmp_path / "mine.toml"
    own.write_text(text)
    with pytest.raises(FormatError, match=r"mine\.toml") as error:
        imaging_preset(own)
    assert said in str(error.value)


def test_unknown_names_and_other_bytes(tmp_path):
    with pytest.raises(ArgumentError, match=r"vascular.*'venous'"):
        imaging_preset("venous")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="TOML"):
        imaging_preset(tmp_path / "b.toml")
