"""Readers of files under libFuzzer's guidance: whatever the bytes, an object or a FormatError.

    pip install atheris 'sonoray[test]'
    python tests/fuzz/fuzz_readers.py uff -max_total_time=300 corpus/

From a checkout, whose tests it uses. The first argument is one of `sonoray.io.formats()`; the rest goes to libFuzzer.
The corpus begins with the files that `tests/io/test_io_fuzz.py` mutates, and grows where a new input reaches new lines
of the readers.
"""

import importlib
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]


def instrumented_readers():
    """Import `sonoray.io` again, watched. The whole package takes minutes, and says no more about a file."""
    for module in [name for name in sys.modules if f"{name}.".startswith("sonoray.io.")]:
        del sys.modules[module]
    with atheris.instrument_imports():
        return importlib.import_module("sonoray.io")


def main() -> None:
    """Fuzz one format."""
    sys.path[:0] = [str(ROOT), str(ROOT / "python")]
    from tests.io.test_io_fuzz import FILES, make, place

    from sonoray import FormatError

    io = instrumented_readers()
    name, arguments = sys.argv[1], sys.argv[2:]
    folder = Path(tempfile.mkdtemp())
    seeds = folder / "seeds"
    seeds.mkdir()
    for number, maker in enumerate(FILES[name]):
        make(maker, seeds / f"{number}")
    largest = max(path.stat().st_size for path in seeds.iterdir())

    def read(data: bytes) -> None:
        path = place(name, data, folder)
        try:
            io.read(path, format=name)
        except FormatError as error:
            if str(folder) not in str(error):
                raise AssertionError(f"no path in: {error}") from error

    warnings.simplefilter("ignore")  # of damaged sizes and units
    own = [a for a in arguments if not a.startswith("-")] or [str(folder / "corpus")]
    Path(own[0]).mkdir(parents=True, exist_ok=True)
    options = [a for a in arguments if a.startswith("-")]
    atheris.Setup([sys.argv[0], f"-max_len={2 * largest}", *options, *own, str(seeds)], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
