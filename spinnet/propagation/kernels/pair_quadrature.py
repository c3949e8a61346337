r"""Averages over two correlated Gaussians, for any activation, by quadrature.

Two rules, each fast where the other is not.  With s = sqrt(1 - c^2), in units of the standard
deviations:

* wide (s not small): the bivariate density varies on the scale s, whatever the functions do.  It
  is interpolated on panels of that width, and the functions are integrated against the
  interpolating polynomials once for all correlations; a delta function is no harder than any
  other.  What is left is a bilinear form in a few hundred numbers.
* narrow: an outer integral over u1 of g(u1) M(u1), where M(u1) = E[g(u2) | u1] is an integral
  over a window of width s.  Where no break of the activation lies in the window, M is a
  Gauss-Hermite sum; elsewhere the window is cut at the breaks.  M itself changes over a distance
  of the order of s around a break, which the outer panels follow.

Everything is a function of epsilon = 1 - c, and c < 0 is turned into c > 0 by changing the sign
of u2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.propagation.averages import Mesh, panel_nodes, split_panels
from spinnet.propagation.kernels.base import gauss_legendre

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

_ROOT = math.sqrt(2 * math.pi)
_DEGREES = 32  # nodes on each panel of the wide rule
_PANEL = 5.0  # its width in units of s: the density is interpolated to 1e-16
_RUNGS = np.unique(np.round(4 * 1.25 ** np.arange(40)).astype(int))  # numbers of panels
_SEES = 9.0  # standard deviations beyond which a Gaussian is 0
_SWITCH = 0.2  # value of s below which the narrow rule is considered
_DEARER = 4  # a value of the activation takes the time of this many of the density
_HERMITE = 20
_OUTER = 2.0  # widest panel over u1, in standard deviations
_LAYER = np.array([-8.5, -2.8, 2.8, 8.5])  # edges around a break, in widths of the window
_CROWDED = 0.2  # soft edges nearer than this to another, in panels, are left out
_SHARE = 1e-18  # of E[g^2] that may lie beyond the range of integration
_CHUNK = 1 << 19  # numbers in one temporary array
_WIDE_LIMIT = 1 << 25
_KEPT = 128


class PairQuadrature:
    """E[g(u1) g(u2)] for g = phi, phi' and phi'' of one activation.

    Parameters
    ----------
    functions : sequence of callable
        phi, phi', phi'' (away from the kinks).
    mesh : Mesh
        Panels of the activation.
    jumps : array_like
        Of phi' at the kinks of the mesh: weights of the delta functions of phi''.
    """

    def __init__(self, functions: Sequence[Function], mesh: Mesh, jumps: ArrayLike) -> None:
        self._functions = tuple(functions)
        self._mesh = mesh
        self._jumps = np.asarray(jumps, dtype=np.float64)
        self._range = lru_cache(_KEPT)(self._range_of)
        self._compressed = lru_cache(_KEPT)(self._compress)

    def average(self, order: int, q1: float, q2: float, epsilon: float) -> float:
        """Return E[g(u1) g(u2)], g the derivative of phi of that order; q1, q2 > 0."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return self._average(order, q1, q2, epsilon)

    def _average(self, order: int, q1: float, q2: float, epsilon: float) -> float:
        mirrored = epsilon > 1
        if mirrored:
            epsilon = 2 - epsilon
        s = math.sqrt(epsilon * (2 - epsilon))
        reach = max(self._range(q1), self._range(q2))
        if s < _SWITCH:
            narrow = _Narrow(self, order, q1, q2, epsilon, s, reach, mirrored)
            wide_cost = 7 * _DEGREES**2 * 2 * reach / (_PANEL * s) if s > 0 else math.inf
            if wide_cost > min(_DEARER * narrow.cost, _WIDE_LIMIT):
                return narrow.value()
        return self._wide(order, q1, q2, epsilon, s, reach, mirrored)

    def _range_of(self, q: float) -> float:
        """Return the number of standard deviations beyond which phi and phi' do not count."""
        h, w = self._mesh.gaussian_nodes(q)
        order = np.argsort(-np.abs(h))
        reach = 8.5
        for function in self._functions[:2]:
            mass = (w * np.square(function(h)))[order]
            outside = np.cumsum(mass)
            if np.isfinite(outside[-1]) and outside[-1] > 0:
                first = int(np.argmax(outside > _SHARE * outside[-1]))
                reach = max(reach, float(np.abs(h[order[first]])) / math.sqrt(q))
        return math.ceil(2 * reach) / 2

    # ------------------------------------------------------------------ wide
    def _wide(
        self,
        order: int,
        q1: float,
        q2: float,
        epsilon: float,
        s: float,
        reach: float,
        mirrored: bool,
    ) -> float:
        count = int(_RUNGS[np.searchsorted(_RUNGS, 2 * reach / (_PANEL * s))])
        first = self._compressed(order, q1, count, reach)
        second = self._compressed(order, q2, count, reach)
        if mirrored:
            second = second[::-1, ::-1]
        z = _grid(count, reach)
        width = 2 * reach / count
        furthest = min(count - 1, math.ceil((_SEES * s + epsilon * reach) / width))
        total = 0.0
        for offset in range(-furthest, furthest + 1):
            low, high = max(0, -offset), min(count, count - offset)
            x = z[low:high, :, None]
            y = z[low + offset : high + offset, None, :]
            # x^2 - 2 c x y + y^2 = (x - y)^2 + 2 epsilon x y, over 2 s^2
            density = np.exp(-np.square(x - y) / (2 * s * s) - x * y / (2 - epsilon))
            inner = np.matmul(density, second[low + offset : high + offset, :, None])[..., 0]
            total += float(np.sum(first[low:high] * inner))
        return total / (2 * math.pi * s)

    def _compress(self, order: int, q: float, count: int, reach: float) -> Array:
        """Return the integrals of g against the interpolating polynomials of each panel."""
        sigma = math.sqrt(q)
        coarse = np.linspace(-reach, reach, count + 1)
        edges = np.union1d(coarse, self._mesh.edges(reach * sigma) / sigma).clip(-reach, reach)
        left, widths = split_panels(edges, reach / (2 * count))
        z, w = panel_nodes(left, widths)
        panel = np.searchsorted(coarse[1:-1], left + widths / 2, side="right")
        place, where = z.ravel(), np.repeat(panel, z.shape[1])
        mass = (w * self._functions[order](sigma * z)).ravel()
        if order == 2:
            kinks = self._mesh.kinks / sigma
            inside = np.abs(kinks) < reach
            place = np.concatenate([place, kinks[inside]])
            mass = np.concatenate([mass, self._jumps[inside] / sigma])
            where = np.concatenate(
                [where, np.searchsorted(coarse[1:-1], kinks[inside], side="right")]
            )
        result = np.zeros((count, _DEGREES))
        local = (place - coarse[where]) * (count / reach) - 1
        np.add.at(result, where, mass[:, None] * np.polynomial.legendre.legvander(local, 31))
        return np.asarray(result @ _from_nodes())


class _Narrow:
    """The narrow rule for one pair of variances and one correlation, c > 0.

    The second function is that of -u2 where `mirrored`.
    """

    def __init__(
        self,
        rule: PairQuadrature,
        order: int,
        q1: float,
        q2: float,
        epsilon: float,
        s: float,
        reach: float,
        mirrored: bool,
    ) -> None:
        self.order, self.mirrored, self.reach = order, mirrored, reach
        self.jumps = rule._jumps
        self.first = rule._functions[order]
        self.second = (lambda u: self.first(-u)) if mirrored else self.first
        self.sigma1, self.sigma2 = math.sqrt(q1), math.sqrt(q2)
        self.epsilon, self.s, self.c = epsilon, s, 1 - epsilon
        mesh, sign = rule._mesh, -1.0 if mirrored else 1.0
        self.kinks, self.mirrored_kinks = mesh.kinks, sign * mesh.kinks
        self.edges1 = mesh.edges(2 * reach * self.sigma1)
        self.edges2 = np.sort(sign * mesh.edges(2 * reach * self.sigma2))
        self.ratio = self.c * self.sigma2 / self.sigma1  # E[u2 | u1] = ratio * u1
        self.u, self.weights = self._outer(mesh.breaks, sign)
        self.centre = self.ratio * self.u
        self.spread = self.sigma2 * s
        crossings = _crossings(self.centre, reach * self.spread, self.edges2)[1]
        cut = crossings > 0
        self.cost = _HERMITE * float(np.sum(~cut) + np.sum(crossings[cut] + 4))

    def _outer(self, breaks: Array, sign: float) -> tuple[Array, Array]:
        """Return nodes and weights over u1, the density included."""
        reach = self.reach * self.sigma1
        own = self.edges1
        mapped = self.edges2 / self.ratio
        mapped = mapped[np.abs(mapped) < reach]
        after = np.searchsorted(own, mapped).clip(1, own.size - 1)
        panel = own[after] - own[after - 1]
        nearest = np.minimum(mapped - own[after - 1], own[after] - mapped)
        mapped = mapped[nearest > _CROWDED * panel]
        layers = sign * breaks[:, None] / self.ratio + self.sigma1 * self.s / self.c * _LAYER
        edges = np.concatenate([own, mapped, layers.ravel()]).clip(-reach, reach)
        u, w = panel_nodes(*split_panels(np.unique(edges), _OUTER * self.sigma1))
        u, w = u.ravel(), w.ravel()
        return u, w * _density(u, self.sigma1)

    def value(self) -> float:
        """Return the average."""
        inner = self._conditional(self.second, self.centre, self.spread, self.edges2)
        total = float(np.sum(self.weights * self.first(self.u) * inner))
        if self.order < 2 or self.kinks.size == 0:
            return total
        k1, k2, m = self.kinks, self.mirrored_kinks, self.jumps
        given1 = self._conditional(self.second, self.ratio * k1, self.spread, self.edges2)
        back = self.c * self.sigma1 / self.sigma2
        given2 = self._conditional(self.first, back * k2, self.sigma1 * self.s, self.edges1)
        total += float(np.sum(m * _density(k1, self.sigma1) * given1))
        total += float(np.sum(m * _density(k2, self.sigma2) * given2))
        return total + self._between_kinks()

    def _between_kinks(self) -> float:
        x, y = self.kinks[:, None] / self.sigma1, self.mirrored_kinks / self.sigma2
        weights = self.jumps[:, None] * self.jumps
        if self.s == 0:
            meet = float(np.sum(weights[x == y]))
            return math.copysign(math.inf, meet) if meet else 0.0
        exponent = np.square((x - y) / self.s) / 2 + x * y / (2 - self.epsilon)
        norm = 2 * math.pi * self.sigma1 * self.sigma2 * self.s
        return float(np.sum(weights * np.exp(-exponent))) / norm

    def _conditional(self, g: Function, centre: Array, spread: float, edges: Array) -> Array:
        """Return E[g(centre + spread y)] over normal y, for each centre."""
        if spread == 0:
            return g(centre)
        start, count = _crossings(centre, self.reach * spread, edges)
        result = np.empty(centre.size)
        free, cut = np.flatnonzero(count == 0), np.flatnonzero(count)
        y, w = _hermite()
        for rows in _chunks(free, np.full(free.size, y.size)):
            result[rows] = g(centre[rows, None] + spread * y) @ w
        for rows in _chunks(cut, _HERMITE * (count[cut] + 4)):
            result[rows] = self._cut(g, centre[rows], spread, edges, start[rows], count[rows])
        return result

    def _cut(
        self, g: Function, centre: Array, spread: float, edges: Array, start: Any, count: Any
    ) -> Array:
        """Return conditional averages over windows that edges cut: panels of unequal number."""
        n = centre.size
        base = np.linspace(-self.reach, self.reach, 5)
        owner = np.repeat(np.arange(n), count)
        index = np.arange(owner.size) + np.repeat(start - np.cumsum(count) + count, count)
        cuts = ((edges[index] - centre[owner]) / spread).clip(-self.reach, self.reach)
        ends = np.concatenate([np.tile(base, n), cuts])
        owner = np.concatenate([np.repeat(np.arange(n), base.size), owner])
        by_owner = np.lexsort((ends, owner))
        ends, owner = ends[by_owner], owner[by_owner]
        panel = (owner[1:] == owner[:-1]) & (ends[1:] > ends[:-1])
        left, width, owner = ends[:-1][panel], np.diff(ends)[panel], owner[:-1][panel]
        y, w = panel_nodes(left, width)
        values = g(centre[owner, None] + spread * y) * w * _density(y, 1.0)
        sums = np.bincount(owner, weights=values.sum(axis=1), minlength=n)
        return np.asarray(sums, dtype=np.float64)


def _crossings(centre: Array, radius: float, edges: Array) -> tuple[Any, Any]:
    """Return the first of the edges inside each window, and how many there are."""
    start = np.searchsorted(edges, centre - radius, side="right")
    return start, np.searchsorted(edges, centre + radius, side="left") - start


def _chunks(rows: NDArray[np.intp], sizes: NDArray[Any]) -> list[NDArray[np.intp]]:
    if rows.size == 0:
        return []
    block = np.cumsum(sizes) // _CHUNK
    return np.split(rows, np.flatnonzero(np.diff(block)) + 1)


def _density(u: Array, sigma: float) -> Array:
    return np.asarray(np.exp(-np.square(u / sigma) / 2) / (_ROOT * sigma))


@cache
def _hermite() -> tuple[Array, Array]:
    y, w = np.polynomial.hermite_e.hermegauss(_HERMITE)
    return y, w / w.sum()


@cache
def _from_nodes() -> Array:
    """Return the matrix from values at the nodes of a panel to Legendre coefficients."""
    nodes, _ = gauss_legendre(_DEGREES)
    values = np.polynomial.legendre.legvander(2 * nodes - 1, _DEGREES - 1)
    return np.asarray(np.linalg.inv(values), dtype=np.float64)


def _grid(count: int, reach: float) -> Array:
    nodes, _ = gauss_legendre(_DEGREES)
    return np.asarray((np.arange(count)[:, None] + nodes) * (2 * reach / count) - reach)
