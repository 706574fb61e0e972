"""What `sonoray tomography` and `sonoray born` share: their files, pairs, live lines, pictures, stacks of slices."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sonoray
from sonoray._blas import one_blas_thread
from sonoray.inversion.evaluation import sound_speed_errors
from sonoray.inversion.pairs import emitter_positions, pair_distances
from sonoray.inversion.stacks import Job, Slice, SliceResult, find_slices, reconstruct_stack
from sonoray.io import read_medium, write
from sonoray.io.writing import atomic

from ._files import channel_data, check_output

PICTURE_STAGES = 6  # between the first and the last one, evenly spread
TRAVEL_TIME = "travel_time"  # stage before ray-Born inversion, as its files are named
_UNSENT = ("run", "command", "quiet", "file", "output", "scheduler", "processes", "threads", "retries", "json")


def add_input(form: Any) -> None:
    """Arguments of what is read."""
    form.add_argument(
        "file", type=Path, nargs="+", help="channel data of elements around the object, one firing at a time; "
        "several files, or several frames of an .h5, are slices"
    )  # fmt: skip
    form.add_argument("-o", "--output", type=Path, required=True,
                      help="map: .h5; .json and .png are put beside it. Of several slices: a folder")  # fmt: skip
    form.add_argument("--water", type=Path, help="shots through water (default: those in the file, if it has any)")
    form.add_argument("--no-water", action="store_true", help="do without the file's shots through water")
    form.add_argument("--sound-speed", type=float, help="of the water, m/s (default: the file's)")
    form.add_argument("--tx-every", type=int, default=1, metavar="N", help="use every Nth transmit")
    form.add_argument("--rx-every", type=int, default=1, metavar="N", help="use every Nth receiver, from N // 2 on")


def add_output(form: Any) -> None:
    """Arguments of what is written and said, and where slices run."""
    form.add_argument("--truth", type=Path, help="true map: print errors; the result does not depend on it")
    form.add_argument("--radius-mm", type=float, action="append", help="also errors within this of the centre")
    form.add_argument("--resume", action="store_true", help="go on where a killed run stopped")
    form.add_argument("--no-picture", action="store_true", help="write no .png")
    form.add_argument("--pictures", type=Path, metavar="FOLDER", help="a picture of the map at several stages")
    form.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    form.add_argument("--json", action="store_true", help="print figures as JSON")
    form.add_argument("--quiet", action="store_true", help="no progress on standard error")
    form.add_argument("--scheduler", metavar="ADDRESS", help="Dask scheduler for slices, such as tcp://host:8786")
    form.add_argument("--processes", type=int, metavar="N", help="for slices (default: one for two cores; 0: this one)")
    form.add_argument("--threads", type=int, metavar="N", help="of each process (default: cores shared out)")
    form.add_argument("--retries", type=int, default=2, metavar="N", help="of a slice that failed (default: 2)")


def run(args: argparse.Namespace, job: Job, inputs: tuple[Path | None, ...], stages: tuple[str, ...] = ()) -> None:
    """Run a job on one file here, or on every slice through `reconstruct_stack`; stages are those before the last."""
    if args.radius_mm is not None and args.truth is None:
        raise sonoray.ArgumentError("radius_mm: expected --truth with it, got none to find errors from")
    slices = find_slices(args.file)
    options = {name: value for name, value in vars(args).items() if name not in _UNSENT}
    if args.pictures is not None and args.pictures.exists() and not args.pictures.is_dir():
        raise sonoray.ArgumentError(f"pictures: expected a folder, got {args.pictures}")
    if len(slices) == 1 and args.scheduler is None:
        name = f"{slices[0].name}.h5"
        read = [*args.file, *(p / name if p is not None and p.is_dir() else p for p in inputs)]
        check_output(args.output, (".h5",), read)
        if stages:
            check_output(travel_time_output(args.output), (".h5",), read)
        _one(args, job, slices[0], options)
    else:
        _many(args, job, options, inputs, stages)


def _one(args: argparse.Namespace, job: Job, source: Slice, options: dict[str, Any]) -> None:
    options["live"] = not args.quiet
    try:
        with one_blas_thread():  # as for slices, so that maps are the same
            figures = job(source, args.output, options) or {}
    except KeyboardInterrupt:
        kept = [str(path) for path in checkpoints(args.output) if path.exists()]
        raise KeyboardInterrupt(
            f"what is done is in {kept[-1]}; repeat the command with --resume to go on" if kept else ""
        ) from None
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        error = figures["history"][-1].get("relative_error")
        text = "" if error is None else f", error {error:.1f} %"
        print(f"{args.output}: {len(figures['history'])} linearisations in {figures['seconds']:.1f} s{text}")


def _many(
    args: argparse.Namespace,
    job: Job,
    options: dict[str, Any],
    inputs: tuple[Path | None, ...],
    stages: tuple[str, ...],
) -> None:
    if args.output.suffix or (args.output.exists() and not args.output.is_dir()):
        raise sonoray.ArgumentError(f"output: expected a folder for the maps of several slices, got {args.output}")
    check_output(args.output, ("",), inputs)
    try:
        summary = reconstruct_stack(
            args.file,
            args.output,
            job=job,
            options={**options, "live": False, "resume": True},  # of each slice: its checkpoint is its own
            scheduler=args.scheduler,
            processes=args.processes,
            threads=args.threads,
            retries=args.retries,
            resume=args.resume,
            stages=stages,
            report=None if args.quiet else _say_slice,
            progress=not args.quiet,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"finished slices and checkpoints are in {args.output}; repeat the command with --resume to go on"
        ) from None
    if args.json:
        print(json.dumps(summary.as_dict(), indent=2))
    else:
        print(f"{args.output}: {summary!r}")
    if summary.failed:
        reasons = "; ".join(f"{s.name}: {s.error}" for s in summary.failed)
        raise sonoray.Error(f"{len(summary.failed)} of {len(summary.slices)} slices failed: {reasons}")


def _say_slice(result: SliceResult) -> None:
    again = ", trying again" if result.status == "waiting" else ""
    reason = f": {result.error}{again}" if result.status in ("waiting", "failed") else ""
    state = "failed" if reason else result.status
    sys.stderr.write(f"\rslice {result.name} {state} in {result.seconds:.1f} s, attempt {result.attempts}{reason}\n")


def checkpoints(output: Path) -> tuple[Path, Path]:
    """Files that keep what is done: of the travel-time stage before another one, of the last stage."""
    return travel_time_output(output).with_suffix(".checkpoint"), output.with_suffix(".checkpoint")


def travel_time_output(output: Path) -> Path:
    """The travel-time map that another stage starts from."""
    return output.with_name(f"{output.stem}_{TRAVEL_TIME}.h5")


def water_of(source: Slice, options: dict[str, Any]) -> sonoray.ChannelData | None:
    """Shots through water: named, in the same file, or none."""
    if options["no_water"]:
        return None
    return source.read_water() if options["water"] is None else channel_data(options["water"])


def truth_of(options: dict[str, Any]) -> sonoray.Medium | None:
    """The true map, if one is named."""
    return None if options["truth"] is None else read_medium(options["truth"])


def millimetres(options: dict[str, Any], name: str) -> float | None:
    """A length in metres, if it is given."""
    return None if options[name] is None else 1e-3 * float(options[name])


def every_nth(
    options: dict[str, Any],
    data: sonoray.ChannelData,
    far_enough: Callable[[NDArray[np.float64]], NDArray[np.bool_]] | None = None,
) -> NDArray[np.bool_] | None:
    """Pairs that --tx-every and --rx-every leave, None if they leave all."""
    if options["tx_every"] == 1 and options["rx_every"] == 1:
        return None
    for name, most in (("tx_every", data.n_tx), ("rx_every", data.n_rx)):
        if not 1 <= options[name] <= most:
            raise sonoray.ArgumentError(f"{name}: expected 1 to {most}, got {options[name]}")
    chosen = np.zeros((data.n_tx, data.n_rx), bool)
    chosen[:: options["tx_every"], options["rx_every"] // 2 :: options["rx_every"]] = True
    if far_enough is None:
        return chosen
    return chosen & far_enough(pair_distances(emitter_positions(data), data.probe.positions))


class Reporter:
    """Says how far a reconstruction is, on one line that is written over, and draws its stages.

    Parameters
    ----------
    output : Path
    options : dict
    stage : str
        Put in front of the line and of pictures' names.
    total : int, optional
        Linearisations to come; default what the reconstruction says.
    bar : bool
        Whether a bar is shown, too, which would write over the line.
    """

    def __init__(
        self, output: Path, options: dict[str, Any], stage: str, total: int | None = None, *, bar: bool = False
    ) -> None:
        self.options, self.stage, self.total, self.bar = options, stage, total, bar
        self.folder: Path | None = options["pictures"]
        self.truth = truth_of(options) if self.folder is not None else None
        self.name = output.stem
        self.width = 0
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, result: Any) -> None:
        """Report a reconstruction so far (`TravelTimeReconstruction` or `RayBornReconstruction`)."""
        done = len(result.history)
        self.total = self.total or result.total
        if self.options["live"]:
            self._line(done, result.history[-1])
        step = max(1, -(-self.total // PICTURE_STAGES))
        if self.folder is not None and (done % step == 0 or done == self.total):
            self.picture(result.medium, f"{self.stage}_{done:03d}")

    def _line(self, done: int, last: dict[str, Any]) -> None:
        parts = [f"{self.stage} {done} of {self.total}"]
        if "low" in last:
            parts.append(f"{5e-7 * (last['low'] + last['high']):.3f} MHz")
        residual = float(last["residual"])  # a time, or relative to the wave
        parts.append(f"{last['pairs']} pairs")
        parts.append(f"residual {100 * residual:.1f} %" if "low" in last else f"residual {1e9 * residual:.1f} ns")
        if "relative_error" in last:
            parts.append(f"error {last['relative_error']:.1f} %")
        parts.append(f"{last['seconds']:.1f} s")
        text = ", ".join(parts)
        same_line = sys.stderr.isatty() and not self.bar and done != self.total
        sys.stderr.write(f"\r{text:<{self.width}}" + ("" if same_line else "\n"))
        sys.stderr.flush()
        self.width = len(text) if same_line else 0

    def picture(self, medium: sonoray.Medium, name: str) -> None:
        """Draw a stage into the folder of pictures, if there is one."""
        if self.folder is not None:
            draw(self.folder / f"{self.name}_{name}.png", medium, self.truth)


def finish(
    output: Path, options: dict[str, Any], result: Any, begin: float, more: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Write map, figures and picture of a reconstruction; returns the figures."""
    truth = truth_of(options)
    figures: dict[str, Any] = {
        "output": str(output),
        "shape": list(result.medium.grid.shape),
        "sound_speed": result.sound_speed,
        "seconds": round(time.perf_counter() - begin, 3),
        **(more or {}),
        "settings": result.settings.as_dict(),
        "history": result.history,
    }
    if truth is not None:
        for radius in options["radius_mm"] or []:
            figures[f"errors_within_{radius:g}_mm"] = sound_speed_errors(
                result.medium, truth, result.sound_speed, radius=1e-3 * radius
            )
    write(output, result.medium)
    with atomic(output.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n")
    if not options["no_picture"]:
        draw(output.with_suffix(".png"), result.medium, truth)
    return figures


def draw(path: Path, medium: sonoray.Medium, truth: sonoray.Medium | None) -> None:
    """A picture of a map, beside the true one if there is one."""
    from sonoray.plotting import save_figure, show_reconstruction

    try:
        save_figure(path, show_reconstruction(medium, truth=truth))
    except sonoray.MissingExtraError as error:
        sys.stderr.write(f"sonoray: note: no picture; {error}\n")
