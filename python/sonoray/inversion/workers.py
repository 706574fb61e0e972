"""Independent tasks on many processes, through Dask: one that fails is tried again, the others go on."""

import os
import pickle
import signal
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from .._blas import one_blas_thread
from .._checks import count
from ..errors import ArgumentError, Error, MissingExtraError

_BLAS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_POLL = 0.05  # s
_FIRST_CONTACT = "10s"
_GOODBYE = 20.0  # s

Function = Callable[..., Any]


@dataclass(frozen=True)
class Finished:
    """What became of a task.

    Parameters
    ----------
    index : int
        Which task.
    attempts : int
    seconds : float
        Of the last attempt.
    value : object
        What the function returned; None if it failed.
    error : str
        Why the last attempt failed; empty if it did not.
    """

    index: int
    attempts: int
    seconds: float
    value: Any = None
    error: str = ""


def run_tasks(
    function: Function,
    tasks: Sequence[tuple[Any, ...]],
    *,
    scheduler: str | None = None,
    processes: int | None = None,
    threads: int | None = None,
    retries: int = 2,
    failed: Callable[[Finished], None] | None = None,
) -> Generator[Finished]:
    """Call a function with each of many tuples of arguments, and yield what became of each as it finishes.

    Parameters
    ----------
    function : function
        That a module holds, so that another process can import it.
    tasks : sequence of tuples
        Its positional arguments; they and what it returns must be picklable.
    scheduler : str, optional
        Address of a Dask scheduler, such as "tcp://host:8786". Default: processes of our own on this machine.
    processes : int, optional
        How many; default one for every two cores. 0: in this process, one after another, without Dask.
    threads : int, optional
        Of each process, for sonoray's kernels; default: the cores are shared out. SONORAY_THREADS, where set, says
        how many cores there are. NumPy's BLAS runs on one.
    retries : int
        How often a task that failed, or whose process died, is tried again.
    failed : function of Finished, optional
        Called after each attempt that failed and is going to be repeated.

    Raises
    ------
    ArgumentError
        No scheduler at the address, numbers out of range.
    MissingExtraError
        Dask is not installed.
    Error
        The connection to the scheduler was lost.

    Notes
    -----
    Whatever ends the iteration, KeyboardInterrupt included, ends the processes or cancels the scheduler's tasks. On
    our own processes every death of one counts as an attempt of its task; a scheduler first repeats such a task by
    itself (Dask's ``distributed.scheduler.allowed-failures``).
    """
    retries = count("retries", retries, 0, 100)
    threads = None if threads is None else count("threads", threads, 1, 9999)
    if processes is not None:
        processes = count("processes", processes, 0, 9999)
    if scheduler is not None and processes is not None:
        raise ArgumentError("processes: expected none beside a scheduler, which has workers of its own")
    if not tasks:
        return
    if processes == 0:
        yield from _one_by_one(function, tasks, retries, failed)
        return
    if scheduler is None:
        processes, threads = shares(len(tasks), processes, threads)
    with _client(scheduler, processes, threads) as client:
        run = _Run(client, function, tasks, threads, retries, failed, bounded=scheduler is None)
        yield from run.results()


def shares(tasks: int, processes: int | None, threads: int | None) -> tuple[int, int]:
    """How many processes, and threads in each, for so many tasks on this machine."""
    given = os.environ.get("SONORAY_THREADS", "0")
    cores = int(given) if given.isdigit() and int(given) else len(os.sched_getaffinity(0))
    if processes is None:
        processes = max(1, cores // (threads or 2))
    processes = min(processes, tasks)
    return processes, threads or max(1, cores // processes)


def attempt(function: Function, arguments: tuple[Any, ...], threads: int | None) -> tuple[Any, str, float]:
    """Call a function in a worker: what it returned, why it failed, how long it took.

    A failure comes back as text, because not every exception can be pickled.
    """
    if threads is not None:
        os.environ["SONORAY_THREADS"] = str(threads)
    begin = time.perf_counter()
    try:
        with one_blas_thread():  # as sums then do not depend on the machine's number of cores; ours run on many
            value, error = function(*arguments), ""
    except Exception as problem:
        value, error = None, f"{type(problem).__name__}: {problem}"
    return value, error, time.perf_counter() - begin


def _unpacked(call: bytes, threads: int | None) -> tuple[Any, str, float]:
    """`attempt` of a pickled function and its arguments; whatever is wrong with them fails the task, too."""
    try:
        function, arguments = pickle.loads(call)
    except Exception as problem:
        return None, f"cannot be unpickled: {type(problem).__name__}: {problem}", 0.0
    return attempt(function, arguments, threads)


def _one_by_one(
    function: Function,
    tasks: Sequence[tuple[Any, ...]],
    retries: int,
    failed: Callable[[Finished], None] | None,
) -> Iterator[Finished]:
    for index, arguments in enumerate(tasks):
        for tried in range(1, retries + 2):
            value, error, seconds = attempt(function, arguments, None)
            finished = Finished(index, tried, seconds, value, error)
            if not error:
                break
            if failed is not None and tried <= retries:
                failed(finished)
        yield finished


class _Run:
    """Tasks on their way through a Dask client."""

    def __init__(
        self,
        client: Any,
        function: Function,
        tasks: Sequence[tuple[Any, ...]],
        threads: int | None,
        retries: int,
        failed: Callable[[Finished], None] | None,
        bounded: bool,
    ) -> None:
        self.client, self.function, self.tasks = client, function, tasks
        self.threads, self.retries, self.failed, self.bounded = threads, retries, failed, bounded
        self.name = uuid.uuid4().hex[:12]
        self.waiting = deque(range(len(tasks)))
        self.attempts = [0] * len(tasks)
        self.flying: dict[Any, int] = {}

    def results(self) -> Iterator[Finished]:
        try:
            while self.waiting or self.flying:
                self._submit()
                done = [future for future in self.flying if future.done()]
                if not done:
                    time.sleep(_POLL)
                for future in done:
                    finished = self._landed(self.flying.pop(future), future)
                    if finished is not None:
                        yield finished
        finally:
            if self.flying and self.client.status == "running":
                self.client.cancel(list(self.flying))

    def _submit(self) -> None:
        """Give tasks to the scheduler: all at once, or to our own processes no more than there are.

        A task that waits at a process is lost with it and would count as failed when another one kills it.
        """
        import cloudpickle

        room = len(self.waiting)
        if self.bounded and room:
            room = min(room, sum(self.client.nthreads().values()) - len(self.flying))
        for _ in range(room):
            index = self.waiting.popleft()
            self.attempts[index] += 1
            key = f"sonoray-{self.name}-{index}-{self.attempts[index]}"
            # As bytes: Dask would take a tuple with a function in front for a task of its own.
            call = cloudpickle.dumps((self.function, self.tasks[index]))
            self.flying[self.client.submit(_unpacked, call, self.threads, key=key, pure=False)] = index

    def _landed(self, index: int, future: Any) -> Finished | None:
        value, error, seconds = self._outcome(future)
        finished = Finished(index, self.attempts[index], seconds, value, error)
        if error and finished.attempts <= self.retries:
            self.waiting.append(index)
            if self.failed is not None:
                self.failed(finished)
            return None
        return finished

    def _outcome(self, future: Any) -> tuple[Any, str, float]:
        from dask.distributed import KilledWorker

        try:
            value, error, seconds = future.result()
        except KilledWorker:
            return None, "the process that worked on it died (killed, out of memory, or crashed)", 0.0
        except Exception as problem:  # of unpickling, or of the connection
            if self.client.status != "running":
                raise Error("scheduler: lost the connection; what is finished is on disk") from None
            return None, f"{type(problem).__name__}: {problem}", 0.0
        return value, error, seconds


@contextmanager
def _client(scheduler: str | None, processes: int | None, threads: int | None) -> Iterator[Any]:
    """A Dask client of a scheduler, or of processes of our own that end with it."""
    try:
        from dask.distributed import Client
    except ImportError:
        raise MissingExtraError("many slices need Dask: pip install 'sonoray[dask]' (or processes=0)") from None
    if scheduler is None:
        assert processes is not None
        assert threads is not None
        with _local(processes, threads) as client:
            yield client
        return
    try:
        client = Client(scheduler, timeout=_FIRST_CONTACT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ArgumentError(
            f"scheduler: expected the address of a running Dask scheduler, such as tcp://host:8786, got {scheduler!r} "
            f"({error})"
        ) from None
    with client:
        if not client.nthreads():
            warnings.warn(f"the scheduler at {scheduler} has no workers yet", stacklevel=2)
        yield client


@contextmanager
def _local(processes: int, threads: int) -> Iterator[Any]:
    import dask
    from dask.distributed import Client, LocalCluster

    limits = {**dict.fromkeys(_BLAS, "1"), "SONORAY_THREADS": str(threads)}
    with _environment(limits), dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        cluster = LocalCluster(
            n_workers=processes,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,  # a share each would end a large slice that has the memory to itself
            dashboard_address=None,
            silence_logs=60,  # deaths are reported by us
        )
        client = Client(cluster, set_as_default=False)
        try:
            client.register_plugin(_ignore_interrupts())
            yield client
        except BaseException:
            _kill(cluster.workers.values())
            raise
        finally:
            client.close()
            with suppress(TimeoutError):  # the processes are daemons and end with this one at the latest
                cluster.close(timeout=_GOODBYE)


def _kill(nannies: Iterable[Any]) -> None:
    """End the processes, not to wait for what still runs in them: files appear whole or not at all."""
    for nanny in nannies:
        nanny.auto_restart = False
        with suppress(ProcessLookupError, TypeError):  # TypeError: just now there is none
            os.kill(nanny.pid, signal.SIGKILL)


def _ignore_interrupts() -> Any:
    """Ctrl-C reaches every process of the terminal; the main one ends the others."""
    from dask.distributed import WorkerPlugin

    class IgnoreInterrupts(WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: Any) -> None:
            del worker
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return IgnoreInterrupts()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables for processes that start meanwhile; Dask leaves some of its own behind, which go, too."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
