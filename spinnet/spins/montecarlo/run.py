"""What a Monte Carlo run returns: its series, and estimates with errors from them."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, did_you_mean
from spinnet.files import finite_or_null, write_atomically
from spinnet.memory import refuse_beyond_memory
from spinnet.spins import statistics
from spinnet.spins.models import SpinModel
from spinnet.spins.montecarlo.exchange import Exchange
from spinnet.spins.montecarlo.storage import STORED, n_stored, unpacked_spins
from spinnet.spins.montecarlo.updates import Update
from spinnet.spins.statistics import Estimate
from spinnet.validation import integer

if TYPE_CHECKING:
    from spinnet.spins.montecarlo.overlaps import OverlapDistribution

Array = NDArray[np.float64]

_POWERS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "magnetization": ("m", lambda x: x),
    "abs_m": ("m", np.abs),
    "m2": ("m", lambda x: x**2),
    "m4": ("m", lambda x: (x * x) ** 2),  # powers above 2 are slow
    "energy2": ("energy", lambda x: x**2),
}

_NAN = np.array(np.nan)
_NOTHING_YET = Estimate(_NAN, _NAN, _NAN, _NAN, _NAN, note="no sweeps yet")


@dataclass(frozen=True, eq=False)
class Run:
    """A Monte Carlo run.

    Attributes
    ----------
    model : SpinModel
    beta : ndarray
        Inverse temperatures, any shape.
    update : Update
        How sweeps were done, as ``HeatBath()``.
    n_sweeps, n_replicas : int
        Measurements of each of the independent replicas.
    n_burn_in : ndarray of int
        Sweeps discarded at each temperature.
    series : dict of ndarray
        "m", "energy" and the observers, each of shape beta.shape + (n_replicas, n_sweeps).
    spins : ndarray of int8
        Last configurations, shape beta.shape + (n_replicas, n_spins).
    seed : dict
        What makes the random streams again.
    version : str
        The spinnet that made the run.
    done : ndarray of int
        Measurements at each temperature: `n_sweeps`, unless the run was read from a directory
        before it was finished.  Estimates use these, and the series are NaN beyond them.
    choice : str
        Which update and kernel made the run, and why.
    exchange : Exchange or None
        How often neighbouring temperatures exchanged, with tempering.
    measure_every : int
        Sweeps from one measurement to the next: autocorrelation times are in measurements.
    store_every : int
        Measurements from one stored configuration to the next; 0 if none were asked for.
    stored : ndarray of uint8 or None
        Stored configurations as bits, shape beta.shape + (n_replicas, n_stored, n_bytes); see
        :meth:`configurations`.
    """

    model: SpinModel
    beta: Array
    update: Update
    n_sweeps: int
    n_replicas: int
    n_burn_in: NDArray[np.int64]
    series: Mapping[str, Array]
    spins: NDArray[np.int8]
    seed: Mapping[str, object]
    version: str
    done: NDArray[np.int64]
    choice: str = ""
    exchange: Exchange | None = None
    measure_every: int = 1
    store_every: int = 0
    stored: NDArray[np.uint8] | None = None

    @property
    def complete(self) -> bool:
        """Whether all sweeps are done at every temperature."""
        return bool(np.all(self.done == self.n_sweeps))

    @property
    def names(self) -> tuple[str, ...]:
        """The observables that :meth:`estimate` knows."""
        return tuple(dict.fromkeys([*self.series, *_POWERS]))

    def estimate(self, name: str) -> Estimate:
        """Return the average of an observable.

        Parameters
        ----------
        name : str
            "magnetization", "abs_m", "m2", "m4", "energy" (total), "energy2", or an observer.

        Returns
        -------
        Estimate
            Arrays of the shape of `beta`.
        """
        estimates = []
        for k, x in enumerate(self._grid(name)):
            if x.size:
                seen = self._monitored(name, k, x)
                estimates.append(statistics.derive([x], lambda mean: mean, seen))
            else:
                estimates.append(_NOTHING_YET)
        return statistics.stack(estimates, self.beta.shape)

    def derived(
        self, function: Callable[..., Any], *names: str, monitor: str = "abs_m"
    ) -> Estimate:
        """Return a function of averages with a jackknife error over replicas.

        Parameters
        ----------
        function : callable
            Of averages, for example ``spinnet.binder_cumulant(m2, m4)``.
        *names : str
            The observables whose averages are its arguments; by default the names of its
            parameters.  The name "beta" passes the inverse temperature.
        monitor : str
            The observable whose tau and R-hat are reported.
        """
        names = names or tuple(inspect.signature(function).parameters)
        observables = [name for name in names if name != "beta"]
        columns = {name: self._grid(name) for name in dict.fromkeys([*observables, monitor])}
        results = []
        for k, beta in enumerate(self.beta.ravel()):

            def at(*means: Any, _beta: float = float(beta)) -> Any:
                given = iter(means)
                return function(*[_beta if name == "beta" else next(given) for name in names])

            if not columns[monitor][k].size:
                results.append(_NOTHING_YET)
                continue
            series = [columns[name][k] for name in observables]
            seen = self._monitored(monitor, k, columns[monitor][k])
            results.append(statistics.derive(series, at, seen))
        return statistics.stack(results, self.beta.shape)

    @property
    def binder(self) -> Estimate:
        """The Binder cumulant 1 - <m^4>/(3 <m^2>^2)."""
        return self.derived(statistics.binder_cumulant)

    @property
    def susceptibility(self) -> Estimate:
        """The connected susceptibility per spin, beta N (<m^2> - <m>^2)."""
        n = self.model.n_spins
        return self.derived(
            lambda beta, m2, m: beta * n * (m2 - m**2), "beta", "m2", "magnetization"
        )

    @property
    def susceptibility_abs(self) -> Estimate:
        """The susceptibility per spin with <|m|>: beta N (<m^2> - <|m|>^2)."""
        n = self.model.n_spins
        return self.derived(lambda beta, m2, a: beta * n * (m2 - a**2), "beta", "m2", "abs_m")

    @property
    def specific_heat(self) -> Estimate:
        """The specific heat per spin, beta^2 Var(E)/N."""
        n = self.model.n_spins
        # the variance is free of a shift; about its own mean, each temperature keeps its digits
        means = [x.mean() if x.size else np.nan for x in self._grid("energy")]
        centre = np.reshape(means, (*self.beta.shape, 1, 1))
        shifted = {"shifted": self.series["energy"] - centre}
        shifted["shifted2"] = shifted["shifted"] ** 2
        view = dataclasses.replace(self, series={**self.series, **shifted})
        view.__dict__["_kept"] = self._kept  # the monitor is the same series in both
        return view.derived(
            lambda beta, e2, e: beta**2 * (e2 - e**2) / n,
            "beta",
            "shifted2",
            "shifted",
            monitor="energy",
        )

    def summary(self) -> str:
        """Return a table for people: one line per temperature."""
        columns = {
            "<|m|>": self.estimate("abs_m"),
            "<m^2>": self.estimate("m2"),
            "energy/N": self.derived(lambda e: e / self.model.n_spins, "energy"),
            "chi": self.susceptibility_abs,
            "U": self.binder,
        }
        first = columns["<|m|>"]
        rows = [["beta", *columns, "tau(|m|)", "R-hat"]]
        for k, beta in enumerate(self.beta.ravel()):
            cells = [_cell(e.value.flat[k], e.error.flat[k]) for e in columns.values()]
            tau, rhat = first.tau.flat[k], first.rhat.flat[k]
            cells += [
                f"{x:{form}}" if np.isfinite(x) else "-"
                for x, form in ((tau, ".3g"), (rhat, ".3f"))
            ]
            rows.append([f"{beta:.6g}", *cells])
        least = [10, *[16] * len(columns), 8, 6]
        widths = [
            max(width, *map(len, column))
            for width, column in zip(least, zip(*rows, strict=True), strict=True)
        ]
        lines = [repr(self.model)]
        for row in rows:
            lines.append("  ".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True)))
        few = self.n_replicas < statistics.MIN_UNITS
        source = "from autocorrelations" if few else "over replicas"
        lines.append(f"chi is per spin with <|m|>; errors are one standard error {source}")
        if self.measure_every > 1:
            lines.append(f"tau is in measurements, {self.measure_every} sweeps apart")
        if self.choice:
            lines.append(f"sampled by {self.choice}")
        lines += _notes(columns) + self._unfinished()
        lines += [] if self.exchange is None else [self.exchange.summary()]
        return "\n".join(lines)

    def _unfinished(self) -> list[str]:
        steps = "sweeps" if self.measure_every == 1 else "measurements"
        return [
            f"unfinished: beta = {beta:.6g} has {done} of {self.n_sweeps} {steps}"
            for beta, done in zip(self.beta.ravel(), self.done.ravel(), strict=True)
            if done < self.n_sweeps
        ]

    def to_dict(self) -> dict[str, object]:
        """Return parameters, seed, version and estimates as plain numbers."""
        table = {name: self.estimate(name).to_dict() for name in ("abs_m", "m2", "m4", "energy")}
        for name in ("binder", "susceptibility", "susceptibility_abs", "specific_heat"):
            table[name] = getattr(self, name).to_dict()
        return {
            "model": self.model.to_dict(),
            "beta": self.beta.tolist(),
            "update": repr(self.update),
            "choice": self.choice,
            "n_sweeps": self.n_sweeps,
            "measure_every": self.measure_every,
            "store_every": self.store_every,
            "n_replicas": self.n_replicas,
            "n_burn_in": self.n_burn_in.tolist(),
            "done": self.done.tolist(),
            "seed": dict(self.seed),
            "version": self.version,
            "estimates": table,
            **({} if self.exchange is None else {"exchange": self.exchange.to_dict()}),
        }

    def save(self, path: str | Path) -> Path:
        """Write `path`.npz with the series and `path`.json with the estimates, each at once.

        An ending .npz or .json of `path` is dropped; any other stays (``beta0.5`` gives
        ``beta0.5.npz``).  A number that is NaN or infinite is null in the JSON.
        """
        base = Path(path)
        stem = base.stem if base.suffix in (".npz", ".json") else base.name
        arrays: dict[str, Any] = {"beta": self.beta, "spins": self.spins, **self.series}
        arrays |= {} if self.stored is None else {STORED: self.stored}
        text = json.dumps(finite_or_null(self.to_dict()), indent=1, allow_nan=False)
        write_atomically(base.with_name(f"{stem}.npz"), lambda f: np.savez(f, **arrays))
        return write_atomically(base.with_name(f"{stem}.json"), lambda f: f.write(text.encode()))

    def samples(self, name: str, index: int) -> Array:
        """Return an observable at ``beta.ravel()[index]``, (n_replicas, sweeps done)."""
        if name not in self.names:
            hint = did_you_mean(name, self.names)
            raise InputError(f"name must be one of {', '.join(self.names)}, got {name!r}{hint}")
        source, power = (name, None) if name in self.series else _POWERS[name]
        column = self.series[source].reshape(-1, self.n_replicas, self.n_sweeps)[index]
        column = column[:, : self.done.ravel()[index]]
        return column if power is None else power(column)

    def packed_configurations(self, index: int) -> NDArray[np.uint8]:
        """Return the stored configurations at ``beta.ravel()[index]`` as bits.

        Returns
        -------
        ndarray of uint8, shape (n_replicas, n_stored, n_bytes)
            The k-th is that after measurement (k + 1) `store_every`; those that an unfinished
            run has not reached are left out.  A view, which
            ``numpy.unpackbits(bits, axis=-1, count=n_spins, bitorder="little")`` unpacks: 1 is
            the upper level.

        Raises
        ------
        InputError
            If the run stored none.
        """
        if self.stored is None:
            raise InputError(
                "the run stored no configurations (store_every=0); sample with store_every=10, "
                "for example, to keep those of every tenth measurement"
            )
        bits: NDArray[np.uint8] = self.stored.reshape(-1, *self.stored.shape[-3:])[
            self._checked(index)
        ]
        return bits[:, : n_stored(int(self.done.ravel()[index]), self.store_every)]

    def configurations(self, index: int) -> NDArray[np.int8]:
        """Return the stored configurations at ``beta.ravel()[index]`` in the model's levels.

        Returns
        -------
        ndarray of int8, shape (n_replicas, n_stored, n_spins)
            8 times the size of :meth:`packed_configurations`.

        Raises
        ------
        InputError
            If the run stored none, or they are larger than the machine's memory.
        """
        bits = self.packed_configurations(index)
        size = 2.0 * bits.shape[0] * bits.shape[1] * self.model.n_spins
        refuse_beyond_memory(
            size, f"the {bits.shape[1]} configurations", "unpack packed_configurations in pieces"
        )
        return unpacked_spins(bits, self.model.n_spins, self.model.levels)

    def overlaps(self, index: int) -> Array:
        """Return the overlaps q = sum_i s_i t_i/N of pairs of replicas at a temperature.

        Returns
        -------
        ndarray, shape (n_replicas // 2, n_stored)
            Of the replicas 0 and 1, 2 and 3, ...: independent units, which ``statistics`` takes
            as chains.  Units of levels (0, 1) count as -1 and +1.

        Raises
        ------
        InputError
            If the run stored no configurations, or has one replica only.
        """
        from spinnet.spins.montecarlo import overlaps

        return overlaps.pair_overlaps(self.packed_configurations(index), self.model.n_spins)

    def link_overlaps(self, index: int) -> Array:
        """Return the means of s_i s_j t_i t_j over the bonds of a sparse model, as `overlaps`."""
        from spinnet.spins.montecarlo import overlaps

        return overlaps.link_overlaps(self.packed_configurations(index), self.model)

    def overlap_distribution(
        self, index: int, *, bins: int | ArrayLike | None = None, pairs: str = "all"
    ) -> OverlapDistribution:
        """Return the distribution P(q) of the overlaps of replicas at ``beta.ravel()[index]``.

        Parameters
        ----------
        index : int
        bins : int or array_like, optional
            How many bins, at most, or their edges.  Bins hold the same number of possible
            overlaps each; by default one each up to 99 spins, and about 50 bins beyond.
        pairs : {"all", "disjoint"}
            All pairs of replicas at the same sweep, with the error of averages over all pairs of
            independent replicas; or the disjoint pairs of :meth:`overlaps`, which are fewer.

        Returns
        -------
        OverlapDistribution
            Density and moments with errors over the replicas (8 at least; 8 pairs of "disjoint"),
            which hold whatever the correlations from one stored configuration to the next.

        Examples
        --------
        >>> import spinnet as sn
        >>> run = sn.sample(sn.CurieWeiss(32), 0.0, n_sweeps=200, store_every=1, rng=1)
        >>> found = run.overlap_distribution(0)
        >>> bool(abs(found.q2 - 1 / 32) < 4 * found.q2_error)
        True
        """
        from spinnet.spins.montecarlo import overlaps

        bits, beta = self.packed_configurations(index), float(self.beta.ravel()[index])
        return overlaps.distribution(bits, self.model.n_spins, beta, bins, pairs)

    def _checked(self, index: int) -> int:
        n = self.beta.size
        return integer("index", index, minimum=-n, maximum=n - 1)

    @cached_property
    def _kept(self) -> dict[tuple[str, int], statistics.Monitored]:
        """Autocorrelations that were computed before: the dearest part of an estimate."""
        return {}

    def _monitored(self, name: str, k: int, series: Array) -> statistics.Monitored:
        if (name, k) not in self._kept:
            self._kept[name, k] = statistics.monitored(series)
        return self._kept[name, k]

    def _grid(self, name: str) -> list[Array]:
        return [self.samples(name, k) for k in range(self.beta.size)]


def _cell(value: float, error: float) -> str:
    return statistics.format_with_error(value, error) if np.isfinite(value) else "-"


def _notes(columns: Mapping[str, Estimate]) -> list[str]:
    """Return each note once, with the columns that it is about unless these are all."""
    about: dict[str, list[str]] = {}
    for name, column in columns.items():
        if column.note:
            about.setdefault(column.note, []).append(name)
    return [
        note if len(names) == len(columns) else f"{', '.join(names)}: {note}"
        for note, names in about.items()
    ]
