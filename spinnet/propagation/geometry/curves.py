r"""The image of a circle in every layer: length, curvature, Gauss map, autocorrelation.

The circle h^1(theta) = sqrt(N q^1) (u_0 cos theta + u_1 sin theta) is pushed through an infinitely
wide network (Poole et al., arXiv:1606.05340, section 3).  Per neuron, with v = dh/dtheta and
kappa the curvature of the curve in R^N,

    metric g = |v|^2 / N,   curvature_squared k = N kappa^2,   Gauss metric g k = kappa^2 |v|^2.

The covariance K^l(dtheta) of two points obeys K^{l+1} = sigma_w^2 H(K^l) + sigma_b^2, and g is
-K''(0), k is K''''(0) / K''(0)^2 (the speed is the same everywhere, so that acceleration is normal
to velocity).  By the chain rule, with chi_2 = sigma_w^2 E[phi''^2] and both slopes at q^l,

    g^{l+1} = chi_1 g^l,    k^{l+1} = k^l / chi_1 + 3 chi_2 / chi_1^2,    g^1 = q^1 = 1 / k^1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, KinkedActivationError
from spinnet.memory import refuse_beyond_memory
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.length import FAR
from spinnet.validation import finite_array, integer, positive_float

if TYPE_CHECKING:
    from spinnet.propagation.gaussian import MeanField

Array = NDArray[np.float64]

_FAR = 1e8  # a bounded non-decreasing activation is constant beyond, to rounding


@dataclass(frozen=True, eq=False)
class Curve:
    """Geometry of a circle's image at infinite width; arrays over layers 1, ..., depth.

    Attributes
    ----------
    activation : str
    q : ndarray, shape (depth,)
        Length of each layer, the same at every point of the curve.
    chi_1 : ndarray, shape (depth,)
        sigma_w^2 E[phi'^2] at that length.
    chi_2 : ndarray, shape (depth,)
        sigma_w^2 E[phi''^2]; infinite for activations with kinks.
    metric : ndarray, shape (depth,)
        g^E per neuron; q^1 in layer 1.
    """

    activation: str
    q: Array
    chi_1: Array = field(repr=False)
    chi_2: Array = field(repr=False)
    metric: Array

    @cached_property
    def curvature_squared(self) -> Array:
        """N kappa^2, shape (depth,); 1/q^1 in layer 1, NaN where the curve is a point (chi_1 = 0).

        Raises
        ------
        KinkedActivationError
            For activations with kinks, which break the curve's direction: only its length exists.
        """
        if np.isinf(self.chi_2).any():
            raise KinkedActivationError(
                f"activation {self.activation!r} has kinks: the image of a smooth curve is smooth "
                "in pieces only, and its curvature is infinite in between; metric and length() "
                "exist, or take a smooth activation"
            )
        result = np.empty_like(self.metric)
        result[0] = 1 / self.q[0]
        for layer in range(1, result.size):
            chi_1, chi_2 = self.chi_1[layer - 1], self.chi_2[layer - 1]
            value = result[layer - 1] / chi_1 + 3 * chi_2 / chi_1**2 if chi_1 > 0 else math.nan
            result[layer] = value
        return result

    @property
    def gauss_metric(self) -> Array:
        """g^G = kappa^2 |v|^2, the squared speed of the unit tangent, shape (depth,).

        Raises
        ------
        KinkedActivationError
            For activations with kinks.
        """
        return self.curvature_squared * self.metric

    def length(self, width: int = 1) -> Array:
        """Return L^E = 2 pi sqrt(N g^E) in layers of `width` neurons, shape (depth,)."""
        return 2 * np.pi * np.sqrt(integer("width", width, minimum=1) * self.metric)

    @property
    def gauss_length(self) -> Array:
        """L^G = 2 pi sqrt(g^G), the length of the unit tangent's curve, shape (depth,).

        Raises
        ------
        KinkedActivationError
            For activations with kinks.
        """
        return 2 * np.pi * np.sqrt(self.gauss_metric)


def propagate_curve(net: MeanField, depth: int, q1: float | None = None) -> Curve:
    """Return length and curvature of a circle's image in layers 1, ..., depth.

    Parameters
    ----------
    net : MeanField
        Without noise, or with noise that all inputs share: noise of its own at every point would
        tear the curve apart.
    depth : int
        Layer 1 is the circle itself.
    q1 : float, optional
        Its squared radius per neuron, > 0; the default is q_star.  The slopes chi_1 and chi_2 are
        then those of each layer's own length.

    Returns
    -------
    Curve

    Raises
    ------
    InputError
        For independent noise, or if there is no positive finite q_star and `q1` was not given.

    Examples
    --------
    >>> from spinnet.propagation import MeanField
    >>> curve = propagate_curve(MeanField("tanh", 2.5, 0.3), 3)
    >>> curve.metric.round(4), curve.curvature_squared.round(4)
    (array([ 4.0791,  6.4663, 10.2506]), array([0.2452, 1.5825, 2.4261]))
    """
    _refuse_other(net)
    depth = _depth(depth)
    if net.is_noisy and not net.noise.shared:
        raise InputError(
            "net must have no noise, or noise that all inputs share (noise=Dropout(keep, "
            "shared=True)): neighbouring points with noise of their own are no curve, got "
            f"noise={net.noise}"
        )
    q = _lengths(net, depth, q1)
    kernel, w = net.activation.kernel, net.sigma_w**2 * net.noise.variance_factor
    within = np.minimum(q, FAR)
    chi_1 = w * kernel.slope_moment(within)
    chi_2 = w * kernel.curvature_moment(within) if kernel.smooth else np.full(depth, np.inf)
    with np.errstate(over="ignore"):  # inf where the curve grows beyond 1e308
        metric = q[0] * np.cumprod(np.append(1.0, chi_1[:-1]))
    return Curve(net.activation.name, q, chi_1, np.asarray(chi_2), metric)


def saturation_curvature(net: MeanField) -> float:
    """Return the N kappa^2 that the curvature tends to, 3 chi_2 / (chi_1 (chi_1 - 1)).

    Infinite for chi_1 <= 1: in the ordered phase the curve shrinks to a point and its curvature
    grows like 1/chi_1 per layer.

    Raises
    ------
    InputError
        As :func:`propagate_curve`; KinkedActivationError for activations with kinks.

    Examples
    --------
    >>> from spinnet.propagation import MeanField
    >>> round(saturation_curvature(MeanField("tanh", 2.5, 0.3)), 4)
    3.8677
    """
    curve = propagate_curve(net, 1)
    if np.isinf(curve.chi_2[0]):
        net.activation.kernel.curvature_moment(curve.q)  # says why there is none
    chi_1, chi_2 = float(curve.chi_1[0]), float(curve.chi_2[0])
    return 3 * chi_2 / (chi_1 * (chi_1 - 1)) if chi_1 > 1 else math.inf


def autocorrelation(
    net: MeanField,
    dtheta: ArrayLike,
    depth: int,
    *,
    input_circle: bool = False,
    centred: bool = False,
) -> Array:
    r"""Return the correlation c^l(dtheta) of two points of the curve, in layers 1, ..., depth.

    .. math:: c^1 = \cos\Delta\theta, \qquad c^{l+1} = C(c^l)

    Parameters
    ----------
    net : MeanField
        All layers have length q_star.
    dtheta : array_like
        Angles between the points.
    depth : int
    input_circle : bool
        Whether the circle lies in the input, at the radius that gives q_star in layer 1, and not
        in layer 1: c^1 = 1 - (1 - sigma_b^2 / q_star) (1 - cos dtheta).
    centred : bool
        Subtract the mean over the circle, int c^l dtheta / 2 pi, in each layer.

    Returns
    -------
    ndarray, shape (depth, *shape of dtheta)

    Raises
    ------
    InputError
        If there is no q_star that a correlation map belongs to, or q_star < sigma_b^2 with
        `input_circle`.

    Notes
    -----
    Noise that differs between two points is part of C: c^l(0) < 1 then, for l > 1.

    Examples
    --------
    >>> from spinnet.propagation import MeanField
    >>> autocorrelation(MeanField("tanh", 2.5, 0.3), [0.0, 0.5], 3).round(4)
    array([[1.    , 0.8776],
           [1.    , 0.8314],
           [1.    , 0.7764]])
    """
    _refuse_other(net)
    angles = finite_array("dtheta", dtheta)
    depth = _depth(depth, angles.size)
    for name, flag in (("input_circle", input_circle), ("centred", centred)):
        if not isinstance(flag, (bool, np.bool_)):
            raise InputError(f"{name} must be True or False, got {flag!r:.80}")
    if math.isnan(net.chi_1) or (input_circle and not 0 < net.q_star < math.inf):
        raise InputError(f"net must have a fixed point q_star, got {net.q_star:g} for {net!r}")
    share = 1 - net.sigma_b**2 / net.q_star if input_circle else 1.0
    path = _path(net, angles, depth, share)
    if centred:
        nodes, weights = _half_circle()
        path -= np.tensordot(_path(net, nodes, depth, share), weights, axes=1).reshape(
            -1, *([1] * angles.ndim)
        )
    return path


def shallow_length(activation: str | Activation, width: int, q: float) -> float:
    """Return the mean-field length of the circle's image x = phi(h), 2 pi sqrt(N q E[phi'^2]).

    Parameters
    ----------
    activation : str or Activation
    width : int
        Number N of neurons.
    q : float
        Squared radius of the circle per neuron, > 0.

    Notes
    -----
    Neurons with |h| of the scale of phi carry the length.  Where sqrt(q) is not small against N
    times that scale there are too few of them at any point to average over, and networks stay
    below this length, as :func:`shallow_length_bound` demands.

    Examples
    --------
    >>> round(shallow_length("tanh", 500, 1.0), 2)
    95.74
    """
    kernel = get_activation(activation).kernel
    width, q = integer("width", width, minimum=1), positive_float("q", q)
    return 2 * math.pi * math.sqrt(width * q * float(kernel.slope_moment(q)))


def shallow_length_bound(
    activation: str | Activation, width: int, sign_changes: int = 2, *, closed: bool = True
) -> float:
    """Return the longest curve that one hidden layer can make (Poole et al., theorem 1).

    Each neuron's total variation is at most the range R of phi times the number of monotone
    pieces of its input, and the length is at most the sum over neurons: N R (1 + s) for a curve
    with ends along which no projection of the tangent changes sign more than s times.  On a
    closed curve s counts all the way round and there are s pieces: N R s, 2 N R for a circle.

    Parameters
    ----------
    activation : str or Activation
        Bounded and non-decreasing.
    width : int
        Number N of neurons.
    sign_changes : int
        s; even, and at least 2, on a closed curve.
    closed : bool

    Raises
    ------
    InputError
        For an activation that is unbounded or decreases somewhere.

    Notes
    -----
    Total variation is the length in the 1-norm.  The mean-field length in R^N,
    :func:`shallow_length`, is shorter by a factor of order sqrt(N).

    Examples
    --------
    >>> shallow_length_bound("tanh", 500)
    2000.0
    """
    phi = get_activation(activation)
    width = integer("width", width, minimum=1)
    if not isinstance(closed, (bool, np.bool_)):
        raise InputError(f"closed must be True or False, got {closed!r:.80}")
    pieces = integer("sign_changes", sign_changes, minimum=2 if closed else 0)
    if closed and pieces % 2:
        raise InputError(f"sign_changes must be even on a closed curve, got {pieces}")
    return width * _range(phi) * (pieces if closed else pieces + 1)


# ---------------------------------------------------------------------- parts
def _refuse_other(net: object) -> None:
    from spinnet.propagation.gaussian import MeanField

    if not isinstance(net, MeanField):
        raise InputError(f"net must be a MeanField, got {type(net).__name__}")


def _depth(depth: int, size: int = 1) -> int:
    depth = integer("depth", depth, minimum=1)
    refuse_beyond_memory(40.0 * depth * size, f"depth = {depth}", "take fewer layers")
    return depth


def _lengths(net: MeanField, depth: int, q1: float | None) -> Array:
    if q1 is not None:
        return net.propagate_length(positive_float("q1", q1), depth - 1)
    if not (0 < net.q_star < math.inf):
        raise InputError(
            "q1 must be given where there is no positive finite q_star, got q_star = "
            f"{net.q_star:g} for {net!r}"
        )
    return np.full(depth, net.q_star)


def _path(net: MeanField, angles: Array, depth: int, share: float) -> Array:
    """Return c^1, ..., c^depth; the iteration runs on 1 - c, which small angles need."""
    path = np.empty((depth, *angles.shape))
    path[0] = epsilon = share * 2 * np.sin(angles / 2) ** 2
    for layer in range(1, depth):
        path[layer] = epsilon = np.asarray(net.distance_map(epsilon))
    return 1 - path


def _half_circle() -> tuple[Array, Array]:
    """Return nodes on (0, pi) and weights of averages over the circle of even functions.

    The tanh-sinh rule: deep in the chaotic phase c^l falls off within chi_1^(-l/2) of 0.
    """
    t = np.linspace(-4.2, 4.2, 337)
    steep = np.pi * np.sinh(t)
    weights = np.cosh(t) / (2 * np.cosh(steep / 2)) ** 2
    return np.pi / (1 + np.exp(-steep)), weights / weights.sum()


def _range(phi: Activation) -> float:
    """Return phi(inf) - phi(-inf) of a bounded non-decreasing activation."""
    far = np.geomspace(50, _FAR, 400)
    x = np.concatenate([-far[::-1], np.linspace(-50, 50, 20_001), far])
    with np.errstate(over="ignore"):
        values = np.asarray(phi(x), dtype=np.float64)
        inner = np.asarray(phi(np.array([-_FAR, _FAR]) / 100), dtype=np.float64)
    rounding = 1e-12 * float(np.abs(values).max())
    if (np.diff(values) < -rounding).any():
        raise InputError(f"activation must be non-decreasing, got {phi.name!r}, which is not")
    total = float(values[-1] - values[0])
    if total - float(inner[1] - inner[0]) > 1e-6 * total:
        raise InputError(
            f"activation must be bounded, got {phi.name!r}: a neuron's range has no limit, and "
            "neither has the length"
        )
    return total
