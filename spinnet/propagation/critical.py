r"""The order-to-chaos line chi_1 = 1, its stability, its end point, and its inverse map.

At a fixed point q of the length map chi_1 = sigma_w^2 E[phi'^2] (Poole et al., arXiv:1606.05340,
eq. 6).  On the line q alone fixes both parameters, with F = E[phi^2],

    sigma_w^2 = 1 / E[phi'^2],    sigma_b^2 = G(q) = q - F(q) / E[phi'^2],

so that sigma_w at a given sigma_b is a root of one function of one variable, ln q.

There is at most one root: G / sqrt(q) never decreases.  Write u(z) = phi(sqrt(q) z), z standard
normal, and R = E[u^2] / E[u'^2], so that G = q (1 - R).  Differentiating by ln q and integrating
by parts, d(G / sqrt(q)) / d ln q >= 0 is

    2 E[z u u'] <= E[u'^2] + R E[z^2 u'^2],

and the left side is at most 2 sqrt(E[u^2] E[z^2 u'^2]), by the Cauchy-Schwarz inequality, hence
at most the right side, by that of the two means.  Kinks do no harm.  So a line that exists has
one point for every sigma_b > 0, and ends at sigma_b = 0 in q = 0 if phi(0) = 0, else at a
finite q.

More generally a point (q, c) with c < 1 is the fixed point of both maps for exactly one pair
(sigma_w, sigma_b).

With dropout (keep < 1, independent masks) c = 1 is no fixed point and there is no line, so that
nothing here takes `keep`.  Masks shared by all inputs only replace sigma_w^2 by sigma_w^2 / keep:
multiply sigma_w on the line by sqrt(keep).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize
from scipy.optimize import elementwise

from spinnet.errors import ConvergenceError, InputError
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.kernels.base import Kernel, gauss_legendre
from spinnet.validation import finite_array, integer, positive_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

Array = NDArray[np.float64]

# An average over a Gaussian is a convolution in ln|h| with a kernel of width about 1: these nodes
# of ln q resolve it for every activation.
_NODES = np.log(
    np.concatenate(
        [
            np.geomspace(1e-16, 1e-8, 5)[:-1],
            np.geomspace(1e-8, 1e-4, 10)[:-1],
            np.geomspace(1e-4, 1e4, 111)[:-1],
            np.geomspace(1e4, 1e14, 47),
        ]
    )
)
_DOUBLY_CRITICAL_NODES = _NODES[math.log(1e12) > _NODES]
_LARGEST_BIAS = 1e3
_EPS = float(np.finfo(float).eps)
_ROUNDING = 64 * _EPS
# q E[phi'^2] - F is integrated where it is less than this share of q E[phi'^2], for a root and
# for the nodes
_CANCELS, _CANCELS_AT_NODES = 1e-3, 1e-9
_STRAIGHT = 1e-11  # |G| / q of an activation that is homogeneous without saying so
_PEAKED = 10.0
_ANGLES = 24
_CONSISTENT = 1e-13  # rounding of both averages, relative
_PROBE = 1e-6  # the q that says whether the line leaves q = 0 along a stable fixed point
_MARGIN = 1e-6  # in ln q


class CriticalPoint(NamedTuple):
    """A point of the critical line: fixed point q, standard deviations sigma_w and sigma_b."""

    q: float
    sigma_w: float
    sigma_b: float


class NetworkParameters(NamedTuple):
    """Standard deviations of weights and biases, arrays of one shape."""

    sigma_w: Array
    sigma_b: Array


@dataclass(frozen=True, eq=False)
class CriticalLine:
    """Points of the line chi_1 = 1; see :func:`critical_line`.

    Attributes
    ----------
    activation : str
    sigma_w, sigma_b : ndarray, shape (n_points,)
        Standard deviations.
    q : ndarray, shape (n_points,)
        Fixed point of the length map.  Homogeneous activations (ReLU, leaky ReLU, linear) have
        none for sigma_b > 0 (inf: the length grows by sigma_b^2 per layer), and every q is one
        at sigma_b = 0 (NaN).
    chi_q : ndarray, shape (n_points,)
        Slope of the length map there.
    stable_q : ndarray of bool, shape (n_points,)
        False where chi_q > 1: no signal settles at that q, and the transition that a network
        shows is a jump between two other fixed points (GELU below sigma_b^2 = 0.173, SiLU below
        0.555).  The end point q = 0 takes the flag of the line next to it.
    endpoint : CriticalPoint or None
        Where the line meets sigma_b = 0: at q = 0, sigma_w = 1/|phi'(0)| if phi(0) = 0 (inf
        if phi'(0) = 0 too).
    reason : str
        Why the line is empty, or does not start at q = 0; else empty.
    """

    activation: str
    sigma_w: Array
    sigma_b: Array
    q: Array = field(repr=False)
    chi_q: Array = field(repr=False)
    stable_q: NDArray[np.bool_] = field(repr=False)
    endpoint: CriticalPoint | None
    reason: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return plain lists, numbers and words."""
        arrays = ("sigma_w", "sigma_b", "q", "chi_q", "stable_q")
        return {
            "activation": self.activation,
            **{name: getattr(self, name).tolist() for name in arrays},
            "endpoint": None if self.endpoint is None else self.endpoint._asdict(),
            "reason": self.reason,
        }

    def plot(self, ax: Axes | None = None) -> list[Line2D]:
        """Draw sigma_b against sigma_w, dashed where q is unstable; return the curves."""
        from spinnet import plotting

        ax = plotting.axes(ax)
        order = np.argsort(self.sigma_b)
        x, y, stable = self.sigma_w[order], self.sigma_b[order], self.stable_q[order]
        curves = [plotting.line(ax, x, np.where(stable, y, np.nan), label="critical")]
        if not stable.all():
            joined = ~stable  # takes over one point of the stable part, so that no gap is left
            joined[1:] |= ~stable[:-1]
            joined[:-1] |= ~stable[1:]
            label = "critical, unstable q"
            y = np.where(joined, y, np.nan)
            curves.append(plotting.line(ax, x, y, label=label, dashes="--"))
        ax.set_xlabel(r"$\sigma_w$")
        ax.set_ylabel(r"$\sigma_b$")
        return curves


# ---------------------------------------------------------------------- public functions
@overload
def critical_sigma_w(activation: str | Activation, sigma_b: float) -> float: ...
@overload
def critical_sigma_w(activation: str | Activation, sigma_b: ArrayLike) -> Array: ...
def critical_sigma_w(activation: str | Activation, sigma_b: ArrayLike) -> float | Array:
    """Return the sigma_w at which chi_1 = 1: order below, chaos above.

    Parameters
    ----------
    activation : str or Activation
    sigma_b : array_like
        Standard deviation of the biases, from 0 to 1e3.

    Returns
    -------
    float or ndarray, shape of `sigma_b`
        Standard deviation of the weights, to a relative 1e-12.  Where the line runs along an
        unstable q (see :class:`CriticalLine`) it is returned all the same.

    Raises
    ------
    InputError
        For a negative sigma_b, an unknown or constant activation, or one without a line
        (softplus).

    Examples
    --------
    >>> round(critical_sigma_w("tanh", 0.3), 12)
    1.395583975155
    >>> critical_sigma_w("erf", [0.3, 1.0]).round(6)
    array([1.233673, 1.648751])
    """
    phi = get_activation(activation)
    bias = _checked_bias(sigma_b)
    scan = _scan(phi)
    if scan.is_empty:
        raise InputError(f"activation {phi.name!r} has no critical line: {_reason(phi)}")
    with np.errstate(divide="ignore"):  # inf at sigma_b = 0 if phi'(0) = 0
        sigma_w = 1 / np.sqrt(_slope_moment(phi, scan.lengths(bias.ravel())))
    return float(sigma_w[0]) if bias.ndim == 0 else sigma_w.reshape(bias.shape)


def critical_line(
    activation: str | Activation,
    sigma_b: ArrayLike | None = None,
    q: ArrayLike | None = None,
    n: int = 101,
) -> CriticalLine:
    """Return the line chi_1 = 1 with the fixed point along it.

    Parameters
    ----------
    activation : str or Activation
    sigma_b : array_like, optional
        Where on the line, from 0 to 1e3.
    q : array_like, optional
        Where on the line, by its fixed point q >= 0, instead of `sigma_b`.  Values of q that are
        on no line (sigma_b^2 < 0) are left out.
    n : int
        Without either: the number of sigma_b, equally spaced from 0 to 4.

    Raises
    ------
    InputError
        For both `sigma_b` and `q`, negative values, or an unknown or constant activation.

    Examples
    --------
    >>> line = critical_line("gelu", sigma_b=[0.3, 0.5])
    >>> line.sigma_w.round(6), line.stable_q
    (array([1.45047 , 1.399868]), array([False,  True]))
    >>> critical_line("softplus").sigma_w.size
    0
    """
    phi = get_activation(activation)
    n = integer("n", n, minimum=1)
    if sigma_b is not None and q is not None:
        raise InputError("give sigma_b or q, not both")
    if q is not None:
        return _line_through(phi, positive_array("q", q, zero=True).ravel())
    bias = np.linspace(0.0, 4.0, n) if sigma_b is None else _checked_bias(sigma_b).ravel()
    scan = _scan(phi)
    if scan.is_empty:
        bias = bias[:0]
    return _line(phi, bias, scan.lengths(bias))


def doubly_critical(activation: str | Activation) -> tuple[CriticalPoint, ...]:
    """Return the points where chi_q = chi_1 = 1, at which the critical line changes stability.

    Parameters
    ----------
    activation : str or Activation

    Returns
    -------
    tuple of CriticalPoint
        In order of q > 0; empty for most activations.  The corner q = 0, sigma_w = 1/|phi'(0)|,
        sigma_b = 0 of activations with phi(0) = 0 is left out, and so is the whole line of
        homogeneous activations.

    Examples
    --------
    >>> [point.q.__round__(6) for point in doubly_critical("gelu")]
    [3.561553]
    >>> doubly_critical("tanh")
    ()
    """
    phi = get_activation(activation)
    kernel = phi.kernel
    if _scan(phi).is_straight:
        return ()

    def excess(x: ArrayLike) -> Array:
        q = np.exp(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(kernel.second_moment_slope(q) / kernel.slope_moment(q) - 1)

    values = excess(_DOUBLY_CRITICAL_NODES)
    known = np.flatnonzero(np.abs(values) > _ROUNDING)  # the rest has no sign to trust
    signs = np.sign(values[known])
    points = []
    for i in np.flatnonzero(signs[:-1] * signs[1:] < 0):
        low, high = _DOUBLY_CRITICAL_NODES[known[i]], _DOUBLY_CRITICAL_NODES[known[i + 1]]
        root = optimize.brentq(lambda x: float(excess(x)), low, high, xtol=1e-15, rtol=4 * _EPS)
        points.append(math.exp(float(root)))
    line = _line_through(phi, np.array(points))
    rows = zip(line.q.tolist(), line.sigma_w.tolist(), line.sigma_b.tolist(), strict=True)
    return tuple(CriticalPoint(*row) for row in rows)


def inverse_point(
    activation: str | Activation,
    q: ArrayLike,
    c: ArrayLike | None = None,
    *,
    one_minus_c: ArrayLike | None = None,
) -> NetworkParameters:
    r"""Return the one (sigma_w, sigma_b) whose maps have the fixed point (q, c), c < 1.

    .. math::

        \sigma_w^2 = \frac{q (1 - c)}{F(q) - H(q, c)}, \qquad \sigma_b^2 = q - \sigma_w^2 F(q)

    Parameters
    ----------
    activation : str or Activation
    q : array_like
        Fixed point of the length map, > 0.
    c : array_like, optional
        Fixed point of the correlation map, in [0, 1).
    one_minus_c : array_like, optional
        1 - c in (0, 1], instead of `c`: next to c = 1 it keeps digits that c has lost.

    Returns
    -------
    NetworkParameters
        `sigma_w` and `sigma_b`, broadcast over the arguments.

    Raises
    ------
    InputError
        For values outside these ranges, or if the point needs sigma_b^2 < 0.

    Notes
    -----
    The limit c -> 1 is the critical line.  The fixed point q may be unstable (chi_q > 1).

    Examples
    --------
    >>> sigma_w, sigma_b = inverse_point("erf", 1.0, 0.5)
    >>> float(sigma_w.round(9)), float(sigma_b.round(9))
    (1.419297627, 0.253356603)
    """
    kernel = get_activation(activation).kernel
    q = positive_array("q", q)
    epsilon = _checked_epsilon(c, one_minus_c)
    try:
        q, epsilon = np.broadcast_arrays(q, epsilon)
    except ValueError as error:
        raise InputError(f"q and c must broadcast, got {q.shape} and {epsilon.shape}") from error
    deficit = np.asarray(kernel.deficit(q, epsilon))
    if (deficit <= 0).any():
        raise InputError("activation must not be constant where q is, got F(q) = H(q, c)")
    moment = kernel.second_moment(q)
    rest = deficit - epsilon * moment
    rest = np.where(np.abs(rest) <= 8 * _EPS * deficit, 0.0, rest)
    bad = np.flatnonzero(rest < 0)
    if bad.size:
        at = np.unravel_index(bad[0], rest.shape)
        value = float((q * rest / deficit)[at])
        raise InputError(
            f"(q, c) must be the fixed point of some network, got q={q[at]:g}, "
            f"c={1 - epsilon[at]:g}, which needs sigma_b^2 = {value:g} < 0"
        )
    return NetworkParameters(
        np.sqrt(np.asarray(q * epsilon / deficit)), np.sqrt(np.asarray(q * rest / deficit))
    )


def _checked_bias(sigma_b: ArrayLike) -> Array:
    bias = positive_array("sigma_b", sigma_b, zero=True)
    if bias.size and bias.max() > _LARGEST_BIAS:
        raise InputError(f"sigma_b must be at most {_LARGEST_BIAS:g}, got {bias.max():g}")
    return bias


def _checked_epsilon(c: ArrayLike | None, one_minus_c: ArrayLike | None) -> Array:
    if (c is None) == (one_minus_c is None):
        raise InputError(f"give c or one_minus_c, got {'neither' if c is None else 'both'}")
    if c is not None:
        epsilon, name, allowed = 1 - finite_array("c", c), "c", "[0, 1)"
    else:
        assert one_minus_c is not None
        epsilon = finite_array("one_minus_c", one_minus_c)
        name, allowed = "one_minus_c", "(0, 1]"
    bad = (epsilon <= 0) | (epsilon > 1)
    if bad.any():
        wrong = float(np.atleast_1d(epsilon)[np.atleast_1d(bad)][0])
        value = 1 - wrong if name == "c" else wrong
        raise InputError(f"{name} must be in {allowed}, got {value:g}")
    return epsilon


# ---------------------------------------------------------------------- points of the line
def _line_through(phi: Activation, q: Array) -> CriticalLine:
    """Return the point of the line at each fixed point q, shape (n,), that is on it."""
    scan = _scan(phi)
    if scan.is_straight:
        return _line(phi, np.zeros(q.size), q)
    variance = np.zeros(q.size)
    inside = q > 0
    variance[inside] = _bias_variance(phi.kernel, q[inside])
    on_line = np.where(inside, variance >= -_ROUNDING * q, scan.starts_at_zero)
    return _line(phi, np.sqrt(np.maximum(variance[on_line], 0)), q[on_line])


def _line(phi: Activation, bias: Array, q: Array) -> CriticalLine:
    scan, kernel = _scan(phi), phi.kernel
    endpoint = None
    if not scan.is_empty:
        end = scan.lengths(np.zeros(1))
        root = math.sqrt(float(_slope_moment(phi, end)[0]))
        endpoint = CriticalPoint(float(end[0]), 1 / root if root else math.inf, 0.0)
    slope = _slope_moment(phi, q)
    chi_q = np.ones(q.size)
    if not scan.is_straight:
        inside = q > 0
        chi_q[inside] = kernel.second_moment_slope(q[inside]) / slope[inside]
    stable = chi_q <= 1 + _ROUNDING
    probe = kernel.second_moment_slope(_PROBE) / kernel.slope_moment(_PROBE)
    stable[q == 0] = scan.is_straight or probe <= 1 + _ROUNDING
    with np.errstate(divide="ignore"):  # at q = 0 if phi'(0) = 0
        sigma_w = 1 / np.sqrt(slope)
    return CriticalLine(phi.name, sigma_w, bias, q, chi_q, stable, endpoint, _reason(phi))


def _slope_moment(phi: Activation, q: Array) -> Array:
    """Return E[phi'^2], which does not depend on q where that is infinite or NaN."""
    result = np.asarray(phi.kernel.slope_moment(np.where(np.isfinite(q), q, 1.0)))
    if phi.is_smooth:
        result[q == 0] = float(np.asarray(phi.derivative(np.zeros(1)))[0]) ** 2
    return result


def _reason(phi: Activation) -> str:
    scan = _scan(phi)
    if scan.is_empty:
        return (
            "q E[phi'^2] < E[phi^2], hence sigma_b^2 < 0 on chi_1 = 1, at every q: all fixed "
            "points are ordered"
        )
    if scan.is_straight or scan.starts_at_zero:
        return ""
    q = scan.lengths(np.zeros(1))
    sigma_w = float(_slope_moment(phi, q)[0]) ** -0.5
    return (
        f"the line begins at q = {q[0]:.6g}, sigma_w = {sigma_w:.6g}, sigma_b = 0; at smaller q "
        "it would need sigma_b^2 < 0"
    )


# ---------------------------------------------------------------------- one function of ln q
def _bias_variance(kernel: Kernel, q: Array, cancels: float = _CANCELS) -> Array:
    """Return G(q) = q - F/E[phi'^2], to relative accuracy where phi is nearly linear.

    With Hermite coefficients A_n of phi, q E[phi'^2] - F = sum (n - 1) A_n^2 is all that is left
    of two nearly equal numbers at small q.  The terms n >= 2 are q^2 int_0^1 c E[phi'' phi''] dc,
    whose integrand is smooth there.  Where phi bends on a scale far below sqrt(q) it is peaked at
    c = 1: a look at c = 1/2, and the difference itself, tell.
    """
    slope = kernel.slope_moment(q)
    gap = q * slope - kernel.second_moment(q)
    near = np.flatnonzero(np.abs(gap) < cancels * q * slope)
    if not near.size or not (kernel.smooth or kernel.odd):
        return np.asarray(gap / slope)  # a kink at 0 leaves a part of order sqrt(q)
    if kernel.smooth:
        middle = np.abs(kernel.curvature_overlap(q[near], q[near], 0.5))
        near = near[kernel.curvature_moment(q[near]) < _PEAKED * middle]
    nodes, weights = gauss_legendre(_ANGLES)
    theta, some = np.pi / 2 * nodes, q[near, None]
    bend = kernel.curvature_overlap(some, some, 2 * np.sin(theta / 2) ** 2)
    integral = bend @ (np.pi / 2 * weights * np.sin(theta) * np.cos(theta))
    fine = q[near] ** 2 * integral - kernel.mean(q[near]) ** 2
    good = np.abs(fine - gap[near]) < _CONSISTENT * q[near] * slope[near]
    gap[near] = np.where(good, fine, gap[near])
    return np.asarray(gap / slope)


class _Scan:
    """G(q) on nodes of ln q.

    Attributes
    ----------
    nodes, values : ndarray, shape (n_nodes,)
        ln q and G, from the last node with G <= 0 on: G increases.
    is_straight : bool
        Whether G = 0 for all q (homogeneous activation).
    is_empty : bool
        Whether G < 0 for all q: there is no line.
    starts_at_zero : bool
        Whether the line ends in q = 0, sigma_b = 0.
    """

    def __init__(self, phi: Activation) -> None:
        self.kernel = phi.kernel
        if not np.any(self.kernel.slope_moment(np.exp(_NODES)) > 0):
            raise InputError(f"activation must not be constant, got {phi.name!r}")
        values = _bias_variance(self.kernel, np.exp(_NODES), _CANCELS_AT_NODES)
        share = np.abs(values) * np.exp(-_NODES)
        self.is_straight = self.kernel.homogeneous or bool(np.all(share < _STRAIGHT))
        self.is_empty = not self.is_straight and bool(values[-1] <= 0)
        self.starts_at_zero = float(np.asarray(phi(np.zeros(1)))[0]) == 0
        not_positive = np.flatnonzero(values <= 0)
        first = not_positive[-1] if not_positive.size and not self.is_empty else 0
        self.nodes, self.values = _NODES[first:], np.maximum.accumulate(values[first:])

    def lengths(self, bias: Array) -> Array:
        """Return the q of the line at each of `bias`, shape (n,)."""
        if self.is_straight:
            return np.where(bias > 0, np.inf, np.nan)
        target, x = np.square(bias), np.full(bias.size, -np.inf)
        positive = target > 0 if self.starts_at_zero else np.ones(bias.size, dtype=bool)
        inside = (target > self.values[0]) & (target <= self.values[-1]) & positive
        x[inside] = self._solved(target[inside])
        # beyond the nodes G is a power of q
        for end, beside in ((0, 1), (-1, -2)):
            outside = target > self.values[-1] if end else (target <= self.values[0]) & positive
            if outside.any():
                run = self.nodes[end] - self.nodes[beside]
                power = max(np.log(self.values[end] / self.values[beside]) / run, 0.5)
                x[outside] = self.nodes[end] + np.log(target[outside] / self.values[end]) / power
        return np.asarray(np.exp(x))

    def _solved(self, target: Array) -> Array:
        """Return the root ln q of G = target."""
        cell = np.searchsorted(self.values, target) - 1
        # rounding of G may put the root just outside its cell
        low: Array = np.asarray(self.nodes[cell] - _MARGIN)
        high: Array = np.asarray(self.nodes[cell + 1] + _MARGIN)

        def miss(x: Array, target: Array, size: Array) -> Array:
            return np.asarray((_bias_variance(self.kernel, np.exp(x)) - target) / size)

        found = elementwise.find_root(
            miss,
            (low, high),
            args=(target, np.where(target > 0, target, 1.0)),
            tolerances={"xatol": 4 * _EPS, "xrtol": 4 * _EPS},
        )
        if not np.all(found.success):
            raise ConvergenceError(
                f"the critical line was not reached at {int(np.sum(~found.success))} value(s) of "
                "sigma_b"
            )
        return np.asarray(found.x)


@lru_cache(maxsize=64)  # by identity for activations of the user's own
def _scan(phi: Activation) -> _Scan:
    return _Scan(phi)
