"""Slopes and correlations at the fixed points of the length map, point by point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spinnet.propagation.diagram import correlations
from spinnet.propagation.diagram.lengths import Lengths, Weights
from spinnet.propagation.diagram.tables import LineValues, Tables

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

FIELDS = (
    "q_star", "chi_q", "chi_1", "one_minus_c_star", "chi_c", "one_minus_chi_c",
    "q_star_error", "c_star_error", "xi_c_error",
)  # fmt: skip
_EPS = float(np.finfo(np.float64).eps)
_ROUNDING = 8 * _EPS  # |chi_1 - 1| that is rounding
_NO_GROWTH = 1e-6  # F'/P below which the tables have lost digits
_LOST = 1e-2  # relative error of 1 - chi_c beyond which it says nothing
_SMALL = 1e-3  # chi_c below which 1 - (1 - chi_c) has lost digits


def solve_points(tables: Tables, block: Weights, lengths: Lengths) -> dict[str, Array]:
    """Return the fields of PhaseDiagram for a block of rows."""
    points = _Points(tables, block, lengths)
    values = (
        points.q, points.chi_q, points.chi_1, points.epsilon, points.chi_c,
        points.one_minus_chi_c, *points.errors(),
    )  # fmt: skip
    return {name: a.reshape(block.shape) for name, a in zip(FIELDS, values, strict=True)}


@dataclass
class _Correlated:
    """1 - c and 1 - chi_c at every point; Q, and the relative error of the tables of it."""

    epsilon: Array
    one_minus_chi_c: Array
    gap: Array
    error: Array


class _Points:
    """A block as flat arrays, shape (n,); see :class:`Weights` for what they are."""

    def __init__(self, tables: Tables, block: Weights, lengths: Lengths) -> None:
        def flat(a: Array) -> Array:
            return np.broadcast_to(a, block.shape).ravel()

        self._tables, self._kernel = tables, tables.kernel
        self._factor = 1.0 if block.shared else block.factor
        self.q, self._log_q = lengths.q.ravel(), lengths.log_q.ravel()
        self._w, self._b = flat(block.w), flat(block.b)
        self._pair_w = self._w if block.shared else flat(block.sigma_w2)
        self._pair_b = self._b if block.shared else flat(block.sigma_b2[:, None])
        self._excess = flat(block.excess)
        self._dead = self.q == 0

    @cached_property
    def _line(self) -> LineValues:
        if self._curved:
            return self._tables.line_values(self._log_q)
        kernel = self._kernel  # F is proportional to q
        slope = float(kernel.slope_moment(1.0))
        constants = (
            kernel.second_moment(1.0),
            kernel.second_moment_slope(1.0),
            slope,
            0,
            _EPS,
            _EPS,
        )
        return LineValues(*(np.full(self.q.shape, float(value)) for value in constants))

    @cached_property
    def _curved(self) -> bool:
        return not self._kernel.homogeneous

    # ------------------------------------------------------------------ slopes
    def _where_known(self, values: Array) -> Array:
        """Return NaN where there is no fixed point and `values` depend on it."""
        return np.where(np.isfinite(self.q), values, np.nan) if self._curved else values

    @cached_property
    def chi_q(self) -> Array:
        growth = self._line.growth
        small = np.flatnonzero(np.abs(growth) < _NO_GROWTH * self._line.slope)
        if small.size and not self._tables.by_quadrature:  # tables are right relative to P
            growth[small] = self._kernel.second_moment_slope(np.exp(self._log_q[small]))
        slope = self._w * growth
        if self._curved:
            slope[self._dead] = 1 + self._excess[self._dead]
        return self._where_known(slope)

    @cached_property
    def chi_1(self) -> Array:
        slope = self._pair_w * self._line.slope
        if self._curved:
            slope[self._dead] = (1 + self._excess[self._dead]) / self._factor
        return self._where_known(slope)

    @cached_property
    def _one_minus_chi_1(self) -> Array:
        return np.where(np.abs(1 - self.chi_1) <= _ROUNDING, 0.0, 1 - self.chi_1)

    # ------------------------------------------------------------------ correlations
    @cached_property
    def _floor(self) -> Array:
        """What independent noise adds to the variance and not to the covariance, over q."""
        with np.errstate(divide="ignore", invalid="ignore"):
            added = np.where(self._b > self._pair_b, (self._b - self._pair_b) / self.q, 0.0)
        return (self._w - self._pair_w) * self._line.ratio + added

    @cached_property
    def _share(self) -> Array:
        """What multiplies the weights in the map of correlations.

        Where signals die out, that is the map of lengths held fixed by rescaling.
        """
        with np.errstate(divide="ignore"):
            return np.where(self._dead & (self._floor > 0), 1 / (self._w * self._line.ratio), 1.0)

    @cached_property
    def _symmetric(self) -> Flags:
        """Where C(0) = 0: odd activations without biases have c = 0."""
        if not (self._kernel.odd and self._curved):
            return np.zeros(self.q.shape, dtype=bool)
        alive = np.isfinite(self.q) & (~self._dead | (self._floor > 0))
        return np.asarray((self._pair_b == 0) & alive)

    @cached_property
    def _correlated(self) -> _Correlated:
        n = self.q.size
        result = _Correlated(np.zeros(n), self._one_minus_chi_1.copy(), np.zeros(n), np.zeros(n))
        with np.errstate(invalid="ignore"):
            apart = (self._floor > 0) | (self._one_minus_chi_1 < 0) | self._symmetric
        some = np.flatnonzero(apart & np.isfinite(self._size))
        if some.size:
            self._solve(result, some)
        lost = ~np.isfinite(self._size)
        result.epsilon[lost], result.one_minus_chi_c[lost] = np.nan, np.nan
        return result

    @cached_property
    def _size(self) -> Array:
        """q, and 1 where it can be anything."""
        return np.where(np.isnan(self.q), 1.0, self.q)

    def _solve(self, result: _Correlated, some: NDArray[np.intp]) -> None:
        w, slope, floor = self._pair_w[some], self._line.slope[some], self._floor[some]
        share = self._share[some]
        beta, delta = 1 / (w * share) - slope, floor / w
        found = correlations.solve(
            self._tables, self._log_q[some], beta, delta, ~self._symmetric[some]
        )
        rest = delta / found.epsilon
        gap = rest - beta
        result.epsilon[some], result.gap[some] = found.epsilon, gap
        result.error[some] = found.error
        chi_c = w * (slope - gap - found.decay)
        result.one_minus_chi_c[some] = np.where(share == 1, w * (found.decay + rest), 1 - chi_c)

    @property
    def epsilon(self) -> Array:
        return self._correlated.epsilon

    @property
    def one_minus_chi_c(self) -> Array:
        return self._correlated.one_minus_chi_c

    @cached_property
    def chi_c(self) -> Array:
        chi_c = np.where(self.epsilon == 0, self.chi_1, 1 - self.one_minus_chi_c)
        with np.errstate(invalid="ignore"):
            small = np.flatnonzero((chi_c < _SMALL) & (self.epsilon > 0) & (self._pair_w > 0))
        if small.size == 0:
            return chi_c
        if self._tables.by_quadrature:  # too slow to do again: right to 1e-12
            chi_c[small] = np.maximum(chi_c[small], 0.0)
        else:
            q = np.exp(self._log_q[small])
            overlap = self._kernel.slope_overlap(q, q, self.epsilon[small])
            chi_c[small] = self._pair_w[small] * overlap
        return chi_c

    # ------------------------------------------------------------------ errors
    def errors(self) -> tuple[Array, Array, Array]:
        """Return the errors of q and c, and that of xi_c relative to it."""
        line, found = self._line, self._correlated
        with np.errstate(divide="ignore", invalid="ignore"):
            away = np.maximum(np.abs(1 - self.chi_q), _EPS)
            log_q_error = (line.ratio_error * self._w * line.ratio + _EPS) / away
            slope_error = line.slope * (line.slope_error + 2 * _EPS)
            slope_error += np.abs(line.slope_by_log_q) * log_q_error
            gap_error = np.maximum(found.gap, 0) * (found.error + log_q_error)
            # nu Q (or 1/w - P where c = 1) is known to `share` of 1 - chi_c
            share = self._pair_w * (slope_error + gap_error) / np.abs(self.one_minus_chi_c)
            share = np.where(self._pair_w > 0, share, 0.0)
            share[share > _LOST] = np.inf
            q_error = np.where(np.isinf(self.q), np.nan, self.q * log_q_error)
            moved = (found.epsilon > 0) & ~self._symmetric
            c_error = np.where(moved, np.maximum(found.epsilon, _EPS) * share, 0.0)
            # -1/ln(chi_c) where chi_c is not near 1
            steep = self.one_minus_chi_c / np.abs(self.chi_c * np.log(np.maximum(self.chi_c, 0)))
            xi_error = np.where(self.chi_c > _SMALL, share * np.maximum(steep, 1.0), share)
        lost = np.isnan(self.epsilon)
        c_error[lost], xi_error[lost] = np.nan, np.nan
        return q_error, c_error, xi_error
