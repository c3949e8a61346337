r"""Gaussian averages of one activation as Chebyshev tables in ln q and 1 - c.

All that a phase diagram needs are averages over one Gaussian of variance q,

    F = E[phi^2],  F',  P = E[phi'^2],

and, over two of correlation 1 - epsilon, the gap Q by which the mean slope between c and 1 falls
short of P, with D = F - H and M = E[phi''(u1) phi''(u2)],

    Q = P - D / (q epsilon) = (1/epsilon) int_0^epsilon (epsilon - e) q M(e) de,
    nu = d ln Q / d ln epsilon = (1/(epsilon Q)) int_0^epsilon e q M(e) de.

Both integrands are positive, so that Q and nu keep their relative accuracy next to c = 1, where
they decide about criticality: at a fixed point chi_1 - 1 = sigma_w^2 Q, and 1 - chi_c =
sigma_w^2 nu Q.  ln Q, less what it does at both ends of epsilon, and nu are tabulated.

Panels are a factor 16 wide in q.  As functions of ln q the averages are analytic in the strip
|Im| < pi, so that 20 to 30 nodes give all digits.  In epsilon the scale is 1/q; the coordinate v,
sqrt(epsilon) = sinh(v arsinh(lambda)) / lambda with lambda ~ sqrt(q), resolves it at every q.
Kinks make functions of sqrt(epsilon), hence of v; smooth activations are functions of v^2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.propagation.activations import Activation
from spinnet.propagation.diagram import chebyshev
from spinnet.propagation.diagram.rules import Rule, reach_of, rule_of
from spinnet.propagation.kernels.base import Kernel
from spinnet.propagation.kernels.quadrature import QuadratureKernel

Array = NDArray[np.float64]

WIDTH = math.log(16.0)  # of a panel, in ln q
LATTICE = 16  # points of the search lattice in each panel
_LINE_NODES = 40
_PROBE = 64
_MOST = 256
_EXACT = 2e-14  # absolute, of ln Q and nu
_BY_QUADRATURE = 2e-13  # the same where the averages come from quadrature
_DIFFERENTIATED = 1e-12  # and where E[phi'' phi''] comes from differences of E[phi' phi']
_STEEP = 1e3  # ratio of largest to smallest l on a panel from which its logarithm is tabulated
_LEAST = 1e-300  # stands for Q = 0 in ln Q
_ROUNDING = 1e-16
_BLOCK = 4096
_FEW = 12  # points below which a panel is not made


@dataclass(frozen=True)
class LinePanel:
    """Averages over one Gaussian on one panel.

    Attributes
    ----------
    near_zero : bool
        Whether F is tabulated as l = phi'(0)^2 - F/q; else as F / sqrt(q).
    sign : int
        That of l where ln|l| is tabulated, because l varies too much; else 0.
    coefficients : ndarray, shape (5, n)
        Of l, ln|l| or F / sqrt(q), its derivative by ln q, F', P and dP/dlnq.
    moment_error, slope_error : float
        What the series leave out of F/q and of P, relative to these.
    """

    near_zero: bool
    sign: int
    coefficients: Array
    moment_error: float
    slope_error: float

    def main(self, t: Array) -> tuple[Array, Array]:
        """Return l or F / sqrt(q), and its derivative by ln q."""
        first, bend = self.coefficients[:2] @ chebyshev.basis(t, self.coefficients.shape[1])
        if self.sign:
            first = self.sign * np.exp(first)
            bend = bend * first
        return first, bend


class LineValues(NamedTuple):
    """Averages over one Gaussian, and the errors of F/q and P relative to them; shape (n,)."""

    ratio: Array  # F/q
    growth: Array  # F'
    slope: Array  # P
    slope_by_log_q: Array
    ratio_error: Array
    slope_error: Array


@dataclass(frozen=True)
class PairPanel:
    """ln Q, less its main part, and nu on one panel.

    Attributes
    ----------
    coefficients : ndarray, shape (n_v, 2, n_q)
    error : float
        Estimate of the relative error of Q, and of the error of nu.
    """

    coefficients: Array
    error: float


@dataclass(frozen=True)
class PairSeries:
    """ln Q, less its main part, and nu as functions of epsilon at some q.

    The main part is that of Q ~ (x^2 / (1 + x^2))^(p/2), x = lambda sqrt(epsilon).

    Attributes
    ----------
    reach : float
        lambda.
    power : int
        p, 1 with kinks and 2 without: the series are polynomials in v^p.
    coefficients : ndarray, shape (n_v, 2, n)
    error : float
        As in `PairPanel`.
    """

    reach: float
    power: int
    coefficients: Array
    error: float

    @property
    def rate(self) -> float:
        """arsinh(lambda)."""
        return math.asinh(self.reach)

    def values(self, log_epsilon: Array, rows: Array) -> tuple[Array, Array]:
        """Return Q and nu at ln(epsilon), shape (n,), by some of the coefficients."""
        x = self.reach * np.exp(log_epsilon / 2)
        v = np.arcsinh(x) / self.rate
        series, nu = chebyshev.clenshaw(rows, v if self.power == 1 else v * v)
        main = x * x / (1 + x * x)
        return np.exp(series) * (main if self.power == 2 else np.sqrt(main)), nu

    def log_gap(self, v: Array) -> Array:
        """Return ln Q at some v, for all points; shape (n_v, n)."""
        terms = chebyshev.basis(v**self.power, len(self.coefficients))
        main = self.power * np.log(np.tanh(v * self.rate))
        return np.asarray(terms.T @ self.coefficients[:, 0] + main[:, None])


class Tables:
    """Panels of one activation, made when they are first needed."""

    def __init__(self, activation: Activation) -> None:
        self.kernel: Kernel = activation.kernel
        self.by_quadrature = isinstance(self.kernel, QuadratureKernel)
        self._differentiate = self.by_quadrature and activation._second is None
        self._exact = _BY_QUADRATURE if self.by_quadrature else _EXACT
        if self._differentiate:
            self._exact = _DIFFERENTIATED
        self.power = 2 if self.kernel.smooth else 1
        self.vanishes = float(self.kernel.second_moment(0.0)) == 0  # phi(0) = 0
        self.slope_at_zero = 0.0
        if self.vanishes and self.kernel.smooth:
            self.slope_at_zero = abs(float(activation.derivative(np.zeros(1))[0]))
        elif self.vanishes:
            self.slope_at_zero = math.sqrt(float(self.kernel.slope_moment(0.0)))
        self._lines: dict[int, LinePanel] = {}
        self._pairs: dict[int, PairPanel] = {}
        self._lock = Lock()

    def line(self, k: int) -> LinePanel:
        """Return the panel of one-Gaussian averages that starts at ln q = k ln 16."""
        if k not in self._lines:
            self._lines[k] = self._make_line(k)
        return self._lines[k]

    def pairs(self, k: int, log_q: Array, t: Array) -> PairSeries:
        """Return the averages over two Gaussians at ln q, at the places `t` in panel k."""
        if k not in self._pairs and log_q.size < _FEW:
            return self._few(k, np.exp(log_q))
        with self._lock:
            if k not in self._pairs:
                self._pairs[k] = self._make_pair(k)
        panel = self._pairs[k]
        n_v, _, n_q = panel.coefficients.shape
        rows = panel.coefficients.reshape(2 * n_v, n_q) @ chebyshev.basis(t, n_q)
        return PairSeries(reach_of(k), self.power, rows.reshape(n_v, 2, t.size), panel.error)

    # ------------------------------------------------------------------ one Gaussian
    def moment(self, log_q: Array) -> Array:
        """Return F at each ln q."""
        result = np.empty(log_q.shape)
        for k, part, t in on_panels(log_q):
            panel = self.line(k)
            first, _ = panel.main(t)
            q = np.exp(log_q[part])
            if panel.near_zero:
                result[part] = q * (self.slope_at_zero**2 - first)
            else:
                result[part] = np.sqrt(q) * first
        return result

    def line_values(self, log_q: Array) -> LineValues:
        """Return the averages over one Gaussian at each ln q; shape (n,)."""
        values = LineValues(*(np.empty(log_q.shape) for _ in range(6)))
        for k, part, t in on_panels(log_q):
            panel = self.line(k)
            terms = chebyshev.basis(t, panel.coefficients.shape[1])
            growth, slope, bend = panel.coefficients[2:] @ terms
            values.growth[part], values.slope[part] = growth, slope
            values.slope_by_log_q[part] = bend
            values.ratio_error[part] = panel.moment_error
            values.slope_error[part] = panel.slope_error
        values.ratio[:] = self.moment(log_q) / np.exp(log_q)
        return values

    def excess(self, log_q: Array, b: Array, w: Array, excess: Array) -> tuple[Array, Array]:
        """Return V/q - 1 and its derivative by ln q, for V = w F + b; shape (n,).

        `excess` is w phi'(0)^2 - 1 if phi(0) = 0: next to criticality it has kept its digits.
        """
        value, slope = b * np.exp(-log_q), np.empty(log_q.shape)
        np.negative(value, out=slope)
        for k, part, t in on_panels(log_q):
            panel = self.line(k)
            first, bend = panel.main(t)
            if panel.near_zero:
                value[part] += excess[part] - w[part] * first
                slope[part] -= w[part] * bend
            else:
                share = w[part] * np.exp(-log_q[part] / 2)
                value[part] += share * first - 1
                slope[part] += share * (bend - first / 2)
        return value, slope

    def _make_line(self, k: int) -> LinePanel:
        n = _LINE_NODES
        q = np.exp(WIDTH * (k + chebyshev.nodes(n)))
        kernel = self.kernel
        near_zero = self.vanishes and k < 0
        moment, slope = kernel.second_moment(q), kernel.slope_moment(q)
        first = kernel.length_deficit(q) / q if near_zero else moment / np.sqrt(q)
        size = np.abs(first)
        sign = 0
        if near_zero and size.max() > _STEEP * size.min() > 0 and np.ptp(np.sign(first)) == 0:
            sign, first = int(np.sign(first[0])), np.log(size)
        series = chebyshev.coefficients(np.stack([first, kernel.second_moment_slope(q), slope]))
        slopes = chebyshev.derivative(series) / WIDTH
        scale = np.array([np.abs(first).max(), slope.max(), slope.max()])[:, None]
        relative = np.abs(series) / np.maximum(scale, _LEAST)
        kept = max(2, chebyshev.significant(relative, 2.5 * _ROUNDING))
        tail = relative[:, -4:].max(axis=1) + _ROUNDING
        if near_zero:
            tail[0] *= size.max() / (moment / q).min()
        made = np.concatenate([series[:1], slopes[:1], series[1:], slopes[2:]])
        return LinePanel(
            near_zero, sign, made[:, :kept].copy(), float(tail[0]), float(tail[1:].max())
        )

    # ------------------------------------------------------------------ two Gaussians
    def _make_pair(self, k: int) -> PairPanel:
        n_v = self._resolved(k, np.exp(WIDTH * np.array([k + 1.0]))).shape[2] * 8 // 7 + 4
        n_q = self._nodes_of_q(k)
        while True:
            q = np.exp(WIDTH * (k + chebyshev.nodes(n_q)))
            along_v = chebyshev.coefficients(self._values(k, q, n_v))
            series = chebyshev.coefficients(np.swapaxes(along_v, 1, 2))
            floor = self._floor(k, series)
            tail = float(np.abs(series[:, :, -2:]).max())
            if tail <= floor or n_q >= _PROBE:
                break
            n_q = _PROBE
        tail = max(tail, float(np.abs(series[:, -2:]).max()), floor / 10)
        keep_v = chebyshev.significant(np.swapaxes(series, 1, 2), floor / 10)
        keep_q = chebyshev.significant(series, floor / 10)
        kept = np.swapaxes(series[:, :keep_v, :keep_q], 0, 1).copy()
        return PairPanel(kept, max(tail, self._broken_sums(k, q, along_v)))

    def _few(self, k: int, q: Array) -> PairSeries:
        """Return the series at a few q, without a table."""
        series = self._resolved(k, q)
        tail = max(float(np.abs(series[:, :, -2:]).max()), self._floor(k, series) / 10)
        error = max(tail, self._broken_sums(k, q, series))
        return PairSeries(reach_of(k), self.power, np.moveaxis(series, 2, 0), error)

    def _resolved(self, k: int, q: Array) -> Array:
        """Return the series along v at each q, as long as is needed; shape (2, n_q, n_v)."""
        n = _PROBE
        while True:
            series = chebyshev.coefficients(self._values(k, q, n))
            needed = chebyshev.significant(series, self._floor(k, series))
            if needed < n - 8 or n >= _MOST:
                return np.asarray(series[:, :, : needed + 2])
            n *= 2

    def _nodes_of_q(self, k: int) -> int:
        """Return how many nodes resolve the panel along ln q."""
        x = chebyshev.nodes(_PROBE // 2)
        column = self._values(k, np.exp(WIDTH * (k + x)), 2)
        series = chebyshev.coefficients(np.swapaxes(column, 1, 2))
        return min(chebyshev.significant(series, self._floor(k, series)) + 4, _PROBE)

    def _floor(self, k: int, series: Array) -> float:
        """Return the size of coefficients that rounding explains."""
        return self._exact * max(1.0, reach_of(k) / 64, float(np.abs(series).max()) / 20)

    def _values(self, k: int, q: Array, n: int) -> Array:
        """Return ln Q, less its main part, and nu at n nodes of v^p; shape (2, n_q, n)."""
        rule = rule_of(k, n, self.power)
        bend = self._bend(q, rule)
        if bend[-1, 0] > 0 and bend[-1, -1] > 0:
            fall = math.log(bend[-1, 0] / bend[-1, -1]) / max(math.log(rule.cosh[-1]), 1e-3)
        else:
            fall = 3.0
        gap, moment = rule.integrate(bend, 3 if fall > 2 else 1)
        gap = np.maximum(gap, _LEAST)
        # gap is Q / epsilon^(p/2), and 1 + x^2 = cosh^2
        series = np.log(gap * (rule.cosh / reach_of(k)) ** self.power)
        return np.stack([series, np.maximum(moment, _LEAST) / gap])

    def _bend(self, q: Array, rule: Rule) -> Array:
        """Return q M with p = 2, q M sqrt(epsilon) with p = 1, at the nodes; shape (n_q, n)."""
        column = q[:, None]
        if not self._differentiate:
            bend = column * self.kernel.curvature_overlap(column, column, rule.epsilon)
            return bend if self.power == 2 else bend * np.sqrt(rule.epsilon)
        # phi'' may be known numerically only: differentiate E[phi' phi'] by its series
        slopes = self.kernel.slope_overlap(column, column, rule.epsilon)
        n = rule.epsilon.size
        series = chebyshev.derivative(chebyshev.coefficients(slopes))
        return np.asarray(-(series @ chebyshev.basis(chebyshev.nodes(n), n)) / rule.stretch)

    def _broken_sums(self, k: int, q: Array, along_v: Array) -> float:
        """Return by how much D and its derivative at c = 0 miss F - E[phi]^2 and E[phi']^2.

        Relative to Q, and beyond what rounding explains.
        """
        series, nu = along_v.sum(axis=2)
        kernel, square = self.kernel, reach_of(k) ** 2
        slope, moment = kernel.slope_moment(q), kernel.second_moment(q) / q
        gap = np.exp(series) * (square / (1 + square)) ** (self.power / 2)
        deficit = moment - np.square(kernel.mean(q)) / q
        at_zero = kernel.slope_overlap(q, q, np.ones_like(q))
        first = np.abs(slope - gap - deficit) - 30 * _ROUNDING * (slope + moment)
        second = np.abs(slope - gap - nu * gap - at_zero) - 30 * _ROUNDING * slope
        missed = np.maximum(np.maximum(first, second), 0)
        return float(np.max(missed / np.maximum(gap, _LEAST)))


def on_panels(log_q: Array) -> Iterator[tuple[int, NDArray[np.intp], Array]]:
    """Yield the panels that hold points: index, which points, and where they are in it.

    No more than 4096 points come at a time, so that what is made of them stays in cache.
    """
    place = log_q / WIDTH
    panels = np.floor(place).astype(np.int64)
    for k in np.unique(panels).tolist():
        whole = np.flatnonzero(panels == k)
        for start in range(0, whole.size, _BLOCK):
            part = whole[start : start + _BLOCK]
            yield k, part, place[part] - k


@lru_cache(maxsize=32)
def tables_of(activation: Activation) -> Tables:
    """Return the tables of an activation; those of the last 32 are kept."""
    return Tables(activation)
