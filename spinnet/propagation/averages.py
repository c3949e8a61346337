"""Averages over one Gaussian pre-activation, for any activation, by quadrature.

Averages over h ~ N(0, q) are sums over Gauss-Legendre nodes on panels of the real line.  The
panels follow the activation and not only the Gaussian: a kink is always an edge, and panels are
halved until a polynomial of degree 19 describes phi, phi' and phi'' on each.  Gauss-Hermite
quadrature, the usual choice, loses all accuracy where phi varies on a scale well below sqrt(q).
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.propagation.kernels.base import gauss_legendre
from spinnet.validation import positive_array, positive_float

if TYPE_CHECKING:
    from spinnet.propagation.activations import Activation

Array = NDArray[np.float64]
Function = Callable[[Any], Any]

N_NODES = 20  # per panel
_REACH = 37.5  # in standard deviations: the density there is 1e-306
_EXACT = 12.0  # as far as an endless oscillation is followed: the density is 1e-32
_WIDEST = 1.5  # panel, in standard deviations
_TOLERANCE = 1e-15
_ROUNDING = 4e-15  # relative size that rounding alone gives to Legendre coefficients
_NOISE_MARGIN = 30.0
_MOST_PANELS = 8192  # in one shell of the mesh
_COARSE_PANELS = 256  # in a shell that would need more than that, or that hardly counts
_LAST_SHELL = 60  # beyond 2^60 an activation has no structure left
_DEEPEST = 2.0**-40  # narrowest panel, in units of its distance from 0 (of 1 within [-1, 1])
_BLOCK = 1 << 15
_CROWDED = 1e-5  # panels narrower than this mean a jump of a derivative
_FIT_WIDTH = 5e-3
_KEPT = 64  # sets of nodes kept for each activation
_KEPT_SIZE = 20_000  # no set of more nodes than this is kept


def gaussian_nodes(activation: Activation, q: float) -> tuple[Array, Array]:
    r"""Return nodes h and weights w with :math:`\sum_i w_i g(h_i) = E[g(h)]`, h ~ N(0, q).

    The rule holds to rounding for every g that is smooth between the kinks of phi on the scale
    on which phi itself is smooth: products of phi, phi', phi'' and h, smooth functions of them.

    Parameters
    ----------
    activation : Activation
    q : float
        Variance, >= 0.  At q = 0 the nodes are 0, or just left and right of 0 if phi has a kink
        there: averages of phi' are the limit q -> 0.

    Returns
    -------
    h, w : ndarray, shape (n,)
        Read-only.  h covers 37 standard deviations; the weights are positive, their sum is 1.

    Raises
    ------
    InputError
        If q is negative or not finite.

    Examples
    --------
    >>> from spinnet.propagation.activations import get_activation
    >>> h, w = gaussian_nodes(get_activation("relu"), 3.0)
    >>> round(float(w @ (h > 0)), 15)
    0.5
    """
    q = positive_float("q", q, zero=True)
    return mesh_of(activation).gaussian_nodes(q)


def gaussian_average(g: Function, q: ArrayLike, *, activation: Activation) -> NDArray[Any]:
    """Return E[g(h)] over h ~ N(0, q).

    Parameters
    ----------
    g : callable
        From an array of n pre-activations to an array of shape (..., n), real or complex; smooth
        where `activation` is.
    q : array_like
        Variances, >= 0.
    activation : Activation
        Says where g has kinks and on what scale it varies.

    Returns
    -------
    ndarray
        Leading axes of g first, then those of `q`.

    Raises
    ------
    InputError
        If a variance is negative or not finite.

    Examples
    --------
    >>> from spinnet.propagation.activations import get_activation
    >>> gaussian_average(lambda h: h**2, [0.0, 2.0], activation=get_activation("relu")).round(14)
    array([0., 2.])
    """
    variances = positive_array("q", q, zero=True)
    mesh = mesh_of(activation)
    distinct, place = np.unique(variances, return_inverse=True)
    values = [_average(g, *mesh.gaussian_nodes(float(one))) for one in distinct]
    stacked = np.stack(values, axis=-1) if values else np.zeros(0)
    return np.asarray(stacked[..., place.reshape(variances.shape)])


def _average(g: Function, h: Array, w: Array) -> NDArray[Any]:
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.asarray(g(h)) @ w)


def split_panels(edges: Array, widest: float) -> tuple[Array, Array]:
    """Return left ends and widths of panels between `edges`, none wider than `widest`."""
    gaps = np.diff(edges)
    left, gaps = edges[:-1][gaps > 0], gaps[gaps > 0]
    counts = np.ceil(gaps / widest * (1 - 1e-12)).astype(np.int64).clip(1)
    widths = np.repeat(gaps / counts, counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(left, counts) + widths * (np.arange(widths.size) - first), widths


def panel_nodes(left: Array, widths: Array) -> tuple[Array, Array]:
    """Return Gauss-Legendre nodes and weights on panels; shape (n_panels, N_NODES)."""
    nodes, weights = gauss_legendre(N_NODES)
    return left[:, None] + widths[:, None] * nodes, widths[:, None] * weights


class Mesh:
    """Panels of the real line on each of which an activation is smooth.

    The line is cut into [-1, 1] and the shells 2^k < |h| < 2^(k+1); each is refined when a
    variance first reaches it.  From the first shell that would need more than 8192 panels (a
    function that oscillates without end, at a huge variance) shells are cut evenly into a few
    hundred instead: averages are then those of a stratified sample, right to two digits.

    Attributes
    ----------
    kinks : ndarray
        Where phi' jumps.
    """

    def __init__(self, activation: Activation) -> None:
        # functions only: a reference to the activation would keep it, and this mesh, for ever
        functions = [activation._f, activation._derivative, activation._second]
        self._functions = [function for function in functions if function is not None]
        self._noise = [noise_of(function) for function in self._functions]
        self.kinks = np.array(activation.kinks)
        self._forced = self.kinks  # edges from the start: kinks, then jumps of phi'' too
        self._inside = np.zeros(len(self._functions))  # integrals of |g| over the shells made
        self._shells: list[tuple[Array, Array]] = []  # edges that resolve all, or not too many
        self._resolved = math.inf  # distance up to which the shells made resolve the activation
        self._nodes: OrderedDict[float, tuple[Array, Array]] = OrderedDict()
        self._slope = activation._derivative
        self._fits: tuple[Array, Array] | None = None
        self._lock = threading.RLock()  # shells are made in order, once

    def edges(self, reach: float, exact: float = math.inf) -> Array:
        """Return the edges of panels that cover [-reach, reach], from end to end.

        Panels within `exact` resolve the activation if that can be had at all.
        """
        exact = min(exact, reach)
        shell = 0 if reach <= 1 else math.ceil(math.log2(reach))
        with self._lock:
            while len(self._shells) <= min(shell, _LAST_SHELL):
                self._add_shell()
        if exact > self._resolved:
            exact = 0.0
        shells = [
            fine if k == 0 or 2.0 ** (k - 1) < exact else thin
            for k, (fine, thin) in enumerate(self._shells[: shell + 1])
        ]
        edges = np.unique(np.concatenate([*shells, [-reach, reach]]))
        return np.asarray(edges[np.abs(edges) <= reach])

    @cached_property
    def breaks(self) -> Array:
        """Edges within [-64, 64] across which phi, phi' or phi'' is not analytic.

        Kinks, and the places where only a higher derivative jumps.
        """
        edges = self.edges(64.0)
        inner, width = edges[1:-1], np.minimum(np.diff(edges)[:-1], np.diff(edges)[1:])
        rough = np.ones(inner.size, dtype=bool)
        for share in (1.0, 0.5, 0.25, 0.125):
            left, right = inner - share * width, inner + share * width
            rough &= self._rough(left, right, self._inside)[0]
        return np.union1d(inner[rough], self.kinks)

    def gaussian_nodes(self, q: float) -> tuple[Array, Array]:
        """Return nodes and weights for h ~ N(0, q); see the function of that name."""
        with self._lock:
            if q in self._nodes:
                self._nodes.move_to_end(q)
                return self._nodes[q]
        made = self._make_nodes(q)
        for array in made:
            array.flags.writeable = False
        if made[0].size <= _KEPT_SIZE:
            with self._lock:
                self._nodes[q] = made
                if len(self._nodes) > _KEPT:
                    self._nodes.popitem(last=False)
        return made

    def _make_nodes(self, q: float) -> tuple[Array, Array]:
        if q == 0:
            if 0 in self.kinks:
                tiny = float(np.finfo(np.float64).tiny)
                return np.array([-tiny, tiny]), np.array([0.5, 0.5])
            return np.zeros(1), np.ones(1)
        sigma = math.sqrt(q)
        edges = self.edges(_REACH * sigma, _EXACT * sigma)
        h, w = panel_nodes(*split_panels(edges, _WIDEST * sigma))
        w = w * np.exp(-((h / sigma) ** 2) / 2)
        w = np.asarray(w / w.sum(), dtype=np.float64)
        return h.ravel(), w.ravel()

    def curvature(self, h: Array) -> Array:
        """Return phi'' between the breaks, from polynomials fitted to phi' on the panels.

        Averages of it are right to about 1e-13 of the size of phi'.
        """
        reach = float(np.abs(h).max(initial=1.0))
        fits = self._fits
        if fits is None or fits[0][-1] < reach:
            fits = self._fits = self._fit_slope(2 * reach)
        edges, coefficients = fits
        flat = h.ravel()
        result = np.empty(flat.size)
        for start in range(0, flat.size, _BLOCK):
            part = flat[start : start + _BLOCK]
            panel = np.searchsorted(edges[1:-1], part, side="right")
            width = edges[panel + 1] - edges[panel]
            at = 2 * (part - edges[panel]) / width - 1
            powers = np.polynomial.legendre.legvander(at, N_NODES - 2)
            slopes = np.einsum("ij,ij->i", powers, coefficients[panel])
            result[start : start + _BLOCK] = slopes * 2 / width
        return result.reshape(h.shape)

    def _fit_slope(self, reach: float) -> tuple[Array, Array]:
        """Return edges and Legendre coefficients of the derivative of phi' there."""
        edges = self.edges(reach)
        # a panel that integrates to rounding interpolates to rounding when it is halved
        edges = np.union1d(edges, (edges[1:] + edges[:-1]) / 2)
        nodes, _ = panel_nodes(edges[:-1], np.diff(edges))
        values = _finite(self._slope, nodes)
        slopes = np.polynomial.legendre.legder(values @ _LEGENDRE, axis=1)
        return edges, np.asarray(slopes, dtype=np.float64)

    # ------------------------------------------------------------------ refinement
    def _add_shell(self) -> None:
        before, edges = self._inside, self._refined(*self._shell_sides())
        corners = self._corners(edges)
        if corners.size and self._resolved == math.inf:
            self._forced = np.union1d(self._forced, corners)
            self._inside = before
            edges = self._refined(*self._shell_sides())
        thin = edges if edges.size <= _COARSE_PANELS else _evenly(*self._shell_sides())
        self._shells.append((edges, thin))

    def _shell_sides(self) -> tuple[Array, Array]:
        """Return left and right ends of the panels that the next shell starts from."""
        k = len(self._shells)
        if k == 0:
            sides = np.array([-1.0, 1.0])
        else:
            sides = np.array([-(2.0**k), -(2.0 ** (k - 1)), 2.0 ** (k - 1), 2.0**k])
        distance = np.abs(self._forced)
        within = (distance <= sides[-1]) & ((k == 0) | (distance >= sides[-2]))
        edges = np.union1d(sides, self._forced[within])
        parts = [edges[edges < 0], edges[edges > 0]] if k > 0 else [edges]
        left = np.concatenate([part[:-1] for part in parts])
        right = np.concatenate([part[1:] for part in parts])
        return left, right

    def _corners(self, edges: Array) -> Array:
        """Return where phi'' jumps, to rounding, from the panels that crowd there."""
        deep = np.diff(edges) < _CROWDED * np.maximum(1, np.abs(edges[1:]))
        ends = np.flatnonzero(np.diff(np.concatenate([[0], deep, [0]])))
        corners = [self._corner(*edges[pair]) for pair in ends.reshape(-1, 2)]
        return np.array([x for x in corners if np.isfinite(x)])

    def _corner(self, low: float, high: float) -> float:
        """Return where phi' of the left and right of a narrow interval meet; NaN if nowhere."""
        x, room = (low + high) / 2, _FIT_WIDTH * max(1, abs(low))
        nodes, _ = gauss_legendre(N_NODES)
        fits = []
        for side, end in ((-1, low), (1, high)):
            values = _finite(self._slope, end + side * room * nodes)
            fits.append(np.polynomial.Legendre(values @ _LEGENDRE, [end, end + side * room]))
        start = x
        for _ in range(3):
            apart, rate = fits[1](x) - fits[0](x), fits[1].deriv()(x) - fits[0].deriv()(x)
            x = x - apart / rate if rate else math.nan
        return float(x) if abs(x - start) <= high - low else math.nan

    def _refined(self, left: Array, right: Array) -> Array:
        """Return the edges of the panels from `left` to `right`, halved until all is smooth."""
        done = [left, right]
        sums = np.zeros(len(self._functions))
        sides = (left, right)
        finished = 0
        while left.size:
            if self._resolved < math.inf or finished + left.size > _MOST_PANELS:
                self._resolved = min(self._resolved, float(np.abs(sides).min()))
                return _evenly(*sides)
            rough, integrals = self._rough(left, right, self._inside + sums)
            middle = (left + right) / 2
            narrow = right - left <= _DEEPEST * np.maximum(1, np.abs(middle))
            rough &= ~narrow
            sums = sums + integrals[:, ~rough].sum(axis=1)
            finished += int((~rough).sum())
            done.append(middle[rough])
            left, right = (
                np.concatenate([left[rough], middle[rough]]),
                np.concatenate([middle[rough], right[rough]]),
            )
        self._inside = self._inside + sums
        return np.unique(np.concatenate(done))

    def _rough(self, left: Array, right: Array, inside: Array) -> tuple[NDArray[np.bool_], Array]:
        """Return which panels are not resolved, and the integrals of |g| over each of them."""
        h, w = panel_nodes(left, right - left)
        rough = np.zeros(left.size, dtype=bool)
        integrals = np.empty((len(self._functions), left.size))
        for i, function in enumerate(self._functions):
            values = _finite(function, h)
            integrals[i] = np.sum(w * np.abs(values), axis=1)
            share = (right - left) * _unresolved(values)
            whole = inside[i] + integrals[i].sum()
            rough |= share > max(_TOLERANCE, _NOISE_MARGIN * self._noise[i]) * whole
        return rough, integrals


_MESHES: WeakKeyDictionary[Activation, Mesh] = WeakKeyDictionary()


def mesh_of(activation: Activation) -> Mesh:
    """Return the mesh of an activation, made at the first use."""
    mesh = _MESHES.get(activation)
    if mesh is None:
        mesh = _MESHES[activation] = Mesh(activation)
    return mesh


def _to_legendre() -> Array:
    """Return the matrix from values at the nodes to Legendre coefficients."""
    nodes, _ = gauss_legendre(N_NODES)
    values = np.polynomial.legendre.legvander(2 * nodes - 1, N_NODES - 1)
    return np.asarray(np.linalg.inv(values).T, dtype=np.float64)


_LEGENDRE = _to_legendre()


def _unresolved(values: Array) -> Array:
    """Return what is left of functions beyond the degrees that the nodes resolve.

    The last coefficients are extrapolated by their decay since the middle ones: a rule of n
    nodes is exact to degree 2n - 1, and an analytic function is at rounding there long before
    its coefficients of degree n are.
    """
    coefficients = np.abs(values @ _LEGENDRE)
    coefficients -= _ROUNDING * np.abs(values).max(axis=1, keepdims=True)
    middle = coefficients[:, N_NODES // 2 - 2 : N_NODES // 2 + 2].max(axis=1)
    last = coefficients[:, -4:].max(axis=1).clip(0)
    return np.asarray(last * np.minimum(1, last / np.maximum(middle, 1e-300)))


def noise_of(function: Function) -> float:
    """Return the relative size of the rounding noise in the values of a function."""
    places = math.sqrt(2) * np.array([-2.1, -0.9, -0.3, 0.17, 0.4, 1.1, 1.9])
    h, _ = panel_nodes(places, np.full(places.size, 1e-6))
    values = _finite(function, h)
    size = np.abs(values).max(axis=1)
    tail = np.abs(values @ _LEGENDRE)[:, N_NODES // 2 :].max(axis=1)
    return float(np.median((tail / np.maximum(size, 1e-300) - _ROUNDING).clip(0)))


def _finite(function: Function, h: Array) -> Array:
    with np.errstate(all="ignore"):
        values = np.asarray(function(h), dtype=np.float64)
    return np.where(np.abs(values) < 1e150, values, 0)  # nan, too


def _evenly(left: Array, right: Array) -> Array:
    count = max(1, _COARSE_PANELS // left.size)
    steps = np.linspace(0, 1, count + 1)
    return np.unique(left[:, None] + (right - left)[:, None] * steps)
