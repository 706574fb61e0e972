"""sonoray info says what a file of each format holds."""

import json

import pytest

from sonoray.cli import main

from .io_makers import MAKERS, write_ultrasonix


@pytest.mark.parametrize("name", MAKERS)
def test_info_describes_every_format(tmp_path, capsys, name):
    MAKERS[name](tmp_path / "file")
    assert main(["info", str(tmp_path / "file"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] in ("channel_data", "medium", "image") and facts["format"]
    assert main(["info", str(tmp_path / "file")]) == 0
    assert facts["format"] in capsys.readouterr().out


def test_options_tell_what_the_file_does_not(tmp_path, capsys):
    path = str(tmp_path / "a.rf")
    write_ultrasonix(tmp_path / "a.rf")
    assert main(["info", path]) != 0
    assert "line_spacing=" in capsys.readouterr().err
    assert main(["info", path, "--option", "line_spacing=3e-4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["grid"]["spacing"][0] == 3e-4
    for wrong in ("line_spacing", "no_such=1", "sound_speed=fast"):
        assert main(["info", path, "--option", wrong]) != 0
        assert wrong.split("=")[0] in capsys.readouterr().err
