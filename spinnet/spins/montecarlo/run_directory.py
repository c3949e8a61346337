"""A Monte Carlo run as a directory: one folder for each temperature, joined when all are done.

    DIR/job.json               what was asked for
    DIR/model.npz              the model, so that the directory needs no other file
    DIR/beta-0000/ ...         one temperature each (:mod:`spinnet.spins.montecarlo.checkpoints`)
    DIR/result.json, .npz      estimates and series, as soon as every temperature is done

Each temperature has its own lock, so that many processes can work on one run.  With tempering,
all temperatures are one trajectory: they share the folder beta-0000 and its lock.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import spinnet
from spinnet.errors import CheckpointError, InputError, SpinnetWarning, StatisticsError
from spinnet.progress import ProgressBar
from spinnet.randomness import seed_record
from spinnet.runs.directory import JOB, JobDirectory
from spinnet.runs.locking import holder
from spinnet.spins.montecarlo.chains import KERNELS
from spinnet.spins.montecarlo.checkpoints import (
    INTERVAL,
    STATE,
    Checkpoints,
    Progress,
    TemperatureFolder,
    advance,
)
from spinnet.spins.montecarlo.exchange import Exchange
from spinnet.spins.montecarlo.plan import (
    Plan,
    model_arrays,
    model_from_arrays,
    seed_from_job,
)
from spinnet.spins.montecarlo.run import Run
from spinnet.spins.montecarlo.storage import STORED

KIND = "run"
_MODEL = "model.npz"
_PATIENCE = 600.0  # seconds for another process to write a model or a result
_GRACE = 20.0  # seconds for workers that were told to stop to save

_Error = tuple[type[Exception], str]


class RunDirectory:
    """A run that lives in a directory.

    Attributes
    ----------
    directory : JobDirectory
    plan : Plan
    """

    def __init__(self, directory: JobDirectory, plan: Plan) -> None:
        self.directory, self.plan = directory, plan

    @classmethod
    def open(cls, path: str | Path, plan: Plan, *, any_seed: bool = False) -> RunDirectory:
        """Make the directory of a run, or open it again for the same run.

        Parameters
        ----------
        any_seed : bool
            Whether to go on with the seed that an existing directory has.
        """
        path = Path(path)
        model = model_arrays(plan.model)
        if (path / JOB).is_file():
            plan = _with_kernel_of(path, plan)
            plan = _with_seed_of(path, plan) if any_seed else plan
        try:
            directory = JobDirectory.open(path, KIND, plan.job())
        except CheckpointError:
            if not any_seed or not (path / JOB).is_file():
                raise
            plan = _with_seed_of(path, plan)  # another process made the directory just now
            directory = JobDirectory.open(path, KIND, plan.job())
        if not directory.has(_MODEL):
            with directory.lock("model.lock", patience=_PATIENCE):
                directory.clean(_MODEL)
                directory.write(_MODEL, model, replace=True)
        _warn_of_version(directory)
        return cls(directory, plan)

    @classmethod
    def load(cls, path: str | Path) -> RunDirectory:
        """Open the directory of a run as it is."""
        directory = JobDirectory.load(path, KIND)
        model = model_from_arrays(directory.read(_MODEL))
        return cls(directory, Plan.from_job(directory.job, model))

    def store(self, k: int) -> TemperatureFolder:
        """Return the folder of the k-th temperature."""
        return store(self.directory, self.plan.names, k, self.plan.store_every)

    def progress(self) -> list[Progress]:
        """Return how far each temperature is."""
        return progress(self.directory)

    def is_complete(self, k: int | None = None) -> bool:
        """Return whether the k-th temperature is finished, or all are."""
        which = range(self.plan.n_trajectories) if k is None else [k]
        return all(self.store(j).is_complete(self.plan.n_sweeps) for j in which)

    def advance(
        self,
        k: int,
        *,
        interval: float,
        asked_to_stop: Callable[[], bool],
        bar: ProgressBar,
        columns: dict[str, NDArray[Any]] | None = None,
        share: Callable[[], int] | None = None,
    ) -> tuple[NDArray[np.int8], int]:
        """Bring the k-th temperature to its end; return last configurations and burn-in.

        Parameters
        ----------
        columns : dict of ndarray, optional
            Filled with the series, each (n_replicas, n_sweeps), and the stored bits.
        share : callable, optional
            Says at any time how many threads may be used: by default those of the plan.
        """
        n_sweeps = self.plan.n_sweeps
        columns = self.plan.empty_columns() if columns is None else columns
        folder = self.store(k)
        if not folder.is_complete(n_sweeps):
            folder.parts.make()
            with folder.parts.lock():
                if not folder.is_complete(n_sweeps):  # by another process, just before
                    trajectory = self.plan.trajectory(k, share)
                    keeper = Checkpoints(folder, interval, asked_to_stop)
                    advance(trajectory, columns, n_sweeps, keeper, bar)
                    return trajectory.chains.spins, trajectory.burn_in.sweeps
        bar.skip(n_sweeps)
        return folder.read_finished(columns, n_sweeps)

    def write_result(self, run: Run) -> None:
        """Write ``result.json`` and ``result.npz`` unless they are there for this many sweeps."""
        if self._has_result():  # also where the folder cannot be written any more
            return
        with self.directory.lock("result.lock", patience=_PATIENCE):
            self.directory.clean("result")
            if not self._has_result():
                run.save(self.directory.path / "result")

    def _has_result(self) -> bool:
        base = self.directory.path / "result"
        try:
            found = json.loads(base.with_suffix(".json").read_text())
            return base.with_suffix(".npz").is_file() and found["n_sweeps"] == self.plan.n_sweeps
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def collect(self) -> Run:
        """Return the run, finished or not."""
        space = Space(self.plan)
        for k in range(self.plan.n_trajectories):
            columns = space.columns(k)
            folder = self.store(k)
            if folder.is_complete(self.plan.n_sweeps):
                space.keep(k, *folder.read_finished(columns, self.plan.n_sweeps))
            else:
                self._collect_part(k, space)
        return space.run(self.exchange())

    def exchange(self) -> Exchange | None:
        """Return how the exchanges went so far; None without tempering."""
        counts = None if self.plan.tempering is None else self.store(0).read_exchange()
        return None if counts is None else Exchange.from_counts(self.plan.beta, counts)

    def _collect_part(self, k: int, space: Space) -> None:
        """Read what there is of an unfinished temperature; NaN stands for the rest."""
        columns, folder = space.columns(k), self.store(k)
        for name, column in columns.items():
            column[:] = 0 if name == STORED else np.nan
        last = folder.last()
        trajectory = self.plan.without_observers().trajectory(k)
        if folder.parts.has(STATE):
            trajectory.restore(folder.parts.read(STATE))
        done, spins = trajectory.measured, trajectory.chains.spins
        if last is not None and last[1] > done:  # finished once, and then asked for more
            done = last[1]
            spins, _ = folder.read_finished(columns, done)
        else:
            folder.read_series(columns, done)
        space.keep(k, spins, trajectory.burn_in.sweeps, done)


class Space:
    """The arrays of a whole run, filled trajectory by trajectory."""

    def __init__(self, plan: Plan) -> None:
        self._plan, n = plan, plan.n_trajectories
        shape = (n, plan.n_rows, plan.n_sweeps)
        self._series = {name: np.empty(shape) for name in plan.names}
        self._bits = plan.empty_bits(n, plan.n_rows)
        self._spins = np.empty((n, plan.n_rows, plan.model.n_spins), np.int8)
        self._burned = np.zeros(n, np.int64)
        self._done = np.full(n, plan.n_sweeps, np.int64)

    def columns(self, k: int) -> dict[str, NDArray[Any]]:
        """Return the series of the k-th trajectory, each (n_rows, n_sweeps), to fill.

        With them are the bits of the stored configurations, if any.
        """
        arrays: dict[str, NDArray[Any]] = {**self._series, **self._bits}
        return {name: array[k] for name, array in arrays.items()}

    def keep(self, k: int, spins: NDArray[np.int8], burned: int, done: int | None = None) -> None:
        """Take the last configurations and the burn-in of the k-th trajectory."""
        self._spins[k], self._burned[k] = spins, burned
        self._done[k] = self._plan.n_sweeps if done is None else done

    def run(self, exchange: Exchange | None = None) -> Run:
        """Return the run."""
        each = self._plan.beta.size // self._plan.n_trajectories
        burned, done = np.repeat(self._burned, each), np.repeat(self._done, each)
        plan, grid = self._plan, self._plan.beta.shape
        shape = (*grid, plan.n_replicas, plan.n_sweeps)
        return Run(
            model=plan.model,
            beta=plan.beta,
            update=plan.update,
            n_sweeps=plan.n_sweeps,
            n_replicas=plan.n_replicas,
            n_burn_in=burned.reshape(grid),
            series={name: series.reshape(shape) for name, series in self._series.items()},
            spins=self._spins.reshape(*grid, plan.n_replicas, plan.model.n_spins),
            seed=seed_record(plan.seed),
            version=spinnet.__version__,
            done=done.reshape(grid),
            choice=plan.choice,
            exchange=exchange,
            measure_every=plan.measure_every,
            store_every=plan.store_every,
            stored=self._stored(),
        )

    def _stored(self) -> NDArray[np.uint8] | None:
        if not self._bits:
            return None
        bits, plan = self._bits[STORED], self._plan
        return bits.reshape(*plan.beta.shape, plan.n_replicas, *bits.shape[2:])


def store(
    directory: JobDirectory, names: tuple[str, ...], k: int, store_every: int
) -> TemperatureFolder:
    """Return the folder of the k-th temperature of a run."""
    return TemperatureFolder(directory.folder(f"beta-{k:04d}"), names, store_every)


def progress(directory: JobDirectory, *, check: bool = False) -> list[Progress]:
    """Return how far each temperature of a run is, without reading its model.

    With `check`, the checksum of every part is compared.  The temperatures of a tempered run are
    all equally far.
    """
    job = directory.job
    names, n_sweeps = ("m", "energy", *job["observers"]), job["n_sweeps"]
    betas = np.ravel(job["beta"]).tolist()

    def of(k: int, beta: float) -> Progress:
        folder = store(directory, names, k, job.get("store_every", 0))
        every = job.get("measure_every", 1)
        return folder.progress(beta, n_sweeps, measure_every=every, check=check)

    if "tempering" in job:
        return [replace(of(0, betas[0]), beta=beta) for beta in betas]
    return [of(k, beta) for k, beta in enumerate(betas)]


def load_run(path: str | Path) -> Run:
    """Read the directory of a run, finished or not.

    Parameters
    ----------
    path : str or Path
        A directory that ``spinnet.sample(..., checkpoint=path)``, ``spinnet run`` or
        ``spinnet merge`` made.

    Returns
    -------
    Run
        ``run.done`` says how many sweeps of each temperature are there; estimates use those,
        and ``run.complete`` is whether they are all.

    Raises
    ------
    CheckpointError
        If the directory is no run, or is damaged.

    Examples
    --------
    >>> import tempfile
    >>> import spinnet as sn
    >>> place = tempfile.TemporaryDirectory()
    >>> run = sn.sample(sn.CurieWeiss(8), 0.5, n_sweeps=64, rng=1, checkpoint=place.name)
    >>> again = sn.load_run(place.name)
    >>> again.complete, bool((again.series["m"] == run.series["m"]).all())
    (True, True)
    >>> place.cleanup()
    """
    from spinnet.spins.montecarlo import merging

    directory = JobDirectory.load(path)
    if directory.kind == merging.KIND:
        return merging.load(directory)
    return RunDirectory.load(path).collect()


def run_in_processes(
    run: RunDirectory, n_workers: int, *, interval: float = INTERVAL, bar: ProgressBar
) -> None:
    """Bring all temperatures to their ends on processes of this machine.

    Where there are fewer temperatures than `n_workers`, each has several threads.

    Raises
    ------
    CheckpointError, InputError, StatisticsError
        Of the first temperature that failed, when the others are done.
    """
    from spinnet.runs import workers

    path = str(run.directory.path)
    jobs = [k for k in range(run.plan.n_trajectories) if not run.is_complete(k)]
    bar.skip(run.plan.n_sweeps * (run.plan.n_trajectories - len(jobs)))
    failed: list[_Error] = []
    threads = max(1, n_workers // max(1, len(jobs)))
    work: Any = partial(_work, path, interval, threads)
    results: Iterable[Any] = workers.on_processes(n_workers, work, jobs)
    try:
        for _, outcome in results:
            if isinstance(outcome, tuple):
                failed.append(outcome)
            elif outcome is not None:  # the worker itself failed
                raise CheckpointError(f"a worker failed: {outcome.error}")
            else:
                bar.update(run.plan.n_sweeps)
    except KeyboardInterrupt:
        _wait_for_workers(run, jobs)
        raise
    if failed:
        kind, message = failed[0]
        raise kind(message)


def _work(path: str, interval: float, threads: int, k: int) -> _Error | None:
    """Do one temperature in a worker; return the class and the message of an error."""
    from spinnet.runs.interruption import deferred_interrupts

    try:
        run = RunDirectory.load(path)
        run.plan = replace(run.plan, workers=threads)
        with deferred_interrupts() as asked_to_stop:
            run.advance(k, interval=interval, asked_to_stop=asked_to_stop, bar=ProgressBar())
    except (CheckpointError, InputError, StatisticsError) as error:
        return type(error), str(error)
    return None


def _wait_for_workers(run: RunDirectory, jobs: Sequence[int]) -> None:
    """Let workers that were told to stop save what they have."""
    until = time.monotonic() + _GRACE
    while time.monotonic() < until:
        if not any(holder(run.store(k).parts.path / "lock") for k in jobs):
            return
        time.sleep(0.1)


def _with_kernel_of(path: Path, plan: Plan) -> Plan:
    """Go on with the kernel that a run was begun with, even if another is chosen by now."""
    job = JobDirectory.load(path, KIND).job
    kernel = job.get("kernel")
    if kernel == plan.kernel or kernel not in KERNELS or Plan.update_of(job) != plan.update:
        return plan
    if KERNELS[kernel].refusal(plan.model, plan.update):
        return plan
    reason = f"{plan.update!r} with kernel {kernel!r}, as the run was begun"
    return replace(plan, kernel=kernel, choice=reason)


def _with_seed_of(path: Path, plan: Plan) -> Plan:
    return replace(plan, seed=seed_from_job(JobDirectory.load(path, KIND).job["seed"]))


def _warn_of_version(directory: JobDirectory) -> None:
    made_by = directory.versions.get("spinnet")
    if made_by != spinnet.__version__:
        warnings.warn(
            f"{str(directory.path)!r} was begun with spinnet {made_by}, and this is "
            f"{spinnet.__version__}: what is added may not be what that version would have added",
            SpinnetWarning,
            stacklevel=3,
        )
