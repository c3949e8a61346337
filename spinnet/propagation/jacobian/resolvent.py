r"""Averages of 1/(w - x) over the law of squared slopes, for w down to the real line.

As a function of h the integrand has poles where x(h) = w.  One that comes near the line, at
h_p = h_c + i delta, spoils Gauss-Legendre quadrature on the panels around it: there h = h_c +
delta sinh(v) takes its place, in which the pole is at distance pi/2 however small delta is
(Johnston & Elliott, Int. J. Numer. Meth. Eng. 62, 564, 2005).  Where x(h) is stationary, and its
two poles are near each other, panels are halved instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.propagation.jacobian.slopes import SlopeLaw
from spinnet.propagation.kernels.base import gauss_legendre

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
Integers = NDArray[np.intp]
Flags = NDArray[np.bool_]
Kernel = Callable[[Any, Any], tuple[Any, ...]]

_NEAR = 0.5  # distance of a pole, in widths of the panel, within which it is treated
_FLOOR = 1e-11  # least delta, in widths of the panel
_SHALLOW, _DEEP = (12.0, 64), (np.inf, 256)  # length in v up to which so many nodes are right
_ILLINOIS = 9  # steps
_TOLERANCE = 2e-13
_ROUNDING = 16 * float(np.finfo(np.float64).eps)
_NARROWEST = 1e-12  # panel that is still halved, in units of the widest


@dataclass(frozen=True, eq=False)
class _Poles:
    """Panels that see a pole: for value `row` of w on panel `panel`, at center + i delta."""

    row: Integers
    panel: Integers
    center: Array
    delta: Array
    crowded: Integers  # panels with two poles on them


class Resolvent:
    """Averages over one law, with what they need cached."""

    def __init__(self, law: SlopeLaw) -> None:
        self.law = law

    def moments(self, w: Complex) -> tuple[Complex, Complex, Complex]:
        """Return m = E[x/(w - x)], 1 + m = E[w/(w - x)] and w dm/dw, each to relative accuracy.

        `w` has shape (n,), in the open upper half-plane.
        """
        m, one, product = self._averages(_moments, w)
        return m, one, -product

    def real_moments(self, origin: Array, offset: Array) -> tuple[Array, Array, Array]:
        """Return the same at real w = origin + offset off the values of x.

        Next to an atom, `origin` is the atom and w - x keeps the digits of `offset`.
        """
        x, weights = self.law.nodes
        w = origin + offset
        inverse = 1 / ((origin[:, None] - x) + offset[:, None])
        share, rest = x * inverse, w[:, None] * inverse
        return share @ weights, rest @ weights, -(share * rest) @ weights

    def argument(self, w: Complex) -> Array:
        """Return E[arg(w - x)], shape (n,)."""
        return np.asarray(self._averages(_argument, w)[0])

    def _averages(self, kernel: Kernel, w: Complex) -> tuple[NDArray[Any], ...]:
        x, weights = self.law.nodes
        sums = tuple(values @ weights for values in kernel(x, w[:, None]))
        if self.law.is_discrete:
            return sums
        poles = self._poles(w)
        lengths = _lengths(self.law, poles)
        low = -1.0
        for high, n in (_SHALLOW, _DEEP):
            group = np.flatnonzero((lengths > low) & (lengths <= high))
            for total, part in zip(
                sums, self._corrections(kernel, w, poles, group, n), strict=True
            ):
                np.add.at(total, poles.row[group], part)
            low = high
        return sums

    def _corrections(
        self, kernel: Kernel, w: Complex, poles: _Poles, group: Integers, n: int
    ) -> tuple[NDArray[Any], ...]:
        """Return integrals over single panels, in v, less what the panel's own nodes give."""
        row, panel = poles.row[group], poles.panel[group]
        center, delta = poles.center[group, None], poles.delta[group, None]
        _, x, weights = self.law.on_panels
        start, end = _ends(self.law, poles, group)
        nodes, shares = gauss_legendre(n)
        v = start[:, None] + (end - start)[:, None] * nodes
        h = center + delta * np.sinh(v)
        steps = (end - start)[:, None] * shares * delta * np.cosh(v)
        fine = kernel(self.law.squares(h), w[row, None])
        coarse = kernel(x[panel], w[row, None])
        steps *= self.law.density(h)
        return tuple(
            np.sum(a * steps, axis=1) - np.sum(b * weights[panel], axis=1)
            for a, b in zip(fine, coarse, strict=True)
        )

    # ------------------------------------------------------------------ poles
    @cached_property
    def _table(self) -> tuple[Array, Array, Array]:
        """Gaps between neighbouring nodes, shape (n, 2), and x at their left and right ends."""
        law = self.law
        h, x, _ = law.on_panels
        ends = np.stack([law.left, law.left + law.widths], axis=1)
        # one-sided limits at the ends of panels, which may be kinks
        inside = np.stack([np.nextafter(ends[:, 0], np.inf), np.nextafter(ends[:, 1], -np.inf)], 1)
        h = np.concatenate([inside[:, :1], h, inside[:, 1:]], axis=1)
        limit = law.squares(inside)
        x = np.concatenate([limit[:, :1], x, limit[:, 1:]], axis=1)
        gaps = np.stack([h[:, :-1].ravel(), h[:, 1:].ravel()], axis=1)
        return gaps, x[:, :-1].ravel(), x[:, 1:].ravel()

    def _poles(self, w: Complex) -> _Poles:
        law = self.law
        row, center, delta = self._crossings(w)
        home = np.searchsorted(law.left, center, side="right") - 1
        found = []
        for offset in (-1, 0, 1):
            panel = home + offset
            some = np.flatnonzero((panel >= 0) & (panel < law.left.size))
            k = panel[some]
            distance = np.maximum(
                law.left[k] - center[some], center[some] - law.left[k] - law.widths[k]
            ).clip(0)
            near = (distance < _NEAR * law.widths[k]) & (delta[some] < _NEAR * law.widths[k])
            found.append((some[near], k[near], distance[near]))
        which, panel, distance = (np.concatenate([part[i] for part in found]) for i in range(3))
        order = np.lexsort((distance, panel, row[which]))
        which, panel, distance = which[order], panel[order], distance[order]
        again = (np.diff(row[which]) == 0) & (np.diff(panel) == 0)
        crowded = np.unique(panel[1:][again & (distance[1:] == 0)])
        first = np.concatenate([[True], ~again]) if which.size else np.zeros(0, dtype=bool)
        which, panel = which[first], panel[first]
        floor = _FLOOR * law.widths[panel]
        return _Poles(row[which], panel, center[which], np.maximum(delta[which], floor), crowded)

    def _crossings(self, w: Complex) -> tuple[Integers, Array, Array]:
        """Return where x(h) = Re w, and how far from there the pole is; with the index of w."""
        gaps, at_left, at_right = self._table
        below = at_left[None, :] < w.real[:, None]
        row, gap = np.nonzero(below != (at_right[None, :] < w.real[:, None]))
        level = w.real[row]
        center = self._bracketed(gaps[gap], at_left[gap] - level, at_right[gap] - level, level)
        step = 1e-4 * (gaps[gap, 1] - gaps[gap, 0])
        rise = np.abs(self.law.squares(center + step) - self.law.squares(center - step))
        with np.errstate(divide="ignore"):
            return row, center, np.abs(w.imag[row]) * 2 * step / rise

    def _bracketed(self, ends: Array, low: Array, high: Array, level: Array) -> Array:
        """Return roots of x(h) = level between `ends`, by the Illinois method."""
        a, b, fa, fb = ends[:, 0], ends[:, 1], low, high
        middle, was_left, was_right = a, np.zeros(a.size, bool), np.zeros(a.size, bool)
        for _ in range(_ILLINOIS):
            with np.errstate(divide="ignore", invalid="ignore"):
                middle = np.where(fa == fb, (a + b) / 2, (a * fb - b * fa) / (fb - fa))
            value = self.law.squares(middle) - level
            left = (value < 0) == (fa < 0)
            # a value that stays for the second time is halved
            fa, fb = (
                np.where(left, value, np.where(was_right, fa / 2, fa)),
                np.where(left, np.where(was_left, fb / 2, fb), value),
            )
            a, b = np.where(left, middle, a), np.where(left, b, middle)
            was_left, was_right = left, ~left
        return np.asarray(middle)

    # ------------------------------------------------------------------ refinement
    def refined(self, w: Complex) -> Resolvent:
        """Return averages over panels that are right to rounding for each `w`, or itself."""
        if self.law.is_discrete or w.size == 0:
            return self
        here: Resolvent = self
        for _ in range(50):
            rough = here._rough(w)
            if not rough.any():
                break
            law = here.law
            half = law.widths[rough] / 2
            left = np.concatenate([law.left[~rough], law.left[rough], law.left[rough] + half])
            here = Resolvent(
                law.with_panels(left, np.concatenate([law.widths[~rough], half, half]))
            )
        return here

    def _rough(self, w: Complex) -> Flags:
        """Return which panels are not resolved for some w: whole panels against their halves."""
        law = self.law
        poles = self._poles(w)
        m, one, _ = self.moments(w)
        small = np.abs(one) < np.abs(m)  # of x/(w - x) and w/(w - x), the smaller average tells
        total = np.where(small, np.abs(one), np.abs(m))
        whole = _panel_sums(law, w, small)
        half = law.widths / 2
        parts = np.zeros_like(whole)
        for left in (law.left, law.left + half):
            parts += _panel_sums(law.with_panels(left, half), w, small)
        # rounding of phi' in units of its largest value, as it shows in both
        _, x, weights = law.on_panels
        inverse = np.abs(1 / (w[:, None, None] - x))
        step = (x + np.sqrt(x * law.largest)) * inverse
        noise = np.abs(w[:, None]) * np.einsum("pk,npk,npk->np", weights, step, inverse)
        wrong = np.abs(whole - parts) > _TOLERANCE * total[:, None] + _ROUNDING * noise
        wrong[poles.row, poles.panel] = False
        rough = np.any(wrong, axis=0)
        rough[poles.crowded] = True
        return np.asarray(rough & (law.widths > _NARROWEST * law.widths.max()))


def _moments(x: Any, w: Any) -> tuple[Any, ...]:
    inverse = 1 / (w - x)
    share, rest = x * inverse, w * inverse
    return share, rest, share * rest


def _argument(x: Any, w: Any) -> tuple[Any, ...]:
    return (np.angle(w - x),)


def _panel_sums(law: SlopeLaw, w: Complex, small: Flags) -> Complex:
    """Return shares of the panels in E[x/(w - x)], or in E[w/(w - x)] for rows in `small`."""
    _, x, weights = law.on_panels
    inverse = 1 / (w[:, None, None] - x)
    one = w[:, None] * np.einsum("pk,npk->np", weights, inverse)
    share = np.einsum("pk,npk->np", weights * x, inverse)
    return np.asarray(np.where(small[:, None], one, share))


def _ends(law: SlopeLaw, poles: _Poles, group: Integers) -> tuple[Array, Array]:
    """Return the ends of panels in the variable v."""
    panel, center, delta = poles.panel[group], poles.center[group], poles.delta[group]
    start = np.arcsinh((law.left[panel] - center) / delta)
    end = np.arcsinh((law.left[panel] + law.widths[panel] - center) / delta)
    return start, end


def _lengths(law: SlopeLaw, poles: _Poles) -> Array:
    start, end = _ends(law, poles, np.arange(poles.row.size))
    return end - start
