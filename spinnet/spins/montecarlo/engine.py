"""The verb ``sample``: validation, burn-in, and the loop over temperatures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import InputError, StatisticsError
from spinnet.memory import machine_memory
from spinnet.progress import progress_bar
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.spins import statistics
from spinnet.spins.models import SpinModel
from spinnet.spins.montecarlo.chains import ChainSet, check_update, make_chains
from spinnet.spins.montecarlo.run import Run
from spinnet.spins.montecarlo.updates import Update
from spinnet.validation import finite_array, integer, inverse_temperatures

Array = NDArray[np.float64]
Observer = Callable[[NDArray[np.int8]], ArrayLike]

_BLOCK = 256  # sweeps between two chances to interrupt, or to redraw the progress bar
_DRIFT = 4.0  # standard errors
# names of the built-in observables, and of what else a saved run holds
_TAKEN = ("m", "energy", "magnetization", "abs_m", "m2", "m4", "energy2", "beta", "spins")


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
    progress: bool = False,
) -> Run:
    """Sample a spin system with independent replicas at each temperature.

    Parameters
    ----------
    model : SpinModel
    beta : array_like
        Inverse temperatures >= 0.
    n_sweeps : int
        Measured sweeps of each replica; each is followed by a measurement.
    n_replicas : int
        Independent chains, each from its own random state: the statistical unit of the errors.
    update : HeatBath, Metropolis or BlockGibbs, optional
        By default BlockGibbs for two-layer systems and HeatBath for the rest.
    n_burn_in : int or "auto"
        Sweeps discarded first.  "auto" doubles the burn-in until the second half of it is
        mixed (split R-hat of |m| and of the energy below 1.05, and no drift beyond 4 standard
        errors), and refuses if that takes more than `n_sweeps` (at least 1000).
    observers : sequence or mapping of callables, optional
        Functions of the spins (n_replicas, n_spins), returning (n_replicas,); their averages
        are ``run.estimate(name)``.
    rng : None, int, SeedSequence or Generator
    progress : bool
        Show a progress bar on standard error.

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
    StatisticsError
        With "auto", if the chains did not mix; `.estimate` holds R-hat by observable.

    Notes
    -----
    Local fields of dense and two-layer systems are summed in single precision, and refreshed
    every 256 sweeps: a bond 1e7 times weaker than the strongest one of its spin is lost.

    Examples
    --------
    >>> import spinnet as sn
    >>> run = sn.sample(sn.CurieWeiss(64), beta=[0.8], n_sweeps=500, rng=7)
    >>> bool(abs(run.estimate("m2").value[0] - 0.0611) < 0.004)
    True
    """
    inverse = inverse_temperatures(beta)
    update = check_update(model, update)
    n_sweeps = integer("n_sweeps", n_sweeps, minimum=1)
    n_replicas = integer("n_replicas", n_replicas, minimum=1)
    if n_burn_in != "auto":
        n_burn_in = integer("n_burn_in (or 'auto')", n_burn_in, minimum=0)
    watch = _named(observers)
    _check_memory(inverse.size, model.n_spins, n_sweeps, n_replicas, 2 + len(watch))
    seed = seed_sequence(rng)
    tasks = zip(inverse.ravel().tolist(), seed.spawn(inverse.size), strict=True)
    names = ("m", "energy", *watch)
    columns: dict[str, list[Array]] = {name: [] for name in names}
    spins, burned = [], []
    with progress_bar(inverse.size * n_sweeps, progress, "sweep") as bar:
        for value, stream in tasks:
            chains = make_chains(model, value, update, n_replicas, stream)
            burned.append(_burn_in(chains, n_burn_in, n_sweeps, value))
            for name, column in _measure(chains, n_sweeps, watch, bar).items():
                columns[name].append(column)
            spins.append(chains.spins)
    grid = inverse.shape
    shape = (*grid, n_replicas, n_sweeps)
    return Run(
        model=model,
        beta=inverse,
        update=update,
        n_sweeps=n_sweeps,
        n_replicas=n_replicas,
        n_burn_in=np.array(burned, dtype=np.int64).reshape(grid),
        series={name: np.array(column).reshape(shape) for name, column in columns.items()},
        spins=np.array(spins).reshape(*grid, n_replicas, model.n_spins),
        seed=seed_record(seed),
        version=spinnet.__version__,
    )


def _check_memory(n_beta: int, n_spins: int, n_sweeps: int, n_replicas: int, n_series: int) -> None:
    """Refuse a run whose results alone are larger than the memory."""
    memory = machine_memory()
    spins = n_beta * n_replicas * n_spins
    series = 8 * n_series * n_beta * n_replicas * n_sweeps
    if spins + series > memory:
        name, value = ("n_spins", n_spins) if spins > series else ("n_sweeps", n_sweeps)
        raise InputError(
            f"the run would hold {(spins + series) / 1e9:.4g} GB ({name}={value}, "
            f"n_replicas={n_replicas}, {n_beta} temperature(s)), and this machine has "
            f"{memory / 1e9:.4g} GB; lower {name}"
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


def _measure(
    chains: ChainSet, n_sweeps: int, watch: dict[str, Observer], bar: Any
) -> dict[str, Array]:
    step = 1 if watch else _BLOCK
    parts: dict[str, list[Array]] = {"m": [], "energy": [], **{name: [] for name in watch}}
    for start in range(0, n_sweeps, step):
        size = min(step, n_sweeps - start)
        m, energy = chains.advance(size)
        parts["m"].append(m)
        parts["energy"].append(energy)
        if watch:
            spins = chains.spins
            for name, function in watch.items():
                parts[name].append(_observed(name, function(spins), len(spins)))
        bar.update(size)
    return {name: np.concatenate(columns, axis=1) for name, columns in parts.items()}


def _observed(name: str, value: ArrayLike, n_replicas: int) -> Array:
    array = finite_array(f"observers[{name!r}]", value)
    if array.shape != (n_replicas,):
        raise InputError(
            f"observers[{name!r}] must return shape ({n_replicas},), one number for each "
            f"replica, got {array.shape}"
        )
    return array[:, None]


def _burn_in(chains: ChainSet, n_burn_in: int | str, n_sweeps: int, beta: float) -> int:
    if isinstance(n_burn_in, int):
        for start in range(0, n_burn_in, _BLOCK):
            chains.advance(min(_BLOCK, n_burn_in - start), record=False)
        return n_burn_in
    limit = max(n_sweeps, 1000)
    done, size = 0, 64
    while True:
        series = [
            np.concatenate(pair, axis=1)
            for pair in zip(
                *(chains.advance(part) for part in (size // 2, size - size // 2)), strict=True
            )
        ]
        done += size
        reason, rhat = _unmixed(np.abs(series[0]), series[1])
        if not reason:
            return done
        if done + 2 * size > limit:
            raise StatisticsError(
                f"the chains have not mixed at beta={beta:.6g} after {done} sweeps: {reason}; "
                "raise n_sweeps, or set n_burn_in to a number to sample nevertheless",
                estimate=rhat,
            )
        size *= 2


def _unmixed(abs_m: Array, energy: Array) -> tuple[str, dict[str, float]]:
    """Return why the chains are not stationary ("" if they are), and split R-hat by name."""
    rhat = {}
    for name, series in (("|m|", abs_m), ("energy", energy)):
        rhat[name] = statistics.split_rhat(series)
        if rhat[name] >= statistics.RHAT_MIXED:
            return (
                f"split R-hat of {name} is {rhat[name]:.3f}, needed below {statistics.RHAT_MIXED}",
                rhat,
            )
        half = series.shape[1] // 2
        drift = series[:, half:].mean(axis=1) - series[:, :half].mean(axis=1)
        if len(drift) >= statistics.MIN_UNITS:
            error = float(drift.std(ddof=1)) / np.sqrt(len(drift))
            if abs(drift.mean()) > _DRIFT * error:
                return f"{name} still drifts, by {drift.mean():.3g} +- {error:.2g}", rhat
    return "", rhat
