r"""Where to put the temperatures of parallel tempering: even exchange, from a short pilot run.

Between two inverse temperatures the mean rejection of an exchange is, where they are close, the
integral of the local barrier

    lambda(beta) = 1/2 <|E - E'|>,    E, E' independent at beta,

whose integral Lambda over the whole range, the global communication barrier, does not depend on
where the temperatures are (S. Syed et al., J. R. Stat. Soc. B 84, 321 (2022), eq. 16).  Equal
rejections are equal steps of the cumulative barrier.  For energies of Gaussian distribution the
rejection over a step d is erf(sqrt(pi) d/2); its inverse turns the rejections of a pilot ladder
into steps of the barrier also where they are not small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfinv

from spinnet.errors import InputError
from spinnet.memory import refuse_beyond_memory
from spinnet.randomness import RandomState, seed_sequence
from spinnet.spins.models import SpinModel
from spinnet.spins.montecarlo.chains import make_chains
from spinnet.spins.montecarlo.chains.tempered import TemperedChains
from spinnet.spins.montecarlo.choice import choose
from spinnet.spins.montecarlo.exchange import Exchange
from spinnet.spins.montecarlo.updates import Independent, Update
from spinnet.validation import bounded_float, integer, positive_float

Array = NDArray[np.float64]

_FIRST_SWEEPS = 64
_FIRST_SIZE = 24  # temperatures of the first pilot ladder
_MOST = 2000  # temperatures
_WIDE = 2.0  # a step of the barrier with an acceptance of about 1 %
_UNSEEN = 1e-3  # an acceptance below comes from too few events: the energies say more


@dataclass(frozen=True, eq=False)
class Ladder:
    """Inverse temperatures with even exchange.

    Attributes
    ----------
    beta : ndarray, shape (n,)
        Rising, from `beta_min` to `beta_max`.
    barrier : float
        The global communication barrier Lambda of the range.
    exchange : Exchange
        The rates between them, as measured at the end of the pilot run.
    """

    beta: Array
    barrier: float
    exchange: Exchange

    def summary(self) -> str:
        """Return a table for people: each pair with its acceptance rate."""
        lines = [f"{len(self.beta)} temperatures, barrier {self.barrier:.3g}"]
        rates, errors = self.exchange.acceptance, self.exchange.acceptance_error
        for k, (rate, error) in enumerate(zip(rates, errors, strict=True)):
            low, high = self.beta[k : k + 2]
            lines.append(f"{low:10.6g} {high:10.6g}  acceptance {rate:.3f} +- {error:.3f}")
        return "\n".join([*lines, self.exchange.summary()])

    def to_dict(self) -> dict[str, Any]:
        """Return temperatures, barrier and rates as plain numbers."""
        return {
            "beta": self.beta.tolist(),
            "barrier": self.barrier,
            "exchange": self.exchange.to_dict(),
        }


def place_temperatures(
    model: SpinModel,
    beta_min: float,
    beta_max: float,
    n: int | None = None,
    *,
    acceptance: float = 0.5,
    update: Update | None = None,
    n_replicas: int = 8,
    n_sweeps: int = 1000,
    rng: RandomState = None,
) -> Ladder:
    r"""Place inverse temperatures so that all neighbours exchange equally often.

    Parameters
    ----------
    model : SpinModel
    beta_min, beta_max : float
        The ends, 0 <= beta_min < beta_max: the hottest where single spins mix fast, the coldest
        that is wanted.
    n : int, optional
        How many temperatures; by default so many that exchanges are accepted with about the
        probability `acceptance`.
    acceptance : float
        Between 0 and 1, used where `n` is not given.  At 1/2, n is about 2 Lambda + 1, with
        which configurations travel fastest for the work in the even-odd order of exchanges
        that :func:`spinnet.sample` uses (Syed et al.); rates of 0.2 to 0.3 are best for
        exchanges in random order.
    update : Update, optional
        As in :func:`spinnet.sample`.
    n_replicas : int
        Independent ladders of the pilot run, at least 2.
    n_sweeps : int
        Sweeps of each of its last two rounds, at least 64; all of it takes about four times as
        many.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    Ladder
        ``.beta`` for ``sample(..., tempering=True)``, the barrier, and the measured rates.

    Raises
    ------
    InputError
        For an empty range, one that needs more than 2000 temperatures, or a pilot run that this
        machine's memory cannot hold.

    References
    ----------
    S. Syed, A. Bouchard-Cote, G. Deligiannidis & A. Doucet, J. R. Stat. Soc. B 84, 321 (2022),
    sections 4.3 and 5.1.

    Examples
    --------
    >>> import spinnet as sn
    >>> ladder = sn.place_temperatures(sn.CurieWeiss(100), 0.2, 1.5, n_sweeps=200, rng=1)
    >>> len(ladder.beta), bool(ladder.exchange.acceptance.min() > 0.4)
    (7, True)
    """
    low, high = bounded_float("beta_min", beta_min), bounded_float("beta_max", beta_max)
    if not 0.0 <= low < high:
        raise InputError(
            f"beta_min and beta_max must be 0 <= beta_min < beta_max, got {low:.6g} and {high:.6g}"
        )
    n = None if n is None else integer("n", n, minimum=2)
    if n is not None and n > _MOST:
        raise InputError(f"n must be at most {_MOST}, got {n}")
    acceptance = positive_float("acceptance", acceptance)
    if acceptance >= 1.0:
        raise InputError(f"acceptance must be below 1, got {acceptance:.6g}")
    n_replicas = integer("n_replicas", n_replicas, minimum=2)
    n_sweeps = integer("n_sweeps", n_sweeps, minimum=_FIRST_SWEEPS)
    pilot = _Pilot(model, (low, high), update, n_replicas, seed_sequence(rng))
    pilot.check_memory(_FIRST_SIZE // 2 if n is None else n, n_sweeps)
    return pilot.place(n, acceptance, n_sweeps)


class _Pilot:
    """Rounds of tempering, each on the ladder that the round before it proposed."""

    def __init__(
        self,
        model: SpinModel,
        ends: tuple[float, float],
        update: Update | None,
        n_replicas: int,
        seed: np.random.SeedSequence,
    ) -> None:
        self.model, self.ends, self.n_replicas, self.seed = model, ends, n_replicas, seed
        self.update = choose(model, ends[1], _FIRST_SIZE * n_replicas, update).update
        (stream,) = seed.spawn(1)
        free = make_chains(model, 0.0, self.update, 64, stream)
        spread = float(free.advance(1)[1].std())
        # the step from beta = 0 with a barrier of one: the scale on which temperatures matter
        self.unit = math.sqrt(math.pi) / spread if spread > 0 else ends[1]
        # draws need no start, and of many spins each
        self.carries = not isinstance(self.update, Independent)
        self.spins: Any = None

    def place(self, n: int | None, acceptance: float, n_sweeps: int) -> Ladder:
        """Refine the ladder, measure the last one."""
        low, high = (math.log(end + self.unit) for end in self.ends)
        grid = np.exp(np.linspace(low, high, _FIRST_SIZE)) - self.unit
        sweeps, step = _FIRST_SWEEPS, _barrier_of(1.0 - min(acceptance, 0.5))
        self.round(self._exact_ends(grid), sweeps)
        while sweeps < n_sweeps:
            sweeps = min(2 * sweeps, n_sweeps)
            # where n is given, more need not do
            size = self._count(step) if n is None else min(self._needed(step), _MOST)
            self.round(self.even(max(_FIRST_SIZE // 2, size)), sweeps)
        size = self._count(_barrier_of(1.0 - acceptance)) if n is None else n
        barrier = float(self.barriers[-1])
        chains = self.round(self.even(size), n_sweeps)
        if self.steps.max() < _WIDE:  # else few exchanges say less than the rounds before
            barrier = float(self.barriers[-1])
            size = self._count(_barrier_of(1.0 - acceptance)) if n is None else n
            chains = self.round(self.even(size), n_sweeps)
        return Ladder(chains.ladder.copy(), barrier, chains.exchange)

    def _needed(self, step: float) -> int:
        """Return how many temperatures there are at steps of at most `step`."""
        return max(2, math.ceil(float(self.barriers[-1]) / step) + 1)

    def _count(self, step: float) -> int:
        """Return the same, or refuse too many."""
        count = self._needed(step)
        if count > _MOST:
            low, high = self.ends
            raise InputError(
                f"beta from {low:.6g} to {high:.6g} would take about {count} temperatures (at most "
                f"{_MOST}); narrow the range, or lower acceptance"
            )
        return count

    def even(self, size: int) -> Array:
        """Return temperatures at equal steps of the barrier."""
        from scipy.interpolate import PchipInterpolator  # slow to import, and seldom needed

        x = self.barriers + 1e-9 * (1.0 + self.barriers[-1]) * np.arange(len(self.barriers))
        y = np.log(self.ladder + self.unit)
        found = PchipInterpolator(x, y)(np.linspace(0.0, x[-1], size))
        return self._exact_ends(np.exp(found) - self.unit)

    def _exact_ends(self, grid: Array) -> Array:
        grid[0], grid[-1] = self.ends
        return grid

    def round(self, ladder: Array, sweeps: int) -> TemperedChains:
        """Temper on a ladder, and find the barrier between its temperatures."""
        self.check_memory(len(ladder), sweeps)
        (stream,) = self.seed.spawn(1)
        chains = TemperedChains(self.model, ladder, self.update, self.n_replicas, stream)
        if self.spins is not None:
            chains.place(self.spins[self._nearest(ladder)].reshape(chains.n_replicas, -1))
        _advance(chains, sweeps // 2)
        chains.count_anew()
        energy = _advance(chains, sweeps).reshape(len(ladder), self.n_replicas, sweeps)
        if self.carries:
            self.spins = chains.spins.reshape(len(ladder), self.n_replicas, -1)
        self.ladder, self.steps = ladder, _steps(ladder, energy)
        self.barriers = np.concatenate([[0.0], np.cumsum(self.steps)])
        return chains

    def check_memory(self, n_beta: int, sweeps: int) -> None:
        """Refuse a round whose energies, or configurations before and after, are too many."""
        each = 24 * sweeps + (4 * self.model.n_spins if self.carries else 0)
        what = f"{n_beta} temperatures in n_replicas={self.n_replicas} with n_sweeps={sweeps}"
        refuse_beyond_memory(n_beta * self.n_replicas * each, what, "lower n_replicas or n_sweeps")

    def _nearest(self, ladder: Array) -> NDArray[np.intp]:
        """Return for each new temperature that of the last round just below it."""
        found = np.searchsorted(self.ladder, ladder, side="right") - 1
        return np.clip(found, 0, len(self.ladder) - 1)


def _advance(chains: TemperedChains, sweeps: int) -> Array:
    """Return the energies, (n_rows, sweeps), from calls of at most 256 sweeps."""
    sizes = [min(256, sweeps - first) for first in range(0, sweeps, 256)]
    return np.concatenate([chains.advance(size)[1] for size in sizes], axis=1)


def _steps(beta: Array, energy: Array) -> Array:
    """Return the barrier between neighbours from energies (n_beta, n_replicas, n_sweeps).

    Energies of different replicas are independent, which those of one ladder are not.
    """
    other = np.roll(energy, 1, axis=1)
    gain = -np.diff(beta)[:, None, None] * (energy[:-1] - other[1:])
    accepted = np.exp(np.minimum(gain, 0.0)).mean(axis=(1, 2))
    local = 0.5 * np.abs(energy - other).mean(axis=(1, 2))
    rough = 0.5 * (local[1:] + local[:-1]) * np.diff(beta)
    seen = accepted > _UNSEEN
    return np.asarray(np.where(seen, _barrier_of(1.0 - accepted), np.maximum(rough, _WIDE)))


def _barrier_of(rejection: Any) -> Any:
    """Return the step of the barrier at which Gaussian energies have that rejection."""
    return 2.0 / math.sqrt(math.pi) * erfinv(rejection)
