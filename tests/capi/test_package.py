"""What libsonoray.so exports, and that its structs are laid out as sonoray.h says."""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from . import library

HERE = Path(__file__).parent
HEADER = HERE.parents[1] / "cpp" / "capi" / "sonoray.h"


def exported() -> list[str]:
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("no nm here (binutils)")
    text = subprocess.run(
        [nm, "-DC", "--defined-only", library.load()._name], capture_output=True, text=True, check=True
    )
    return sorted({line.split(" ", 2)[2] for line in text.stdout.splitlines()})


def test_exports_are_the_list():
    """A symbol that comes or goes changes the ABI: change the list on purpose, and the version with it."""
    wanted = (HERE / "symbols.txt").read_text().splitlines()
    found = exported()
    if not any("trace_rays" in name for name in found):
        pytest.skip("built with SONORAY_EMBED_ONLY, which leaves the C++ functions out")
    assert found == wanted


def test_every_function_of_the_header_is_exported():
    declared = set(re.findall(r"\b(sonoray_\w+)\(", re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)))
    assert declared == {name for name in exported() if name.startswith("sonoray_")}
    assert len(declared) > 15


@pytest.mark.parametrize("struct", ["config", "transmit", "grid", "output"])
def test_structs_have_the_headers_fields(struct):
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    body = re.search(rf"typedef struct sonoray_{struct} {{(.*?)}} sonoray_{struct};", text, re.S)
    names = re.findall(r"(\w+)(?:\[\d\])?;", body[1])
    assert [name for name, _ in getattr(library, struct.capitalize())._fields_] == names


def test_structs_have_the_layout_that_the_tests_in_c_assert():
    text = (HERE.parent / "cpp" / "capi_layout.c").read_text()
    for name in ("config", "transmit", "grid", "output"):
        struct = getattr(library, name.capitalize())
        assert re.findall(rf"SIZE\({name}, (\d+)\)", text) == [str(ctypes.sizeof(struct))]
        places = {field: int(at) for field, at in re.findall(rf"FIELD\({name}, (\w+), (\d+)\)", text)}
        assert places == {field: getattr(struct, field).offset for field, _ in struct._fields_}


def test_other_sizes_are_refused():
    lib = library.load()
    config = library.Config()
    sizes = (ctypes.sizeof(library.Config), ctypes.sizeof(library.Transmit))
    assert lib.sonoray_config_init(ctypes.byref(config), *map(ctypes.c_size_t, sizes)) == 0
    for wrong in ((sizes[0] + 8, sizes[1]), (sizes[0], sizes[1] - 8)):
        assert lib.sonoray_config_init(ctypes.byref(config), *map(ctypes.c_size_t, wrong)) == 1
