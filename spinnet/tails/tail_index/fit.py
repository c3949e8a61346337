"""The tail index of a sample, with its error and its stability curve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet import plotting
from spinnet.errors import InputError, StatisticsError
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.tail_index import estimators
from spinnet.tails.tail_index.double_bootstrap import METHODS, Choice, choose
from spinnet.validation import choice, finite_array, integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_NORMAL_95 = 1.959963984540054
_LEAST = 50  # values: below, the double bootstrap finds nothing but its own noise
_FEW = 10  # values above the threshold
_DRAWN = 400


@dataclass(frozen=True)
class TailIndex:
    """An extreme-value index xi: the survival function falls like x^(-1/xi) where xi > 0.

    Attributes
    ----------
    method : str
        ``"hill"``, ``"moments"`` or ``"kernel"``.
    xi : float
        Extreme-value index, 1/(alpha - 1).  Zero or negative means no power-law tail: a light
        tail (normal, exponential, lognormal: 0) or an end point (uniform: -1).
    error : float
        Error of `xi` to quote: `sampling_error`, and where `k` was chosen `stability` too, added
        in squares.  Simulated, `ci` then covers 80-100 % at a nominal 95 %, the kernel estimate
        of a slowly reached tail (rho = -1/2) less; with `sampling_error` alone 50-75 %.
    sampling_error : float
        Standard error at fixed `k` (for k -> infinity, without bias).
    stability : float
        Root mean square change of the curve between k/2 and 2 k (0.9 n at most): what the bias
        and the choice of k amount to.
    ci : (float, float)
        `xi` -+ 1.96 `error`.
    k : int
        Number of largest values used.
    k_given : bool
        Whether `k` was given.
    threshold : float
        The (k+1)-th largest value, above which the tail was taken to begin.
    n, n_distinct : int
        Number of values, and of different ones.
    rho : float
        Estimated exponent at which the tail approaches its power law, <= 0; NaN if `k` was given.
    k1, k2, n1, n2 : int
        Minima and sizes of the two bootstraps; 0 if `k` was given.
    noise : bool
        Whether uniform noise on (-1/2, 1/2) was added to the data.
    notes : tuple of str
        What limits the result.
    n_bootstrap : int
        Resamples of each of the two bootstraps.
    seed : mapping or None
        What makes the choice of k and the noise again.
    version : str
        Of spinnet.
    """

    method: str
    xi: float
    error: float
    sampling_error: float
    stability: float
    ci: tuple[float, float]
    k: int
    k_given: bool
    threshold: float
    n: int
    n_distinct: int
    rho: float
    k1: int
    k2: int
    n1: int
    n2: int
    noise: bool
    notes: tuple[str, ...]
    n_bootstrap: int
    seed: Mapping[str, object] | None
    version: str
    _curve: Floats = field(repr=False, compare=False)

    @property
    def alpha(self) -> float:
        """Exponent of the density, 1 + 1/xi; infinite for xi <= 0."""
        return 1.0 + self.tail_exponent

    @property
    def tail_exponent(self) -> float:
        """Exponent of the survival function, 1/xi; infinite for xi <= 0."""
        return 1.0 / self.xi if self.xi > 0.0 else math.inf

    @property
    def alpha_error(self) -> float:
        """Standard error of `alpha`, by the slope of 1/xi; NaN for xi <= 0."""
        return self.error / self.xi**2 if self.xi > 0.0 else math.nan

    def curve(self) -> tuple[Integers, Floats]:
        """Return every k = 1..n-1 and the estimate there, NaN where ties leave none."""
        return np.arange(1, self._curve.size + 1), self._curve

    def curve_error(self, k: ArrayLike) -> Floats:
        """Return the standard errors of the curve at `k`, whole numbers in 1..n-1."""
        asked = finite_array("k", k)
        bad = (asked < 1) | (asked > self._curve.size) | (asked != np.rint(asked))
        if bad.any():
            raise InputError(
                f"k must be whole numbers in 1..{self._curve.size}, got {asked[bad].flat[0]:g}"
            )
        at = asked.astype(np.int64)
        return _standard_error(self.method, self._curve[at - 1], at)

    def summary(self) -> str:
        """Return a few lines for people."""
        chosen = "given" if self.k_given else "by double bootstrap"
        lines = [
            f"tail index ({self.method}): xi = {self.xi:.4f} +- {self.error:.4f}",
            f"  k = {self.k} of {self.n} values ({chosen}), above {self.threshold:.6g}",
        ]
        if self.xi > 0.0:
            lines.insert(
                1,
                f"  alpha = {self.alpha:.4f} +- {self.alpha_error:.4f}, "
                f"P(X > x) ~ x^-{self.tail_exponent:.4f}",
            )
        else:
            lines.insert(1, "  no power-law tail (xi <= 0)")
        if not self.k_given:
            lines.append(
                f"  of the error, {self.sampling_error:.4f} at fixed k, {self.stability:.4f} change"
                " from k/2 to 2 k"
            )
        return "\n".join(lines + [f"  caution: {note}" for note in self.notes])

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; what is not finite becomes None."""
        record: dict[str, object] = {"schema": 1, "kind": "tail-index"}
        names = [name for name in self.__dataclass_fields__ if not name.startswith("_")]
        for name in [*names, "alpha", "alpha_error", "tail_exponent"]:
            value = getattr(self, name)
            bad = isinstance(value, float) and not math.isfinite(value)
            record[name] = None if bad else value
        record["ci"] = list(self.ci)
        record["notes"] = list(self.notes)
        record["seed"] = None if self.seed is None else dict(self.seed)
        return record

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw xi against k with its band, and the k used; return the axes."""
        ax = plotting.axes(ax)
        k = plotting.thinned(self._curve.size, _DRAWN) + 1
        k = k[(k >= 5) & np.isfinite(self._curve[k - 1])]
        xi, error = self._curve[k - 1], self.curve_error(k)
        plotting.band(ax, k, xi - _NORMAL_95 * error, xi + _NORMAL_95 * error, label="95 %, each k")
        plotting.line(ax, k, xi, color=plotting.BLUE, label=self.method)
        label = rf"$\xi = {self.xi:.3f} \pm {self.error:.3f}$"
        plotting.points(
            ax, [self.k], [self.xi], [self.error], color=plotting.VERMILLION, label=label, size=5
        )
        if (xi < 0).any():
            plotting.level(ax, 0.0)
        ax.set_xscale("log")
        # few values have noise, and nearly all of them the end of the body, of any size
        last = max(self.k, 0.9 * self._curve.size)
        near = xi[(k >= max(_FEW, self.k // 30)) & (k <= last)]
        if near.size:
            low, high = float(near.min()), float(near.max())
            margin = 0.15 * (high - low) + 3.0 * self.error
            ax.set_ylim(low - margin, high + margin)
        ax.set_xlabel("number $k$ of largest values")
        ax.set_ylabel(r"tail index $\xi$")
        plotting.legend_below(ax)
        return ax


def tail_index(
    x: ArrayLike,
    method: str = "hill",
    k: int | None = None,
    *,
    n_bootstrap: int = 500,
    noise: bool = False,
    rng: RandomState = None,
    progress: bool = False,
) -> TailIndex:
    r"""Estimate the extreme-value index xi = 1/(alpha - 1) of the upper tail from its k largest.

    Unlike a fitted power law it assumes nothing below the tail and allows slowly varying
    corrections to it; unlike the Hill estimate, ``"moments"`` and ``"kernel"`` find xi <= 0 where
    the tail is light.

    Parameters
    ----------
    x : array_like
        One-dimensional, finite, > 0: for a lower tail or both pass ``-x[x < 0]`` or ``abs(x)``.
    method : {"hill", "moments", "kernel"}
        ``"hill"`` has the smallest error where xi > 0 and knows no other case.
    k : int, optional
        Number of largest values, 2..n-1.  Chosen by the double bootstrap by default.
    n_bootstrap : int
        Resamples of each of its two steps.
    noise : bool
        Add uniform noise on (-1/2, 1/2) to whole numbers, as Voitalov et al. do for degrees:
        ties make the curve a staircase and mislead the bootstrap.
    rng : None, int, SeedSequence or Generator
        Randomness of the bootstrap and of the noise.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    TailIndex

    Raises
    ------
    InputError
        NaN, infinite or non-positive values; `noise` for fractions; a bad option.
    StatisticsError
        Fewer than 50 values without `k` (3 with it), or no spread among the k largest.

    References
    ----------
    Voitalov, van der Hoorn, van der Hofstad, Krioukov, Phys. Rev. Research 1, 033034 (2019).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(1).pareto(2.0, 4000) + 1.0
    >>> found = tail_index(x, rng=1)
    >>> bool(abs(found.xi - 0.5) < 0.05)
    True
    """
    estimator = METHODS[choice("method", method, tuple(METHODS))]
    n_bootstrap = integer("n_bootstrap", n_bootstrap, minimum=10)
    if not isinstance(noise, (bool, np.bool_)):
        raise InputError(f"noise must be True or False, got {noise!r:.80}")
    seed = seed_sequence(rng)
    values = _positive(x)
    given = None if k is None else integer("k", k, minimum=2, maximum=max(2, values.size - 1))
    _check_size(values, given)
    whole = bool(np.all(values == np.rint(values)))
    noise_rng, choice_rng = (np.random.default_rng(child) for child in seed.spawn(2))
    if noise:
        values = _blurred(values, whole, noise_rng)
    decreasing = np.sort(values)[::-1]
    e = estimators.spacings(decreasing)
    n_distinct = 1 + int(np.count_nonzero(decreasing[1:] != decreasing[:-1]))
    curve = estimator.curve(e)
    if given is None:
        logs = np.concatenate([[0.0], -np.cumsum(e)])
        found = choose(logs, curve, estimator, n_bootstrap, choice_rng, progress=progress)
    else:
        found = Choice(given, 0, 0, 0, 0, math.nan)
    xi = float(curve[found.k - 1])
    if not math.isfinite(xi) or decreasing[0] == decreasing[found.k]:
        raise StatisticsError(
            f"the {found.k + 1} largest values of x have too little spread for the {method} "
            f"estimate ({n_distinct} distinct of {values.size}); take a larger k, or noise=True "
            "for rounded data",
            estimate={"k": found.k, "n": values.size, "n_distinct": n_distinct},
        )
    sampling = float(_standard_error(method, np.array(xi), np.array(found.k)))
    stability = _stability(curve, found.k)
    error = sampling if given is not None else math.hypot(sampling, stability)
    return TailIndex(
        method=method,
        xi=xi,
        error=error,
        sampling_error=sampling,
        stability=stability,
        ci=(xi - _NORMAL_95 * error, xi + _NORMAL_95 * error),
        k_given=given is not None,
        threshold=float(decreasing[found.k]),
        n=values.size,
        n_distinct=n_distinct,
        noise=bool(noise),
        notes=_notes(e, method, found.k, n_distinct, bool(noise)),
        n_bootstrap=0 if given is not None else n_bootstrap,
        seed=seed_record(seed) if noise or given is None else None,
        version=spinnet.__version__,
        _curve=curve,
        **found._asdict(),
    )


def _standard_error(method: str, xi: Floats, k: NDArray[Any]) -> Floats:
    """Return the standard error of estimates at `k`; beyond xi = -3 and 8 that of the end."""
    found = np.interp(xi, *_variances(method))
    if method == "kernel":
        found = np.maximum(found + estimators.kernel_excess(xi, k), 0.2 * found)
    return np.asarray(np.sqrt(found / k))


@cache
def _variances(method: str) -> tuple[Floats, Floats]:
    grid = np.concatenate([np.linspace(-3.0, -1e-3, 151), np.linspace(1e-3, 8.0, 401)])
    response = METHODS[method].response
    return grid, np.array([response(float(g), -1.0)[0].variance for g in grid])


def _stability(curve: Floats, k: int) -> float:
    highest = min(2 * k, max(k, int(0.9 * curve.size)))
    at = np.unique(np.geomspace(max(1, k // 2), highest, 60).astype(np.int64))
    change = curve[at - 1] - curve[k - 1]
    return float(np.sqrt(np.nanmean(change**2)))


def _positive(x: ArrayLike) -> Floats:
    values = finite_array("x", x, ndim=1)
    bad = values <= 0.0
    if bad.any():
        first = int(np.argmax(bad))
        raise InputError(
            f"x must be > 0, got {int(np.count_nonzero(bad))} value(s) <= 0, the first at index "
            f"({first},): {values[first]}; for an upper tail pass x[x > 0], for both abs(x)"
        )
    return values


def _check_size(values: Floats, given: int | None) -> None:
    least = _LEAST if given is None else 3
    if values.size < least:
        advice = ", or give k" if given is None else ""
        raise StatisticsError(
            f"x has {values.size} value(s), a tail index needs at least {least}{advice}",
            estimate={"n": values.size},
        )


def _blurred(values: Floats, whole: bool, rng: np.random.Generator) -> Floats:
    if not whole:
        raise InputError(
            "noise=True is for whole numbers, got fractions; divide x by its rounding unit first"
        )
    return values + rng.uniform(-0.5, 0.5, values.size)


def _notes(e: Floats, method: str, k: int, n_distinct: int, noise: bool) -> tuple[str, ...]:
    notes = []
    if k < _FEW:
        notes.append(f"only {k} values above the threshold: the normal error is a rough guide")
    if method == "hill":
        other = float(estimators.dekkers(estimators.moments(e, np.array([k])))[0])
        error = (
            math.sqrt(estimators.moments_response(other, -1.0)[0].variance / k)
            if (math.isfinite(other))
            else math.nan
        )
        if other < _NORMAL_95 * error:
            notes.append(
                "the Hill estimate is positive for every sample and cannot find a light tail; the "
                f"moments estimate at this k is {other:.3f} +- {error:.3f}, not above 0"
            )
    if n_distinct < 0.9 * (e.size + 1) and not noise:
        notes.append(
            f"only {n_distinct} of {e.size + 1} values are distinct: with ties the curve is a "
            "staircase and the choice of k unsure; noise=True breaks ties of whole numbers"
        )
    return tuple(notes)
