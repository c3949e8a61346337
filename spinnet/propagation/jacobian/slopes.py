"""The law of the squared slopes x = D_ii^2 of one layer: atoms, and quadrature for the rest.

D is diagonal with entries phi'(h_i), h_i ~ N(0, q), times the dropout mask b_i / keep.  Where phi'
is constant between two kinks x has an atom.  Everything else is integrated over h, on the panels
of :mod:`spinnet.propagation.averages`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import ndtr

from spinnet.propagation.activations import Activation
from spinnet.propagation.averages import mesh_of, panel_nodes, split_panels

Array = NDArray[np.float64]

_REACH = 37.5  # in standard deviations: the density there is 1e-306
_WIDEST = 1.5
_NEGLIGIBLE = 1e-20  # share of E[1] and of E[1/x] that a panel may be dropped for
_POINT = 1e-12  # relative width below which a law is one point to rounding
_FAR = (50.0, 300.0, 1e3)  # where the range of phi' is probed, beside the Gaussian's own range


@dataclass(frozen=True, eq=False)
class SlopeLaw:
    """The law of x = (phi'(h) b / keep)^2 for h ~ N(0, q) and b = 1 with probability `keep`.

    Attributes
    ----------
    activation : Activation
    q, keep : float
    atoms, masses : ndarray, shape (n_atoms,)
        Values of x of positive probability, increasing, and their probabilities.
    ranges : ndarray, shape (n_ranges, 2)
        Disjoint intervals that hold the rest, increasing.
    pieces : tuple of (float, float)
        Intervals of h, between kinks, that hold the rest.
    has_zeros : bool
        Whether phi' passes through 0 there.
    left, widths : ndarray, shape (n_panels,)
        Panels of h on which x(h) is integrated, increasing.
    folded : bool
        Whether the panels cover h >= 0 only, because x(h) is even.
    """

    activation: Activation
    q: float
    keep: float
    atoms: Array
    masses: Array
    ranges: Array
    pieces: tuple[tuple[float, float], ...]
    has_zeros: bool
    left: Array
    widths: Array
    folded: bool

    @cached_property
    def on_panels(self) -> tuple[Array, Array, Array]:
        """Nodes h of the panels, x(h) and their probabilities; shape (n_panels, n_nodes)."""
        h, w = panel_nodes(self.left, self.widths)
        if self.is_discrete:  # q may be 0, and h has no density
            return h, h, w
        return h, self.squares(h), w * self.density(h)

    @cached_property
    def nodes(self) -> tuple[Array, Array]:
        """Values of x and their probabilities: atoms first, then the nodes of the panels."""
        _, x, weights = self.on_panels
        return (
            np.concatenate([self.atoms, x.ravel()]),
            np.concatenate([self.masses, weights.ravel()]),
        )

    @property
    def is_discrete(self) -> bool:
        """Whether atoms are all there is."""
        return self.left.size == 0

    @property
    def largest(self) -> float:
        """Supremum of x."""
        return float(max([*self.atoms, *self.ranges[:, 1]]))

    @property
    def mass_at_zero(self) -> float:
        """P(x = 0)."""
        return float(self.masses[self.atoms == 0].sum())

    def squares(self, h: Array) -> Array:
        """Return x(h) of the units that are kept."""
        return squared_slope(self.activation, h, self.keep)

    def density(self, h: Array) -> Array:
        """Return the density of h, of both signs if the law is folded, times `keep`."""
        sigma = math.sqrt(self.q)
        scale = self.keep * (2 if self.folded else 1) / (math.sqrt(2 * math.pi) * sigma)
        return np.asarray(scale * np.exp(-((h / sigma) ** 2) / 2))

    def average(self, g: Any) -> Any:
        """Return E[g(x)], g from an array of n values of x to shape (..., n)."""
        x, weights = self.nodes
        return np.asarray(g(x)) @ weights

    def probability_above(self, x: float) -> float:
        """Return P(x' > x) for an x that no range holds in its inside."""
        values, weights = self.nodes
        return float(weights[values > x].sum())

    def with_panels(self, left: Array, widths: Array) -> SlopeLaw:
        """Return the same law on other panels."""
        order = np.argsort(left)
        return replace(self, left=left[order], widths=widths[order])


def squared_slope(activation: Activation, h: Array, keep: float) -> Array:
    """Return (phi'(h)/keep)^2."""
    with np.errstate(all="ignore"):
        slope = np.asarray(activation.derivative(h), dtype=np.float64) / keep
        return np.asarray(slope * slope)


def slope_law(activation: Activation, q: float, keep: float = 1.0) -> SlopeLaw:
    """Return the law of squared slopes at pre-activation variance `q`.

    At q = 0 it is the limit q -> 0: the slopes on either side of a kink at 0, half of the
    probability each.
    """
    atoms = [(0.0, 1 - keep)]
    pieces, ranges, zeros, panels = [], [], [False], []
    for low, high in pieces_of(activation, q):
        if q == 0:
            atoms.append((_beside(activation, keep, low, high), keep * _probability(low, high, 0)))
            continue
        here = _panels(activation, q, low, high)
        point = _point(activation, q, keep, here)
        if point is not None:
            atoms.append((point, keep * _probability(low, high, math.sqrt(q))))
            continue
        span, has_zeros = _range(activation, keep, low, high, here)
        pieces.append((low, high))
        ranges.append(span)
        zeros.append(has_zeros)
        panels.append(here)
    left, widths = (np.concatenate([np.zeros(0), *(p[i] for p in panels)]) for i in (0, 1))
    law = SlopeLaw(
        activation,
        q,
        keep,
        *_merged_atoms(atoms),
        _merged_ranges(ranges),
        tuple(pieces),
        any(zeros),
        left,
        widths,
        folded=False,
    )
    return law if law.is_discrete else _trimmed(_folded(law))


def pieces_of(activation: Activation, q: float) -> list[tuple[float, float]]:
    """Return the intervals between kinks that pre-activations of variance `q` reach."""
    if q == 0:
        return [(-math.inf, 0.0), (0.0, math.inf)] if 0 in activation.kinks else [(0.0, 0.0)]
    reach = _REACH * math.sqrt(q)
    edges = [-math.inf, *(k for k in activation.kinks if abs(k) < reach), math.inf]
    return list(itertools.pairwise(edges))


def _probability(low: float, high: float, sigma: float) -> float:
    """Return P(low < h < high)."""
    if sigma == 0:
        return 1.0 if low == high else 0.5
    a, b = low / sigma, high / sigma
    if a > 0:  # the difference of two small tails, not of two numbers near 1
        a, b = -b, -a
    return float(ndtr(b) - ndtr(a))


def _beside(activation: Activation, keep: float, low: float, high: float) -> float:
    """Return x next to h = 0, on the side of the piece."""
    tiny = float(np.finfo(np.float64).tiny)
    side = 0.0 if low == high else (tiny if low == 0 else -tiny)
    return float(squared_slope(activation, np.array([side]), keep)[0])


def _panels(activation: Activation, q: float, low: float, high: float) -> tuple[Array, Array]:
    sigma = math.sqrt(q)
    edges = mesh_of(activation).edges(_REACH * sigma)
    return split_panels(edges[(edges >= low) & (edges <= high)], _WIDEST * sigma)


def _point(
    activation: Activation, q: float, keep: float, panels: tuple[Array, Array]
) -> float | None:
    """Return x if it is one value, to rounding, on a piece."""
    h, w = panel_nodes(*panels)
    x = squared_slope(activation, h, keep)
    if np.ptp(x) <= 4 * np.finfo(np.float64).eps * x.max():
        return float(x[0, 0])
    w = w * np.exp(-(h**2) / (2 * q))
    mean = np.sum(w * x) / np.sum(w)
    spread = math.sqrt(np.sum(w * (x - mean) ** 2) / np.sum(w))
    return float(mean) if spread <= _POINT * mean else None


def _range(
    activation: Activation, keep: float, low: float, high: float, panels: tuple[Array, Array]
) -> tuple[tuple[float, float], bool]:
    """Return infimum and supremum of x on a piece, far ends included; and if phi' changes sign."""
    ends = [np.nextafter(low, math.inf), np.nextafter(high, -math.inf)]
    h = np.unique(np.concatenate([panel_nodes(*panels)[0].ravel(), ends, _FAR, np.negative(_FAR)]))
    h = h[(h > low) & (h < high) & (np.abs(h) < 1e300)]
    x = squared_slope(activation, h, keep)
    h, x = h[np.isfinite(x)], x[np.isfinite(x)]
    slopes = activation.derivative(h)
    crosses = bool(slopes.min() < 0 < slopes.max())
    least = 0.0 if crosses else _minimum(lambda y: squared_slope(activation, y, keep), h, x)
    most = -_minimum(lambda y: -squared_slope(activation, y, keep), h, -x)
    return (least, most), crosses


def _minimum(g: Callable[[Array], Array], h: Array, values: Array) -> float:
    """Return the minimum of g, by a search around the lowest of its `values` on a grid h."""
    k = int(np.argmin(values))
    low, high = h[max(k - 1, 0)], h[min(k + 1, h.size - 1)]
    found = minimize_scalar(
        lambda y: float(g(np.array([y]))[0]),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-9 * (high - low)},
    )
    return float(min(values[k], found.fun))


def _merged_atoms(atoms: list[tuple[float, float]]) -> tuple[Array, Array]:
    values: list[float] = []
    masses: list[float] = []
    for value, mass in sorted(atoms):
        if mass == 0:
            continue
        if values and value - values[-1] <= 4e-16 * value:
            masses[-1] += mass
        else:
            values.append(value)
            masses.append(mass)
    return np.array(values, dtype=np.float64), np.array(masses, dtype=np.float64)


def _merged_ranges(ranges: list[tuple[float, float]]) -> Array:
    merged: list[list[float]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    return np.array(merged, dtype=np.float64).reshape(-1, 2)


def _folded(law: SlopeLaw) -> SlopeLaw:
    """Return the law on h >= 0 if its panels and x(h) are even."""
    order = np.argsort(law.left)
    left, widths = law.left[order], law.widths[order]
    small = 1e-12 * math.sqrt(law.q)
    right = left >= -small
    if 2 * int(right.sum()) != left.size:
        return law
    if not np.allclose(-(left + widths)[::-1], left, rtol=0, atol=small):
        return law
    h, _ = panel_nodes(left[right], widths[right])
    if not np.array_equal(law.squares(h), law.squares(-h)):
        return law
    return replace(law, left=left[right], widths=widths[right], folded=True)


def _trimmed(law: SlopeLaw) -> SlopeLaw:
    """Return the law without panels that matter neither to E[1] nor to E[1/x]."""
    _, x, weights = law.on_panels
    inverse = (weights / np.maximum(x, 1e-300)).sum(axis=1)
    share = np.maximum(weights.sum(axis=1), inverse / inverse.sum())
    keep = share > _NEGLIGIBLE
    return law.with_panels(law.left[keep], law.widths[keep])
