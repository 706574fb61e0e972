"""Measure contenders fairly: warm-up, interleaved rounds in alternating order, medians with bands, machine facts."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]


@dataclass
class Contender:
    """Something to time.

    Parameters
    ----------
    name, case : str
        Who, and on which job.
    run : callable
        One execution; returns (wall, CPU) seconds, so that a worker in another process can measure itself.
    work : float
        Units done per execution.
    effective : float
        Of these, how many were not masked away; default all.
    floor : float [s]
        CPU time below which no implementation can come, 0 where not stated.
    facts : dict
        Set-up time, memory, error, notes: reported, not timed.
    """

    name: str
    case: str
    run: object
    work: float
    effective: float = 0.0
    floor: float = 0.0
    facts: dict = field(default_factory=dict)


@dataclass
class Result:
    """Medians and bands (smallest to largest) over the rounds."""

    name: str
    case: str
    rounds: int
    wall: float
    wall_band: tuple
    cpu: float
    cpu_band: tuple
    work: float
    effective: float
    floor: float
    facts: dict

    @property
    def rate(self):
        """Units per CPU second."""
        return self.work / self.cpu

    def rate_band(self):
        return self.work / self.cpu_band[1], self.work / self.cpu_band[0]


def own_time(function):
    """Make a `Contender.run` of a function in this process."""

    def run():
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        return time.perf_counter() - wall, time.process_time() - cpu

    return run


def repeated_time(function, seconds=0.25):
    """Median wall and CPU time of the executions that fit into ``seconds``, at least one."""
    times = []
    start = time.perf_counter()
    while not times or time.perf_counter() - start < seconds:
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall, cpu = zip(*times, strict=True)
    return statistics.median(wall), statistics.median(cpu)


def measure(contenders, rounds=6, warm=1, verbose=True):
    """Time all contenders in interleaved rounds; every other round in reverse order.

    An odd number of rounds would favour one side of the order, so it is refused.
    """
    if rounds < 2 or rounds % 2:
        raise ValueError(f"rounds: expected an even number of at least 2, got {rounds}")
    for contender in contenders:
        for _ in range(warm):
            contender.run()
    times = [[] for _ in contenders]
    for r in range(rounds):
        order = range(len(contenders)) if r % 2 == 0 else reversed(range(len(contenders)))
        for i in order:
            times[i].append(contenders[i].run())
        if verbose:
            print(f"  round {r + 1} of {rounds}", flush=True)
    return [_result(c, t) for c, t in zip(contenders, times, strict=True)]


def _result(contender, times):
    wall, cpu = ([t[k] for t in times] for k in (0, 1))
    return Result(
        contender.name,
        contender.case,
        len(times),
        statistics.median(wall),
        (min(wall), max(wall)),
        statistics.median(cpu),
        (min(cpu), max(cpu)),
        contender.work,
        contender.effective or contender.work,
        contender.floor,
        contender.facts,
    )


def ratio(a, b):
    """CPU time of ``b`` over that of ``a`` with its band; not a result if the band holds 1."""
    band = b.cpu_band[0] / a.cpu_band[1], b.cpu_band[1] / a.cpu_band[0]
    return b.cpu / a.cpu, band, not band[0] <= 1 <= band[1]


def bandwidth(megabytes=256, repeats=5):
    """Bytes read plus written per CPU second by a large copy, the best of ``repeats``."""
    source = np.ones(megabytes << 17)
    target = np.empty_like(source)
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        np.copyto(target, source)
        times.append(time.process_time() - start)
    return 2 * source.nbytes / min(times[1:])


def machine():
    """Facts about this machine and the code, for the JSON."""
    info = Path("/proc/cpuinfo")
    model, flags = platform.processor(), ""
    if info.exists():
        pairs = (line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        fields = {k.strip(): v.strip() for k, v in pairs}
        model, flags = fields.get("model name", model), fields.get("flags", "")
    git = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        "cpu": model,
        "simd": [f for f in ("avx2", "fma", "avx512f") if f in flags.split()],
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def table(results, unit="Mpoints"):
    """Markdown table, one row per result; rates are per CPU second, memory is what came on top of the data."""
    columns = (f"{unit} / CPU-s", "band", "effective", "CPU ms", "x floor", "wall ms", "error", "MB", "set-up s")
    rows = ["| " + " | ".join(("case", "contender", *columns, "note")) + " |", "|---" * (len(columns) + 3) + "|"]
    for r in results:
        low, high = r.rate_band()
        cells = (
            r.case,
            r.name,
            f"{r.rate / 1e6:,.0f}",
            f"{low / 1e6:,.0f} to {high / 1e6:,.0f}",
            f"{r.effective / r.cpu / 1e6:,.0f}",
            f"{1e3 * r.cpu:,.1f}",
            f"{r.cpu / r.floor:,.0f}" if r.floor else "",
            f"{1e3 * r.wall:,.1f}",
            f"{r.facts['error']:.0e}" if "error" in r.facts else "",
            f"{r.facts['memory'] / 1e6:,.0f}" if "memory" in r.facts else "",
            f"{r.facts['setup']:.2f}" if "setup" in r.facts else "",
            r.facts.get("note", ""),
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def save(results, path):
    """Write results and machine facts as JSON."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine(), "results": [{**asdict(r), "rate": r.rate} for r in results]}
    path.write_text(json.dumps(content, indent=1) + "\n")


def options(description):
    """Command-line options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=6, help="even; default 6")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", help="write results here")
    return parser
