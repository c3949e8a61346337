r"""Fixed points of the length map on a grid, from tables.

A length q is fixed at given sigma_b for exactly one sigma_w,

    sigma_w^2 = u(q) = (q - sigma_b^2) / (mu F(q) + a),

with mu and a the noise (1 and 0 without), and it is stable where u increases.  So the fixed
points at all sigma_w of a row of the grid are read off one curve: it is cut into monotone runs at
its extrema, and a signal flows up or down to the next increasing run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import ConvergenceError
from spinnet.propagation.diagram.tables import LATTICE, WIDTH, Tables

Array = NDArray[np.float64]

_LOWEST = -14  # panel at which q = 16^-14 counts as 0 for smooth activations
_LOWEST_KINKED = -28  # their averages go like sqrt(q) at 0
_SMALL = -10  # the panel from which lengths are looked for where none can be smaller
_HIGHEST = 9  # lengths beyond 16^10 = 1e12 count as infinite ...
_HIGHEST_CONCAVE = 10  # ... unless they must exist
_ROUNDING = 2e-14  # relative, of u
_SHARE = 1e-13  # relative change of u that is not rounding
_FLAT = math.log(0.1)  # ln q below which u may change by less than that from cell to cell
_CELL = WIDTH / LATTICE
_STEP = 3e-9  # Newton's method doubles the digits after a step of this size
_MAX_STEPS = 200
_HALVINGS = 50


@dataclass(frozen=True)
class Weights:
    """Parameters of the grid, or of a block of it: rows are sigma_b, columns sigma_w.

    Attributes
    ----------
    sigma_w2 : ndarray, shape (n_w,)
    sigma_b2 : ndarray, shape (n_b,)
    factor, offset : float
        mu and a: the second moment of an activation is mu F + a.
    shared : bool
        Whether two inputs see the same noise.
    excess : ndarray, shape (n_w,)
        sigma_w^2 mu phi'(0)^2 - 1 if phi(0) = 0, without cancellation; else -1.
    """

    sigma_w2: Array
    sigma_b2: Array
    factor: float
    offset: float
    shared: bool
    excess: Array

    @property
    def shape(self) -> tuple[int, int]:
        """(n_b, n_w)."""
        return self.sigma_b2.size, self.sigma_w2.size

    @property
    def w(self) -> Array:
        """Variance of the weights times mu, shape (n_w,)."""
        return self.sigma_w2 * self.factor

    @cached_property
    def b(self) -> Array:
        """The part of the length map that does not depend on q, shape (n_b, n_w)."""
        return self.sigma_b2[:, None] + self.sigma_w2 * self.offset

    def part(self, rows: slice, columns: slice) -> Weights:
        """Return a block."""
        return replace(
            self,
            sigma_w2=self.sigma_w2[columns],
            sigma_b2=self.sigma_b2[rows],
            excess=self.excess[columns],
        )


class Lengths(NamedTuple):
    """Fixed points of a block, each array of shape (n_b, n_w)."""

    q: Array  # 0 and inf included
    log_q: Array  # where tables are to be read: finite everywhere
    multistable: NDArray[np.bool_]


class _Run(NamedTuple):
    """An increasing part of u: places ln q and values, both increasing."""

    x: Array
    u: Array

    @property
    def top(self) -> float:
        """The largest value that is clearly reached, and no limit for q -> infinity."""
        return float(self.u[-1]) * (1 - _ROUNDING)


class LengthCurves:
    """The curves u(q), and what is read off them.

    Parameters
    ----------
    tables : Tables
    weights : Weights
        Of the whole grid: they say which lengths can occur.
    """

    def __init__(self, tables: Tables, weights: Weights) -> None:
        self._tables = tables
        self._factor, self._offset = weights.factor, weights.offset
        self._concave = tables.kernel.concave
        self._least = WIDTH * (_LOWEST if tables.kernel.smooth else _LOWEST_KINKED)
        self._at_zero = 0.0 if tables.vanishes else float(tables.kernel.second_moment(0.0))
        low, high = self._range(weights)
        self._x = WIDTH * (low + np.arange((high + 1 - low) * LATTICE) / LATTICE)
        self._q = np.exp(self._x)
        self._f = self._with_noise(tables.moment(self._x))

    def _with_noise(self, moment: Array) -> Array:
        return self._factor * moment + self._offset

    def _range(self, weights: Weights) -> tuple[int, int]:
        """Return the first and last panel in which fixed points are looked for."""
        kernel = self._tables.kernel
        low = _LOWEST
        base = weights.b + weights.w * self._at_zero
        if base.min() > 0 or (base.max() > 0 and not kernel.smooth):
            least = math.floor(math.log(float(base[base > 0].min())) / WIDTH) - 1
            low = max(_LOWEST if kernel.smooth else _LOWEST_KINKED, min(_SMALL, least))
        if not self._concave:
            return low, _HIGHEST
        w, b = float(weights.w.max()), float(weights.b.max())
        high = 0
        while (
            high < _HIGHEST_CONCAVE
            and w * float(kernel.second_moment(q := 16.0**high)) + b >= q / 2
        ):
            high += 1
        return low, high

    # ------------------------------------------------------------------ a block of rows
    def solve(self, weights: Weights, q0: float | None) -> Lengths:
        """Return the fixed points that signals of length `q0` flow to.

        `q0` None stands for sigma_w^2 + sigma_b^2.
        """
        runs = self._runs(weights.sigma_b2)
        low, high = np.empty(weights.shape), np.empty(weights.shape)
        multistable = np.zeros(weights.shape, dtype=bool)
        if self._concave:
            for i, (run,) in enumerate(runs):
                low[i], high[i] = _cell(run, weights.sigma_w2, open_below=True)
        else:
            default = weights.sigma_w2 + weights.sigma_b2[:, None]
            start = default if q0 is None else np.full(weights.shape, q0)
            rises = self._rises(start, weights)
            with np.errstate(divide="ignore"):
                start = np.log(start)
            for i, row in enumerate(runs):
                low[i], high[i] = _reached(
                    row, weights.sigma_w2, start[i], rises[i], float(self._x[0])
                )
                multistable[i] = self._attractors(row, weights, i) > 1
        if q0 == 0 and self._tables.vanishes:
            rests = weights.b == 0
            low[rests], high[rests] = -np.inf, -np.inf
        q, log_q = self._polished(low, high, weights)
        return Lengths(q, log_q, multistable)

    def _rises(self, q: Array, weights: Weights) -> NDArray[np.bool_]:
        """Return whether the length map is above the diagonal at q."""
        floor = self._q[0]
        x = np.log(np.maximum(q, floor))
        moment = self._tables.moment(x.ravel()).reshape(x.shape)
        value = weights.w * moment + weights.b
        return np.where(q > 0, value > np.maximum(q, floor), weights.b > 0)

    def _attractors(self, row: list[_Run], weights: Weights, i: int) -> NDArray[np.int64]:
        """Return the number of stable fixed points, infinity included, for each sigma_w."""
        u = weights.sigma_w2
        count = np.zeros(u.size, dtype=np.int64)
        below = (weights.b[i] > 0) | (weights.excess > 0)
        for run in row:
            is_open = run.x[0] == self._x[0]
            count += ((u >= run.u[0]) | (is_open & below)) & (u <= run.top)
        if self._tables.vanishes:
            count += (weights.b[i] == 0) & (weights.excess < 0)
        last = (self._q[-1] - weights.sigma_b2[i]) / self._f[-1]
        count += u > last * (1 - _ROUNDING)
        return count

    # ------------------------------------------------------------------ cutting
    def _runs(self, sigma_b2: Array) -> list[list[_Run]]:
        """Return the increasing runs of u for each sigma_b^2."""
        with np.errstate(divide="ignore", over="ignore"):
            curves = (self._q - sigma_b2[:, None]) / self._f
        if self._concave:
            return [[_Run(self._x, u)] for u in np.maximum.accumulate(curves, axis=1)]
        rising, owner, left, right = [], [], [], []
        for i, u in enumerate(curves):
            steps = np.diff(u)
            clear = np.flatnonzero(np.abs(steps) > _SHARE * np.abs(u[1:]))
            up = steps[clear] > 0
            turns = np.flatnonzero(up[1:] != up[:-1])
            rising.append(bool(up[0]) if up.size else True)
            owner += [i] * turns.size
            left += clear[turns].tolist()
            right += (clear[turns + 1] + 1).tolist()
        bounds = self._extrema(sigma_b2[owner], self._x[left], self._x[right])
        values = self._curve(bounds, sigma_b2[owner])
        owners = np.asarray(owner)
        runs = []
        for i, u in enumerate(curves):
            row = self._increasing(u, rising[i], bounds[owners == i], values[owners == i])
            if not rising[i] and sigma_b2[i] > 0:  # u rises from 0 left of the tables
                row.insert(0, _Run(self._x[:1], u[:1]))
            runs.append(row)
        return runs

    def _increasing(self, u: Array, rising: bool, bounds: Array, values: Array) -> list[_Run]:
        """Return the increasing runs of one curve between its extrema `bounds`."""
        ends = np.concatenate([[-np.inf], bounds, [np.inf]])
        heights = np.concatenate([[np.nan], values, [np.nan]])
        runs = []
        for k in range(0 if rising else 1, bounds.size + 1, 2):
            inside = (self._x > ends[k]) & (self._x < ends[k + 1])
            x, y = self._x[inside], u[inside]
            if k > 0:
                x, y = np.append(ends[k], x), np.append(heights[k], y)
            if k < bounds.size:
                x, y = np.append(x, ends[k + 1]), np.append(y, heights[k + 1])
            runs.append(_Run(x, np.maximum.accumulate(y)))
        return runs

    def _curve(self, x: Array, sigma_b2: Array) -> Array:
        return (np.exp(x) - sigma_b2) / self._with_noise(self._tables.moment(x))

    def _extrema(self, sigma_b2: Array, left: Array, right: Array) -> Array:
        """Return the place of the extremum of u in each bracket, by halving."""

        def slope(x: Array) -> Array:
            values = self._tables.line_values(x)
            q = np.exp(x)
            moment = self._with_noise(q * values.ratio)
            return moment - (q - sigma_b2) * self._factor * values.growth

        left, right = left.copy(), right.copy()
        if left.size == 0:
            return left
        up = slope(left) > 0
        for _ in range(_HALVINGS):
            middle = (left + right) / 2
            same = (slope(middle) > 0) == up
            left = np.where(same, middle, left)
            right = np.where(same, right, middle)
        return (left + right) / 2

    # ------------------------------------------------------------------ polishing
    def _polished(self, low: Array, high: Array, weights: Weights) -> tuple[Array, Array]:
        """Return q and a finite ln q for each bracket of ln q.

        low = -inf stands for a root left of the tables, high = -inf for q = 0, low = inf for none.
        """
        b, w = weights.b, np.broadcast_to(weights.w, low.shape)
        excess = np.broadcast_to(weights.excess, low.shape)
        flat = np.isfinite(high) & (low < _FLAT)
        dies = flat & (b + w * self._at_zero == 0) & (excess <= 0)
        low[dies], high[dies] = -np.inf, -np.inf
        flat &= ~dies
        low[flat], high[flat] = self._found_again(
            low[flat], high[flat], b[flat], w[flat], excess[flat]
        )
        inside = np.isfinite(low)
        x = np.full(low.shape, self._least)
        x[inside] = self._newton(low[inside], high[inside], b[inside], w[inside], excess[inside])
        q = np.exp(x)
        below = ~inside & np.isfinite(high)
        q[below] = self._next_to_zero(b[below], w[below], excess[below])
        with np.errstate(divide="ignore"):
            x[below] = np.maximum(np.log(q[below]), self._least)
        q[high == -np.inf] = 0.0
        q[low == np.inf] = np.inf
        return q, x

    def _found_again(
        self, low: Array, high: Array, b: Array, w: Array, excess: Array
    ) -> tuple[Array, Array]:
        """Return brackets at small q moved to where V/q - 1 goes from + to -.

        u is constant to rounding there, and V/q - 1 keeps its digits.
        """
        bottom = float(self._x[0])

        def sign(x: Array, some: NDArray[np.intp]) -> Array:
            return np.sign(self._tables.excess(x[some], b[some], w[some], excess[some])[0])

        low, high = np.maximum(low, bottom), np.maximum(high, bottom)
        todo = np.arange(low.size)
        while (todo := todo[sign(low, todo) < 0]).size:
            high[todo] = low[todo]
            low[todo] = np.where(low[todo] > bottom, np.maximum(low[todo] - _CELL, bottom), -np.inf)
            todo = todo[np.isfinite(low[todo])]
        todo = np.flatnonzero(np.isfinite(low))
        while (todo := todo[sign(high, todo) > 0]).size:
            low[todo], high[todo] = high[todo], high[todo] + _CELL
        return low, high

    def _newton(self, low: Array, high: Array, b: Array, w: Array, excess: Array) -> Array:
        """Return the roots of V/q - 1 in brackets where it goes from + to -."""
        x = (low + high) / 2
        low, high = low.copy(), high.copy()
        todo = np.arange(x.size)
        for _ in range(_MAX_STEPS):
            now = x[todo]
            value, slope = self._tables.excess(now, b[todo], w[todo], excess[todo])
            right = value < 0
            high[todo] = np.where(right, now, high[todo])
            low[todo] = np.where(right, low[todo], now)
            with np.errstate(divide="ignore", invalid="ignore"):
                new = now - value / slope
            inside = (new >= low[todo]) & (new <= high[todo])
            new = np.where(inside, new, (low[todo] + high[todo]) / 2)
            x[todo] = new
            step = np.abs(new - now)
            narrow = high[todo] - low[todo] <= 4e-16 * np.maximum(np.abs(now), 1)
            todo = todo[~((inside & (step <= _STEP)) | narrow)]
            if todo.size == 0:
                return x
        raise ConvergenceError(  # pragma: no cover - brackets shrink to rounding
            f"the fixed point of the length map was not reached at {todo.size} point(s)"
        )

    def _next_to_zero(self, b: Array, w: Array, excess: Array) -> Array:
        """Return the root of b/q + excess - w l = 0 below the tables, where l is c q."""
        tables = self._tables
        panel = tables.line(math.floor(self._x[0] / WIDTH))
        c = 0.0
        if panel.near_zero:
            nothing = np.zeros(1)
            minus_l, _ = tables.excess(self._x[:1], nothing, nothing + 1, nothing)
            c = max(-float(minus_l[0]) / float(self._q[0]), 0.0)
        b = b + w * self._at_zero
        root = np.sqrt(excess**2 + 4 * b * w * c)
        with np.errstate(divide="ignore", invalid="ignore"):
            small = 2 * b / (root - excess)
            large = (excess + root) / (2 * w * c)
        return np.where(excess <= 0, np.where(b > 0, small, 0.0), large)


def _cell(run: _Run, u: Array, *, open_below: bool) -> tuple[Array, Array]:
    """Return the interval of ln q that holds u, for each of `u`.

    (-inf, first) where u is less than the run with `open_below`, (inf, inf) where it is more.
    """
    place = np.searchsorted(run.u, u)
    if not open_below:
        place = np.maximum(place, 1)
    low = np.concatenate([[-np.inf], run.x])[place]
    high = np.concatenate([run.x, [np.inf]])[place]
    return np.where(np.isinf(high), np.inf, low), high


def _reached(
    row: list[_Run], u: Array, start: Array, rises: NDArray[np.bool_], bottom: float
) -> tuple[Array, Array]:
    """Return the cell of the fixed point that lengths of logarithm `start` flow to.

    A run that starts at `bottom` goes on below it.
    """
    low = np.where(rises, np.inf, -np.inf)
    high = low.copy()
    for up, order in ((True, row[::-1]), (False, row)):
        for run in order:
            is_open = bool(run.x[0] == bottom)
            if up:
                take = rises & (run.x[-1] > start) & (u <= run.top)
            else:
                take = ~rises & (is_open | ((run.x[0] < start) & (u >= run.u[0])))
            cell_low, cell_high = _cell(run, u, open_below=is_open)
            low, high = np.where(take, cell_low, low), np.where(take, cell_high, high)
    return low, high
