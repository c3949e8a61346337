"""The threads of a run: shared out among its temperatures, and within each among its replicas.

Temperatures side by side need no waiting for each other, and serve every kernel, so they come
first.  Where there are fewer temperatures than threads, and when the last ones are at work, each
gets several for its replicas.  No result depends on any of this.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any

from spinnet.memory import machine_memory
from spinnet.progress import ProgressBar
from spinnet.runs.interruption import Interrupted
from spinnet.spins.models import Bipartite, Ising, NetworkDual, SpinModel
from spinnet.spins.montecarlo.chains import KERNELS
from spinnet.spins.montecarlo.plan import Plan
from spinnet.spins.montecarlo.trajectory import WORTH_THREADS
from spinnet.validation import integer

_BLOCK = 256  # sweeps between two returns to the interpreter
_MEMORY = 0.25  # of the machine, for the couplings of all temperatures that are at work


def checked_workers(workers: int | None) -> int:
    """Return the number of threads; None is one for each core that this process may use."""
    if workers is not None:
        return integer("workers (or None for all cores)", workers, minimum=1)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


class Crew:
    """Threads at work on the trajectories of one run.

    Parameters
    ----------
    plan : Plan
    asked_to_stop : callable
        Says whether somebody wants the work to stop.
    """

    def __init__(self, plan: Plan, asked_to_stop: Callable[[], bool] = lambda: False) -> None:
        self._workers, self._at_once = plan.workers, _at_once(plan)
        self._asked, self._stopped = asked_to_stop, False
        self._left = 0

    def share(self) -> int:
        """Return the threads that a trajectory may use right now."""
        return max(1, self._workers // max(1, min(self._left, self._at_once)))

    def asked_to_stop(self) -> bool:
        """Return whether the work shall stop: because of a signal, or an error elsewhere."""
        return self._stopped or self._asked()

    def do(self, work: Callable[[int], object], jobs: Sequence[int]) -> None:
        """Call `work` for each job, several at once if that is worth it.

        Raises
        ------
        Exception
            That of the first job that failed; the others are asked to stop.
        """
        self._left = len(jobs)
        if self._at_once == 1:
            for k in jobs:
                work(k)
            return
        pool = ThreadPoolExecutor(self._at_once)
        futures: list[Future[None]] = []
        try:
            for k in jobs:
                futures.append(pool.submit(self._one, work, k))
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:  # also at Ctrl-C
            self._stopped = True  # for what is still at work
            pool.shutdown(cancel_futures=True)
        _raise_first(futures)

    def _one(self, work: Callable[[int], object], k: int) -> None:
        try:
            work(k)
        finally:
            self._left -= 1


def _raise_first(futures: Iterable[Future[None]]) -> None:
    """Raise the first error that is not the stop which another error led to."""
    errors: list[Any] = [f.exception() for f in futures if not f.cancelled()]
    own = [error for error in errors if error is not None and not isinstance(error, Interrupted)]
    for error in [*own, *filter(None, errors)]:
        raise error


def _at_once(plan: Plan) -> int:
    """Return how many trajectories go side by side.

    One where blocks are so short that the interpreter, which serves one thread at a time, is
    the limit; where observers are called, which need not bear being called twice at once; and
    few where each brings its own copy of large couplings.
    """
    chains = KERNELS[plan.kernel]
    block = _BLOCK * chains.cost(plan.model, plan.update, plan.n_rows)
    if plan.workers == 1 or plan.observers or block < WORTH_THREADS:
        return 1
    fitting = _MEMORY * machine_memory() / max(1, _couplings_bytes(plan.model))
    return max(1, int(min(plan.workers, plan.n_trajectories, fitting)))


def _couplings_bytes(model: SpinModel) -> float:
    """Return the size of what each chain set may have a copy of."""
    if isinstance(model, Ising):
        J: Any = model.couplings
        return float(J.data.nbytes if model.is_sparse else J.nbytes)
    return 8.0 * model.n_spins**2 if isinstance(model, (Bipartite, NetworkDual)) else 0.0


class SharedBar(ProgressBar):
    """A progress bar that several threads may move."""

    def __init__(self, bar: ProgressBar) -> None:
        self._bar, self._lock = bar, threading.Lock()

    def update(self, n: int = 1) -> None:
        """Count `n` steps that were done just now."""
        with self._lock:
            self._bar.update(n)

    def skip(self, n: int) -> None:
        """Count `n` steps that were done before, and took no time now."""
        with self._lock:
            self._bar.skip(n)
