r"""Where the spectrum of lambda = s^2 has mass: its gaps, bands and atoms.

A gap of the spectrum is the image of real w outside the values of x on which z(w) is real and
positive with all its arguments 0 (see :mod:`.product`: m > 0, or m < -1 if weights are orthogonal,
and for L = 1 a little more) and increases.  Edges are the values of z where dz/dw = 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from spinnet.propagation.jacobian.product import FreeProduct

Array = NDArray[np.float64]
Place = Callable[[Array], tuple[Array, Array]]  # from a coordinate to w = origin + offset

_GRID = 600
_ROUNDS = 4
_REACH = 23.0  # gaps are searched to exp(-23) of their width from either end
_FLAT = 1e-10  # d ln z / d ln w that rounding cannot tell from 0, and least mass of an atom
_MERGED = 1e-12  # relative width below which a band is an atom


@dataclass(frozen=True)
class Gap:
    """An interval of ln(lambda) without mass, and the mass below it."""

    low: float
    high: float
    mass_below: float


def product_atoms(product: FreeProduct) -> tuple[tuple[float, float], ...]:
    """Return (ln lambda, mass) of the atoms of lambda, increasing; ln lambda = -inf at 0.

    An atom of mass p at x of each layer survives in products with Haar orthogonal matrices with
    mass 1 - L(1 - p), if that is positive; at 0, with any weights, with mass p (S. Belinschi,
    Integr. Equ. Oper. Theory 46, 377, 2003).
    """
    law, depth = product.law, product.depth
    found = []
    if law.mass_at_zero > 0:
        found.append((-math.inf, law.mass_at_zero))
    for x, p in zip(law.atoms, law.masses, strict=True):
        mass = 1 - depth * (1 - p)
        if x > 0 and not product.gaussian and mass > _FLAT:
            found.append((depth * (math.log(x) + product.log_gain), float(mass)))
    return tuple(found)


def spectral_gaps(product: FreeProduct) -> tuple[Gap, ...]:
    """Return the gaps of the spectrum, increasing; the last one reaches to infinity."""
    law = product.law
    values = [(float(x), float(x)) for x in law.atoms]
    inside = [tuple(r) for r in law.ranges.tolist()]
    parts = sorted(
        [v for v in values if not any(low <= v[0] <= high for low, high in inside)] + inside
    )
    if parts[0][0] > 0:
        parts.insert(0, (0.0, 0.0))
    gaps = []
    for (_, low), (high, _) in itertools.pairwise(parts):
        gaps += _gaps_between(product, low, high)
    return (*gaps, _last_gap(product, parts[-1][1]))


def bands_between(gaps: tuple[Gap, ...]) -> tuple[tuple[float, float], ...]:
    """Return the intervals of ln(lambda) between gaps, without those that are single points."""
    low, bands = -math.inf, []
    for gap in gaps:
        if gap.low > low + _MERGED * max(1.0, abs(low) if math.isfinite(low) else 1.0):
            bands.append((low, gap.low))
        low = gap.high
    return tuple(bands)


def _allowed(product: FreeProduct, m: Array, slope: Array) -> NDArray[np.bool_]:
    """Return whether z(w) at real w is outside the spectrum."""
    turns = product.of_m * (m < 0) + product.of_one * (m < -1)  # of arg z, in units of -pi
    return np.asarray((turns == 0) & (slope > _FLAT))


def _gaps_between(product: FreeProduct, low: float, high: float) -> list[Gap]:
    """Return the images of what is allowed of low < w < high, two neighbouring parts of x."""

    def place(y: Array) -> tuple[Array, Array]:
        near_low = y < 0
        offset = (high - low) * expit(-np.abs(y))
        return np.where(near_low, low, high), np.where(near_low, offset, -offset)

    y = np.linspace(-_REACH, _REACH, _GRID)
    log_z, slope, m = product.real_log_z(*place(y))
    allowed = _allowed(product, m, slope)
    starts = np.flatnonzero(allowed & ~np.append(False, allowed[:-1]))
    ends = np.flatnonzero(allowed & ~np.append(allowed[1:], False))
    # where ln z is L ln(sigma_w^2 w): at atoms, and everywhere for one orthogonal layer
    known = (low, high) if product.of_one == 0 else product.law.atoms
    mass = _mass_below(product, low)
    gaps = []
    for i, j in zip(starts, ends, strict=True):
        left, right = float(log_z[i]), float(log_z[j])
        if i > 0:
            left = _turning(product, place, y[i - 1], y[i])
        elif low == 0 or low in known:
            left = _limit_at(product, low)
        if j < y.size - 1:
            right = _turning(product, place, y[j], y[j + 1])
        elif high in known:
            right = _limit_at(product, high)
        gaps.append(Gap(left, right, mass + (product.of_m if m[i] < 0 else 0)))
    return gaps


def _last_gap(product: FreeProduct, top: float) -> Gap:
    """Return the gap above the spectrum: what is allowed of w > top, down from infinity."""
    if top == 0:
        return Gap(-math.inf, math.inf, 1.0)

    def place(y: Array) -> tuple[Array, Array]:
        return np.full(y.shape, top), top * np.exp(y)

    y = np.linspace(-_REACH, math.log(100 * product.depth), _GRID)
    for _ in range(_ROUNDS):
        log_z, slope, _ = product.real_log_z(*place(y))
        falls = np.flatnonzero(slope <= _FLAT)
        if falls.size == 0:
            known = product.depth == 1 or top in product.law.atoms
            low = _limit_at(product, top) if known and not product.gaussian else float(log_z[0])
            return Gap(low, math.inf, 1.0)
        pair = y[falls[-1]], y[falls[-1] + 1]
        edge = _turning(product, place, *pair)
        finer = product.refined(np.array([sum(place(np.array(pair[0])))]))
        if finer is product:
            break
        product = finer
    return Gap(edge, math.inf, 1.0)


def _turning(product: FreeProduct, place: Place, a: float, b: float) -> float:
    """Return ln z where dz/dw = 0 between y = a and y = b."""

    def at(y: float) -> tuple[Array, Array, Array]:
        return product.real_log_z(*place(np.array([y])))

    y = brentq(lambda y: float(at(y)[1][0]) - _FLAT, a, b, xtol=1e-14, rtol=1e-14)
    return float(at(y)[0][0])


def _limit_at(product: FreeProduct, x: float) -> float:
    """Return ln z as w tends to an atom, weights orthogonal, or to 0."""
    return product.depth * (math.log(x) + product.log_gain) if x > 0 else -math.inf


def _mass_below(product: FreeProduct, low: float) -> float:
    """Return the mass below the image of a w just above `low` with m > 0."""
    return 1 - product.depth * product.law.probability_above(low)
