"""Tasks on workers: here, on any Executor, or on processes that may die.

A worker that dies takes the whole pool of the standard library with it.  `on_processes` then
makes a new pool, and runs the points that were under way one at a time, so that the one that
kills its worker is found and the others lose nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    as_completed,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from spinnet.errors import SpinnetError
from spinnet.runs.evaluation import Outcome, describe

Call = Callable[[Any], Outcome]
Result: TypeAlias = "tuple[Any, Outcome]"

_DEATHS = 3  # of its worker, alone in the pool, before a job counts as the cause
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def here(call: Call, jobs: Sequence[Any]) -> Iterator[Result]:
    """Yield each job with its outcome, in order, computed in this process."""
    for job in jobs:
        yield job, call(job)


def on_executor(executor: Executor, call: Call, jobs: Sequence[Any]) -> Iterator[Result]:
    """Yield each job with its outcome as the workers of an executor finish them.

    Raises
    ------
    SpinnetError
        If the executor itself breaks; what had finished was yielded before.
    """
    futures: dict[Future[Outcome], Any] = {}
    broken: BrokenExecutor | None = None
    try:
        for job in jobs:
            try:
                futures[executor.submit(call, job)] = job
            except BrokenExecutor as failure:
                broken = failure
                break
        for future in as_completed(futures):
            error = future.exception()
            if isinstance(error, BrokenExecutor):
                broken = error
            elif error is not None:  # such as dask's KilledWorker
                yield futures[future], Outcome(error=describe(error))
            else:
                yield futures[future], future.result()
    finally:
        for future in futures:
            future.cancel()
    if broken is not None:
        raise SpinnetError(
            f"the executor broke: {describe(broken)}; what had finished is kept in the "
            "directory of the sweep, if it has one: run it again with a new executor"
        ) from broken


@dataclass(eq=False)
class _Job:
    content: Any
    suspect: bool = False  # was under way when a pool broke
    deaths: int = 0  # of its worker, while nothing else was under way


def on_processes(n_workers: int, call: Call, jobs: Sequence[Any]) -> Iterator[Result]:
    """Yield each job with its outcome as fresh processes of this machine finish them.

    A job whose worker died three times while it ran alone ends with an error.
    """
    waiting = deque(_Job(job) for job in jobs)
    while waiting:
        with _pool(n_workers) as pool:
            yield from _feed(pool, n_workers, call, waiting)


def _feed(
    pool: ProcessPoolExecutor, n_workers: int, call: Call, waiting: deque[_Job]
) -> Iterator[Result]:
    """Run what waits until nothing does or the pool breaks; put back what was under way."""
    running: dict[Future[Outcome], _Job] = {}
    while waiting or running:
        try:
            while waiting and _fits(waiting[0], running, 2 * n_workers):
                job = waiting[0]
                running[pool.submit(call, job.content)] = job
                waiting.popleft()
        except BrokenExecutor:
            pass  # the futures below say so too
        if not running:
            return
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        broken = False
        for future in finished:
            error = future.exception()
            if isinstance(error, BrokenExecutor):
                broken = True
                continue
            job = running.pop(future)
            yield job.content, Outcome(error=describe(error)) if error else future.result()
        if broken:
            yield from _after_a_death(running, waiting)
            return


def _fits(job: _Job, running: dict[Future[Outcome], _Job], capacity: int) -> bool:
    if job.suspect or any(other.suspect for other in running.values()):
        return not running
    return len(running) < capacity


def _after_a_death(running: dict[Future[Outcome], _Job], waiting: deque[_Job]) -> Iterator[Result]:
    """Queue the jobs that a broken pool dropped, or give up one that was alone too often."""
    wait(running)  # each is finished or broken now
    alone = len(running) == 1
    for future, job in reversed(list(running.items())):
        if future.exception() is None:
            yield job.content, future.result()
            continue
        job.suspect = True
        job.deaths += alone
        if job.deaths < _DEATHS:
            waiting.appendleft(job)
            continue
        yield (
            job.content,
            Outcome(
                error=f"WorkerDied: its process was killed {_DEATHS} times while it ran alone "
                "(out of memory, or a crash in compiled code)"
            ),
        )


@contextmanager
def _pool(n_workers: int) -> Iterator[ProcessPoolExecutor]:
    """Start processes with one thread of linear algebra each; stop them at once on an error."""
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(n_workers, mp_context=context, initializer=_prepare_worker)
    try:
        with _single_threaded():
            ready = pool.submit(os.getpid)  # starts every worker, in this environment
        try:
            ready.result()
        except BrokenExecutor as error:
            raise SpinnetError(
                "the worker processes end as they start; in a script, call sweep under "
                '`if __name__ == "__main__":`, since each worker imports the script'
            ) from error
        yield pool
        pool.shutdown()
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Set the numbers of threads, where the user did not, for processes started inside."""
    added = [name for name in _THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it dies, even by SIGKILL."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
