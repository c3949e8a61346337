"""The verb ``sample``: validation, burn-in, and the loop over temperatures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from spinnet.errors import InputError
from spinnet.memory import machine_memory
from spinnet.progress import progress_bar
from spinnet.randomness import RandomState, seed_sequence
from spinnet.runs.interruption import deferred_interrupts
from spinnet.spins.models import SpinModel
from spinnet.spins.montecarlo.checkpoints import INTERVAL, NoCheckpoints, advance
from spinnet.spins.montecarlo.choice import check_update, choose
from spinnet.spins.montecarlo.crew import Crew, SharedBar, checked_workers
from spinnet.spins.montecarlo.exchange import Tempering, check_tempering
from spinnet.spins.montecarlo.plan import Plan
from spinnet.spins.montecarlo.run import Run
from spinnet.spins.montecarlo.run_directory import RunDirectory, Space
from spinnet.spins.montecarlo.storage import STORED, n_bytes, n_stored
from spinnet.spins.montecarlo.trajectory import Observer
from spinnet.spins.montecarlo.updates import Update
from spinnet.validation import integer, inverse_temperatures, positive_float

# names of the built-in observables, and of what else a saved run holds
_TAKEN = (
    *("m", "energy", "magnetization", "abs_m", "m2", "m4", "energy2", "beta", "spins"),
    *("replica", "sweep", "spin", "n_burn_in", "done", STORED, "configuration", "byte"),
)


def sample(
    model: SpinModel,
    beta: ArrayLike,
    *,
    n_sweeps: int = 10_000,
    n_replicas: int = 64,
    update: Update | None = None,
    n_burn_in: int | str = "auto",
    observers: Sequence[Observer] | Mapping[str, Observer] | None = None,
    rng: RandomState = None,
    tempering: bool | Tempering = False,
    checkpoint: str | Path | None = None,
    checkpoint_interval: float = INTERVAL,
    progress: bool = False,
    measure_every: int = 1,
    store_every: int = 0,
    workers: int | None = 1,
) -> Run:
    """Sample a spin system with independent replicas at each temperature.

    Parameters
    ----------
    model : SpinModel
    beta : array_like
        Inverse temperatures >= 0.
    n_sweeps : int
        Measurements of each replica; each follows a sweep, or `measure_every` of them.
    n_replicas : int
        Independent chains, each from its own random state: the statistical unit of the errors.
    update : update, optional
        `HeatBath`, `Metropolis`, `BlockGibbs`, `Wolff`, `SwendsenWang`, `AuxiliaryField` or
        `Independent`: obeyed, or refused with the reason.  By default the best for the model,
        its size and temperatures; ``run.choice`` says which, and why.
    n_burn_in : int or "auto"
        Sweeps discarded first.  "auto" doubles the burn-in until the second half of it is
        mixed (split R-hat of |m| and of the energy below 1.05, and no drift beyond 4 standard
        errors), and refuses if that takes more than `n_sweeps` (at least 1000) measurements.
        Draws of `Independent` need none, and have none.
    observers : sequence or mapping of callables, optional
        Functions of the spins (n_replicas, n_spins), returning (n_replicas,); their averages
        are ``run.estimate(name)``.
    rng : None, int, SeedSequence or Generator
        With `checkpoint`, None goes on with the seed that the directory has.
    tempering : bool or Tempering
        Whether neighbouring temperatures exchange configurations (parallel tempering), so that
        the cold ones leave their valleys by way of the hot ones: after each sweep, or every
        ``Tempering(exchange_every)`` sweeps.  `beta` must then be a list that rises or falls,
        dense enough for exchanges (:func:`spinnet.place_temperatures`); the replicas at one
        temperature stay independent of each other, but the temperatures are not.
        ``run.exchange`` says how it went.
    checkpoint : str or Path, optional
        A directory in which the run survives: its folder is made if need be.  Called again with
        the same arguments after Ctrl-C, SIGTERM or a kill, the run goes on from its last
        checkpoint; with a larger `n_sweeps`, a finished run is extended.  Either way the result
        is that of a run that was never stopped, bit for bit.  Observers are known by their
        names there.
    checkpoint_interval : float
        Seconds between two checkpoints, at least; another is written at the end and at an
        interrupt.
    progress : bool
        Show a progress bar on standard error, or one line for each 10 % where that is no
        terminal.
    measure_every : int
        Sweeps from one measurement to the next.  Autocorrelation times are in measurements, not
        in sweeps.  Worth it where a measurement costs, by observers or in memory, and tau is
        long: `n_sweeps` measurements then cover `measure_every` times as many sweeps.
    store_every : int
        Keep the configurations of all replicas at every so many measurements, one bit for each
        spin, for ``run.configurations``, ``run.overlaps`` and ``run.overlap_distribution``; 0
        keeps only the last ones.  They are in the directory of `checkpoint` too.
    workers : int or None
        Threads, shared out among temperatures first and then among replicas; None for one on
        each core.  The results are the same bits for any number.  Too small systems keep to one
        thread, which serves them better; with observers, temperatures take turns.

    Returns
    -------
    Run
        `estimate(name)` and `derived(function)`, the susceptibility and specific heat per spin,
        the energy (total), each with one standard error over the replicas; `summary`, `save`.

    Raises
    ------
    InputError
        For bad parameters, an update that the model does not allow, or a run that this
        machine's memory cannot hold.
    CheckpointError
        If the directory holds another run (naming the first parameter that differs), is
        damaged, in use by another process, or cannot be written.
    KeyboardInterrupt
        At Ctrl-C; with `checkpoint`, after the run was saved.
    StatisticsError
        With "auto", if the chains did not mix; `.estimate` holds R-hat by observable.

    Notes
    -----
    Local fields of dense systems are summed in single precision, and refreshed at least every
    256 sweeps: a bond 1e7 times weaker than the strongest one of its spin is lost.  The weights
    of two-layer systems are rounded to 1.2e-7 of the sum of the sizes of all weights of their
    unit, and no coarser than 1e-4 of the strongest; the probabilities of `BlockGibbs` are
    rounded to multiples of 2^-24, so that a level less likely than 3e-8 is never drawn.  On sparse
    graphs, couplings that are whole multiples of one unit are exact; others are rounded to
    about 1e-9 of the sum of their sizes at a spin, and the probabilities of flips to 2^-32.

    Examples
    --------
    >>> import spinnet as sn
    >>> run = sn.sample(sn.CurieWeiss(64), beta=[0.8], n_sweeps=500, rng=7)
    >>> bool(abs(run.estimate("m2").value[0] - 0.0611) < 0.004)
    True
    """
    interval = positive_float("checkpoint_interval", checkpoint_interval, zero=True)
    if checkpoint is not None and not isinstance(checkpoint, (str, os.PathLike)):
        raise InputError(f"checkpoint must be the path of a folder, got {checkpoint!r:.60}")
    plan = plan_run(
        model,
        beta,
        n_sweeps=n_sweeps,
        n_replicas=n_replicas,
        update=update,
        n_burn_in=n_burn_in,
        observers=observers,
        rng=rng,
        tempering=tempering,
        measure_every=measure_every,
        store_every=store_every,
        workers=workers,
    )
    if checkpoint is not None:
        directory = RunDirectory.open(checkpoint, plan, any_seed=rng is None)
        return resume(directory, interval=interval, progress=progress)
    return _in_memory(plan, progress)


def _in_memory(plan: Plan, progress: bool) -> Run:
    space, crew = Space(plan), Crew(plan)
    exchanges = []
    with progress_bar(plan.n_trajectories * plan.n_sweeps, progress, "sweep") as bar:
        shared = SharedBar(bar)

        def work(k: int) -> None:
            trajectory = plan.trajectory(k, crew.share)
            keeper = NoCheckpoints(crew.asked_to_stop)
            advance(trajectory, space.columns(k), plan.n_sweeps, keeper, shared)
            space.keep(k, trajectory.chains.spins, trajectory.burn_in.sweeps)
            exchanges.append(trajectory.exchange)

        crew.do(work, range(plan.n_trajectories))
    return space.run(exchanges[0])


def plan_run(
    model: SpinModel,
    beta: ArrayLike,
    *,
    n_sweeps: int = 10_000,
    n_replicas: int = 64,
    update: Update | None = None,
    n_burn_in: int | str = "auto",
    observers: Sequence[Observer] | Mapping[str, Observer] | None = None,
    rng: RandomState = None,
    tempering: bool | Tempering = False,
    measure_every: int = 1,
    store_every: int = 0,
    workers: int | None = 1,
) -> Plan:
    """Return the checked arguments of a run; see :func:`sample`."""
    inverse = inverse_temperatures(beta)
    check_update(model, update)
    n_sweeps = integer("n_sweeps", n_sweeps, minimum=1)
    n_replicas = integer("n_replicas", n_replicas, minimum=1)
    if n_burn_in != "auto":
        n_burn_in = integer("n_burn_in (or 'auto')", n_burn_in, minimum=0)
    measure_every = integer("measure_every", measure_every, minimum=1)
    store_every = integer("store_every", store_every, minimum=0)
    if store_every > n_sweeps:
        raise InputError(
            f"store_every must be at most n_sweeps={n_sweeps}, or 0 to store none, got "
            f"{store_every}"
        )
    threads = checked_workers(workers)
    watch = _named(observers)
    kept = n_stored(n_sweeps, store_every)
    given = {"n_spins": model.n_spins, "n_sweeps": n_sweeps, "store_every": store_every}
    _check_memory(given, inverse.size, n_replicas, 2 + len(watch), kept)
    seed = seed_sequence(rng)
    exchanging = check_tempering(tempering, inverse)
    if exchanging is None:
        choice = choose(model, inverse, n_replicas, update)
    else:  # all temperatures are rows of one set, and the coldest is what takes long
        choice = choose(model, inverse.max(), inverse.size * n_replicas, update)
    return Plan(
        model=model,
        beta=inverse,
        update=choice.update,
        n_sweeps=n_sweeps,
        n_replicas=n_replicas,
        n_burn_in=n_burn_in,
        observers=watch,
        seed=seed,
        kernel=choice.kernel,
        choice=choice.reason,
        tempering=exchanging,
        measure_every=measure_every,
        store_every=store_every,
        workers=threads,
    )


def resume(run: RunDirectory, *, interval: float = INTERVAL, progress: bool = False) -> Run:
    """Bring a run in a directory to its end, and write its result there.

    Raises
    ------
    KeyboardInterrupt
        At Ctrl-C or a handled SIGTERM, after saving; its text says how far the run is.
    """
    plan = run.plan
    space = Space(plan)
    total = plan.n_trajectories * plan.n_sweeps
    with saving(run), progress_bar(total, progress, "sweep") as bar, deferred_interrupts() as stop:
        crew, shared = Crew(plan, stop), SharedBar(bar)

        def work(k: int) -> None:
            kept = run.advance(
                k,
                interval=interval,
                asked_to_stop=crew.asked_to_stop,
                bar=shared,
                columns=space.columns(k),
                share=crew.share,
            )
            space.keep(k, *kept)

        crew.do(work, range(plan.n_trajectories))
    result = space.run(run.exchange())
    run.write_result(result)
    return result


@contextmanager
def saving(run: RunDirectory) -> Iterator[None]:
    """Say in a KeyboardInterrupt how far the run is saved."""
    try:
        yield
    except KeyboardInterrupt as error:
        done = sum(p.done for p in run.progress())
        total = run.plan.n_sweeps * run.plan.beta.size
        raise KeyboardInterrupt(
            f"interrupted and saved: {done} of {total} {run.plan.steps} (over all temperatures) "
            f"are in {str(run.directory.path)!r}; run it again to go on from there"
        ) from error


def _check_memory(
    given: Mapping[str, int], n_beta: int, n_replicas: int, n_series: int, kept: int
) -> None:
    """Refuse a run whose results alone are larger than the memory."""
    n_spins = given["n_spins"]
    memory = machine_memory()
    rows = n_beta * n_replicas
    sizes = {
        "n_spins": rows * n_spins,
        "n_sweeps": 8 * n_series * rows * given["n_sweeps"],
        "store_every": rows * kept * n_bytes(n_spins),
    }
    total = sum(sizes.values())
    if total > memory:
        name = max(sizes, key=lambda key: sizes[key])
        raise InputError(
            f"the run would hold {total / 1e9:.4g} GB ({name}={given[name]}, "
            f"n_replicas={n_replicas}, {n_beta} temperature(s)), and this machine has "
            f"{memory / 1e9:.4g} GB; {'raise' if name == 'store_every' else 'lower'} {name}"
        )


def _named(observers: Sequence[Observer] | Mapping[str, Observer] | None) -> dict[str, Observer]:
    if observers is None:
        return {}
    given: Any = observers
    if isinstance(given, str) or not isinstance(given, (Sequence, Mapping)):
        raise InputError(
            "observers must be a list of functions of the spins, or a dict {name: function}, "
            f"got {observers!r:.60}"
        )
    items = (
        dict(observers)
        if isinstance(observers, Mapping)
        else {getattr(f, "__name__", f"observer_{k}"): f for k, f in enumerate(observers)}
    )
    if len(items) != len(observers):
        raise InputError("observers must have different names; pass a dict {name: function}")
    for name, function in items.items():
        if not isinstance(name, str) or not callable(function):
            raise InputError(f"observers[{name!r}] must be a name and a function of the spins")
        if name in _TAKEN:
            raise InputError(f"observers must not reuse the name {name!r}")
    return items
