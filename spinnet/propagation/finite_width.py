r"""Networks of finite width: how far lengths, correlations and gradients scatter.

Given layer l, the pre-activations of layer l + 1 are exactly normal with covariance

.. math:: K^{l+1}_{ab} = \frac{\sigma_w^2}{N_l} \sum_i \phi(h^l_{ia}) \phi(h^l_{ib}) + \sigma_b^2,

an average over the N_l units of layer l.  To leading order in depth/width K is normal about the
infinitely wide network's value; its variance v and shift m in the mean obey

.. math::
    v_{l+1} = V'^2 v_l + \frac{\sigma_w^4}{N_l} (E[\phi^4] - F^2), \qquad
    m_{l+1} = V' m_l + \tfrac{1}{2} V'' v_l,

and the measured length |h|^2 / N of a layer adds 2 (q^2 + v)/N (cf. Hanin and Rolnick,
arXiv:1803.01719; Yaida, arXiv:1910.00019).

Two inputs of equal length q have three such averages: s = (K_11 + K_22)/2, t = (K_11 - K_22)/2
and d = (K_11 + K_22)/2 - K_12.  t is odd under exchange of the inputs and decouples; s and d
follow s' = V(s) and d' = sigma_w^2 D(s, d/s).  The correlation is one minus
(d - t^2/(2 s))/s: written with d nothing cancels where inputs are close.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.memory import refuse_beyond_memory
from spinnet.propagation.activations import Activation
from spinnet.propagation.averages import gaussian_average, mesh_of, panel_nodes, split_panels
from spinnet.propagation.gaussian import MeanField
from spinnet.validation import finite_float, integer, positive_float

Array = NDArray[np.float64]

_TRUSTED = 0.1  # relative variance of K up to which the leading order is good; see `reliable`
# central differences of order 8 at -4, ..., 4; V'' and its kin are good to 1e-11
_STEP = 0.05
_OFFSETS = np.arange(-4, 5)
_FIRST = np.array([3, -32, 168, -672, 0, 672, -168, 32, -3]) / 840
_SECOND = np.array([-9, 128, -1008, 8064, -14350, 8064, -1008, 128, -9]) / 5040
_MOST_SIGMA = 100.0
_REACH = 9.0  # in standard deviations: what is beyond has weight 1e-18
_PANEL = 1.5
_SMALLEST, _LARGEST = 1e-100, 1e100  # lengths whose squares are numbers


@dataclass(frozen=True)
class Band:
    """Where a random quantity of one network lies, layer by layer; arrays of shape (depth + 1,).

    Attributes
    ----------
    mean, sd : ndarray
        Mean and standard deviation over networks.
    low, high : ndarray
        `n_sigma` standard deviations below and above.
    """

    mean: Array
    sd: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class FiniteWidthBand:
    """Scatter of finite networks about the infinitely wide one; arrays of shape (depth + 1,).

    Attributes
    ----------
    widths : ndarray of int
        Units of layers 0, ..., depth.
    n_sigma : float
    q : ndarray
        Length in the infinitely wide network.
    kernel_variance, kernel_shift : ndarray
        Variance of K, and what finite width adds to its mean.
    length : Band
        The measured length |h|^2 / N; the band is that of a log-normal law.
    c, one_minus_c : ndarray or None
        Correlation in the infinitely wide network, and its distance from 1; None without `c0`.
    correlation_kernel_variance : ndarray or None
        Variance of the correlation of K.
    correlation : Band or None
        The measured correlation h_1.h_2 / (|h_1| |h_2|); the band is normal in artanh(c).
    reliable : ndarray of bool
        Whether K scatters little enough for the leading order in depth/width, which this is:
        relative variance below 0.1, and that of 1 - c^2 likewise.  Variances are then right to
        5 per cent for tanh, erf, hard tanh and ReLU, and to 20 for GELU (by simulation).
    is_exact : bool
        Whether mean and variance of the length hold at every width: homogeneous activations.
    """

    widths: NDArray[np.int64]
    n_sigma: float
    q: Array
    kernel_variance: Array
    kernel_shift: Array
    length: Band
    c: Array | None
    one_minus_c: Array | None
    correlation_kernel_variance: Array | None
    correlation: Band | None
    reliable: NDArray[np.bool_]
    is_exact: bool

    @property
    def reliable_depth(self) -> int:
        """The last layer up to which every layer is `reliable`."""
        bad = np.flatnonzero(~self.reliable)
        return int(bad[0]) - 1 if bad.size else len(self.q) - 1


@dataclass(frozen=True)
class FiniteWidthGradient:
    """Scatter of squared gradients over networks; arrays of shape (depth + 1,).

    Attributes
    ----------
    widths : ndarray of int
    mean : ndarray
        |delta^l|^2 / |delta^depth|^2 at infinite width, the product of chi_1 over the layers.
    relative_variance : ndarray
        Variance over networks, divided by the square of the mean, to leading order in
        depth/width; for homogeneous activations to all orders.
    reliable : ndarray of bool
        Whether it is below 0.1, or right to all orders.
    """

    widths: NDArray[np.int64]
    mean: Array
    relative_variance: Array
    reliable: NDArray[np.bool_]


def finite_width_band(
    net: MeanField,
    width: int | Sequence[int],
    depth: int,
    *,
    q0: float | None = None,
    c0: float | None = None,
    n_sigma: float = 2.0,
) -> FiniteWidthBand:
    """Return how far single networks of finite width scatter about the theory.

    Layer 0 is the first layer of pre-activations, normal of variance `q0` exactly, as an affine
    layer of random weights makes it from a given input; layers 1, ..., depth follow.

    Parameters
    ----------
    net : MeanField
        Without noise.
    width : int or sequence of int
        Units of each layer; a sequence has depth + 1 numbers.
    depth : int
    q0 : float, optional
        Length of layer 0, > 0; the default is q_star.
    c0 : float, optional
        Correlation, in [-1, 1], of two inputs of the length `q0` in layer 0; bands for it are
        made where it is given.
    n_sigma : float
        Half width of the bands in standard deviations, > 0; at most 100.

    Returns
    -------
    FiniteWidthBand

    Raises
    ------
    InputError
        If `net` has noise, q_star is no length and `q0` was not given, lengths leave
        [1e-100, 1e100] on the way, or a number is out of range.

    Notes
    -----
    Weights are Gaussian.  Derivatives by the length are differences of order 8 of closed forms,
    good to 1e-11; two-dimensional averages are good to 1e-10.

    Examples
    --------
    >>> net = MeanField("relu", sigma_w=2.0**0.5, sigma_b=0.0)
    >>> band = finite_width_band(net, width=100, depth=3, q0=1.0)
    >>> band.kernel_variance.round(6)  # (1 + 5/N)^l - 1
    array([0.      , 0.05    , 0.1025  , 0.157625])
    """
    depth, widths, q0 = _prepared(net, width, depth, q0)
    n_sigma = positive_float("n_sigma", n_sigma)
    if n_sigma > _MOST_SIGMA:
        raise InputError(f"n_sigma must be at most {_MOST_SIGMA:g}, got {n_sigma:g}")
    q = _lengths(net, q0, depth)
    v, m = _length_moments(net, q, widths)
    mean = q + m
    sd = np.sqrt(v + 2 * (mean**2 + v) / widths)
    spread = np.exp(n_sigma * sd / q)
    length = Band(mean, sd, mean / spread, mean * spread)
    exact = net.activation.kernel.homogeneous
    reliable = np.full(depth + 1, True) if exact else v <= _TRUSTED * q**2
    c = epsilon = kernel_variance = None
    correlation: Band | None = None
    if c0 is not None:
        c0 = finite_float("c0", c0)
        if abs(c0) > 1:
            raise InputError(f"c0 must be in [-1, 1], got {c0}")
        epsilon, kernel_variance, mean, sd = _correlation_moments(net, q, 1 - c0, widths)
        c = 1 - epsilon
        c[0] = c0
        width_of_z = epsilon * (2 - epsilon)  # d artanh(c) = dc / (1 - c^2)
        correlation = _fisher_band(mean, sd, width_of_z, n_sigma)
        reliable &= kernel_variance <= _TRUSTED * width_of_z**2
    return FiniteWidthBand(
        widths=widths,
        n_sigma=n_sigma,
        q=q,
        kernel_variance=v,
        kernel_shift=m,
        length=length,
        c=c,
        one_minus_c=epsilon,
        correlation_kernel_variance=kernel_variance,
        correlation=correlation,
        reliable=reliable,
        is_exact=exact,
    )


def finite_width_gradient(
    net: MeanField, width: int | Sequence[int], depth: int, *, q0: float | None = None
) -> FiniteWidthGradient:
    r"""Return how far the squared gradients of single networks scatter.

    With z_i normal, |delta^l|^2 = |delta^{l+1}|^2 X_l and X_l = (sigma_w^2/N_l) sum_i
    phi'(h_i^l)^2 z_i^2, whose relative variance at given K is (3 E[phi'^4]/E[phi'^2]^2 - 1)/N_l.
    X_l follows K^l by d ln(chi_1)/dq, and is correlated with K^{l+1}, which is an average over
    the same units.  ReLU: 5/N per layer, as for its length.

    Parameters
    ----------
    net, width, depth, q0
        As in :func:`finite_width_band`.

    Returns
    -------
    FiniteWidthGradient

    Raises
    ------
    InputError
        As in :func:`finite_width_band`.

    Notes
    -----
    The gradient delta^depth by the last layer's pre-activations is given, and the weights of the
    backward pass count as independent of the forward pass, as at infinite width.
    """
    depth, widths, q0 = _prepared(net, width, depth, q0)
    q = _lengths(net, q0, depth)
    activation, kernel, w = net.activation, net.activation.kernel, net.sigma_w**2
    second, slope = kernel.second_moment(q), kernel.slope_moment(q)

    def powers(h: Array) -> Array:
        f2, g2 = activation(h) ** 2, activation.derivative(h) ** 2
        return np.stack([f2 * f2, f2 * g2, g2 * g2])

    fourth, mixed, slope_fourth = gaussian_average(powers, q, activation=activation)
    gain = w * kernel.second_moment_slope(q)
    response = _log_derivative(kernel.slope_moment, q) / (q * slope)
    noise = w * w * (fourth - second**2) / widths
    shared = w * (mixed / slope - second) / widths
    own = (3 * slope_fourth / slope**2 - 1) / widths
    v, _ = _length_moments(net, q, widths, exact=False)
    variance = np.zeros(depth + 1)
    for start in range(depth):
        here, cross, total = float(v[start]), 0.0, 0.0
        for k in range(start, depth):  # K^k and ln of the growth from layer `start` to k
            total += 2 * response[k] * cross + response[k] ** 2 * here + own[k]
            cross = gain[k] * (cross + response[k] * here) + shared[k]
            here = gain[k] ** 2 * here + noise[k]
        variance[start] = total
    if kernel.homogeneous:  # X_l are independent
        variance[:-1] = np.cumprod(1 + own[-2::-1])[::-1] - 1
    factors = np.append(w * slope[:-1], 1.0)
    mean = np.cumprod(factors[::-1])[::-1]
    return FiniteWidthGradient(widths, mean, variance, (variance <= _TRUSTED) | kernel.homogeneous)


# ------------------------------------------------------------------ one input
def _length_moments(
    net: MeanField, q: Array, widths: NDArray[np.int64], *, exact: bool = True
) -> tuple[Array, Array]:
    """Return variance of K and shift of its mean, layer by layer."""
    activation, kernel, w = net.activation, net.activation.kernel, net.sigma_w**2
    slope = w * kernel.second_moment_slope(q)
    bend = w * _log_derivative(kernel.second_moment_slope, q) / q
    fourth = gaussian_average(lambda h: activation(h) ** 4, q, activation=activation)
    noise = w * w * (fourth - kernel.second_moment(q) ** 2) / widths
    closed = exact and kernel.homogeneous  # noise ~ K^2: its mean over K is known
    v, m = np.zeros_like(q), np.zeros_like(q)
    for k in range(len(q) - 1):
        spread = 1 + v[k] / q[k] ** 2 if closed else 1.0
        v[k + 1] = slope[k] ** 2 * v[k] + noise[k] * spread
        m[k + 1] = slope[k] * m[k] + (0.0 if kernel.homogeneous else bend[k] * v[k] / 2)
    return v, m


def _log_derivative(f: Callable[[Array], Array], q: Array) -> Array:
    """Return q f'(q)."""
    stencil = q[:, None] * np.exp(_STEP * _OFFSETS)
    return np.asarray(f(stencil) @ _FIRST / _STEP)


# ------------------------------------------------------------------ two inputs
class _Map(NamedTuple):
    """Derivatives of s' and d' by s, t and d, and the noise of one layer of one unit."""

    s_s: Array
    s_ss: Array
    d_s: Array
    d_d: Array
    d_ss: Array
    d_sd: Array
    d_dd: Array
    d_tt: Array
    noise: Array  # shape (4, n_layers): variances of s, d, t and covariance of s and d


def _correlation_moments(
    net: MeanField, q: Array, epsilon0: float, widths: NDArray[np.int64]
) -> tuple[Array, Array, Array, Array]:
    """Return 1 - c, the variance of K's correlation, mean of 1 - c and sd of the measured one."""
    epsilon = np.empty_like(q)
    epsilon[0] = epsilon0
    for k in range(len(q) - 1):
        deficit = net.sigma_w**2 * float(net.activation.kernel.deficit(q[k], epsilon[k]))
        epsilon[k + 1] = min(max(deficit / q[k + 1], 0.0), 2.0)
    opposite = epsilon0 == 2 and net.activation.kernel.odd and net.sigma_b == 0
    if epsilon0 == 0 or opposite:  # the same in every network
        zero = np.zeros_like(q)
        return epsilon, zero, epsilon, zero
    maps = _pair_map(net, q[:-1], epsilon[:-1])
    ss, dd, tt, sd, ms, md = (np.zeros_like(q) for _ in range(6))
    for k in range(len(q) - 1):
        n = widths[k]
        f = _Map(*(a[..., k] for a in maps))
        ss[k + 1] = f.s_s**2 * ss[k] + f.noise[0] / n
        tt[k + 1] = f.s_s**2 * tt[k] + f.noise[2] / n
        sd[k + 1] = f.s_s * (f.d_s * ss[k] + f.d_d * sd[k]) + f.noise[3] / n
        dd[k + 1] = f.d_s**2 * ss[k] + 2 * f.d_s * f.d_d * sd[k] + f.d_d**2 * dd[k] + f.noise[1] / n
        ms[k + 1] = f.s_s * ms[k] + f.s_ss * (ss[k] + tt[k]) / 2
        bend = f.d_ss * ss[k] + 2 * f.d_sd * sd[k] + f.d_dd * dd[k] + f.d_tt * tt[k]
        md[k + 1] = f.d_s * ms[k] + f.d_d * md[k] + bend / 2
    kernel_variance = _epsilon_variance(q, epsilon, ss, sd, dd)
    # the measured averages add the sampling of N normal pairs (Wishart's law)
    d = q * epsilon
    p = q - d
    ss, tt = ss + (q * q + p * p) / widths, tt + (q * q - p * p) / widths
    sd, dd = sd + d * d / widths, dd + 2 * d * d / widths
    mean = epsilon + (md - epsilon * ms) / q + (epsilon * ss - sd - (1 - epsilon) * tt / 2) / q**2
    return epsilon, kernel_variance, mean, np.sqrt(_epsilon_variance(q, epsilon, ss, sd, dd))


def _epsilon_variance(q: Array, epsilon: Array, ss: Array, sd: Array, dd: Array) -> Array:
    return np.asarray(np.maximum(dd - 2 * epsilon * sd + epsilon**2 * ss, 0) / q**2)


def _pair_map(net: MeanField, q: Array, epsilon: Array) -> _Map:
    """Return the expansion of one layer about (s, t, d) = (q, 0, q epsilon), layer by layer.

    d' = sigma_w^2 D.  Derivatives at fixed d follow from those at fixed epsilon; D_tt from D_ss
    and D_sd because the density of a pair obeys the heat equations of its covariance.
    """
    kernel, w = net.activation.kernel, net.sigma_w**2
    stencil, column = q[:, None] * np.exp(_STEP * _OFFSETS), epsilon[:, None]
    deficits = kernel.deficit(*np.broadcast_arrays(stencil, column))
    d_q = deficits @ _FIRST / _STEP / q
    d_qq = deficits @ _SECOND / _STEP**2 / q**2 - d_q / q
    slope = kernel.slope_overlap(q, q, epsilon)
    slopes = kernel.slope_overlap(stencil, stencil, np.broadcast_to(column, stencil.shape))
    slope_q = slopes @ _FIRST / _STEP / q
    # with kinks it diverges at c = -1, which only layer 0 can have: nothing scatters there yet
    bend = kernel.curvature_overlap(q, q, np.where(epsilon == 2, 1.0, epsilon))
    d_ss = d_qq - 2 * epsilon * slope_q - epsilon**2 * bend
    d_sd = slope_q + epsilon * bend
    return _Map(
        s_s=w * kernel.second_moment_slope(q),
        s_ss=w * _log_derivative(kernel.second_moment_slope, q) / q,
        d_s=w * (d_q - epsilon * slope),
        d_d=w * slope,
        d_ss=w * d_ss,
        d_sd=w * d_sd,
        d_dd=-w * bend,
        d_tt=w * (d_ss + 2 * d_sd),
        noise=w * w * np.stack([_noise(net, *x) for x in zip(q, epsilon, strict=True)], axis=-1)
        if len(q)
        else np.zeros((4, 0)),
    )


def _noise(net: MeanField, q: float, epsilon: float) -> Array:
    """Return variances of (phi_1^2 + phi_2^2)/2, (phi_1 - phi_2)^2/2, (phi_1^2 - phi_2^2)/2.

    The fourth number is the covariance of the first two.
    """
    activation, kernel = net.activation, net.activation.kernel
    second, deficit = float(kernel.second_moment(q)), float(kernel.deficit(q, epsilon))
    u1, u2, weight = _pair_nodes(activation, q, epsilon)
    f1, f2 = activation(u1), activation(u2)
    s, d, t = (f1 * f1 + f2 * f2) / 2, (f1 - f2) ** 2 / 2, (f1 * f1 - f2 * f2) / 2
    total = np.array([np.sum(weight * a) for a in (s * s, d * d, t * t, s * d)])
    return np.asarray(total - [second**2, deficit**2, 0, second * deficit])


def _pair_nodes(activation: Activation, q: float, epsilon: float) -> tuple[Array, Array, Array]:
    """Return nodes u1, u2 and weights for two normals of variance q and correlation 1 - epsilon.

    u2 given u1 is normal of mean c u1 and variance q (1 - c^2).  Its panels end where phi has
    structure; those of u1 also shrink towards the kinks, which the average over u2 has smoothed
    on the scale of its standard deviation.
    """
    sigma, c = math.sqrt(q), 1 - epsilon
    width = sigma * math.sqrt(epsilon * (2 - epsilon))
    mesh = mesh_of(activation)
    structure = mesh.edges(_REACH * sigma)
    outer = [structure, -structure]
    if 0 < width < sigma:
        offsets = width * 2.0 ** np.arange(-1, math.ceil(math.log2(sigma / width)) + 1)
        near = np.concatenate([-offsets, offsets])
        outer += [sign * kink + near for sign in (-1, 1) for kink in mesh.kinks]
    edges = np.unique(np.concatenate(outer))
    edges = edges[np.abs(edges) <= _REACH * sigma]
    nodes, weights = panel_nodes(*split_panels(edges, _PANEL * sigma))
    u1 = nodes.ravel()
    w1 = weights.ravel() * np.exp(-((u1 / sigma) ** 2) / 2)
    w1 /= w1.sum()
    if width == 0:
        return u1, math.copysign(1.0, c) * u1, w1
    mean = c * u1[:, None]
    spread = _REACH * width
    inner = np.concatenate(
        [
            mean + width * np.linspace(-_REACH, _REACH, math.ceil(2 * _REACH / _PANEL) + 1),
            np.clip(structure, mean - spread, mean + spread),
        ],
        axis=1,
    )
    inner.sort(axis=1)
    gaps = np.diff(inner, axis=1)
    row, panel = np.nonzero(gaps > 0)
    u2, w2 = panel_nodes(inner[row, panel], gaps[row, panel])
    w2 = w2 * np.exp(-(((u2 - mean[row]) / width) ** 2) / 2) / (width * math.sqrt(2 * math.pi))
    return np.broadcast_to(u1[row, None], u2.shape), u2, w1[row, None] * w2


def _fisher_band(epsilon: Array, sd: Array, width_of_z: Array, n_sigma: float) -> Band:
    """Return the band that is normal in z = artanh(c), from the mean of epsilon = 1 - c."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.clip(epsilon, 0, 2)
        z = (np.log(2 - inside) - np.log(inside)) / 2
        half = np.where(width_of_z > 0, n_sigma * sd / width_of_z, 0.0)
        return Band(1 - epsilon, sd, np.tanh(z - half), np.tanh(z + half))


# ------------------------------------------------------------------ arguments
def _prepared(
    net: MeanField, width: int | Sequence[int], depth: int, q0: float | None
) -> tuple[int, NDArray[np.int64], float]:
    if not isinstance(net, MeanField):
        raise InputError(f"net must be a MeanField, got {type(net).__name__}")
    if net.is_noisy:
        raise InputError(f"net must have no noise here, got {net!r}")
    depth = integer("depth", depth, minimum=0)
    refuse_beyond_memory(200.0 * depth, f"depth = {depth}", "take fewer layers")
    if isinstance(width, Sequence | np.ndarray):
        if len(width) != depth + 1:
            raise InputError(
                f"width must be one number or depth + 1 = {depth + 1} of them, got {len(width)}"
            )
        widths = np.array([integer("width", n, minimum=1) for n in width], dtype=np.int64)
    else:
        widths = np.full(depth + 1, integer("width", width, minimum=1), dtype=np.int64)
    if q0 is not None:
        return depth, widths, positive_float("q0", q0)
    if not (math.isfinite(net.q_star) and net.q_star > 0):
        raise InputError(f"q0 must be given where q_star is {net.q_star}: {net!r}")
    return depth, widths, net.q_star


def _lengths(net: MeanField, q0: float, depth: int) -> Array:
    """Return the lengths of the infinitely wide network, all within what can be squared."""
    with np.errstate(over="ignore", under="ignore"):
        q = net.propagate_length(q0, depth)
    bad = np.flatnonzero(~((q >= _SMALLEST) & (q <= _LARGEST)))
    if bad.size:
        raise InputError(
            f"depth must be at most {int(bad[0]) - 1} here: the length of layer {int(bad[0])} is "
            f"{q[bad[0]]:g}, outside [{_SMALLEST:g}, {_LARGEST:g}]"
        )
    return q
