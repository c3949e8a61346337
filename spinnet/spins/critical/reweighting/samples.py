"""Energies of runs at several temperatures, pooled into levels that reweighting works with.

A weight depends on the energy alone, so that samples of one energy can be added first: exactly,
where the energies are few (Curie-Weiss, integer couplings), and otherwise in narrow bins that
stand at the mean of their energies.  A bin of width d errs by (difference of beta times d)^2/24
in the weight, about 1e-7 with 65 536 bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError, StatisticsError
from spinnet.spins.models import NetworkDual, SpinModel
from spinnet.spins.montecarlo.run import Run
from spinnet.spins.statistics import MIN_UNITS, autocorrelation

Array = NDArray[np.float64]
Indices = NDArray[np.int32]
FINE = 1 << 16  # levels for the values
COARSE = 1 << 12  # levels for the errors, which need two digits
_MOST_GROUPS = 64
_BLOCKS = 16
_TAU_PER_BLOCK = 20


@dataclass(frozen=True, eq=False)
class State:
    """The samples of one simulated temperature.

    Attributes
    ----------
    beta : float
    energy : ndarray, shape (n_replicas, n_steps)
    run, index
        Where its other series are: ``run`` and the flat index of `beta` in it.
    inefficiency : float
        max(1, 2 tau) of the energy: samples count as one over this.
    group : ndarray of int, shape (n_replicas, n_steps) after broadcasting
        The jackknife group of each sample.
    """

    beta: float
    energy: Array
    run: Run
    index: int
    inefficiency: float
    group: NDArray[np.int64]

    def series(self, name: str) -> Array:
        """Return another observable of the same samples."""
        return np.asarray(self.run.samples(name, self.index), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Levels:
    """Samples added up by energy, by jackknife group or all together.

    Attributes
    ----------
    energy : ndarray, shape (n_levels,)
        Less the reference energy of the pool.
    count : ndarray, shape (n_groups, n_levels)
        Effective samples, each 1/inefficiency.
    """

    energy: Array
    count: Array


@dataclass(frozen=True, eq=False)
class Pool:
    """All samples with their levels.

    Attributes
    ----------
    states : list of State
        In increasing order of beta.
    reference : float
        The energy that is subtracted from all.
    fine, coarse : Levels
        `fine` holds one row, of all samples; `coarse` one for each group.
    size : ndarray, shape (n_groups, n_states)
        Effective samples of each state in each group.
    note : str
        Why there are no groups, if so.
    """

    states: list[State]
    reference: float
    fine: Levels
    coarse: Levels
    size: Array
    note: str
    _index: list[Indices]
    _merge: Indices

    @property
    def beta(self) -> Array:
        """The simulated temperatures, shape (n_states,)."""
        return np.array([state.beta for state in self.states])

    @property
    def model(self) -> SpinModel:
        """The model of all runs."""
        return self.states[0].run.model

    def sums(self, name: str) -> tuple[Array, Array]:
        """Return an observable summed by fine level, and by group and coarse level."""
        fine = np.zeros((1, self.fine.energy.size))
        coarse = np.zeros_like(self.coarse.count)
        for state, index in zip(self.states, self._index, strict=True):
            values = self._values(state, name) / state.inefficiency
            fine[0] += np.bincount(index.ravel(), values.ravel(), fine.size)
            cell = state.group * coarse.shape[1] + self._merge[index]
            coarse += np.bincount(cell.ravel(), values.ravel(), coarse.size).reshape(coarse.shape)
        return fine, coarse

    def _values(self, state: State, name: str) -> Array:
        if name in ("centred energy", "centred energy2"):
            shifted = state.energy - self.reference
            return shifted if name == "centred energy" else shifted**2
        return state.series(name)


def n_units(model: SpinModel) -> int:
    """Return how many two-valued units the recorded energy belongs to."""
    if isinstance(model, NetworkDual) and model.kind == "marginal":
        return model.as_bipartite().n_spins  # the chains keep both layers
    return model.n_spins


def pool(runs: Sequence[Run]) -> Pool:
    """Return the samples of runs of one model, with their levels and groups."""
    parts = [(run, k, float(beta)) for run in runs for k, beta in enumerate(run.beta.ravel())]
    parts = [part for part in parts if part[0].done.ravel()[part[1]] > 0]
    if not parts:
        raise StatisticsError("run must hold samples, got no sweep done at any temperature")
    parts.sort(key=lambda part: part[2])
    energies = [np.asarray(run.samples("energy", k), dtype=np.float64) for run, k, _ in parts]
    taus = [autocorrelation(energy).tau for energy in energies]
    groups, note = _groups(energies, taus)
    states = [
        State(beta, energy, run, k, max(1.0, 2 * tau) if np.isfinite(tau) else 1.0, group)
        for (run, k, beta), energy, tau, group in zip(parts, energies, taus, groups, strict=True)
    ]
    reference = float(np.mean([energy.mean() for energy in energies]))
    index, energy = _fine_levels(states, reference)
    n_groups = int(max(group.max() for group in groups)) + 1
    merge, centre = _coarse_levels(states, index, energy)
    fine = np.zeros((1, energy.size))
    coarse = np.zeros((n_groups, centre.size))
    size = np.zeros((n_groups, len(states)))
    for k, (state, place) in enumerate(zip(states, index, strict=True)):
        weight = 1 / state.inefficiency
        fine[0] += weight * np.bincount(place.ravel(), minlength=energy.size)
        cell = state.group * centre.size + merge[place]
        counts = np.bincount(cell.ravel(), minlength=coarse.size)
        coarse += weight * counts.reshape(coarse.shape)
        members = np.broadcast_to(state.group, place.shape).ravel()
        size[:, k] = weight * np.bincount(members, minlength=n_groups)
    return Pool(
        states, reference, Levels(energy, fine), Levels(centre, coarse), size, note, index, merge
    )


def check_runs(run: object) -> list[Run]:
    """Return the runs, all of one model."""
    runs = [run] if isinstance(run, Run) else run
    if not isinstance(runs, Sequence) or not runs or not all(isinstance(r, Run) for r in runs):
        raise InputError(
            f"run must be a Run or a sequence of them, got {type(run).__name__}; "
            "spinnet.sample makes one"
        )
    if len({id(item) for item in runs}) != len(runs):
        raise InputError(f"run must hold each run once, got {len(runs)} with one more than once")
    for other in runs[1:]:
        if not _same_model(other.model, runs[0].model):
            raise InputError(
                f"run must hold runs of one model, got {runs[0].model!r} and {other.model!r}"
            )
    return list(runs)


def _same_model(a: SpinModel, b: SpinModel) -> bool:
    """Tell whether two models give a few configurations the same energies."""
    if a is b:
        return True
    if type(a) is not type(b) or a.n_spins != b.n_spins or a.levels != b.levels:
        return False
    bits = np.random.default_rng(0).integers(2, size=(16, a.n_spins))
    spins = np.where(bits == 1, a.levels[1], a.levels[0])
    first, second = a.energy(spins), b.energy(spins)
    return bool(np.allclose(first, second, rtol=1e-12, atol=1e-12 * np.abs(first).max()))


def _groups(energies: list[Array], taus: list[float]) -> tuple[list[NDArray[np.int64]], str]:
    """Return the jackknife group of each sample: a replica, some replicas, or a block."""
    units, note = [], ""
    for energy, tau in zip(energies, taus, strict=True):
        n_replicas, n_steps = energy.shape
        if n_replicas >= MIN_UNITS:
            units.append((n_replicas, 1))
            continue
        blocks = -(-_BLOCKS // n_replicas)
        if n_steps < blocks * _TAU_PER_BLOCK * (tau if np.isfinite(tau) else 0.5):
            note = (
                f"{n_replicas} chain(s) of {n_steps} sweeps give no error: use at least "
                f"{MIN_UNITS} replicas, or chains of {_TAU_PER_BLOCK * blocks} autocorrelation "
                "times"
            )
        units.append((n_replicas, blocks))
    if note:
        return [np.zeros((1, 1), dtype=np.int64) for _ in units], note
    n_groups = min(_MOST_GROUPS, *(rows * blocks for rows, blocks in units))
    result = []
    for energy, (rows, blocks) in zip(energies, units, strict=True):
        group = np.arange(rows * blocks).reshape(rows, blocks) * n_groups // (rows * blocks)
        step = np.minimum(np.arange(energy.shape[1]) * blocks // energy.shape[1], blocks - 1)
        result.append(group if blocks == 1 else group[:, step])
    return result, note


def _fine_levels(states: list[State], reference: float) -> tuple[list[Indices], Array]:
    """Return the level of each sample, and the energies of the levels."""
    distinct = np.empty(0)
    for state in states:
        distinct = np.union1d(distinct, state.energy)
        if distinct.size > FINE:
            break
    else:
        index = [np.searchsorted(distinct, s.energy).astype(np.int32) for s in states]
        return index, distinct - reference
    low = min(float(state.energy.min()) for state in states)
    high = max(float(state.energy.max()) for state in states)
    index = [
        np.minimum((state.energy - low) * (FINE / (high - low)), FINE - 1).astype(np.int32)
        for state in states
    ]
    total, count = np.zeros((2, FINE))
    for state, place in zip(states, index, strict=True):
        count += np.bincount(place.ravel(), minlength=FINE)
        total += np.bincount(place.ravel(), (state.energy - reference).ravel(), FINE)
    used = count > 0
    renumber = (np.cumsum(used) - 1).astype(np.int32)
    return [renumber[place] for place in index], total[used] / count[used]


def _coarse_levels(
    states: list[State], index: list[Indices], energy: Array
) -> tuple[Indices, Array]:
    """Return the coarse level of each fine one, and the mean energies of the coarse ones."""
    if energy.size <= COARSE:
        return np.arange(energy.size, dtype=np.int32), energy
    low, high = float(energy[0]), float(energy[-1])
    place = np.minimum((energy - low) * (COARSE / (high - low)), COARSE - 1).astype(np.int64)
    _, merge = np.unique(place, return_inverse=True)
    count = np.zeros(energy.size)
    for state, where in zip(states, index, strict=True):
        count += np.bincount(where.ravel(), minlength=energy.size) / state.inefficiency
    total = np.bincount(merge, count * energy) / np.bincount(merge, count)
    return merge.astype(np.int32), total
