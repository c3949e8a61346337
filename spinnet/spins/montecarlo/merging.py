"""Runs of one model joined into one: more replicas, or more temperatures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import spinnet
from spinnet.errors import CheckpointError, InputError
from spinnet.runs.directory import JOB, JobDirectory
from spinnet.spins.montecarlo import exchange
from spinnet.spins.montecarlo.checkpoints import Progress
from spinnet.spins.montecarlo.exchange import Exchange
from spinnet.spins.montecarlo.plan import Plan, model_arrays, model_from_arrays
from spinnet.spins.montecarlo.run import Run
from spinnet.spins.montecarlo.run_directory import RunDirectory
from spinnet.spins.montecarlo.storage import STORED

KIND = "merged-run"
_MODEL, _ARRAYS, _EXCHANGE = "model.npz", "arrays.npz", "exchange.npz"
SHARED = (
    "note: some of the runs share a seed, so that their temperatures share random numbers: each "
    "error bar is right, but errors at different temperatures are not independent"
)
# what all runs must share: errors between temperatures are correlated with tempering alone
_SAME = (
    *("model", "update", "n_sweeps", "observers", "tempering", "measure_every", "store_every"),
)
_DEFAULTS = {"measure_every": 1, "store_every": 0}  # which job.json does not name


def merge_runs(paths: Sequence[str | Path], output: str | Path) -> Run:
    """Join finished runs of one model into a new directory.

    Runs of different seeds at the same temperatures give more replicas, runs at different
    temperatures more temperatures; both at once are possible where every temperature ends up
    with the same number of replicas.  Temperatures are sorted.

    Parameters
    ----------
    paths : sequence of paths
        Directories of finished or merged runs, at least two.
    output : path
        The directory to make.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        For runs that differ in what they must share (naming the key and both values), that
        overlap (the same seed at the same temperature), or that leave temperatures with
        different numbers of replicas.
    CheckpointError
        For a run that is not finished or damaged, or an output that exists (but for a merge of
        the same runs that was killed, which is done again) or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import spinnet as sn
    >>> place = tempfile.TemporaryDirectory()
    >>> folders = [f"{place.name}/seed-{seed}" for seed in (1, 2)]
    >>> for seed, folder in enumerate(folders):
    ...     run = sn.sample(sn.CurieWeiss(8), 0.5, n_sweeps=64, rng=seed, checkpoint=folder)
    >>> run.n_replicas, sn.merge_runs(folders, f"{place.name}/both").n_replicas
    (64, 128)
    >>> place.cleanup()
    """
    if len(paths) < 2:
        raise InputError(f"merging takes at least two runs, got {len(paths)}")
    if _is_taken(Path(output)):
        raise CheckpointError(f"{str(output)!r} exists already; name a new directory")
    directories = [JobDirectory.load(path) for path in paths]
    sources = [source for directory in directories for source in _sources(directory)]
    _check_alike(directories)
    check_no_overlap(sources)
    shared = directories[0].job
    job = {key: shared[key] for key in _SAME if key in shared} | {"sources": sources}
    merged = _joined([_finished(directory) for directory in directories], job)
    made = JobDirectory.open(output, KIND, job, targets=())
    made.write(_MODEL, model_arrays(merged.model), replace=True)
    merged.save(made.path / "result")
    if merged.exchange is not None:
        counts = merged.exchange.counts() | {"beta": merged.exchange.beta}
        made.write(_EXCHANGE, counts, replace=True)
    made.write(_ARRAYS, _arrays(merged), replace=True)  # last: it says that the merge is whole
    return merged


def _is_taken(output: Path) -> bool:
    """Return whether something is there other than what a killed merge left behind."""
    if not output.is_dir():
        return output.exists()
    if not (output / JOB).exists():
        return False  # empty, or else refused in words when it is opened
    try:
        return JobDirectory.load(output, KIND).has(_ARRAYS)
    except CheckpointError:
        return True


def load(directory: JobDirectory) -> Run:
    """Return the run of a merged directory."""
    model = model_from_arrays(directory.read(_MODEL))
    arrays = directory.read(_ARRAYS)
    beta, n_burn_in, spins = (arrays.pop(name) for name in ("beta", "n_burn_in", "spins"))
    stored = arrays.pop(STORED, None)
    counts = directory.read(_EXCHANGE) if directory.has(_EXCHANGE) else None
    return Run(
        model=model,
        beta=beta,
        update=Plan.update_of(directory.job),
        n_sweeps=directory.job["n_sweeps"],
        n_replicas=spins.shape[1],
        n_burn_in=n_burn_in,
        series=arrays,
        spins=spins,
        seed=_seed(directory.job),
        version=spinnet.__version__,
        done=np.full(len(beta), directory.job["n_sweeps"]),
        choice=f"{Plan.update_of(directory.job)!r}, as the merged runs were made",
        measure_every=directory.job.get("measure_every", 1),
        store_every=directory.job.get("store_every", 0),
        stored=stored,
        exchange=None if counts is None else Exchange.from_counts(counts["beta"], counts),
    )


def check_no_overlap(sources: Iterable[Mapping[str, Any]]) -> None:
    """Refuse two sources with the same seed at the same temperature: the same numbers twice."""
    seen: dict[tuple[str, float], str] = {}
    for source in sources:
        for beta in sorted(set(source["beta"])):
            key = (repr(source["seed"]), beta)
            if key in seen:
                raise InputError(
                    f"the runs overlap: {seen[key]!r} and {source['path']!r} both have "
                    f"beta={beta:.6g} with seed {source['seed']['entropy']}; leave one out"
                )
            seen[key] = source["path"]


def progress(directory: JobDirectory) -> list[Progress]:
    """Return the temperatures of a merged run, all of them finished unless it is damaged.

    The burn-in is the least of the runs at that temperature.
    """
    n_sweeps = directory.job["n_sweeps"]
    betas = sorted({beta for source in directory.job["sources"] for beta in source["beta"]})
    damage, burned = "", np.zeros(len(betas), np.int64)
    try:
        directory.check(_MODEL)
        burned = directory.read(_ARRAYS)["n_burn_in"]
    except CheckpointError as error:
        damage = str(error)
    done = 0 if damage else n_sweeps
    return [
        Progress(beta, done, n_sweeps, burned=int(sweeps), burning=False, damage=damage)
        for beta, sweeps in zip(betas, burned, strict=True)
    ]


def _sources(directory: JobDirectory) -> list[dict[str, Any]]:
    if directory.kind == KIND:
        return list(directory.job["sources"])
    if directory.kind != "run":
        raise directory.wrong_kind("run")
    job = directory.job
    return [
        {
            "path": str(directory.path.resolve()),
            "beta": np.ravel(job["beta"]).tolist(),
            "seed": job["seed"],
            "n_replicas": job["n_replicas"],
            "n_burn_in": job["n_burn_in"],
        }
    ]


def _check_alike(directories: Sequence[JobDirectory]) -> None:
    first = directories[0]
    for other in directories[1:]:
        for key in _SAME:
            mine, yours = (d.job.get(key, _DEFAULTS.get(key)) for d in (first, other))
            _check_same(key, mine, yours, first.path, other.path)


def _check_same(key: str, mine: Any, yours: Any, first: Path, other: Path) -> None:
    if mine == yours:
        return
    if isinstance(mine, dict) and isinstance(yours, dict):
        for inner in [*mine, *yours]:
            _check_same(f"{key}.{inner}", mine.get(inner), yours.get(inner), first, other)
    raise InputError(
        f"the runs differ in {key}: {str(first)!r} has {mine!r:.60}, {str(other)!r} has "
        f"{yours!r:.60}"
    )


def _finished(directory: JobDirectory) -> Run:
    if directory.kind == KIND:
        return load(directory)
    run = RunDirectory.load(directory.path)
    if not run.is_complete():
        short = next(p for p in run.progress() if not p.complete)
        raise CheckpointError(
            f"{str(directory.path)!r} is not finished: n_sweeps={short.target}, and beta="
            f"{short.beta:.6g} has {short.done}{f' ({short.damage})' if short.damage else ''}; "
            "run it again first"
        )
    return run.collect()


def _joined(runs: Sequence[Run], job: Mapping[str, Any]) -> Run:
    """Return the runs as one, its temperatures sorted and those that are equal joined."""
    rows = [(float(b), run, k) for run in runs for k, b in enumerate(run.beta.ravel())]
    betas = sorted({beta for beta, _, _ in rows})
    groups = [[(run, k) for beta, run, k in rows if beta == value] for value in betas]
    counts = [sum(run.n_replicas for run, _ in group) for group in groups]
    if len(set(counts)) > 1:
        low, high = int(np.argmin(counts)), int(np.argmax(counts))
        raise InputError(
            f"every temperature must end up with the same n_replicas: beta={betas[high]:.6g} would "
            f"have {counts[high]}, beta={betas[low]:.6g} {counts[low]}; leave a run out"
        )

    def joined(values: Any) -> NDArray[Any]:
        return np.stack([np.concatenate([values(run)[k] for run, k in g]) for g in groups])

    names = list(runs[0].series)
    return Run(
        model=runs[0].model,
        beta=np.array(betas),
        update=runs[0].update,
        n_sweeps=runs[0].n_sweeps,
        n_replicas=counts[0],
        n_burn_in=np.array([min(run.n_burn_in.ravel()[k] for run, k in g) for g in groups]),
        series={
            name: joined(lambda run, name=name: _rows(run, run.series[name])) for name in names
        },
        spins=joined(lambda run: _rows(run, run.spins)),
        seed=_seed(job),
        version=spinnet.__version__,
        done=np.full(len(betas), runs[0].n_sweeps),
        choice=f"{runs[0].update!r}, as the merged runs were made",
        measure_every=runs[0].measure_every,
        store_every=runs[0].store_every,
        stored=joined(_stored_rows) if runs[0].stored is not None else None,
        exchange=exchange.joined([run.exchange for run in runs]),
    )


def _rows(run: Run, array: NDArray[Any]) -> NDArray[Any]:
    return array.reshape(run.beta.size, run.n_replicas, -1)


def _stored_rows(run: Run) -> NDArray[Any]:
    assert run.stored is not None
    return run.stored.reshape(run.beta.size, *run.stored.shape[-3:])


def _arrays(run: Run) -> dict[str, NDArray[Any]]:
    own: dict[str, NDArray[Any]] = {
        "beta": run.beta,
        "n_burn_in": run.n_burn_in,
        "spins": run.spins,
    }
    own |= {} if run.stored is None else {STORED: run.stored}
    return own | dict(run.series)


def _seed(job: Mapping[str, Any]) -> dict[str, object]:
    seeds = [source["seed"] for source in job["sources"]]
    record: dict[str, object] = {"merged": seeds}
    if len({repr(seed) for seed in seeds}) < len(seeds):
        record["shared"] = SHARED
    return record
