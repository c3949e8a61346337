"""Parallel tempering: one set of chains whose rows exchange their temperatures.

All temperatures of all replicas are rows of one inner set, of any kernel.  An exchange assigns
inverse temperatures and copies no spins, but where replicas are bits, which move at a lower
price, and where the next sweep draws anew, as new temperatures would need new tables.  What is
seen from outside is in the order of the temperatures.  A replica is a whole ladder: it has its
own rows and its own stream for the exchanges, so that replica r at one temperature is
independent of all other replicas there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.spins.models import SpinModel
from spinnet.spins.montecarlo.chains import make_chains
from spinnet.spins.montecarlo.chains.base import Array, ChainSet, Spins, State
from spinnet.spins.montecarlo.chains.bits import BitChains
from spinnet.spins.montecarlo.exchange import Exchange, Tempering
from spinnet.spins.montecarlo.updates import Independent, Update

_EXCHANGE_SECONDS = 1e-5  # for one exchange; more with many rows
_ROW_SECONDS = 2e-8


class TemperedChains(ChainSet):
    """A ladder of temperatures in each replica; row k n_replicas + r is temperature k of r.

    Parameters
    ----------
    beta : array_like, shape (n_beta,)
        Rising or falling.
    n_replicas : int
        Ladders.  The attribute of that name counts all rows, n_beta times as many.
    tempering : Tempering
    kernel : str, optional
        Of the inner chains.

    Attributes
    ----------
    inner : ChainSet
    n_ladders : int
    """

    name: ClassVar[str] = "tempered"
    updates: ClassVar[tuple[type[Update], ...]] = ()

    def __init__(
        self,
        model: SpinModel,
        beta: ArrayLike,
        update: Update,
        n_replicas: int,
        seed: np.random.SeedSequence,
        tempering: Tempering | None = None,
        kernel: str | None = None,
    ) -> None:
        self._ladder: Array = np.array(beta, dtype=np.float64)
        self.tempering = Tempering() if tempering is None else tempering
        self.model, self.update, self.n_ladders = model, update, n_replicas
        n_beta = len(self._ladder)
        self.n_replicas = n_beta * n_replicas
        # the first child is left out: the streams differ from those of a run without exchanges
        _, chains, exchanges = seed.spawn(3)
        by_row = np.tile(self._ladder, n_replicas)
        self.inner = make_chains(model, by_row, update, self.n_replicas, chains, kernel)
        self._row_betas = by_row
        self._rows = np.arange(self.n_replicas).reshape(n_replicas, n_beta).T.copy()
        self._home = self._rows.copy()
        self._swaps_bits = self._can_swap_bits()
        self._rng = exchanges.generate_state(4 * n_replicas, np.uint64).reshape(n_replicas, 4)
        self._origin = np.zeros(self.n_replicas, np.int8)
        self._done, self._steps = 0, 0  # sweeps and exchange steps
        self.sweep_seconds = self.inner.sweep_seconds + _EXCHANGE_SECONDS
        self.sweep_seconds += _ROW_SECONDS * self.n_replicas
        self.count_anew()

    def _can_swap_bits(self) -> bool:
        """Return whether replicas are bits, and no ladder is cut by the end of their group."""
        if not isinstance(self.inner, BitChains):
            return False
        first, last = self._rows[0], self._rows[-1]
        return bool(np.all(first // self.inner.lanes == last // self.inner.lanes))

    @classmethod
    def refusal(cls, model: SpinModel, update: Update) -> str:
        """Return "": the inner chains decide."""
        return ""

    @classmethod
    def cost(cls, model: SpinModel, update: Update, n_replicas: int) -> float:
        """Return 0: the inner chains are what is chosen."""
        return 0.0

    @property
    def workers(self) -> int:
        """Threads that the inner chains may use."""
        return self.inner.workers

    @workers.setter
    def workers(self, number: int) -> None:
        self.inner.workers = number

    @property
    def ladder(self) -> Array:
        """The inverse temperatures, (n_beta,), in the order of the results."""
        return self._ladder

    @property
    def betas(self) -> Array:
        """The inverse temperature of each row, by temperature; one ladder for all replicas."""
        return np.repeat(self._ladder, self.n_ladders)

    @betas.setter
    def betas(self, values: ArrayLike) -> None:
        grid = np.array(values, dtype=np.float64).reshape(self._rows.shape)
        if np.any(grid != grid[:, :1]):
            raise InputError("betas must be the same in all replicas of tempered chains")
        self._ladder = np.ascontiguousarray(grid[:, 0])
        self._assign()

    def _assign(self) -> None:
        """Give the inner rows the temperatures that they are at."""
        self._row_betas[self._rows] = self._ladder[:, None]
        self.inner.betas = self._row_betas

    def count_anew(self) -> None:
        """Set the counters of the exchanges to zero."""
        n_beta = len(self._ladder)
        self._accepted = np.zeros((self.n_ladders, n_beta - 1), np.int64)
        self._attempts = np.zeros(n_beta - 1, np.int64)
        self._trips = np.zeros(self.n_ladders, np.int64)
        self._counted_from = self._done

    @property
    def exchange(self) -> Exchange:
        """The exchanges since the counters were last at zero."""
        counts = (self._accepted.copy(), self._attempts.copy(), self._trips.copy())
        return Exchange(self._ladder.copy(), *counts, self._done - self._counted_from)

    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep all rows and exchange; see :class:`ChainSet`.

        A sweep after which temperatures exchange is recorded as the exchange leaves it, so that
        the last column always belongs to `spins`.
        """
        from spinnet.spins.montecarlo.chains.exchanging import step

        shape = (n_sweeps, self.n_replicas if record else 0)  # so that a sweep is one piece
        out = np.empty(shape), np.empty(shape)
        every, position = self.tempering.exchange_every, 0
        while position < n_sweeps:
            size = min(every - self._done % every, n_sweeps - position)
            m, energy = self.inner.advance(size)
            self._done += size
            changed = step(
                *(np.ascontiguousarray(m), np.ascontiguousarray(energy), self._ladder),
                *(self._first_pair(), self._rng, self._rows, self._row_betas),
                *(self._origin, self._accepted, self._trips, position, *out),
            )
            if changed:
                self._carry_out()
            position += size
        return out[0].T, out[1].T

    def _carry_out(self) -> None:
        """Give the inner rows the temperatures, or the configurations, that they exchanged."""
        if isinstance(self.inner, BitChains) and self._swaps_bits:
            self.inner.swap_neighbours(self._rows, self._origin, self._row_betas)
        elif isinstance(self.update, Independent):
            self._move()
        else:
            self.inner.betas = self._row_betas

    def _move(self) -> None:
        """Move the configurations to the inner rows that are at their temperatures."""
        source = np.empty(self.n_replicas, np.intp)
        source[self._home.ravel()] = self._rows.ravel()
        self.inner.select(source)
        self._origin = self._origin[source]
        self._rows[:] = self._home
        self._row_betas[self._home] = self._ladder[:, None]

    def _first_pair(self) -> int:
        """Return 0 and 1 in turn, 0 if there is one pair, and -1 if it is no time to exchange."""
        if self._done % self.tempering.exchange_every:
            return -1
        first = self._steps % 2 if len(self._ladder) > 2 else 0
        self._steps += 1
        self._attempts[first::2] += 1
        return first

    @property
    def spins(self) -> Spins:
        """The configurations by temperature, (n_beta * n_replicas, n_spins)."""
        return self.inner.spins[self._rows.ravel()]

    def packed_spins(self) -> NDArray[np.uint8]:
        """Return the configurations as bits, by temperature; see :class:`ChainSet`."""
        return self.inner.packed_spins()[self._rows.ravel()]

    def place(self, spins: Spins) -> None:
        """Set the configurations, given by temperature; see :class:`ChainSet`."""
        given = np.empty_like(spins)
        given[self._rows.ravel()] = spins
        self.inner.place(given)

    def select(self, rows: NDArray[np.intp]) -> None:
        """Copy configurations, counted by temperature; see :class:`ChainSet`."""
        own = self._rows.ravel()
        source = np.empty_like(own)
        source[own] = own[rows]
        self.inner.select(source)

    def state(self) -> State:
        """Return the inner state, who is where, the streams of the exchanges and the counters."""
        own: State = {
            "rows": self._rows.copy(),
            "origin": self._origin.copy(),
            "exchange_rng": self._rng.copy(),
            "numbers": np.array([self._done, self._steps, self._counted_from]),
            **{f"exchange_{name}": x for name, x in self.exchange.counts().items()},
        }
        return own | {f"inner_{name}": x for name, x in self.inner.state().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state; see :class:`ChainSet`."""
        self._rows = np.array(state["rows"], dtype=np.int64)
        self._origin = np.array(state["origin"], dtype=np.int8)
        self._rng = np.array(state["exchange_rng"], dtype=np.uint64)
        self._done, self._steps, self._counted_from = (int(n) for n in state["numbers"])
        self._accepted, self._attempts, self._trips = (
            np.array(state[f"exchange_{name}"], dtype=np.int64)
            for name in ("accepted", "attempts", "round_trips")
        )
        self._assign()
        inner = len("inner_")
        self.inner.restore({k[inner:]: x for k, x in state.items() if k.startswith("inner_")})
