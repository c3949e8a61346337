"""Parallel tempering as a user sees it: what is asked for, and how the exchanges went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.spins import statistics
from spinnet.validation import integer

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

WEAK = 0.05  # a pair of temperatures that exchanges less often hardly lets anything through
COUNTS = ("accepted", "attempts", "round_trips", "sweeps")


@dataclass(frozen=True)
class Tempering:
    """Parallel tempering over the inverse temperatures of a run.

    Neighbouring temperatures exchange their configurations with probability
    min(1, exp((b1 - b2)(E1 - E2))), the even pairs and the odd pairs in turn: the order in which
    configurations travel from end to end fastest (S. Syed et al., J. R. Stat. Soc. B 84, 321
    (2022)).

    Parameters
    ----------
    exchange_every : int
        Sweeps from one attempt to the next, at least 1.
    """

    exchange_every: int = 1

    def __post_init__(self) -> None:
        integer("exchange_every", self.exchange_every, minimum=1)


def check_tempering(tempering: object, beta: Array) -> Tempering | None:
    """Return what `tempering` asks for; refuse temperatures that cannot exchange.

    Raises
    ------
    InputError
    """
    if tempering is False or tempering is None:
        return None
    if tempering is True:
        tempering = Tempering()
    if not isinstance(tempering, Tempering):
        raise InputError(
            f"tempering must be True, False or a spinnet.Tempering, got {tempering!r:.60}"
        )
    if beta.ndim != 1 or beta.size < 2:
        raise InputError(
            "beta must be a list of at least two inverse temperatures for tempering=True (it "
            f"exchanges neighbours), got shape {beta.shape}"
        )
    steps = np.diff(beta)
    if not (np.all(steps > 0) or np.all(steps < 0)):
        k = int(np.argmax(steps * np.sign(beta[-1] - beta[0]) <= 0))
        raise InputError(
            "beta must rise or fall from each value to the next for tempering=True, got "
            f"{beta[k]:.6g} and then {beta[k + 1]:.6g} at index {k + 1}; sort it, each value once"
        )
    return tempering


@dataclass(frozen=True, eq=False)
class Exchange:
    """How the exchanges of a tempered run went, in its measured sweeps.

    Attributes
    ----------
    beta : ndarray, shape (n_beta,)
    accepted : ndarray of int, shape (n_replicas, n_beta - 1)
        Exchanges of each pair of neighbours, in each replica.
    attempts : ndarray of int, shape (n_beta - 1,)
        How often each replica tried each pair.
    round_trips : ndarray of int, shape (n_replicas,)
        How often a configuration came from the first temperature to the last and back.
    n_sweeps : int
        Sweeps over which these were counted.
    """

    beta: Array
    accepted: Counts
    attempts: Counts
    round_trips: Counts
    n_sweeps: int

    @classmethod
    def from_counts(cls, beta: Array, counts: Mapping[str, NDArray[Any]]) -> Exchange:
        """Return the record of counts as :meth:`counts` gives them."""
        accepted, attempts, trips, sweeps = (np.array(counts[name]) for name in COUNTS)
        return cls(beta.ravel(), accepted, attempts, trips, int(sweeps))

    def counts(self) -> dict[str, NDArray[Any]]:
        """Return all but the temperatures as arrays by name."""
        values = (self.accepted, self.attempts, self.round_trips, self.n_sweeps)
        return {name: np.array(value) for name, value in zip(COUNTS, values, strict=True)}

    @property
    def rates(self) -> Array:
        """Acceptance rate of each pair in each replica, (n_replicas, n_beta - 1)."""
        tried = np.where(self.attempts > 0, self.attempts, np.nan)
        return np.asarray(self.accepted / tried, dtype=np.float64)

    @property
    def acceptance(self) -> Array:
        """Acceptance rate of each pair of neighbours, (n_beta - 1,); NaN if never tried."""
        return np.asarray(self.rates.mean(axis=0))

    @property
    def acceptance_error(self) -> Array:
        """One standard error of `acceptance` over the replicas; NaN with fewer than two."""
        return _error(self.rates)

    @property
    def round_trip_rate(self) -> float:
        """Round trips in a replica in 1000 sweeps, over all of its configurations."""
        return float(self._trip_rates.mean())

    @property
    def round_trip_rate_error(self) -> float:
        """One standard error of `round_trip_rate` over the replicas; NaN with fewer than two."""
        return float(_error(self._trip_rates))

    @property
    def _trip_rates(self) -> Array:
        sweeps = self.n_sweeps if self.n_sweeps > 0 else np.nan
        return np.asarray(1000.0 * self.round_trips / sweeps, dtype=np.float64)

    @property
    def barrier(self) -> float:
        """The sum of the rejection rates: about the global communication barrier of Syed et al.

        About 2 barrier + 1 temperatures are best, placed so that all rates are equal.
        """
        return float(np.sum(1.0 - self.acceptance))

    @property
    def weak(self) -> NDArray[np.intp]:
        """The pairs (k, k + 1) that exchange less than once in 20 attempts, by k."""
        return np.flatnonzero(self.acceptance < WEAK)

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps configurations from travelling, in words; empty if nothing does."""
        found = [
            f"beta = {self.beta[k]:.6g} and {self.beta[k + 1]:.6g} exchange in "
            f"{self.acceptance[k]:.2%} of the attempts: place temperatures between them "
            "(spinnet.place_temperatures)"
            for k in self.weak
        ]
        if self.n_sweeps > 0 and not self.round_trips.any():
            found.append(
                f"no configuration came from end to end and back in {self.n_sweeps} sweeps: the "
                "coldest temperatures may have seen a single valley in each replica"
            )
        return tuple(found)

    def summary(self) -> str:
        """Return a line for people, and one for each problem."""
        rates = self.acceptance
        if not np.any(np.isfinite(rates)):
            return "exchange: no attempts yet"
        k = int(np.nanargmin(rates))
        least = statistics.format_with_error(float(rates[k]), float(self.acceptance_error[k]))
        trips = statistics.format_with_error(self.round_trip_rate, self.round_trip_rate_error)
        line = (
            f"exchange: acceptance {np.nanmean(rates):.3g} on average, {least} at least (beta = "
            f"{self.beta[k]:.6g} with {self.beta[k + 1]:.6g}); {trips} round trips per replica "
            "in 1000 sweeps"
        )
        return "\n".join([line, *(f"exchange: {problem}" for problem in self.problems)])

    def to_dict(self) -> dict[str, Any]:
        """Return rates, errors and counts as plain numbers."""
        return {
            "acceptance": self.acceptance.tolist(),
            "acceptance_error": self.acceptance_error.tolist(),
            "round_trips_per_1000_sweeps": self.round_trip_rate,
            "round_trips_per_1000_sweeps_error": self.round_trip_rate_error,
            "barrier": self.barrier,
            "attempts": self.attempts.tolist(),
            "round_trips": self.round_trips.tolist(),
            "n_sweeps": self.n_sweeps,
            "problems": list(self.problems),
        }


def joined(records: Sequence[Exchange | None]) -> Exchange | None:
    """Return one record of the replicas of several runs, or None where their ladders differ."""
    known = [record for record in records if record is not None]
    if len(known) < len(records) or not known:
        return None
    first = known[0]
    for other in known[1:]:
        same = first.n_sweeps == other.n_sweeps and np.array_equal(first.beta, other.beta)
        if not (same and np.array_equal(first.attempts, other.attempts)):
            return None
    return Exchange(
        first.beta,
        np.concatenate([record.accepted for record in known]),
        first.attempts,
        np.concatenate([record.round_trips for record in known]),
        first.n_sweeps,
    )


def _error(values: Array) -> Array:
    """Return the standard error over axis 0."""
    n = len(values)
    if n < 2:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(n))
