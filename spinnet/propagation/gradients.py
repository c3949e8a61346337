r"""Back-propagated gradients, trainable depth, and how fast lengths and correlations settle.

With delta_i^l = dE/dh_i^l and backward weights independent of the forward pass, the variance
over neurons of delta follows (Schoenholz et al., arXiv:1611.01232, section 4)

    E[(delta^l)^2] = chi_1(q^l) (N_{l+1} / N_l) E[(delta^{l+1})^2],
    E[delta_a^l delta_b^l] = chi(c^l) (N_{l+1} / N_l) E[delta_a^{l+1} delta_b^{l+1}],

with chi(c) = sigma_w^2 E[phi'(u_a) phi'(u_b)] and chi_1 = chi(1).  Dropout with keep probability
rho makes the first factor chi_1 / rho; masks that differ between the two inputs leave the second
alone.  Layer 0 is the first layer of pre-activations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import ConvergenceError, InputError
from spinnet.propagation.length import FAR
from spinnet.validation import finite_array, integer, positive_array, positive_float

if TYPE_CHECKING:
    from spinnet.propagation.gaussian import MeanField

Array = NDArray[np.float64]

_AT_CRITICALITY = 1e-10
_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class GradientProfile:
    """Mean squared gradients, layer by layer, in units of the last layer's variance.

    Attributes
    ----------
    widths : ndarray of int, shape (depth + 1,)
        Neurons of layers 0, ..., depth; all 1 where none were given.
    q : ndarray, shape (depth + 1,)
        Length of each layer.
    c : ndarray, shape (depth + 1, *shape of c0)
        Correlation of the two inputs that `covariance` is for.
    variance : ndarray, shape (depth + 1,)
        Mean of delta^2 over neurons.
    covariance : ndarray, shape (depth + 1, *shape of c0)
        Mean of delta_a delta_b over neurons.
    correlation : ndarray, shape (depth + 1, *shape of c0)
        Their ratio; in the chaotic phase it falls off on the way back.
    norm_squared : ndarray, shape (depth + 1,)
        Sum of delta^2: the squared norm of the gradient by the biases of each layer.
    weight_norm_squared : ndarray, shape (depth,)
        Squared Frobenius norm of dE/dW^l, l = 1, ..., depth.
    xi_grad : float
        Depth scale of `variance` at the fixed point and constant width: negative where gradients
        explode on the way back.
    """

    widths: NDArray[np.int64]
    q: Array
    c: Array = field(repr=False)
    variance: Array
    covariance: Array = field(repr=False)
    correlation: Array = field(repr=False)
    norm_squared: Array
    weight_norm_squared: Array
    xi_grad: float


@dataclass(frozen=True)
class CriticalDecay:
    """1 - c^l -> amplitude / l^exponent at chi_1 = 1.

    Attributes
    ----------
    exponent : int
        1 for smooth activations, 2 for those with kinks.
    amplitude : float
    """

    exponent: int
    amplitude: float


def gradient_profile(
    net: MeanField,
    depth: int,
    widths: Sequence[int] | int | None = None,
    *,
    q1: float | None = None,
    c0: ArrayLike | None = None,
) -> GradientProfile:
    """Return squared gradients in layers 0, ..., depth.

    Parameters
    ----------
    net : MeanField
    depth : int
        Number of layers after the first layer of pre-activations, which is layer 0.
    widths : int or sequence of depth + 1 ints, optional
        Neurons of layers 0, ..., depth.  Without it the width is constant, and sums over neurons
        are divided by it: `norm_squared` is per neuron, `weight_norm_squared` per weight.
    q1 : float, optional
        Length of layer 0, > 0; the default is q_star.
    c0 : array_like, optional
        Correlation of two inputs in layer 0, in [-1, 1]; the default is c_star.

    Returns
    -------
    GradientProfile

    Raises
    ------
    InputError
        If there is no finite q_star and `q1` was not given, or a number is out of range.

    Notes
    -----
    The weights of the backward pass count as independent of those of the forward pass, which is
    exact at infinite width for a linear read-out.  At finite width single networks scatter: see
    :func:`spinnet.propagation.finite_width.finite_width_gradient`.

    Examples
    --------
    >>> from spinnet.propagation import MeanField
    >>> net = MeanField("relu", 2.0**0.5, 0.0)
    >>> profile = gradient_profile(net, 3, widths=[10, 20, 20, 5], q1=1.0)
    >>> profile.variance.round(12), profile.norm_squared.round(12)
    (array([0.5 , 0.25, 0.25, 1.  ]), array([5., 5., 5., 5.]))
    """
    depth = integer("depth", depth, minimum=1)
    sizes = _widths(widths, depth)
    kernel, w = net.activation.kernel, net.sigma_w**2 * net.noise.variance_factor
    q = _lengths(net, depth, q1)
    within = np.minimum(q[:-1], FAR)
    factors = np.append(w * kernel.slope_moment(within), 1.0)
    pair_w = w if net.noise.shared else net.sigma_w**2
    epsilon, shape = _pairs(net, depth, q1, c0)
    column = (-1, *([1] * len(shape)))
    steps = np.ones((depth + 1, *shape))
    lengths = within.reshape(column)
    steps[:-1] = pair_w * kernel.slope_overlap(lengths, lengths, epsilon[:-1])
    noise = net.noise
    activity = noise.variance_factor * kernel.second_moment(within) + noise.variance_offset
    if net.sigma_w > 0:  # where biases are long forgotten
        far = (net.length_map(np.minimum(q[:-1], 1e290)) - net.sigma_b**2) / net.sigma_w**2
        activity = np.where(q[:-1] > FAR, far, activity)
    with np.errstate(over="ignore"):  # inf where gradients explode beyond 1e308
        norm = _product_of_later(factors) * sizes[-1]
        covariance = _product_of_later(steps) * (sizes[-1] / sizes).reshape(column)
        weight_norm = norm[1:] * sizes[:-1] * activity
    return GradientProfile(
        widths=sizes,
        q=q,
        c=1 - epsilon,
        variance=norm / sizes,
        covariance=covariance,
        correlation=_product_of_later(steps / factors.reshape(column)),
        norm_squared=norm,
        weight_norm_squared=weight_norm,
        xi_grad=net.xi_grad,
    )


def _product_of_later(factors: Array) -> Array:
    return np.asarray(np.cumprod(factors[::-1], axis=0)[::-1])


def iterations(
    net: MeanField, q0: ArrayLike, tol: float = 0.01, *, limit: int = 100_000
) -> NDArray[np.int64]:
    """Return the number of layers after which abs(q/q_star - 1) <= `tol`.

    Parameters
    ----------
    net : MeanField
    q0 : array_like
        Lengths of layer 0, >= 0.
    tol : float
        Relative, > 0.
    limit : int
        Largest number of layers.

    Returns
    -------
    ndarray of int, shape of `q0`
        0 where q0 itself is that near.

    Raises
    ------
    InputError
        If q_star is not positive and finite.
    ConvergenceError
        If a length settles elsewhere, or not within `limit` layers.

    Notes
    -----
    The code released with Poole et al. compares the square of the relative error with 0.01, hence
    the error with 10 per cent, in its figure 1D.

    Examples
    --------
    >>> from spinnet.propagation import MeanField
    >>> iterations(MeanField("tanh", 2.5, 0.3), [0.1, 1.0, 4.0, 15.0])
    array([6, 4, 1, 4])
    """
    start = positive_array("q0", q0, zero=True)
    tol, limit = positive_float("tol", tol), integer("limit", limit, minimum=0)
    star = _positive_fixed_point(net)
    count = np.zeros(start.size, dtype=np.int64)
    q, todo = start.ravel().copy(), np.arange(start.size)
    for layer in range(limit + 1):
        todo = todo[np.abs(q[todo] / star - 1) > tol]
        if todo.size == 0:
            return count.reshape(start.shape)
        if layer == limit:
            break
        new = np.asarray(net.length_map(q[todo]))
        settled = np.abs(new - q[todo]) <= 4 * _EPS * q[todo]
        q[todo] = new
        count[todo] = layer + 1
        if settled.any():
            raise ConvergenceError(
                f"q0={start.ravel()[todo[settled][0]]:g} settles at q={new[settled][0]:g}, not at "
                f"q_star={star:g}; choose the fixed point by MeanField(..., q0=)",
                solution=count.reshape(start.shape),
            )
    raise ConvergenceError(
        f"q0={start.ravel()[todo[0]]:g} is not within tol={tol:g} of q_star={star:g} after "
        f"limit={limit} layers (xi_q = {net.xi_q:g}); raise limit",
        solution=count.reshape(start.shape),
    )


def max_depth(net: MeanField, k: float = 6.0) -> float:
    """Return k xi_c, up to which networks train (Schoenholz et al., section 5: k = 6).

    Parameters
    ----------
    net : MeanField
    k : float
        > 0.

    Returns
    -------
    float
        inf at criticality, NaN where there is no fixed point.
    """
    return positive_float("k", k) * net.xi_c


def critical_decay(net: MeanField) -> CriticalDecay:
    r"""Return the power law by which correlations approach 1 at criticality.

    For smooth phi, 1 - C(1 - e) = e - q chi_2 e^2 / 2 with chi_2 = sigma_w^2 E[phi''^2], so that
    1 - c^l -> 2 / (q chi_2 l).  For kinks k_i at which phi' jumps by m_i the second term is
    b e^(3/2), b = sigma_w^2 sum_i m_i^2 exp(-k_i^2 / 2q) sqrt(2) / (3 pi), so that
    1 - c^l -> (2/b)^2 / l^2.

    Parameters
    ----------
    net : MeanField
        With chi_1 = 1 to within 1e-10; see :func:`spinnet.critical_sigma_w`.

    Raises
    ------
    InputError
        Away from criticality, with noise that differs between inputs, where q_star is 0 or
        infinite, and for linear activations, which leave correlations as they are.

    Examples
    --------
    >>> from spinnet.propagation import MeanField
    >>> decay = critical_decay(MeanField("relu", 2.0**0.5, 0.0))
    >>> decay.exponent, round(decay.amplitude, 3)
    (2, 44.413)
    """
    if net.is_noisy and not net.noise.shared:
        raise InputError(
            "net must have no noise, or noise that inputs share: noise that differs between them "
            f"keeps c_star below 1, got noise={net.noise}"
        )
    if not abs(net.chi_1 - 1) <= _AT_CRITICALITY:
        raise InputError(
            f"net must be critical, chi_1 = 1, got chi_1 = {net.chi_1:.12g}: elsewhere "
            f"correlations settle exponentially, with xi_c = {net.xi_c:g}"
        )
    activation, kernel = net.activation, net.activation.kernel
    w = net.sigma_w**2 * net.noise.variance_factor
    q = net.q_star
    if not (0 < q < math.inf):
        if not kernel.homogeneous:
            raise InputError(f"net must have a positive finite q_star, got {q:g}")
        if net.sigma_b or net.noise.variance_offset:
            raise InputError(
                f"net must have a fixed point of its length map, got q_star = {q:g}: q grows from "
                "layer to layer, and what biases add no longer counts"
            )
        q = 1.0  # any: nothing depends on it
    if activation.kinks:
        kinks, jumps = np.array(activation.kinks), np.array(activation.slope_jumps)
        total = float(np.sum(jumps**2 * np.exp(-(kinks**2) / (2 * q))))
        b = w * total * math.sqrt(2) / (3 * math.pi)
        if b > 0:
            return CriticalDecay(2, (2 / b) ** 2)
    bend = q * w * float(kernel.curvature_moment(q)) if kernel.smooth else 0.0
    if bend == 0:
        raise InputError(
            f"activation must not be linear, got {activation.name!r}: it leaves correlations as "
            "they are"
        )
    return CriticalDecay(1, 2 / bend)


# ---------------------------------------------------------------------- parts
def _widths(widths: Sequence[int] | int | None, depth: int) -> NDArray[np.int64]:
    if widths is None:
        return np.ones(depth + 1, dtype=np.int64)
    if not isinstance(widths, (Sequence, np.ndarray)):
        return np.full(depth + 1, integer("widths", widths, minimum=1), dtype=np.int64)
    sizes = [integer("widths", n, minimum=1) for n in widths]
    if len(sizes) != depth + 1:
        raise InputError(
            f"widths must hold depth + 1 = {depth + 1} numbers (layer 0 is the first layer of "
            f"pre-activations), got {len(sizes)}"
        )
    return np.array(sizes, dtype=np.int64)


def _positive_fixed_point(net: MeanField) -> float:
    if not (0 < net.q_star < math.inf):
        raise InputError(f"net must have a positive finite q_star, got {net.q_star:g} for {net!r}")
    return net.q_star


def _lengths(net: MeanField, depth: int, q1: float | None) -> Array:
    if q1 is not None:
        return net.propagate_length(positive_float("q1", q1), depth)
    if not math.isfinite(net.q_star):
        raise InputError(
            f"q1 must be given where there is no finite q_star, got q_star = {net.q_star:g} for "
            f"{net!r}"
        )
    return np.full(depth + 1, net.q_star)


def _pairs(
    net: MeanField, depth: int, q1: float | None, c0: ArrayLike | None
) -> tuple[Array, tuple[int, ...]]:
    """Return 1 - c^l of layers 0, ..., depth, and the shape of c0."""
    if c0 is None and q1 is None:
        return np.full(depth + 1, net.one_minus_c_star), ()
    if c0 is None:
        c0 = net.c_star
        if not math.isfinite(c0):
            raise InputError("c0 must be given where there is no c_star")
    c = finite_array("c0", c0)
    return 1 - net.propagate_correlation(c, depth, q1=q1), c.shape
