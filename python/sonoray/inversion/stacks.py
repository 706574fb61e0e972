"""Stacks of slices: one reconstruction for each, on many processes, on this machine or on a cluster."""

import hashlib
import json
import os
import pickle
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .._progress import progress as show_progress
from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError, FormatError
from ..io.extras import read_medium
from ..io.formats import native
from ..io.registry import identify, opened, read
from ..io.writing import atomic, write
from .travel_time import reconstruct_travel_time
from .workers import Finished, run_tasks

SUMMARY = "stack.json"

Job = Callable[["Slice", Path, dict[str, Any]], dict[str, Any] | None]


@dataclass(frozen=True)
class Slice:
    """Where the channel data of a slice are.

    Parameters
    ----------
    path : Path
        A file of any format that sonoray reads.
    frame : int, optional
        Which frame of the file, where it holds a stack; default its only one.
    name : str
        Of its map, without ending.
    """

    path: Path
    frame: int | None = None
    name: str = ""

    def __str__(self) -> str:
        return str(self.path) if self.frame is None else f"{self.path} frame {self.frame}"

    def read(self) -> ChannelData:
        """The channel data, one frame.

        Raises
        ------
        FormatError
            Something else, or several frames and none is named.
        """
        data = read(self.path) if self.frame is None else read(self.path, frame=self.frame)
        if not isinstance(data, ChannelData):
            kind = "a beamformed image" if isinstance(data, tuple) else type(data).__name__
            raise FormatError(f"{self.path}: expected channel data, found {kind}")
        if data.n_frames > 1:
            raise FormatError(
                f"{self.path}: expected one frame, got {data.n_frames}; write it with sonoray.write to have a stack"
            )
        return data

    def read_water(self) -> ChannelData | None:
        """The shots through water that are in the same file; None if there are none."""
        try:
            data = read(self.path, dataset="water")
        except FormatError as error:
            if "lacks" in str(error):
                return None
            raise
        except ArgumentError as error:
            if "dataset" in str(error):  # a format without shots through water
                return None
            raise
        return data if isinstance(data, ChannelData) else None


@dataclass
class SliceResult:
    """What became of a slice.

    Parameters
    ----------
    name, source, output : str
    status : {"waiting", "done", "failed", "kept"}
        "kept": done by an earlier run with the same data and options.
    attempts : int
    seconds : float
        Of the last attempt.
    error : str
        Of the last attempt that failed, also if a later one did not.
    figures : dict
        What the job said.
    digest : str
        Of data, job and options.
    """

    name: str
    source: str
    output: str
    status: str = "waiting"
    attempts: int = 0
    seconds: float = 0.0
    error: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    digest: str = ""


@dataclass
class StackSummary:
    """What became of a stack: a `SliceResult` for each slice, in order, and the wall time [s]."""

    slices: list[SliceResult]
    seconds: float = 0.0

    @property
    def failed(self) -> list[SliceResult]:
        """The slices without a map."""
        return [s for s in self.slices if s.status == "failed"]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, with how many slices there are of each status."""
        counts = dict(Counter(s.status for s in self.slices))
        return {"counts": counts, "seconds": round(self.seconds, 3), "slices": [asdict(s) for s in self.slices]}

    def __repr__(self) -> str:
        counts = Counter(s.status for s in self.slices)
        return f"StackSummary({', '.join(f'{n} {status}' for status, n in counts.items())}, {self.seconds:.1f} s)"


def find_slices(files: Any) -> list[Slice]:
    """The slices in one or several files: every frame of sonoray's own .h5, and every other file, is one.

    Parameters
    ----------
    files : path or sequence of paths

    Returns
    -------
    list of Slice
        Named by file, with the folder in front where files of several folders share a name, and by frame.

    Raises
    ------
    ArgumentError
        No file, or one twice.
    FileNotFoundError
        One that is not there. A damaged one is a slice that will fail.
    """
    one = isinstance(files, str | os.PathLike)
    paths = [Path(files)] if one else [Path(f) for f in files]
    if not paths:
        raise ArgumentError("files: expected at least one, got none")
    names = [p.stem for p in paths]
    if len(set(names)) < len(names):
        names = [f"{p.absolute().parent.name}_{p.stem}" for p in paths]
    twice = [str(p) for p, n in zip(paths, names, strict=True) if names.count(n) > 1]
    if twice:
        raise ArgumentError(f"files: expected names, or names of their folders, that differ, got {', '.join(twice)}")
    found = []
    for path, name in zip(paths, names, strict=True):
        n = _frames(path)
        found += (
            [Slice(path, None, name)]
            if n == 1
            else [Slice(path, k, f"{name}_{k:0{len(str(n - 1))}}") for k in range(n)]
        )
    return found


def _frames(path: Path) -> int:
    try:
        with opened(path) as file:
            return native.frames(file) if identify(file).name == native.FORMAT.name else 1
    except FormatError:
        return 1  # its job will say what is wrong


def travel_time_map(source: Slice, output: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Job of `reconstruct_stack`: `reconstruct_travel_time` of a slice, its map into a file.

    Options are those of `reconstruct_travel_time`, with paths for ``water`` and ``truth``; ``water`` may be False.
    """
    options = dict(options)
    water, truth = options.pop("water", None), options.pop("truth", None)
    checkpoint = output.with_suffix(".checkpoint")
    result = reconstruct_travel_time(
        source.read(),
        source.read_water() if water is None else Slice(Path(water)).read() if water else None,
        truth=None if truth is None else read_medium(truth),
        checkpoint=checkpoint,
        resume=True,
        **options,
    )
    write(output, result.medium)
    checkpoint.unlink(missing_ok=True)
    return {"sound_speed": result.sound_speed, "history": result.history}


def reconstruct_stack(
    files: Any,
    folder: Any,
    *,
    job: Job = travel_time_map,
    options: dict[str, Any] | None = None,
    scheduler: str | None = None,
    processes: int | None = None,
    threads: int | None = None,
    retries: int = 2,
    resume: bool = False,
    stages: Iterable[str] = (),
    report: Callable[[SliceResult], None] | None = None,
    progress: bool = False,
) -> StackSummary:
    """Reconstruct every slice of a stack by itself; one that fails is tried again, the others finish.

    Parameters
    ----------
    files : path or sequence of paths
        A file per slice, or sonoray's own .h5 with a frame per slice (see `find_slices`).
    folder : path
        For the maps, one .h5 for each slice, and for ``stack.json``, the summary, which is brought up to date after
        every slice. Made if it is not there. On a cluster it must be the same folder on every machine.
    job : function of (Slice, output path, options), optional
        Reads the slice, writes its map, returns figures that ``json.dumps`` takes. A function that a module holds. It
        should write atomically and go on from ``output.with_suffix(".checkpoint")`` where that is there. Default
        `travel_time_map`.
    options : dict, optional
        The same for all slices; picklable. Of those that name a file, or a folder with files named like the slice,
        no map may replace it, and ``resume`` makes anew what was made from another content.
    scheduler : str, optional
        Address of a Dask scheduler. Default: processes on this machine, which end with the call.
    processes : int, optional
        How many; default one for every two cores, on CUDA one. 0: in this process, one after another, without Dask.
    threads : int, optional
        Of each process; default: the cores are shared out.
    retries : int
        How often a slice that failed, or whose process died, is tried again. It goes on from its checkpoint.
    resume : bool
        Keep the maps of an earlier run of the same data, job and options, and go on with the slices it was at.
    stages : sequence of str
        Before the last, for which the job writes ``NAME_STAGE.h5`` and ``NAME_STAGE.checkpoint``, too.
    report : function of SliceResult, optional
        Called after each slice, and after each attempt that failed.
    progress : bool
        Show on standard error how many slices are through.

    Returns
    -------
    StackSummary

    Raises
    ------
    ArgumentError
        No slices, two of the same name, a folder in which a map would replace data or a file of the options, no
        scheduler at the address.
    FileNotFoundError
        A file is not there; whatever else is wrong with a slice is only reported.
    FormatError
        A damaged summary to resume from.
    MissingExtraError
        Dask is not installed.

    Notes
    -----
    A map is the same to the last bit whichever process makes it and in which order, on processors of one
    kind and with the same NumPy. In a script, call it below ``if __name__ == "__main__":``, because
    processes import the script. After an interrupt the maps that are done and the checkpoints of the others stay.
    """
    slices = find_slices(files)
    target = Path(folder)
    options = dict(options or {})
    results = [_waiting(s, target, job, options) for s in slices]
    stages = tuple(stages)
    _refuse_inputs(slices, results, options, stages)
    target.mkdir(parents=True, exist_ok=True)
    _prepare(results, _earlier(target) if resume else {}, stages)
    if processes is None and scheduler is None and str(options.get("device", "cpu")).startswith("cuda"):
        processes = 1
    summary = StackSummary(results)
    open_ = [k for k, r in enumerate(results) if r.status == "waiting"]
    begin = time.perf_counter()

    def note(finished: Finished, status: str) -> None:
        result = results[open_[finished.index]]
        result.attempts, result.seconds = finished.attempts, round(finished.seconds, 3)
        result.error = finished.error or result.error
        result.status, result.figures = status, finished.value or {}
        summary.seconds = time.perf_counter() - begin
        _write_summary(target, summary)
        if report is not None:
            report(result)

    _write_summary(target, summary)
    tasks = [(slices[k], Path(results[k].output), options) for k in open_]
    outcomes = run_tasks(
        _checked_job,
        [(job, *t) for t in tasks],
        scheduler=scheduler,
        processes=processes,
        threads=threads,
        retries=retries,
        failed=lambda finished: note(finished, "waiting"),
    )
    with closing(outcomes):  # an interrupt ends the processes now, not when the iterator is collected
        for finished in show_progress(outcomes, "slices", total=len(tasks), enabled=progress):
            note(finished, "failed" if finished.error else "done")
    return summary


def _checked_job(job: Job, source: Slice, output: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Run a job; one without a map at the end has failed."""
    figures = job(source, output, options)
    if not output.exists():
        raise FileNotFoundError(f"{output}: the job wrote no map")
    return json.loads(json.dumps(figures or {}))


def _waiting(source: Slice, folder: Path, job: Job, options: dict[str, Any]) -> SliceResult:
    """A slice before its first attempt, with the digest by which a later run knows it again."""
    facts = source.path.stat()
    identity: tuple[Any, ...] = (str(source), facts.st_size, facts.st_mtime_ns, job.__module__, job.__qualname__)
    for path in _option_files(source, folder, options):
        facts = path.stat()
        identity += (str(path), facts.st_size, facts.st_mtime_ns)
    try:
        digest = hashlib.sha256(repr(identity).encode() + pickle.dumps(sorted(options.items()))).hexdigest()
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ArgumentError(f"options: expected values that can be sent to other processes ({error})") from None
    output = folder / f"{source.name}.h5"
    return SliceResult(source.name, str(source), str(output.absolute()), digest=digest)


def _option_files(source: Slice, folder: Path, options: dict[str, Any]) -> list[Path]:
    """Files that options name, and those named like the slice in a folder of theirs other than the output's."""
    found = []
    for _, value in sorted(options.items()):
        if not isinstance(value, str | Path):
            continue
        if os.path.isfile(value):  # False for strings that cannot be names
            found.append(Path(value))
        elif isinstance(value, Path) and value.is_dir() and value.resolve() != folder.resolve():
            found += sorted(p for p in value.iterdir() if p.stem == source.name and p.is_file())
    return found


def _refuse_inputs(
    slices: Iterable[Slice], results: Iterable[SliceResult], options: dict[str, Any], stages: tuple[str, ...]
) -> None:
    results = list(results)
    inputs = {s.path.resolve() for s in slices}
    for source, result in zip(slices, results, strict=True):
        inputs |= {p.resolve() for p in _option_files(source, Path(result.output).parent, options)}
    for output in (path for r in results for path in _maps(r, stages)):
        if output.resolve() in inputs:
            raise ArgumentError(f"folder: expected another one than the data's or the options', got {output} for both")


def _maps(result: SliceResult, stages: tuple[str, ...]) -> list[Path]:
    """What the job writes for a slice: its map and those of stages before."""
    output = Path(result.output)
    return [output, *(output.with_name(f"{output.stem}_{stage}.h5") for stage in stages)]


def _prepare(results: Iterable[SliceResult], earlier: dict[str, Any], stages: tuple[str, ...]) -> None:
    """Keep what an earlier run finished; remove checkpoints that belong to other data or options."""
    for result in results:
        output = Path(result.output)
        before = earlier.get(result.name, {})
        same = before.get("digest") == result.digest
        if same and before.get("status") in ("done", "kept") and output.exists():
            result.status = "kept"
            result.attempts, result.seconds = int(before["attempts"]), float(before["seconds"])
            result.error, result.figures = str(before["error"]), dict(before["figures"])
        elif not same:
            for path in _maps(result, stages):
                path.with_suffix(".checkpoint").unlink(missing_ok=True)


def _earlier(folder: Path) -> dict[str, Any]:
    """Slices of the summary that an earlier run left, by name."""
    path = folder / SUMMARY
    if not path.exists():
        return {}
    try:
        return {str(s["name"]): s for s in json.loads(path.read_text())["slices"]}
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: expected the summary of a stack, got something else ({error})") from None


def _write_summary(folder: Path, summary: StackSummary) -> None:
    with atomic(folder / SUMMARY) as temporary:
        temporary.write_text(json.dumps(summary.as_dict(), indent=2) + "\n")
