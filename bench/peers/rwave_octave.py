"""r-Wave under GNU Octave or MATLAB: its functions on our jobs, timed inside the interpreter.

r-Wave grants no licence, so nothing of it is here: the user names a checkout of their own (``--rwave`` or
SONORAY_RWAVE), and `rwave/sonoray_rwave.m` calls the functions that it finds there. Arrays travel as MAT files of
version 5.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.peers.worker import UnavailableError

_DRIVER = Path(__file__).with_name("rwave")
_NEEDS = "functions-raytracing"
INTERPRETERS = {
    "octave-cli": ["--no-gui", "--no-window-system", "--quiet", "--eval"],
    "octave": ["--no-gui", "--quiet", "--eval"],
    "matlab": ["-nodisplay", "-batch"],
}


class RWave:
    """A checkout of r-Wave and an interpreter.

    Parameters
    ----------
    checkout : str, optional
        Folder of r-Wave, or the folder above it; default the environment's SONORAY_RWAVE.
    interpreter : str, optional
        Octave or MATLAB; default SONORAY_OCTAVE, else the first of `INTERPRETERS` on the path.

    Raises
    ------
    UnavailableError
        There is no such folder or no interpreter.
    """

    def __init__(self, checkout=None, interpreter=None):
        named = checkout or os.environ.get("SONORAY_RWAVE")
        if not named:
            raise UnavailableError("r-wave: name a checkout with --rwave or SONORAY_RWAVE")
        found = [p for p in (Path(named), Path(named) / "r-Wave") if (p / _NEEDS).is_dir()]
        if not found:
            raise UnavailableError(f"r-wave: no {_NEEDS} in {named}")
        self.checkout = found[0].resolve()
        wanted = interpreter or os.environ.get("SONORAY_OCTAVE")
        candidates = [wanted] if wanted else INTERPRETERS
        self.interpreter = next((p for p in map(shutil.which, candidates) if p), None)
        if not self.interpreter:
            raise UnavailableError(f"r-wave: none of {', '.join(candidates)} is on the path")

    def call(self, task, limit=600, **given):
        """Run one task of the driver on arrays; returns its results, `cpu` [s] and `wall` [s] of the whole process.

        Raises
        ------
        UnavailableError
            The interpreter ended with an error, which is quoted, or ran longer than ``limit`` seconds.
        """
        from scipy.io import loadmat, savemat

        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.mat", Path(folder) / "out.mat"
            savemat(source, {"task": task, **given})
            quoted = ", ".join(f"'{p}'" for p in (self.checkout, source, target))
            arguments = INTERPRETERS[Path(self.interpreter).stem if self._known() else "octave"]
            begin = time.perf_counter()
            try:
                done = subprocess.run(
                    [self.interpreter, *arguments, f"addpath('{_DRIVER}'); sonoray_rwave({quoted})"],
                    capture_output=True, text=True, check=False, timeout=limit, cwd=folder,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise UnavailableError(f"r-wave: {task} took more than {limit} s") from None
            wall = time.perf_counter() - begin
            if done.returncode or not target.exists():
                raise UnavailableError(f"r-wave: {task}: {(done.stderr or done.stdout).strip()[-400:]}")
            result = loadmat(target, squeeze_me=True)
        result["wall"] = wall
        return result

    def _known(self):
        return Path(self.interpreter).stem in INTERPRETERS


def contender_run(results, call):
    """Make a `Contender.run` of a call of `RWave`; each answer is kept in ``results``."""

    def run():
        results.append(call())
        return results[-1]["wall"], float(results[-1]["cpu"])

    return run


def planar(points):
    """(n, 3) positions in the plane y = 0 as r-Wave's (2, n)."""
    return np.ascontiguousarray(np.asarray(points)[:, [0, 2]].T)
