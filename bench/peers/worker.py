"""One contender in a process of its own. Parent side: `Worker`. Child side: ``python -m bench.peers.worker``.

A job says its `task`; adapter NAME does it in the module bench.peers.NAME_TASK, whose `prepare(job, data, option)`
returns what to execute, what makes the answer of its result, and a note; `job.judge` compares that with the truth.

The child prepares its job, then executes it for a quarter of a second for every line it reads and answers with its
own clocks, so that contenders with conflicting dependencies can still be measured in interleaved rounds. The first
execution of a round, which finds caches and clocks as the previous contender left them, does not count unless it takes
longer than a second.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from bench.adaptive_job import AdaptiveJob
from bench.doppler_job import DopplerJob
from bench.harness import repeated_time
from bench.job import Job
from bench.ray_job import RingJob

ROOT = Path(__file__).parents[2]
JOBS = {job.task: job for job in (Job, RingJob, DopplerJob, AdaptiveJob)}
_MARK = "@worker "  # peers print, too


class UnavailableError(Exception):
    """The package is not installed, or cannot do the job; says which."""


class Worker:
    """Parent side of one contender.

    Parameters
    ----------
    adapter : str
        Package that does the job.
    job : Job, RingJob, DopplerJob or AdaptiveJob
    threads : int
        Also the number of processors that the child may use.
    python : str
        Interpreter in whose environment the package is installed.
    """

    def __init__(self, adapter, job, *, threads=1, python=sys.executable, option=""):
        env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "python")]))
        for name in ("OMP", "NUMBA", "MKL", "OPENBLAS", "SONORAY"):
            env[f"{name}_{'THREADS' if name == 'SONORAY' else 'NUM_THREADS'}"] = str(threads)
        if not any((ROOT / "python" / "sonoray").glob("_cpu*.so")):
            env["PYTHONPATH"] = str(ROOT)  # sonoray is installed, not built in place
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 a pipe that nobody reads would fill up
        self._process = subprocess.Popen(
            [python, "-m", "bench.peers.worker", adapter, job.task, json.dumps(asdict(job)), str(threads), option],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, env=env, cwd=ROOT,
        )  # fmt: skip
        try:
            self.facts = self._read()
        except UnavailableError:
            self.close()
            raise

    def _read(self):
        for line in self._process.stdout:
            if line.startswith(_MARK):
                answer = json.loads(line[len(_MARK) :])
                if "unavailable" in answer:
                    raise UnavailableError(answer["unavailable"])
                return answer
        self._log.seek(0)
        raise UnavailableError(self._log.read().strip()[-400:] or "the worker ended without an answer")

    def run(self):
        """Execute once; returns (wall, CPU) seconds of the child."""
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        answer = self._read()
        return answer["wall"], answer["cpu"]

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()


def workers(peers, job, *, threads=1, peer_python):
    """Pairs of name and started worker; packages that are absent or cannot do the job are named and left out.

    A name is a package or package:option; sonoray runs in this interpreter, the others in ``peer_python``.
    """
    for name in peers:
        adapter, _, option = name.partition(":")
        python = sys.executable if adapter == "sonoray" else peer_python
        try:
            worker = Worker(adapter, job, threads=threads, python=python, option=option)
        except UnavailableError as reason:
            print(f"  left out {name}: {reason}", flush=True)
            continue
        yield name, worker


def _answer(**content):
    print(_MARK + json.dumps(content), flush=True)


def _memory(name):
    """VmRSS (now) or VmHWM (highest since the last reset) of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


def main():
    adapter, task, job, threads, option = sys.argv[1:]
    job, threads = JOBS[task](**json.loads(job)), int(threads)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    try:
        module = importlib.import_module(f"bench.peers.{adapter}_{task}")
        data = job.data()
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak that making the data had
        before = _memory("VmRSS")
        start = time.process_time()
        execute, answer, note = module.prepare(job, data, option)
        setup = time.process_time() - start
        slow = time.perf_counter()
        result = answer(execute())
        slow = time.perf_counter() - slow > 1.0
    except (ImportError, NotImplementedError) as error:
        _answer(unavailable=f"{adapter}: {error}")
        return
    _answer(**job.judge(result, data), setup=setup, memory=_memory("VmHWM") - before, note=note)
    for _ in sys.stdin:
        if not slow:
            execute()
        wall, cpu = repeated_time(execute)
        _answer(wall=wall, cpu=cpu)


if __name__ == "__main__":
    main()
