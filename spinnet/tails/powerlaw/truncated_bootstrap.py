"""Draws of a doubly truncated power law, and the distances of their own fits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.progress import progress_bar
from spinnet.tails.observations import log_ratio
from spinnet.tails.powerlaw.options import CONVENTIONS

if TYPE_CHECKING:
    from spinnet.tails.powerlaw.truncated import TruncatedPowerLawFit

Floats = NDArray[np.float64]

_TABLE = 4096  # integers drawn from a table; those beyond by rejection


class Sampler:
    """Draws of the fitted law, reduced to sorted distinct values and counts.

    Integers: those at the heavy end come from a table, all others by rejection.
    """

    def __init__(self, alpha: float, xmin: float, xmax: float, discrete: bool) -> None:
        self._alpha, self._bounds = alpha, (xmin, xmax)
        self._masses: Floats | None = None
        if not discrete:
            return
        width = min(float(_TABLE), xmax - xmin + 1.0)
        first = xmin if alpha >= 0.0 else xmax - width + 1.0
        self._table = first + np.arange(width)
        self._others = (xmin + width, xmax) if alpha >= 0.0 else (xmin, first - 1.0)
        self._masses = _table_masses(self._table, alpha, xmin, xmax)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return sorted values and their counts, `n` draws in all."""
        from spinnet.tails.powerlaw.bounded import quantiles

        if self._masses is None:
            # sorted uniform numbers are normalised partial sums of exponential ones (Renyi)
            sums = np.cumsum(rng.standard_exponential(n + 1))
            return quantiles(sums[:-1] / sums[-1], self._alpha, *self._bounds), np.ones(n)
        hits = rng.multinomial(n, self._masses)
        seen = np.flatnonzero(hits[:-1])
        values, counts = self._table[seen], hits[seen].astype(np.float64)
        if not hits[-1]:
            return values, counts
        others = draw_integers(int(hits[-1]), self._alpha, *self._others, rng)
        beyond, times = np.unique(others, return_counts=True)
        values, counts = np.append(values, beyond), np.append(counts, times)
        order = np.argsort(values)
        return values[order], counts[order]


def _table_masses(table: Floats, alpha: float, xmin: float, xmax: float) -> Floats:
    """Return the probabilities of the integers of `table`, and last that of all others."""
    from spinnet.tails.powerlaw.bounded import law_moments

    log_norm = float(law_moments(alpha, xmin, xmax, True)[0])
    masses = np.exp(-alpha * np.log1p((table - xmin) / xmin) - log_norm)
    rest = 0.0 if table.size == xmax - xmin + 1.0 else max(0.0, 1.0 - float(masses.sum()))
    masses = np.append(masses, rest)
    return np.asarray(masses / masses.sum())


def draw_integers(
    n: int, alpha: float, xmin: float, xmax: float, rng: np.random.Generator
) -> Floats:
    """Return `n` integers of the law x^-alpha on xmin..xmax, by rejection.

    Real numbers of the same law on [xmin - 1/2, xmax + 1/2] are rounded, and kept in proportion
    to x^-alpha over the integral of its cell, a ratio near 1 for integers far above abs(alpha).
    """
    from spinnet.tails.powerlaw.bounded import quantiles

    # the ratio exceeds 1 for concave powers only, most at the smallest integer
    bound = max(1.0, 1.0 / float(_cell_ratio(alpha, 0.5 / xmin)))
    kept = []
    missing = n
    while missing > 0:
        u = rng.random(int(1.1 * missing) + 16)
        x = np.rint(quantiles(u, alpha, xmin - 0.5, xmax + 0.5))
        x = np.clip(x, xmin, xmax)  # a half may round outwards
        accepted = x[rng.random(x.size) * bound < 1.0 / _cell_ratio(alpha, 0.5 / x)]
        kept.append(accepted[:missing])
        missing -= kept[-1].size
    return np.concatenate(kept)


def _cell_ratio(alpha: float, h: ArrayLike) -> Floats:
    """Return int_(x-1/2)^(x+1/2) (u/x)^-alpha du, given h = 1/(2x) < 1."""
    step = np.asarray(h)
    low, high = np.log1p(-step), np.log1p(step)
    power = 1.0 - alpha
    if abs(power) < 1e-12:
        return np.asarray((high - low) / (2.0 * step))
    return np.asarray((np.expm1(power * high) - np.expm1(power * low)) / (2.0 * step * power))


def distances(
    fit: TruncatedPowerLawFit, streams: list[np.random.SeedSequence], progress: bool = False
) -> Floats:
    """Return the distance of one replicate per stream, NaN where it cannot be fitted."""
    from spinnet.tails.powerlaw.ks_search import within

    sampler = Sampler(fit.alpha, fit.xmin, fit.xmax, fit.discrete)
    code = CONVENTIONS[fit.convention]
    result = np.full(len(streams), math.nan)
    with progress_bar(len(streams), progress, "replicate") as bar:
        for r, stream in enumerate(streams):
            values, counts = sampler.draw(fit.n_fitted, np.random.default_rng(stream))
            low = fit.xmin if fit.xmin_fixed else values[0]
            high = fit.xmax if fit.xmax_fixed else values[-1]
            if low < high:
                y = log_ratio(values, low)
                result[r] = within(values, y, counts, low, high, fit.discrete, code)[0]
            bar.update()
    return result
