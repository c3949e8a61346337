"""What can be found out about an activation from its values: faults, kinks, second derivatives.

A user's own function arrives as two callables.  Everything here samples them on [-50, 50]: they
are checked against each other, jumps of phi' are found and bisected to the last bit, and phi''
is made by differentiating polynomials fitted between the kinks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.propagation.averages import noise_of
from spinnet.propagation.kernels.base import gauss_legendre

Array = NDArray[np.float64]
Function = Callable[[Any], Any]

_RANGE = 50.0
_CELLS = 16384
_NEAR_CELLS = 500
_SMALLEST_JUMP = 1e-6  # relative to the values around it
_FLOOR = 1e-8  # of the largest value: changes of less than 1e-14 of it are rounding
_NOISE_MARGIN = 10.0  # for functions evaluated in single precision, say
_SIFT_AFTER = 14  # halvings, after which a cell's smooth variation no longer hides a jump
_NEAR = 1e-8  # distance at which one-sided limits are taken, relative to 1 + |x|
_STEPS = (1e-2, 1e-3, 1e-4, 1e-6, 1e-8)
_AGREEMENT = 1e-3
_FIT_NODES = 16
_WIDEST_FIT = 1.0
_HALVINGS = 24


# ---------------------------------------------------------------------- checks
def check_functions(
    f: Function, derivative: Function, second_derivative: Function | None = None
) -> None:
    """Check that functions take arrays, return finite numbers and fit together.

    Parameters
    ----------
    f, derivative : callable
        phi and phi'.
    second_derivative : callable, optional
        phi'' away from the kinks.

    Raises
    ------
    InputError
        If a function fails on an array, changes its argument, returns another shape or values
        that are not finite real numbers on [-50, 50]; if phi jumps; if a derivative is not that
        of the function before it, with the place and both values.
    """
    functions = {"f": f, "derivative": derivative, "second_derivative": second_derivative}
    for name, function in functions.items():
        if function is not None:
            _check_shapes(name, function)
            _check_values(name, function)
    _refuse_jumps(f)
    _check_slope("derivative", derivative, "f", f)
    if second_derivative is not None:
        _check_slope("second_derivative", second_derivative, "derivative", derivative)


def _check_shapes(name: str, function: Function) -> None:
    if not callable(function):
        raise InputError(f"{name} must be a function, got {type(function).__name__}")
    row = np.array([-1.3, 0.2, 2.5])
    for probe in (row, np.array(0.3), np.zeros(0), np.array([0.7]), np.array([row, -row])):
        given = probe.copy()
        try:
            with np.errstate(all="ignore"):
                values = np.asarray(function(given))
        except Exception as error:
            raise InputError(
                f"{name} must take arrays of any shape, but failed on shape {probe.shape} "
                f"({type(error).__name__}: {error}); write it with NumPy functions, "
                "np.where in place of if"
            ) from error
        if values.shape != probe.shape:
            raise InputError(
                f"{name} must return the shape it is given, got {values.shape} "
                f"for an argument of shape {probe.shape}"
            )
        if values.dtype.kind not in "iuf":
            raise InputError(f"{name} must return real numbers, got dtype {values.dtype}")
        if not np.array_equal(given, probe):
            raise InputError(f"{name} must not change its argument in place; copy it first")


def _check_values(name: str, function: Function) -> None:
    x = _check_grid()
    values = _values(function, x)
    bad = ~np.isfinite(values)
    if bad.any():
        first = x[bad][np.argmin(np.abs(x[bad]))]
        raise InputError(
            f"{name} must be finite on [-50, 50], got {values[x == first][0]} at x = {first:g}"
        )


def _check_grid() -> Array:
    """Return places to probe: plain numbers, where kinks are, and others, where they are not."""
    spread = np.sinh(np.linspace(-1, 1, 402) * math.asinh(_RANGE * 1e3)) / 1e3
    plain = np.arange(-_RANGE, _RANGE + 1)
    return np.unique(np.concatenate([plain, spread]).clip(-_RANGE, _RANGE))


def _refuse_jumps(f: Function) -> None:
    places, sizes = _jumps(f)
    if places.size:
        raise InputError(
            f"f must be continuous, but it jumps by {sizes[0]:.3g} at x = {places[0]:.6g}: "
            "the theory of random networks needs a derivative"
        )


def _check_slope(name: str, slope: Function, of: str, function: Function) -> None:
    """Refuse `slope` where no difference quotient of `function`, one-sided or not, is near it."""
    x = _check_grid()
    given, here = _values(slope, x), _values(function, x)
    doubt = 1e-14 + _NOISE_MARGIN * noise_of(function)
    best = np.full(x.size, np.nan)
    agree = np.zeros(x.size, dtype=bool)
    for step in _STEPS:
        h = step * np.maximum(1e-2, np.abs(x)).clip(None, 1)
        above, below = _values(function, x + h), _values(function, x - h)
        rounding = doubt * (np.abs(here) + np.abs(above) + np.abs(below)) / h
        for quotient in ((above - below) / (2 * h), (above - here) / h, (here - below) / h):
            scale = np.maximum(np.abs(given), np.abs(quotient))
            agree |= np.abs(quotient - given) <= _AGREEMENT * scale + rounding + 1e-9
            nearer = ~(np.abs(best - given) <= np.abs(quotient - given))
            best[nearer] = quotient[nearer]
    if not agree.all():
        worst = np.argmax(np.where(agree, 0, np.abs(best - given)))
        raise InputError(
            f"{name} must be the derivative of {of}: at x = {x[worst]:.6g} it gives "
            f"{given[worst]:.8g}, while differences of {of} give {best[worst]:.8g}"
        )


# ---------------------------------------------------------------------- far away
class Continued:
    """A function that goes on where its formula overflows, and that does not warn.

    ``log(1 + exp(x))`` is infinite beyond x = 710 and ``(e^x - e^-x) / (e^x + e^-x)`` is not a
    number there, which large variances reach.  From the last place with a finite value, the
    function is continued by the straight line of slope `slope` there; constant without `slope`.

    Parameters
    ----------
    function : callable
        Finite on [-50, 50].
    slope : callable, optional
        Its derivative.
    """

    def __init__(self, function: Function, slope: Function | None = None) -> None:
        self.function = function
        self.slope = slope
        self._last: dict[int, float] = {}

    def __call__(self, x: Any) -> NDArray[Any]:
        """Return the values at `x`, of its shape."""
        with np.errstate(all="ignore"):
            values = np.asarray(self.function(x))
        bad = ~np.isfinite(values)
        if not bad.any():
            return values
        x, values = np.asarray(x), values.copy()
        for side in (-1, 1):
            there = bad & (side * x > _RANGE)
            if there.any():
                values[there] = self._line(side, x[there])
        return values

    def _line(self, side: int, x: NDArray[Any]) -> NDArray[Any]:
        if side not in self._last:
            self._last[side] = self._last_finite(float(side * _RANGE), side * np.abs(x).max())
        last = np.array([self._last[side]])
        start = _values(self.function, last)
        if self.slope is None:
            return np.broadcast_to(start, x.shape)
        with np.errstate(all="ignore"):
            return np.asarray(start + Continued(self.slope)(last) * (x - last))

    def _last_finite(self, good: float, bad: float) -> float:
        while abs(bad - good) > 1e-3 * abs(good):
            middle = (good + bad) / 2
            if np.isfinite(_values(self.function, np.array([middle]))[0]):
                good = middle
            else:
                bad = middle
        return good


# ---------------------------------------------------------------------- kinks
def find_kinks(f: Function, derivative: Function) -> tuple[float, ...]:
    """Return where phi' jumps on [-50, 50], increasing, each to the last bit.

    Every cell of a grid is halved towards the larger change of phi' (beyond the trend of its
    neighbours) until its ends are neighbouring numbers; what still changes there is a jump,
    however steep a smooth function may be.  Jumps below 1e-6 of the values around them are not
    told from rounding, and of two within 2e-5 of one another one may stay hidden.

    Raises
    ------
    InputError
        If phi itself jumps.

    Examples
    --------
    >>> find_kinks(lambda x: np.clip(x, -1, 1), lambda x: 1.0 * (np.abs(x) < 1))
    (-1.0, 1.0)
    """
    _refuse_jumps(f)
    places, _ = _jumps(derivative)
    return tuple(float(x) for x in places)


def slope_jumps(
    f: Function, derivative: Function, kinks: Sequence[float], *, declared: bool = False
) -> tuple[float, ...]:
    """Return the jump of phi' at each of `kinks`, right limit minus left limit.

    Parameters
    ----------
    f, derivative : callable
    kinks : sequence of float
        Increasing.
    declared : bool
        Whether a user named the kinks, so that a message speaks of `kinks`.

    Raises
    ------
    InputError
        If phi' does not jump at one of them, or phi does.
    """
    places = np.asarray(kinks, dtype=np.float64)
    if not np.isfinite(places).all():
        raise InputError(f"kinks must be finite, got {tuple(kinks)}")
    sizes, around = _limits(derivative, places)
    steps, _ = _limits(f, places)
    heights = np.abs(_values(f, places)) + 1
    if (np.abs(steps) > 1e-6 * heights).any():
        k = int(np.argmax(np.abs(steps)))
        raise InputError(f"f must be continuous, but it jumps by {steps[k]:.3g} at {places[k]:g}")
    flat = ~(np.abs(sizes) > _smallest_jump(derivative) * around)
    if flat.any():
        found = _jumps(derivative)[0]
        where = ", ".join(f"{x:.17g}" for x in found) or "nowhere"
        raise InputError(
            f"{'kinks' if declared else 'derivative'} must be where phi' jumps, but it does not "
            f"jump at x = {places[flat][0]:.17g}; on [-50, 50] it jumps at: {where}"
        )
    return tuple(float(size) for size in sizes)


def _jumps(g: Function) -> tuple[Array, Array]:
    """Return where a function jumps on [-50, 50], and by how much."""
    x = np.linspace(-_RANGE, _RANGE, _CELLS + 1)
    largest = np.abs(_values(g, x)).max()
    # steps of 1e-16 in 1 - tanh(x)^2 are no jumps
    floor = largest * max(_FLOOR, _NOISE_MARGIN * noise_of(g) / _smallest_jump(g))
    places = _search(g, x, floor)
    if places.size:  # a cell may hold a second jump
        near = places[:, None] + 2 * (x[1] - x[0]) * np.linspace(-1, 1, _NEAR_CELLS)
        places = np.union1d(places, _search(g, np.unique(near), floor))
    return _confirmed(g, places[np.abs(places) < _RANGE], floor)


def _search(g: Function, x: Array, floor: float) -> Array:
    """Return where a function may jump, at most one place in each cell of a grid."""
    left, right = x[:-1], x[1:]
    at_left, at_right = (values := _values(g, x))[:-1], values[1:]
    trend = _local_median((at_right - at_left) / (right - left))
    size = np.maximum(np.abs(at_left), np.abs(at_right))
    size = np.maximum(size, np.maximum(np.roll(size, 1), np.roll(size, -1)))
    size = np.maximum(size, floor)
    smallest = _smallest_jump(g)
    for halving in range(80):
        middle = (left + right) / 2
        open_ = (right - left > 1e-18) & (left < middle) & (middle < right)
        if not open_.any():
            break
        at_middle = _values(g, middle)
        lower = at_middle - at_left - trend * (middle - left)
        upper = at_right - at_middle - trend * (right - middle)
        below, above = open_ & (np.abs(lower) >= np.abs(upper)), open_.copy()
        above &= ~below
        right, at_right = np.where(below, middle, right), np.where(below, at_middle, at_right)
        left, at_left = np.where(above, middle, left), np.where(above, at_middle, at_left)
        if halving >= _SIFT_AFTER:
            keep = np.abs(at_right - at_left) > smallest * size
            left, right, at_left, at_right, trend, size = (
                part[keep] for part in (left, right, at_left, at_right, trend, size)
            )
    return np.unique([_simplest(a, b) for a, b in zip(left, right, strict=True)])


def _smallest_jump(g: Function) -> float:
    """Return the jump, relative to the values around, that is told from the noise of g."""
    return max(_SMALLEST_JUMP, 10 * _NOISE_MARGIN * noise_of(g))


def _confirmed(g: Function, places: Array, floor: float) -> tuple[Array, Array]:
    """Keep the places where the one-sided limits differ, and do so from one number to the next."""
    apart = np.diff(places, prepend=-np.inf) > 1e-14 * (1 + np.abs(places))
    places = places[apart]
    sizes, around = _limits(g, places)
    below, above = np.nextafter(places, -np.inf), np.nextafter(places, np.inf)
    sudden = np.abs(_values(g, above) - _values(g, below))
    around = np.maximum(around, floor)
    keep = (np.abs(sizes) > _smallest_jump(g) * around) & (sudden > np.abs(sizes) / 2)
    return places[keep], sizes[keep]


def _limits(g: Function, places: Array) -> tuple[Array, Array]:
    """Return right minus left limit of g at `places`, and the size of g around them."""
    gaps = np.diff(places, prepend=-np.inf, append=np.inf)
    step = np.minimum(_NEAR * (1 + np.abs(places)), np.minimum(gaps[:-1], gaps[1:]) / 8)
    around = np.zeros(places.size)
    limit = []
    for side in (-1, 1):
        one, two, three = (_values(g, places + side * k * step) for k in (1, 2, 3))
        limit.append(3 * (one - two) + three)
        around = np.maximum(around, np.abs(one))
    return limit[1] - limit[0], around


def _local_median(changes: Array) -> Array:
    padded = np.pad(changes, 2, mode="edge")
    return np.asarray(np.median([padded[k : k + changes.size] for k in range(5)], axis=0))


def _simplest(a: float, b: float) -> float:
    """Return the number from a to b that takes the fewest digits to write."""
    if a <= 0 <= b:
        return 0.0
    for digits in range(17):
        for number in (float(f"{a:.{digits}e}"), float(f"{b:.{digits}e}")):
            if a <= number <= b:
                return number
    return float(a)


# ---------------------------------------------------------------------- second derivatives
def differentiate(derivative: Function, x: Any, kinks: Sequence[float] = ()) -> Array:
    """Return phi'' at `x` from values of phi', without stepping across kinks.

    Around each x, a polynomial of degree 15 is fitted to phi' on the widest interval of width at
    most 1 that it describes to rounding; next to a kink the interval lies on the side of x.  The
    error is about 1e-13 times max |phi'| over that width.

    Parameters
    ----------
    derivative : callable
        phi', finite.
    x : array_like
    kinks : sequence of float
        Where phi' jumps.  At a kink itself, phi'' of its right side is returned.

    Returns
    -------
    ndarray
        Of the shape of `x`.
    """
    places = np.asarray(x, dtype=np.float64)
    flat = places.ravel()
    edges = np.concatenate([[-np.inf], np.sort(np.asarray(kinks, dtype=np.float64)), [np.inf]])
    piece = np.searchsorted(edges, flat, side="right")
    low, high = edges[piece - 1], edges[np.minimum(piece, edges.size - 1)]
    result, error = np.zeros(flat.size), np.full(flat.size, np.inf)
    todo = np.flatnonzero(np.isfinite(flat))
    width = _WIDEST_FIT
    for _ in range(_HALVINGS):
        if todo.size == 0:
            break
        slope, doubt, resolved = _fitted_slope(derivative, flat[todo], low[todo], high[todo], width)
        better = doubt < error[todo]
        result[todo[better]], error[todo[better]] = slope[better], doubt[better]
        todo = todo[~resolved]
        width /= 2
    return result.reshape(places.shape)


def _fitted_slope(
    g: Function, x: Array, low: Array, high: Array, width: float
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return the slope of polynomials fitted to g, its doubt, and whether they describe g."""
    nodes, _ = gauss_legendre(_FIT_NODES)
    room = np.minimum(width, high - low)
    start = np.clip(x - room / 2, low, high - room)
    values = _values(g, start[:, None] + room[:, None] * nodes)
    coefficients = np.linalg.solve(
        np.polynomial.legendre.legvander(2 * nodes - 1, _FIT_NODES - 1), values.T
    )
    slopes = np.polynomial.legendre.legder(coefficients)
    at = np.clip(2 * (x - start) / room - 1, -1, 1)
    slope = np.sum(np.polynomial.legendre.legvander(at, _FIT_NODES - 2).T * slopes, axis=0)
    size = np.abs(values).max(axis=1)
    tail = np.abs(coefficients[-3:]).max(axis=0)
    doubt = (tail + 1e-15 * size) * _FIT_NODES**2 / room
    return slope * 2 / room, doubt, tail <= 4e-15 * size


def _values(function: Function, x: Array) -> Array:
    """Return values as float64, without the warnings of overflows inside."""
    with np.errstate(all="ignore"):
        return np.asarray(function(x), dtype=np.float64)
