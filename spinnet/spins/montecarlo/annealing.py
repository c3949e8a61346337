r"""ln Z from populations that are cooled step by step.

Replicas start at beta = 0, where Z = 2^N.  At each step to beta' each replica gets the weight
w_r = exp(-(beta' - beta) E_r), whose mean estimates Z(beta')/Z(beta).

* Population annealing (K. Hukushima & Y. Iba, AIP Conf. Proc. 690, 200 (2003); J. Machta, Phys.
  Rev. E 82, 026704 (2010)) draws the replicas anew by their weights, here systematically: replica
  r has floor(n_r) or ceil(n_r) copies with mean n_r = R w_r/sum(w).
* Annealed importance sampling (R. M. Neal, Stat. Comput. 11, 125 (2001)) lets each replica
  collect the product of its weights.

Either estimate of Z is without bias for any schedule fixed beforehand and any population, and so
is its mean over runs; ln of that mean has a bias of half its variance.  The schedule therefore
comes from a pilot population that is thrown away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import ConvergenceError, InputError
from spinnet.memory import refuse_beyond_memory
from spinnet.progress import ProgressBar, progress_bar
from spinnet.randomness import RandomState, seed_sequence
from spinnet.spins.models import NetworkDual, SpinModel
from spinnet.spins.montecarlo.annealing_result import AnnealingInterrupt, LogPartition
from spinnet.spins.montecarlo.chains import ChainSet, make_chains
from spinnet.spins.montecarlo.choice import Choice, choose
from spinnet.spins.montecarlo.crew import checked_workers
from spinnet.spins.montecarlo.trajectory import WORTH_THREADS
from spinnet.spins.montecarlo.updates import Update
from spinnet.validation import choice, finite_array, integer, inverse_temperatures, positive_float

Array = NDArray[np.float64]
METHODS = ("population-annealing", "ais")
_PILOT = 256  # replicas
_MOST_STEPS = 100_000
_LEAST_STEP = 1e-100
_BLOCK = 256  # sweeps at once: sums in single precision, and Ctrl-C, wait no longer
_FEWEST_RUNS = 4
_FEW = 20  # effective replicas, below which a caution is given
_WIDE = 1.0  # spread of ln Z over runs, above which one run decides the mean of Z


@dataclass(frozen=True)
class _Way:
    """How a population goes."""

    model: SpinModel
    picked: Choice
    n_sweeps: int
    resample: bool
    workers: int

    def population(self, n_replicas: int, seed: np.random.SeedSequence) -> tuple[ChainSet, Array]:
        """Return replicas at beta = 0 and their energies."""
        chains = make_chains(
            self.model, 0.0, self.picked.update, n_replicas, seed, self.picked.kernel
        )
        enough = chains.sweep_seconds * min(self.n_sweeps, _BLOCK) >= WORTH_THREADS
        chains.workers = self.workers if enough else 1
        return chains, chains.advance(1)[1][:, -1]

    def energies(self, chains: ChainSet, beta: float) -> Array:
        """Sweep at `beta`, and return the energies after it."""
        chains.betas = np.full(chains.n_replicas, beta)
        for done in range(0, self.n_sweeps - 1, _BLOCK):
            chains.advance(min(_BLOCK, self.n_sweeps - 1 - done), record=False)
        return chains.advance(1)[1][:, -1]


@dataclass(frozen=True)
class _Trace:
    """What a run saw at each temperature of the schedule."""

    log_z: Array
    energy: Array
    effective: Array
    families: NDArray[np.int64]


def log_partition(
    model: SpinModel,
    beta: ArrayLike,
    *,
    method: str = "population-annealing",
    n_replicas: int = 1000,
    n_sweeps: int = 10,
    n_runs: int = 16,
    culling: float = 0.1,
    schedule: ArrayLike | None = None,
    update: Update | None = None,
    workers: int | None = 1,
    rng: RandomState = None,
    progress: bool = False,
) -> LogPartition:
    r"""Return ln Z and the free energy, with errors, at every temperature asked for.

    Parameters
    ----------
    model : SpinModel
        Any but a `NetworkDual` of kind="marginal", whose energy depends on the temperature.
    beta : float or array_like
        Inverse temperatures >= 0, in any order.
    method : {"population-annealing", "ais"}
        Annealed importance sampling needs no resampling, but its weights spread as they
        multiply: use it to check the other, or with many sweeps.
    n_replicas : int
        Replicas of a run, 2 or more.
    n_sweeps : int
        Sweeps at each step of the schedule.
    n_runs : int
        Independent runs, 4 or more; errors come from them.
    culling : float
        Share of the population that a step replaces, in (0, 0.5]: one less the overlap of the
        energy distributions of two steps.  Sets the schedule.
    schedule : array_like, optional
        Inverse temperatures to visit instead, rising; 0 and `beta` are put in.
    update : Update, optional
        By default the engine chooses, as in :func:`spinnet.sample`.
    workers : int or None
        Threads, None for one on each core; the result is the same for any number.  Too small
        populations keep to one.
    rng : None, int, SeedSequence or Generator
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    LogPartition

    Raises
    ------
    InputError
        For bad arguments, or a population that memory cannot hold.
    ConvergenceError
        If a schedule at this `culling` would have more than 100 000 steps.
    AnnealingInterrupt
        At Ctrl-C: a KeyboardInterrupt, whose `result` is that of the runs that have finished if
        these are 4 or more, else None.

    Notes
    -----
    A run whose replicas do not reach all valleys underestimates Z, and where all runs do, no
    error bar tells; raise `n_replicas` and `n_sweeps` until ln Z stays and `families` is large.

    Examples
    --------
    >>> import spinnet as sn
    >>> found = sn.log_partition(sn.CurieWeiss(20), 0.5, n_replicas=100, n_runs=8, rng=1)
    >>> bool(abs(found.log_z - sn.exact.curie_weiss(20, 0.5).log_z) < 0.1)
    True
    """
    target = inverse_temperatures(beta)
    choice("method", method, METHODS)
    n_replicas = integer("n_replicas", n_replicas, minimum=2)
    n_sweeps = integer("n_sweeps", n_sweeps, minimum=1)
    n_runs = integer("n_runs", n_runs, minimum=_FEWEST_RUNS)
    threads = checked_workers(workers)
    share = positive_float("culling", culling)
    if share > 0.5:
        raise InputError(f"culling must be in (0, 0.5], got {share}")
    stops = np.unique(np.append(target.ravel(), 0.0))
    given = None if schedule is None else _given_schedule(schedule, stops)
    if isinstance(model, NetworkDual) and model.kind == "marginal":
        raise InputError(
            "model must have an energy that does not depend on the temperature, got "
            "kind='marginal'; kind='bipartite' has the same ln Z"
        )
    picked = choose(model, stops, n_replicas, update)
    refuse_beyond_memory(
        2.0 * n_replicas * model.n_spins, f"{n_replicas} replicas", "lower n_replicas"
    )
    way = _Way(model, picked, n_sweeps, method == METHODS[0], threads)
    pilot, *seeds = seed_sequence(rng).spawn(1 + n_runs)
    steps = _pilot_schedule(way, stops, share, pilot) if given is None else given
    runs = []
    with progress_bar(n_runs * (len(steps) - 1), progress, "step") as bar:
        try:
            for seed in seeds:
                runs.append(_anneal(way, steps, n_replicas, seed, bar))
        except KeyboardInterrupt as error:
            enough = len(runs) >= _FEWEST_RUNS
            found = _result(way, method, target, steps, runs, n_replicas) if enough else None
            raise AnnealingInterrupt(len(runs), n_runs, found) from error
    return _result(way, method, target, steps, runs, n_replicas)


def _given_schedule(schedule: ArrayLike, stops: Array) -> Array:
    values = finite_array("schedule", schedule, ndim=1)
    if np.any(values < 0) or np.any(np.diff(values) <= 0):
        raise InputError("schedule must be inverse temperatures >= 0 that rise")
    return np.unique(np.concatenate([values[values < stops[-1]], stops]))


def _pilot_schedule(way: _Way, stops: Array, share: float, seed: np.random.SeedSequence) -> Array:
    """Return temperatures between which a small population loses about `share` of itself."""
    streams = seed.spawn(2)
    chains, energy = way.population(_PILOT, streams[0])
    random = np.random.default_rng(streams[1])
    steps = [0.0]
    for stop in stops[1:]:
        while steps[-1] < stop:
            if len(steps) > _MOST_STEPS:
                raise ConvergenceError(
                    f"{_MOST_STEPS} steps reach beta={steps[-1]:.4g} of {stops[-1]:.4g} only; "
                    "raise culling, lower the largest beta, or pass schedule="
                )
            after = _next(energy, steps[-1], float(stop), share)
            _, weight = _weights(energy, after - steps[-1])
            chains.select(systematic(weight, random.random()))
            energy = way.energies(chains, after)
            steps.append(after)
    return np.array(steps)


def _next(energy: Array, beta: float, stop: float, share: float) -> float:
    """Return the temperature, `stop` at most, at which `share` of the population is replaced."""

    def lost(step: float) -> float:
        weight = _weights(energy, step)[1]
        return float(np.maximum(1 - weight * len(weight), 0.0).mean())

    if lost(stop - beta) <= share:
        return stop
    low, high = 0.0, stop - beta
    # bisection alone would not resolve a step that is 1e18 times smaller than the way to `stop`
    while high > _LEAST_STEP and lost(high / 1024) > share:
        high /= 1024
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if lost(middle) <= share else (low, middle)
    # a step that rounding swallows would never end
    return min(stop, max(beta + low, float(np.nextafter(beta, np.inf))))


def _weights(energy: Array, step: float, own: Array | None = None) -> tuple[float, Array]:
    """Return ln of the mean of exp(-step E) (times exp(own)), and the weights with sum 1."""
    exponent = -step * energy if own is None else own - step * energy
    largest = float(exponent.max())
    weight = np.exp(exponent - largest)
    total = float(weight.sum())
    return largest + math.log(total / len(weight)), weight / total


def systematic(weight: Array, u: float) -> NDArray[np.intp]:
    """Return as many indices as there are weights (of sum 1), each floor or ceil of its share."""
    size = len(weight)
    edges = np.cumsum(weight)
    edges[-1] = 1.0
    return np.searchsorted(edges, (np.arange(size) + u) / size, side="right").clip(0, size - 1)


def _anneal(
    way: _Way, steps: Array, n_replicas: int, seed: np.random.SeedSequence, bar: ProgressBar
) -> _Trace:
    """Cool one population along the schedule."""
    streams = seed.spawn(2)
    chains, energy = way.population(n_replicas, streams[0])
    random = np.random.default_rng(streams[1])
    n_steps = len(steps)
    log_z, means, effective = np.empty(n_steps), np.empty(n_steps), np.empty(n_steps)
    families = np.full(n_steps, n_replicas)
    log_z[0], means[0] = way.model.n_spins * math.log(2), energy.mean()
    effective[0] = n_replicas
    ancestor = np.arange(n_replicas)
    own = np.zeros(n_replicas)
    for k in range(1, n_steps):
        step = steps[k] - steps[k - 1]
        if way.resample:
            growth, weight = _weights(energy, step)
            rows = systematic(weight, random.random())
            chains.select(rows)
            ancestor = ancestor[rows]
            energy = way.energies(chains, float(steps[k]))
            log_z[k], means[k] = log_z[k - 1] + growth, energy.mean()
            sizes = np.bincount(ancestor)
            families[k] = np.count_nonzero(sizes)
            effective[k] = n_replicas**2 / float((sizes.astype(float) ** 2).sum())
        else:
            total, weight = _weights(energy, step, own)
            own = own - step * energy
            energy = way.energies(chains, float(steps[k]))
            log_z[k], means[k] = log_z[0] + total, weight @ energy
            effective[k] = 1 / float(weight @ weight)
        bar.update()
    return _Trace(log_z, means, effective, families)


def _result(
    way: _Way, method: str, target: Array, steps: Array, runs: list[_Trace], n_replicas: int
) -> LogPartition:
    """Average Z over the runs, with jackknife errors."""
    place = np.searchsorted(steps, target.ravel())
    log_z_runs = np.array([run.log_z[place] for run in runs])
    energies = np.array([run.energy[place] for run in runs])
    log_z, energy = _average(log_z_runs, energies)
    left = [
        _average(np.delete(log_z_runs, r, axis=0), np.delete(energies, r, axis=0))
        for r in range(len(runs))
    ]
    errors = [
        np.sqrt((len(runs) - 1) * np.var(np.array(values), axis=0))
        for values in zip(*left, strict=True)
    ]
    wide = log_z_runs.std(axis=0, ddof=1) > _WIDE
    still = np.ptp(log_z_runs, axis=0) == 0
    errors[0] = np.where(still, 0.0, errors[0])
    errors = [np.where(wide, np.nan, error) for error in errors]
    effective = np.array([run.effective[place] for run in runs]).min(axis=0)
    families = np.array([run.families[place] for run in runs]).min(axis=0)
    shape = target.shape
    return LogPartition(
        model=repr(way.model),
        n_spins=way.model.n_spins,
        method=method,
        beta=target,
        log_z=log_z.reshape(shape),
        log_z_error=errors[0].reshape(shape),
        energy=energy.reshape(shape),
        energy_error=errors[1].reshape(shape),
        log_z_runs=log_z_runs.reshape(len(runs), *shape),
        effective_sample_size=effective.reshape(shape),
        families=families.reshape(shape),
        schedule=steps,
        n_replicas=n_replicas,
        n_sweeps=way.n_sweeps,
        n_runs=len(runs),
        sampler=way.picked.reason,
        note=_note(target.ravel(), wide, effective),
    )


def _average(log_z: Array, energy: Array) -> tuple[Array, Array]:
    """Return ln of the mean of Z over the runs, and the mean energy with the weights Z."""
    largest = log_z.max(axis=0)
    weight = np.exp(log_z - largest)
    energy = (weight * energy).sum(axis=0) / weight.sum(axis=0)
    return largest + np.log(weight.mean(axis=0)), energy


def _note(beta: Array, wide: NDArray[np.bool_], effective: Array) -> str:
    few = effective < _FEW
    if wide.any():
        return (
            f"no error from beta={beta[wide].min():.6g} on: ln Z of the runs spreads by more than "
            f"{_WIDE:g}, so that one run decides; raise n_replicas or n_sweeps, or lower culling"
        )
    if few.any():
        return (
            f"fewer than {_FEW} effective replicas from beta={beta[few].min():.6g} on; raise "
            "n_replicas or n_sweeps"
        )
    return ""
