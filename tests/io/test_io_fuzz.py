"""Every registered format under mutations: read or refused by name, whatever the bytes. Long by name: ``-m slow``."""

import random
import warnings
from pathlib import Path

import numpy as np
import pytest

import sonoray

from .io_makers import MAKERS, write_ultrasonix
from .test_clarius import write as write_clarius


def make_clarius(path: Path) -> None:
    """Both files of a pair in one: the mutations fall on either."""
    pair = write_clarius(path.parent, np.arange(300, dtype=np.uint8).reshape(2, 5, 30), range(5), name=path.name)
    raw, notes = pair.read_bytes(), pair.with_suffix(".yml").read_bytes()
    path.write_bytes(len(raw).to_bytes(4, "little") + raw + notes)


def place_clarius(raw: bytes, folder: Path) -> Path:
    length = min(int.from_bytes(raw[:4], "little"), len(raw))
    (folder / "a_env.yml").write_bytes(raw[4 + length :])
    (folder / "a_env.raw").write_bytes(raw[4 : 4 + length])
    return folder / "a_env.raw"


def place(name: str, data: bytes, folder: Path) -> Path:
    """Write a format's bytes to where they can be read."""
    if name == "clarius":
        return place_clarius(data, folder)
    (folder / "input").write_bytes(data)
    return folder / "input"


def make(maker, path: Path) -> None:
    """Write a whole file: a maker of this module's or the name of one of `MAKERS`."""
    (MAKERS[maker] if isinstance(maker, str) else maker)(path)


# Of each registered format, files that it reads.
FILES = {
    "clarius": [make_clarius],
    "dicom": ["image-dicom", "map-dicom"],
    "full-matrix": ["full-matrix"],
    "metaimage": ["image-mha", "image-mha-plain"],
    "must": ["must-v5", "must-v5-plain", "must-v7.3"],
    "nifti": ["image-nii", "image-nii-gz"],
    "picmus": ["picmus"],
    "pybf": ["pybf"],
    "ring": ["ring-v5", "ring-v7.3"],
    "sonoray": ["sonoray-channel-data", "sonoray-medium", "sonoray-image"],
    "uff": ["uff", "image-uff"],
    "ultrasonix": [write_ultrasonix],
    "verasonics": ["verasonics-v5", "verasonics-v7.3"],
    "zea": ["zea", "zea-tracks"],
}


def test_every_format_is_listed():
    assert set(FILES) == set(sonoray.io.formats())


def mutated(raw: bytes, dice: random.Random) -> bytes:
    """A few bytes, numbers or blocks changed, doubled or cut out."""
    data = bytearray(raw)
    for _ in range(dice.randint(1, 4)):
        at, kind = dice.randrange(len(data)), dice.randrange(5)
        if kind == 0:
            data[at] = dice.randrange(256)
        elif kind == 1:
            number = dice.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, dice.getrandbits(32)])
            data[at : at + 4] = number.to_bytes(4, "little")
        elif kind == 2:
            data[at : at + dice.randrange(64)] = b""
        elif kind == 3:
            data[at:at] = data[at : at + dice.randrange(64)]
        else:
            del data[at + 1 :]
        if not data:
            return b""
    return bytes(data)


def fuzz(name: str, folder: Path, runs: int) -> int:
    """Read mutations by the format's name; what is neither an object nor a FormatError escapes. Returns refusals."""
    dice, refused = random.Random(f"{name}"), 0
    for maker in FILES[name]:
        source = folder / "source"
        make(maker, source)
        raw = source.read_bytes()
        for _ in range(runs):
            path = place(name, mutated(raw, dice), folder)
            try:
                sonoray.read(path, format=name)
            except sonoray.FormatError as error:
                assert str(folder) in str(error)
                refused += 1
    return refused


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_mutations(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged sizes and units
        assert fuzz(name, tmp_path, 2000) > 0
