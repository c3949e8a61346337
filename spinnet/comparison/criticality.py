"""The dual's critical point and exponents, by the saddle point, exact sums and Monte Carlo.

The order parameter is the projection on the top mode v of the couplings, a = v.s with |v| = 1,
given per spin as m = a/sqrt(N).  Two systems are sampled:

* the dual itself, fields dropped and exact: one finite system, hence pseudo-critical
  temperatures, where chi_top = beta (<a^2> - <|a|>^2) and the specific heat are largest;
* the family of the dual with each unit copied k times and the weights divided by k, fields
  dropped.  Its mean-field equations do not depend on k while fluctuations fall as 1/k, so that
  its limit is the saddle point, and finite-size scaling over k is meaningful.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from spinnet.comparison.curves import peak
from spinnet.comparison.layer import MAX_WHOLE, Array, StudiedLayer
from spinnet.errors import InputError, StatisticsError
from spinnet.spins import critical, statistics
from spinnet.spins.exact import layer_marginal
from spinnet.spins.meanfield import (
    NaiveMeanField,
    critical_point,
    saddle_point_exponents,
    solve,
)
from spinnet.spins.models import Bipartite, NetworkDual
from spinnet.spins.montecarlo import BlockGibbs, Run, sample
from spinnet.spins.montecarlo.replicated import replicated_projections
from spinnet.spins.statistics import format_with_error

_In = TypeVar("_In")
_Out = TypeVar("_Out")
GRID = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.35, 1.6, 2.0])
COPIES = (4, 8, 16, 32, 64)
_WINDOW = np.array([-1.4, -0.7, 0.0, 0.7, 1.4])  # (beta/beta_c - 1) sqrt(N) of the family
_N_REPLICAS = 32
_N_SWEEPS = 1500
_FAMILY_SWEEPS = 2000
_FAMILY_REPLICAS, _FAMILY_MIN_REPLICAS = 48, 12
_SADDLE_WINDOW = 0.1  # largest |T/T_c - 1| at which the saddle point's exponents are fitted
_LEAST_WINDOW = 1e-5  # below it Newton's rounding, 1e-12 in the field, would show in the fit


@dataclass(frozen=True)
class CriticalTemperature:
    """One estimate of the dual's critical temperature; every one says what it is of.

    Attributes
    ----------
    value, error : float
        In natural units (T = 1 is the network); error 0 for deterministic methods.  NaN where
        a method gives none (the Onsager-corrected spectrum above 5000 spins).
    method : str
    label : str
        Form of the dual and treatment of its fields.
    note : str
    """

    value: float
    error: float
    method: str
    label: str
    note: str = ""

    @property
    def value_text(self) -> str:
        """The value with its error, for tables."""
        if math.isnan(self.value):
            return "-"
        if self.error == 0:
            return f"{self.value:.4f}"
        return format_with_error(self.value, self.error)

    def __str__(self) -> str:
        return f"T_c = {self.value_text} ({self.method}; {self.label})"


@dataclass(frozen=True)
class DualExponent:
    """A critical exponent of the dual by one method.

    Attributes
    ----------
    name : str
        "beta", "gamma", "delta", or with respect to N "beta/nu_bar", "gamma/nu_bar", "1/nu_bar".
    value, error : float
    method : str
    theory : float
        The value of mean-field theory.
    """

    name: str
    value: float
    error: float
    method: str
    theory: float


@dataclass(frozen=True, eq=False)
class Curves:
    """The dual against temperature, fields dropped unless said otherwise; shape (n_T,).

    Attributes
    ----------
    temperatures : ndarray
    saddle : ndarray
        v.m/sqrt(N) of the saddle point.
    sampled, sampled_error : ndarray
        sqrt(<a^2>/N) by Monte Carlo.
    exact : ndarray or None
        The same by the exact sum over outputs, for at most 20 of them.
    chi, chi_error : ndarray
        chi_top = beta (<a^2> - <|a|>^2).
    chi_saddle : ndarray
        v.chi.v of the saddle point, fluctuations about one minimum.
    specific_heat, specific_heat_error, specific_heat_exact_fields, ..._error : ndarray
        Per spin, with fields dropped and with the exact fields.
    """

    temperatures: Array
    saddle: Array
    sampled: Array
    sampled_error: Array
    exact: Array | None
    chi: Array
    chi_error: Array
    chi_saddle: Array
    specific_heat: Array
    specific_heat_error: Array
    specific_heat_exact_fields: Array
    specific_heat_exact_fields_error: Array


@dataclass(frozen=True, eq=False)
class Family:
    """The replicated family: Binder cumulants against T for each size.

    Attributes
    ----------
    n_spins : ndarray of int, shape (n_sizes,)
    temperatures, binder, binder_error : ndarray, shape (n_sizes, n_T)
        The range of temperatures narrows as N^(-1/2), as the critical region does.
    """

    n_spins: NDArray[np.int64]
    temperatures: Array
    binder: Array
    binder_error: Array


@dataclass(frozen=True, eq=False)
class DualCriticality:
    """Everything about the dual's critical point.

    Attributes
    ----------
    temperatures : tuple of CriticalTemperature
    exponents : tuple of DualExponent
    curves : Curves
    family : Family
    singular_values : ndarray
        Of the coupling block w/4, decreasing.
    random_singular_values : ndarray
        Of the same block with its entries shuffled.
    distance_to_instability : dict of float
        1 - lambda_max(beta D^1/2 J D^1/2) at T = 1, by treatment of the fields.
    diagnosis : str
        Whether mean field is to be trusted, in words.
    """

    temperatures: tuple[CriticalTemperature, ...]
    exponents: tuple[DualExponent, ...]
    curves: Curves
    family: Family
    singular_values: Array
    random_singular_values: Array
    distance_to_instability: dict[str, float]
    diagnosis: str

    @property
    def saddle_temperature(self) -> float:
        """T_c of the saddle point, fields dropped."""
        return self.temperatures[0].value

    @property
    def sampled_temperature(self) -> float:
        """Where chi_top of the dual itself peaks, fields dropped; without a peak, the saddle's."""
        value = next(t.value for t in self.temperatures if t.method.startswith("Monte Carlo, chi"))
        return self.saddle_temperature if math.isnan(value) else value

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers."""
        curves = {k: None if v is None else v.tolist() for k, v in self.curves.__dict__.items()}
        return {
            "temperatures": [t.__dict__ for t in self.temperatures],
            "exponents": [e.__dict__ for e in self.exponents],
            "curves": curves,
            "family": {k: v.tolist() for k, v in self.family.__dict__.items()},
            "singular_values": self.singular_values.tolist(),
            "random_singular_values": self.random_singular_values.tolist(),
            "distance_to_instability": self.distance_to_instability,
            "diagnosis": self.diagnosis,
        }


def study_criticality(
    layer: StudiedLayer,
    seed: np.random.SeedSequence,
    tick: Callable[[], None] = lambda: None,
) -> DualCriticality:
    """Find the dual's critical temperatures and exponents by every method."""
    for_zero, for_exact, for_family, for_shuffle = seed.spawn(4)
    zero, exact = layer.dual("zero"), layer.dual("exact")
    point = critical_point(zero)
    T_c, mode = point.temperature, point.top_mode
    label, label_exact = (f"{dual.label}, gain {layer.gain_rule}" for dual in (zero, exact))
    grid = T_c * GRID
    runs = []
    for dual, stream in ((zero, for_zero), (exact, for_exact)):
        runs.append(_sample(dual, 1 / grid, mode, _N_SWEEPS, stream))
        tick()
    family_tables = []
    tasks = zip(COPIES, for_family.spawn(len(COPIES)), strict=True)
    for row in _in_threads(lambda task: _family_row(zero, task[0], mode, T_c, task[1]), tasks):
        family_tables.append(row)
        tick()
    family, fss = _family(family_tables, T_c)
    curves = _curves(zero, grid, mode, runs)
    tick()
    onsager = point.onsager
    temperatures = (
        CriticalTemperature(T_c, 0.0, "saddle point (naive mean field)", label),
        CriticalTemperature(
            onsager.temperature,
            0.0,
            "Onsager-corrected spectrum",
            label,
            "top mode separated from the bulk" if onsager.separated else "top mode not separated",
        ),
        _peak_temperature(runs[0], "chi_top peak", _chi_top, label),
        _peak_temperature(runs[0], "specific-heat peak", _heat, label),
        _peak_temperature(runs[1], "specific-heat peak", _heat, label_exact, crossover=True),
        *_crossing(family_tables, label),
    )
    rng = np.random.default_rng(for_shuffle)
    block = zero.as_bipartite().weights
    return DualCriticality(
        temperatures=temperatures,
        exponents=(*_saddle_exponents(zero, point.gap), *fss),
        curves=curves,
        family=family,
        singular_values=_singular_values(block),
        random_singular_values=_singular_values(
            rng.permutation(block.ravel()).reshape(block.shape)
        ),
        distance_to_instability={
            name: solve(layer.dual(name), 1.0, throw=False).distance_to_instability
            for name in ("zero", "exact")
        },
        diagnosis=point.diagnosis.advice.value,
    )


def _in_threads(function: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
    """Yield function(item) in order; NumPy lets other threads run while it computes.

    Every item has a random stream of its own, so that the number of threads changes nothing.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(function, items)


def _singular_values(block: Array) -> Array:
    return np.asarray(np.linalg.svd(block, compute_uv=False), dtype=np.float64)


def _sample(
    dual: NetworkDual, beta: Array, mode: Array, n_sweeps: int, seed: np.random.SeedSequence
) -> Run:
    def abs_a(spins: NDArray[np.int8]) -> Array:
        return np.abs(spins @ mode)

    return sample(
        dual,
        beta,
        n_sweeps=n_sweeps,
        n_replicas=_N_REPLICAS,
        update=BlockGibbs(),
        n_burn_in=n_sweeps // 2,
        observers={"abs_a": abs_a},
        rng=seed,
    )


def _chi_top(beta: Array, series: dict[str, Array], n: int) -> Array:
    """Return beta (<a^2> - <|a|>^2) from (n_T, n_replicas, n_sweeps)."""
    a = series["abs_a"]
    return np.asarray(beta * ((a**2).mean(axis=(1, 2)) - a.mean(axis=(1, 2)) ** 2))


def _heat(beta: Array, series: dict[str, Array], n: int) -> Array:
    """Return the specific heat per spin."""
    return np.asarray(beta**2 * series["energy"].var(axis=(1, 2)) / n)


_Curve = Callable[[Array, dict[str, Array], int], Array]


def _jackknife(run: Run, curve: _Curve) -> tuple[Array, Array]:
    """Return a curve over the temperatures, and its leave-one-replica-out copies."""
    series = {name: run.series[name] for name in ("abs_a", "energy")}
    n = run.model.n_spins
    copies = [
        curve(run.beta, {k: np.delete(v, r, axis=1) for k, v in series.items()}, n)
        for r in range(run.n_replicas)
    ]
    return curve(run.beta, series, n), np.array(copies)


def _spread(copies: Array) -> Array:
    """Return the jackknife standard error of values over axis 0."""
    return np.asarray(np.sqrt((len(copies) - 1) * copies.var(axis=0)))


def _peak_temperature(
    run: Run, name: str, curve: _Curve, label: str, *, crossover: bool = False
) -> CriticalTemperature:
    value, copies = _jackknife(run, curve)
    log_t = -np.log(run.beta)
    peaks = np.array([np.exp(peak(log_t, row)) for row in copies])
    k = int(value.argmax())
    above = value >= value[k] / 2
    width = (
        f"half height from T = {1 / run.beta[above].max():.3g} to {1 / run.beta[above].min():.3g}"
    )
    note = f"crossover, no sharp T_c: {width}" if crossover else f"one finite system: {width}"
    method = f"Monte Carlo, {name}"
    rhat = max(statistics.split_rhat(run.series[key][k]) for key in ("abs_a", "energy"))
    if rhat >= statistics.RHAT_MIXED:
        note = f"chains not mixed at the peak, R-hat {rhat:.2f}: {note}"
    if k in (0, len(value) - 1):
        note = f"no peak: largest at the end of the grid, T = {1 / run.beta[k]:.3g}"
        return CriticalTemperature(math.nan, math.nan, method, label, note)
    return CriticalTemperature(
        float(np.exp(peak(log_t, value))), float(_spread(peaks)), method, label, note
    )


def _curves(zero: NetworkDual, grid: Array, mode: Array, runs: Sequence[Run]) -> Curves:
    n = zero.n_spins
    chi, chi_copies = _jackknife(runs[0], _chi_top)
    heats = [_jackknife(run, _heat) for run in runs]
    rms, rms_copies = _jackknife(
        runs[0], lambda beta, s, n: np.sqrt((s["abs_a"] ** 2).mean(axis=(1, 2)) / n)
    )
    saddle, chi_saddle = [], []
    for t in grid:
        solution = solve(zero, 1 / float(t), method=NaiveMeanField(), throw=False)
        saddle.append(abs(float(mode @ solution.magnetizations)) / np.sqrt(n))
        chi_saddle.append(float(mode @ solution.response @ mode))
    exact = None
    if zero.n_out <= MAX_WHOLE:
        pair = zero.as_bipartite()
        moments = _in_threads(lambda t: second_moment(pair, 1 / t, mode), grid.tolist())
        exact = np.sqrt(np.array(list(moments)) / n)
    return Curves(
        temperatures=grid,
        saddle=np.array(saddle),
        sampled=rms,
        sampled_error=_spread(rms_copies),
        exact=exact,
        chi=chi,
        chi_error=_spread(chi_copies),
        chi_saddle=np.array(chi_saddle),
        specific_heat=heats[0][0],
        specific_heat_error=_spread(heats[0][1]),
        specific_heat_exact_fields=heats[1][0],
        specific_heat_exact_fields_error=_spread(heats[1][1]),
    )


def second_moment(pair: Bipartite, beta: float, v: Array) -> float:
    r"""Return <(v.s)^2> of a two-layer system of +-1 spins, exactly.

    Given the outputs b the inputs are independent with means t_i = tanh(beta x_i(b)), so that
    <(v.s)^2> = sum_b P(b) [(v_b.b + sum_i v_i t_i)^2 + sum_i v_i^2 (1 - t_i^2)].
    """
    marginal = layer_marginal(pair, beta)
    n = pair.n_b
    first, second = _signs(n // 2), _signs(n - n // 2)
    cut = n // 2
    w = beta * pair.scale * pair.weights
    columns = first @ w[:, :cut].T
    rows = beta * pair.bias_a + second @ w[:, cut:].T
    v_a, v_b = v[: pair.n_a], v[pair.n_a :]
    p = np.exp(marginal.log_p).reshape(len(second), len(first))
    total = 0.0
    for start in range(0, len(second), 64):
        block = slice(start, start + 64)
        projection = (second[block] @ v_b[cut:])[:, None] + first @ v_b[:cut]
        variance = np.zeros_like(projection)
        for i in range(pair.n_a):
            t = np.tanh(rows[block, i, None] + columns[:, i])
            projection += v_a[i] * t
            variance += v_a[i] ** 2 * (1 - t * t)
        total += float(np.vdot(p[block], projection**2 + variance))
    return total


def _signs(n: int) -> Array:
    bits = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
    return (2 * bits - 1).astype(np.float64)


def _family_row(
    zero: NetworkDual, copies: int, mode: Array, T_c: float, seed: np.random.SeedSequence
) -> dict[str, Array]:
    """Sample one member of the family; return its rows of a finite-size-scaling table."""
    n = copies * zero.n_spins
    beta = (1 + _WINDOW / np.sqrt(n)) / T_c
    projections = replicated_projections(
        zero,
        copies,
        beta,
        mode,
        n_sweeps=_FAMILY_SWEEPS,
        n_burn_in=_FAMILY_SWEEPS // 4,
        n_replicas=_family_replicas(zero.n_spins),
        rng=seed,
    )
    a = np.abs(projections) / np.sqrt(n)
    per_replica = {"abs_m": a.mean(axis=2), "m2": (a**2).mean(axis=2), "m4": (a**4).mean(axis=2)}
    row: dict[str, Array] = {"n_spins": np.full(len(beta), n), "beta": beta}
    for name, values in per_replica.items():
        row[name] = values.mean(axis=1)
        row[f"{name}_error"] = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    m2, m4 = per_replica["m2"], per_replica["m4"]
    r = m2.shape[1]
    left2, left4 = (x.sum(axis=1, keepdims=True) - x for x in (m2, m4))
    binder = 1 - (left4 / (r - 1)) / (3 * (left2 / (r - 1)) ** 2)
    row["binder"] = 1 - row["m4"] / (3 * row["m2"] ** 2)
    row["binder_error"] = np.sqrt((r - 1) * binder.var(axis=1))
    return row


def _family(rows: list[dict[str, Array]], T_c: float) -> tuple[Family, tuple[DualExponent, ...]]:
    table = {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}
    fit = critical.exponents(table, beta_c=1 / T_c)
    method = f"Monte Carlo, scaling in N over k = {', '.join(map(str, COPIES))} copies"
    exponents = (
        DualExponent("beta/nu_bar", fit.beta_over_nu, fit.beta_over_nu_error, method, 0.25),
        DualExponent("gamma/nu_bar", fit.gamma_over_nu, fit.gamma_over_nu_error, method, 0.5),
        DualExponent("1/nu_bar", fit.one_over_nu, fit.one_over_nu_error, method, 0.5),
    )
    family = Family(
        n_spins=np.array([int(row["n_spins"][0]) for row in rows]),
        temperatures=np.array([1 / row["beta"] for row in rows]),
        binder=np.array([row["binder"] for row in rows]),
        binder_error=np.array([row["binder_error"] for row in rows]),
    )
    return family, exponents


def _family_replicas(n_spins: int) -> int:
    """Return fewer replicas for wide layers, whose sweeps cost more: 48 to 140 spins, 16 at 420."""
    return max(_FAMILY_MIN_REPLICAS, min(_FAMILY_REPLICAS, _FAMILY_REPLICAS * 140 // n_spins))


def _crossing(rows: list[dict[str, Array]], label: str) -> tuple[CriticalTemperature, ...]:
    table = {key: np.concatenate([row[key] for row in rows[-2:]]) for key in rows[0]}
    try:
        fit = critical.binder_crossings(table, rng=0)
    except StatisticsError:
        return ()
    beta, error = float(fit.beta[-1]), float(fit.beta_error[-1])
    return (
        CriticalTemperature(
            1 / beta,
            error / beta**2,
            f"Monte Carlo, Binder crossing of {COPIES[-2]} and {COPIES[-1]} copies",
            label,
            "its limit is the saddle point",
        ),
    )


def _saddle_exponents(zero: NetworkDual, gap: float) -> tuple[DualExponent, ...]:
    """Fit where only the top mode orders: |t| below half the distance to the second mode.

    NaN where there is no such range: two modes of equal strength order at once.
    """
    method = "saddle point, fit to the solved equations"
    theory = {"beta": 0.5, "gamma": 1.0, "delta": 3.0}
    high = min(_SADDLE_WINDOW, 0.5 * (1 - 1 / gap))
    try:
        if high < _LEAST_WINDOW:
            raise InputError(f"gap must be above {1 + 2 * _LEAST_WINDOW}, got {gap}")
        fit = saddle_point_exponents(zero, (high / 100, high))
    except InputError:
        nan = float("nan")
        return tuple(DualExponent(name, nan, nan, method, value) for name, value in theory.items())
    return tuple(
        DualExponent(name, getattr(fit, name), getattr(fit, f"{name}_error"), method, value)
        for name, value in theory.items()
    )
