"""The verb ``sweep``: one task at every point of a grid, on any executor, kept in a directory.

The work is any function of a few parameters; its results are numbers.  A point's random stream
depends on the seed and on its parameters alone, so that here, on processes, on
dask.distributed and on MPI the same bits come out, whatever the order, and a grown grid keeps
what it had.
"""

from __future__ import annotations

import csv
import io
import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import spinnet
from spinnet.errors import InputError
from spinnet.files import finite_or_null, write_atomically
from spinnet.progress import progress_bar
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.runs import workers
from spinnet.runs.evaluation import (
    Outcome,
    Task,
    evaluate,
    lasting_name,
    takes_rng,
    task_name,
)
from spinnet.runs.grid import Grid, Point, read_grid
from spinnet.runs.rows import RowStore
from spinnet.validation import integer

_Job = tuple[Point, "np.random.SeedSequence | None"]


@dataclass(frozen=True, eq=False)
class SweepRow:
    """One point of a sweep and what its task returned.

    Attributes
    ----------
    params : dict of str to number, str, bool, None or list
        The parameters.
    status : str
        "done", "failed", or "missing" (another part of the sweep has it to do).
    values : dict of str to number, str, bool or ndarray
        The results by name ("value", if the task returned a bare number); empty unless done.
    error, trace : str
        Class and message of the exception of a failed task, and its traceback.
    """

    params: dict[str, Any]
    status: str
    values: dict[str, Any]
    error: str = ""
    trace: str = ""


@dataclass(frozen=True, eq=False)
class Sweep:
    """The rows of a sweep, in the order of the grid.

    Attributes
    ----------
    rows : tuple of SweepRow
    task : str
        Name of the task.
    seed : dict or None
        What makes the random streams again; None if the task takes none.
    version : str
        The spinnet that collected the rows.
    """

    rows: tuple[SweepRow, ...]
    task: str
    seed: dict[str, Any] | None
    version: str

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[SweepRow]:
        return iter(self.rows)

    @property
    def failed(self) -> tuple[SweepRow, ...]:
        """The rows whose task raised an exception or killed its worker."""
        return tuple(row for row in self.rows if row.status == "failed")

    @property
    def complete(self) -> bool:
        """Whether every row is done."""
        return all(row.status == "done" for row in self.rows)

    def column(self, name: str) -> np.ndarray[Any, np.dtype[Any]]:
        """Return a parameter or a result of all rows as one array.

        A row that is not done has NaN (the empty word, for words).

        Raises
        ------
        InputError
            For an unknown name, or results whose shapes differ from row to row.
        """
        known = list(dict.fromkeys(k for row in self.rows for k in (*row.params, *row.values)))
        if name not in known:
            raise InputError(f"name must be one of {', '.join(known)}, got {name!r}")
        items = [row.params.get(name, row.values.get(name)) for row in self.rows]
        present = [np.asarray(item) for item in items if item is not None]
        shapes = {item.shape for item in present}
        if len(shapes) != 1:
            raise InputError(
                f"{name} must have one shape in all rows to be a column, got "
                f"{sorted(shapes)}; take it from .rows"
            )
        empty: Any = "" if present[0].dtype.kind == "U" else np.full(shapes.pop(), np.nan)
        return np.array([empty if item is None else item for item in items])

    def summary(self) -> str:
        """Return how many rows are done, and the error of each that failed."""
        counts = {s: sum(row.status == s for row in self.rows) for s in ("failed", "missing")}
        done = len(self.rows) - sum(counts.values())
        others = "".join(f", {count} {status}" for status, count in counts.items() if count)
        lines = [f"sweep of {self.task}: {done} of {len(self.rows)} rows done{others}"]
        for row in self.failed:
            given = ", ".join(f"{k}={v}" for k, v in row.params.items())
            lines.append(f"  {given}: {row.error}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers; a number that is NaN or infinite becomes None."""
        rows = [
            {
                "params": dict(row.params),
                "status": row.status,
                "values": {
                    k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in row.values.items()
                },
                "error": row.error,
            }
            for row in self.rows
        ]
        record = {"task": self.task, "seed": self.seed, "version": self.version, "rows": rows}
        plain = finite_or_null(record)
        assert isinstance(plain, dict)
        return plain

    def to_csv(self, path: str | Path) -> Path:
        """Write one line for each row: parameters, status, and the results that are scalars."""
        params = list(dict.fromkeys(k for row in self.rows for k in row.params))
        values = dict.fromkeys(k for row in self.rows for k in row.values)
        arrays = {k for r in self.rows for k, v in r.values.items() if isinstance(v, np.ndarray)}
        scalars = [name for name in values if name not in arrays]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*params, "status", *scalars, "error"])
        for row in self.rows:
            cells = [row.params.get(k, "") for k in params] + [row.status]
            writer.writerow([*cells, *(row.values.get(k, "") for k in scalars), row.error])
        return write_atomically(path, lambda f: f.write(text.getvalue().encode()))


def sweep(
    task: Task,
    grid: Grid,
    *,
    executor: Executor | str | None = None,
    n_workers: int | None = None,
    directory: str | Path | None = None,
    part: tuple[int, int] | None = None,
    rng: RandomState = None,
    progress: bool = False,
) -> Sweep:
    """Run a task at every point of a grid.

    Parameters
    ----------
    task : callable
        Called as ``task(**point)``, with ``rng=SeedSequence`` too if it takes `rng`; returns
        a number, or a dict of numbers, words and arrays.  For workers it must be a function at
        the top of a module, or a `functools.partial` of one, and build what is large (models,
        weights) from its parameters.
    grid : mapping of name to values, or list of mappings
        Their product, the last name running fastest, or the points themselves.  Values are
        numbers, words, bools, None or flat lists of those.
    executor : Executor or "processes", optional
        By default the rows are computed here, one after the other.  "processes" starts
        `n_workers` processes of this machine, one thread of linear algebra each; one that dies
        is replaced.  Else any ``concurrent.futures.Executor``: ``client.get_executor()`` of
        dask.distributed, ``mpi4py.futures.MPIPoolExecutor()``.
    n_workers : int, optional
        For "processes"; by default as many as this process may use processors.
    directory : path, optional
        Each row is kept there as soon as it is finished.  Run again, the sweep computes what is
        missing or failed; a larger grid extends it.
    part : (int, int), optional
        (k, n): compute only rows k, k + n, k + 2n ...; for job arrays that share `directory`.
        Refused while the whole sweep is being computed there.
    rng : None, int, SeedSequence or Generator
        A task that takes `rng` gets a stream made from it and from its own parameters.  With
        a directory, None continues the seed that is there.
    progress : bool
        Show the progress on standard error.

    Returns
    -------
    Sweep
        Rows in the order of the grid.  A task that raised an exception is a row with its error.

    Raises
    ------
    InputError
        For a bad argument, before any work.
    CheckpointError
        If the directory belongs to another sweep, is damaged, or cannot be written.
    SpinnetError
        If the executor breaks, or worker processes cannot start.

    Notes
    -----
    Results are the same bits on every executor as long as the linear algebra is: workers of
    other executors than "processes" should run with OPENBLAS_NUM_THREADS=1.  The directory
    knows the task by its name and the arguments that `functools.partial` fixed; after a change
    of its code, or of the attributes of an object that is called, use another.

    Examples
    --------
    >>> import spinnet as sn
    >>> def magnetisation(n_spins, beta):
    ...     return {"abs_m": sn.exact.curie_weiss(n_spins, beta).abs_m}
    >>> result = sn.sweep(magnetisation, {"n_spins": [10, 20], "beta": [0.5, 1.0]})
    >>> result.column("abs_m").round(4)
    array([0.333 , 0.5064, 0.243 , 0.4273])
    """
    points = read_grid(grid)
    wants = takes_rng(task, points)
    if rng is not None and not wants:
        raise InputError(f"rng is given, but task {task_name(task)} takes no argument rng")
    run = _runner(executor, n_workers)
    if executor == "processes" or isinstance(executor, ProcessPoolExecutor):
        _check_picklable(task)
    mine = _part(part, directory, len(points))
    store = None if directory is None else RowStore.open(directory, lasting_name(task), wants, rng)
    root = (seed_sequence(rng) if store is None else store.seed) if wants else None
    outcomes: dict[str, Outcome] = {} if store is None else store.read(points)
    left = [points[k] for k in mine if _is_left(points[k], outcomes)]
    if left:
        with nullcontext() if store is None else store.lock(part):
            if store is not None:  # by another process, just before
                outcomes |= store.read(left)
            jobs: list[_Job] = [
                (point, None if root is None else point.seed(root))
                for point in left
                if _is_left(point, outcomes)
            ]
            with progress_bar(len(jobs), progress, "row") as bar:
                for (point, _), outcome in run(partial(_call, task), jobs):
                    if store is not None:
                        store.write(point, outcome)
                    outcomes[point.key] = outcome
                    bar.update(1)
    record = None if root is None else dict(seed_record(root))
    rows = tuple(_row(point, outcomes.get(point.key)) for point in points)
    return Sweep(rows, task_name(task), record, spinnet.__version__)


def _call(task: Task, job: _Job) -> Outcome:
    point, seed = job
    return evaluate(task, point, seed)


def _is_left(point: Point, outcomes: Mapping[str, Outcome]) -> bool:
    return point.key not in outcomes or bool(outcomes[point.key].error)


def _row(point: Point, outcome: Outcome | None) -> SweepRow:
    if outcome is None:
        return SweepRow(dict(point.params), "missing", {})
    status = "failed" if outcome.error else "done"
    return SweepRow(dict(point.params), status, dict(outcome.values), outcome.error, outcome.trace)


def _runner(
    executor: Any, n_workers: int | None
) -> Callable[[workers.Call, Sequence[Any]], Iterator[workers.Result]]:
    if n_workers is not None and executor != "processes":
        raise InputError(
            f'n_workers belongs to executor="processes", got n_workers={n_workers!r} with '
            f"executor={executor!r:.60}"
        )
    if executor is None:
        return workers.here
    if isinstance(executor, str) and executor == "processes":
        count = usable_processors() if n_workers is None else n_workers
        return partial(workers.on_processes, integer("n_workers", count, minimum=1))
    if isinstance(executor, Executor):
        return partial(workers.on_executor, executor)
    hint = "; pass client.get_executor()" if hasattr(executor, "get_executor") else ""
    raise InputError(
        'executor must be None, "processes" or a concurrent.futures.Executor, got '
        f"{executor!r:.80}{hint}"
    )


def _check_picklable(task: Task) -> None:
    try:
        pickle.dumps(task)
    except Exception as error:  # pickle raises what it likes
        raise InputError(
            f"task {task_name(task)} cannot be sent to another process ({error}); define it at "
            "the top of a module, or use functools.partial of such a function"
        ) from error


def usable_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _part(part: Any, directory: Any, n_points: int) -> range:
    if part is None:
        return range(n_points)
    if not isinstance(part, tuple) or len(part) != 2:
        raise InputError(f"part must be a pair (k, n), got {part!r:.60}")
    n = integer("part[1]", part[1], minimum=1)
    k = integer("part[0]", part[0], minimum=0, maximum=n - 1)
    if directory is None:
        raise InputError("part needs a directory, which the parts of a sweep share")
    return range(k, n_points, n)
