"""Mean-field theory of signals in random deep networks with Gaussian weights.

h^l = W^l phi(h^{l-1}) + b^l with W_ij ~ N(0, sigma_w^2 / fan-in) and b_i ~ N(0, sigma_b^2).  In a
wide layer the pre-activations are Gaussian; their variance q and the correlation c of two inputs
follow one-dimensional maps (Poole et al., arXiv:1606.05340; Schoenholz et al., arXiv:1611.01232).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.correlation import stable_epsilon
from spinnet.propagation.length import FAR, FixedPoint, LengthMap
from spinnet.propagation.noise import Noise, resolve_noise
from spinnet.propagation.scales import depth_scale
from spinnet.validation import correlations, finite_array, integer, positive_array, positive_float

if TYPE_CHECKING:
    from spinnet.propagation.finite_width import FiniteWidthBand, FiniteWidthGradient
    from spinnet.propagation.geometry.curves import Curve
    from spinnet.propagation.gradients import CriticalDecay, GradientProfile
    from spinnet.propagation.jacobian import JacobianSpectrum

Array = NDArray[np.float64]

_ROUNDING = 8 * float(np.finfo(float).eps)
_CRITICAL = 1e-13  # |chi_1 - 1| below which a double cannot tell the phases apart
_LIMIT = 1e-100  # stands for the limit q -> 0 of the correlation map
_POWER = 1e-3  # there C'(1) is the power of phi at 0, up to rounding
_LARGEST, _SMALLEST = 1e12, 1e-60
_DEEPEST = 10**8


class MeanField:
    """Signal propagation in an infinitely wide random network.

    Parameters
    ----------
    activation : str or Activation
        A name ("tanh", "erf", "relu", "leaky_relu", "hard_tanh", "sigmoid", "softplus", "gelu",
        "silu", "selu", "sin", "linear") or an :class:`Activation` of your own.
    sigma_w, sigma_b : float
        Standard deviations: weights have variance sigma_w^2 / fan-in, biases sigma_b^2.
    keep : float
        Dropout: the probability to keep an activation, in (0, 1]; 1 is no dropout.
    noise : Dropout, MultiplicativeGaussian or AdditiveGaussian, optional
        Noise on the activations, instead of `keep`.
    q0 : float, optional
        Length of the first layer, which selects the fixed point where there are several; the
        default is that of inputs of unit mean square, sigma_w^2 + sigma_b^2.
    sigma_w2, sigma_b2 : float, optional
        Variances, instead of `sigma_w` and `sigma_b`.

    Attributes
    ----------
    q_star : float
        Fixed point of the length map that `q0` flows to.  0 where signals die out, inf where they
        grow for ever, NaN where every length is fixed and `q0` was not given (`is_marginal`).
    chi_q, chi_1 : float
        Slope of the length map at q_star, and of the correlation map at c = 1.
    c_star, one_minus_c_star : float
        Stable fixed point of the correlation map, and its distance from 1 to relative accuracy.
    chi_c, one_minus_chi_c : float
        Slope of the correlation map there, and its distance from 1 to relative accuracy.
    xi_q, xi_c, xi_grad : float
        Depth scales in layers: -1/ln of |chi_q|, |chi_c| and the growth of squared gradients per
        layer.  Negative where the fixed point is unstable or gradients explode; infinite at
        criticality.
    phase : str
        "ordered", "chaotic" or "critical" by chi_1; "noisy" where independent noise leaves no
        transition; "marginal" and "unbounded" where q_star is NaN or infinite.

    Raises
    ------
    InputError
        For an unknown activation, a negative or non-finite parameter, or `keep` outside (0, 1].

    Notes
    -----
    Where q_star is 0 the correlation map is its limit q -> 0, and chi_1 and chi_c are the factors
    by which variance and covariance shrink per layer.  Where q_star is infinite, c_star,
    chi_c and xi_c are NaN, and so are the other slopes and scales unless the activation is
    homogeneous, so that they do not depend on q; where it is NaN (`is_marginal`), all of them
    exist for that reason.

    With noise, chi_1 = C'(1) and squared gradients grow by `gradient_factor` per layer, which is
    chi_1 / keep for dropout with independent masks.

    Examples
    --------
    >>> net = MeanField("tanh", sigma_w=2.5, sigma_b=0.3)
    >>> net.phase
    'chaotic'
    >>> round(net.c_star, 5), round(net.xi_c, 3)
    (0.1221, 5.109)
    """

    def __init__(
        self,
        activation: str | Activation,
        sigma_w: float | None = None,
        sigma_b: float | None = None,
        keep: float = 1.0,
        *,
        noise: Noise | None = None,
        q0: float | None = None,
        sigma_w2: float | None = None,
        sigma_b2: float | None = None,
    ) -> None:
        self.activation = get_activation(activation)
        self.sigma_w, self._w2 = _deviation("sigma_w", sigma_w, sigma_w2)
        self.sigma_b, self._b2 = _deviation("sigma_b", sigma_b, sigma_b2)
        self.noise = resolve_noise(keep, noise)
        self.q0 = None if q0 is None else positive_float("q0", q0, zero=True)
        if self.q0 is not None and self.q0 > _LARGEST:
            raise InputError(f"q0 must be at most {_LARGEST:g}, got {self.q0:g}")
        self._kernel = self.activation.kernel
        factor, offset = self.noise.variance_factor, self.noise.variance_offset
        # variances seen by one input, and by the covariance of two
        self._w, self._b = self._w2 * factor, self._b2 + self._w2 * offset
        self._pair_w = self._w if self.noise.shared else self._w2
        self._pair_b = self._b if self.noise.shared else self._b2

    def __getstate__(self) -> dict[str, Any]:
        # kernels hold caches and functions; the activation makes its own again
        return {k: v for k, v in self.__dict__.items() if k not in ("_kernel", "_length")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._kernel = self.activation.kernel

    def __repr__(self) -> str:
        noise = "" if not self.is_noisy else f", noise={self.noise}"
        return (
            f"MeanField({self.activation.name!r}, sigma_w={self.sigma_w:g}, "
            f"sigma_b={self.sigma_b:g}{noise})"
        )

    def summary(self) -> str:
        """Return the point's numbers and what they mean, as text."""
        settled = 0 < self.q_star < math.inf
        slope = "slope of the correlation map" if settled else "covariance per layer"
        rows = [
            ("q*", self.q_star, "length of signals"),
            ("chi_q", self.chi_q, "slope of the length map there"),
            ("c*", self.c_star, "correlation that any two inputs end at"),
            ("chi_1", self.chi_1, f"{slope} at c = 1"),
            ("chi_c", self.chi_c, f"{slope} at c*"),
            ("xi_q", self.xi_q, "layers, e-fold of the length"),
            ("xi_c", self.xi_c, "layers, e-fold of the correlation"),
            ("xi_grad", self.xi_grad, "layers, e-fold of gradients (negative: they explode)"),
        ]
        lines = [f"{self!r}: {self.phase}"]
        lines += [f"  {name:<8}{value:>14.6g}  {meaning}" for name, value, meaning in rows]
        others = [p for p in self.fixed_points() if p.q != self.q_star]
        for point in others:
            kind = "stable" if point.stable else "unstable"
            lines.append(f"  another fixed point of the length, {kind}: q = {point.q:.6g}")
        return "\n".join(lines)

    @property
    def is_noisy(self) -> bool:
        """Whether there is any noise on the activations."""
        return self.noise.variance_factor != 1 or self.noise.variance_offset != 0

    @property
    def keep(self) -> float:
        """Probability to keep an activation; 1 for noise other than dropout."""
        return float(getattr(self.noise, "keep", 1.0))

    # ------------------------------------------------------------------ lengths
    def length_map(self, q: ArrayLike) -> Array:
        """Return V(q), the variance of the next layer (Poole et al., eq. 3)."""
        return self._length.value(positive_array("q", q, zero=True))

    def length_map_slope(self, q: ArrayLike) -> Array:
        """Return V'(q), in the form that is right for kinked activations too."""
        return self._length.slope(positive_array("q", q, zero=True))

    @cached_property
    def _length(self) -> LengthMap:
        return LengthMap(self._kernel, self._w, self._b, self._excess_at_zero)

    @cached_property
    def _reach(self) -> float:
        """sigma_w phi'(0)."""
        return self.sigma_w * float(self.activation.derivative(np.zeros(1))[0])

    @cached_property
    def _excess_at_zero(self) -> float:
        """W phi'(0)^2 - 1, without its cancellation."""
        factor = self.noise.variance_factor
        return factor * (self._reach - 1) * (self._reach + 1) + (factor - 1)

    def fixed_points(self) -> tuple[FixedPoint, ...]:
        """Return all fixed points of the length map in [0, 1e12], increasing.

        Empty where there is none, or where every q is one (`is_marginal`).
        """
        if self.is_marginal:
            return ()
        roots = self._length.positive_roots()
        if self._length.has_zero():
            roots = [0.0, *roots]
        points = []
        for q in roots:
            slope, chi_1 = self._slopes(q)
            points.append(FixedPoint(q, slope, chi_1, self._is_stable(q, slope)))
        return tuple(points)

    def _slopes(self, q: float) -> tuple[float, float]:
        """Return chi_q and chi_1 at a fixed point."""
        if q == 0 and 0.0 not in self.activation.kinks:  # exact where sigma_w phi'(0) = 1
            square, factor = self._reach**2, self.noise.variance_factor
            return factor * square, (factor if self.noise.shared else 1.0) * square
        chi_1 = self._pair_w * float(self._kernel.slope_moment(q))
        return float(self._length.slope(q)), chi_1

    def _is_stable(self, q: float, slope: float) -> bool:
        if q == 0 and abs(slope - 1) <= _CRITICAL:  # decided by the curvature of V
            tiny = 1e-3
            return float(self._length.excess(tiny)) < 0
        return abs(slope) < 1

    @property
    def is_marginal(self) -> bool:
        """Whether every length is a fixed point: ReLU at sigma_w^2 = 2, sigma_b = 0."""
        return self._length.is_marginal

    @cached_property
    def q_star(self) -> float:
        """Fixed point of the length map that `q0` flows to."""
        if self.is_marginal and self.q0 is None:
            return math.nan
        return self._length.target(self._w2 + self._b2 if self.q0 is None else self.q0)

    @cached_property
    def _q(self) -> float:
        """The q at which averages are taken: q_star, or any q where they do not depend on it."""
        if self._kernel.homogeneous and not math.isfinite(self.q_star):
            return 1.0
        return math.nan if math.isinf(self.q_star) else self.q_star

    @cached_property
    def chi_q(self) -> float:
        """Slope of the length map at q_star."""
        return math.nan if math.isnan(self._q) else self._slopes(self._q)[0]

    # ------------------------------------------------------------------ correlations
    @cached_property
    def _pair_floor(self) -> float:
        """What independent noise adds to the variance and not the covariance: q (1 - C(1))."""
        extra = (self._w - self._pair_w) * float(self._kernel.second_moment(self._pair_q))
        return extra + self._b - self._pair_b

    @cached_property
    def _pair_q(self) -> float:
        return self._q if self._q > 0 else _LIMIT

    def correlation_map(self, c: ArrayLike) -> Array:
        """Return C(c), the correlation after one more layer, both lengths at q_star.

        Raises
        ------
        InputError
            If a correlation is outside [-1, 1].
        """
        c = correlations("c", c)
        return np.asarray(1 - self.distance_map(1 - c))

    def distance_map(self, epsilon: ArrayLike) -> Array:
        """Return 1 - C(1 - epsilon), to relative accuracy next to c = 1.

        Raises
        ------
        InputError
            If a distance is outside [0, 2].
        """
        epsilon = finite_array("epsilon", epsilon)
        bad = (epsilon < 0) | (epsilon > 2)
        if bad.any():
            raise InputError(f"epsilon must be in [0, 2], got {float(epsilon[bad].ravel()[0])}")
        return self._distance(epsilon)

    def _distance(self, epsilon: Array) -> Array:
        if math.isnan(self._q):
            return np.full(np.shape(epsilon), math.nan)
        if math.isinf(self.q_star):  # homogeneous: biases and additive noise are drowned
            q = 1.0
            lost = self._pair_w * self._kernel.deficit(q, epsilon)
            extra = (self._w - self._pair_w) * float(self._kernel.second_moment(q))
            return np.asarray((lost + extra) / (self._w * float(self._kernel.second_moment(q))))
        q = self._pair_q
        size = q if self.q_star > 0 else float(self._length.value(q))
        if size == 0:  # nothing arrives: all signals are the same
            return np.zeros(np.shape(epsilon))
        value = self._pair_w * self._kernel.deficit(q, epsilon) + self._pair_floor
        return np.asarray(np.clip(value / size, 0, 2))

    def correlation_slope(self, c: ArrayLike) -> Array:
        """Return chi(c) = C'(c) at q_star (Poole et al., eq. 7).

        Where q_star is 0 or infinite, the factor of the covariance per layer.
        """
        c = correlations("c", c)
        if math.isnan(self._q):
            return np.full(c.shape, math.nan)
        q = self._pair_q
        return np.asarray(self._pair_w * self._kernel.slope_overlap(q, q, 1 - c))

    @cached_property
    def chi_1(self) -> float:
        """Slope of the correlation map at c = 1: sigma_w^2 E[phi'^2]."""
        return math.nan if math.isnan(self._q) else self._slopes(self._q)[1]

    @cached_property
    def one_minus_c_star(self) -> float:
        """1 - c_star, to relative accuracy."""
        if math.isnan(self._q) or math.isinf(self.q_star):
            return math.nan
        q, floor, chi_1 = self._pair_q, self._pair_floor, self.chi_1
        share = 1.0
        if self.q_star == 0:
            size = float(self._length.value(q))
            if size == 0:
                return 0.0
            share = q / size
            chi_1 = self._pair_w * float(self._kernel.slope_moment(q)) * share
            # C(c) = c in this limit, but like c^n for phi = x^n, which leaves c = 1
            if floor == 0 and chi_1 <= 1 + _POWER:
                return 0.0
        elif floor == 0 and abs(chi_1 - 1) <= _ROUNDING and not self._is_odd_map:
            return 0.0
        if self._is_odd_map:
            return 1.0
        return float(stable_epsilon(self._kernel, q, self._pair_w * share, floor * share, chi_1))

    @property
    def _is_odd_map(self) -> bool:
        """Whether C(0) = 0 and c = 0 is stable unless the length is 0 and there is no noise.

        Without noise chi_1 > 1 wherever q_star > 0, because q E[phi'^2] > E[phi^2] then.
        """
        return self._kernel.odd and not self._kernel.homogeneous and self._pair_b == 0

    @cached_property
    def c_star(self) -> float:
        """Stable fixed point of the correlation map."""
        return 1 - self.one_minus_c_star

    @cached_property
    def chi_c(self) -> float:
        """Slope of the correlation map at c_star."""
        epsilon = self.one_minus_c_star
        if math.isnan(epsilon):
            return math.nan
        if epsilon == 0:
            return self.chi_1
        q = self._pair_q
        return self._pair_w * float(self._kernel.slope_overlap(q, q, epsilon))

    @cached_property
    def one_minus_chi_c(self) -> float:
        """1 - chi_c, to relative accuracy next to criticality."""
        epsilon = self.one_minus_c_star
        if math.isnan(epsilon):
            return math.nan
        if epsilon == 0:
            return self._one_minus_chi_1
        q, floor = self._pair_q, self._pair_floor
        if self.q_star == 0:  # the covariance shrinks by chi_c per layer
            return 1 - self.chi_c
        rest = self._pair_w * float(self._kernel.remainder(q, epsilon)) + floor
        return rest / (self._pair_w * float(self._kernel.deficit(q, epsilon)) + floor)

    @cached_property
    def _one_minus_chi_1(self) -> float:
        distance = self._one_minus(self.chi_1)
        return 0.0 if abs(distance) <= _ROUNDING else distance

    def _one_minus(self, slope: float) -> float:
        """Return 1 - slope, without its rounding where the slope is w phi'(0)^2."""
        if self.q_star == 0 and slope == self.noise.variance_factor * self._reach**2:
            return -self._excess_at_zero
        return 1 - slope

    # ------------------------------------------------------------------ depth scales
    @cached_property
    def xi_q(self) -> float:
        """Depth scale of the length, -1/ln|chi_q|."""
        if self.is_marginal:
            return math.inf
        return float(depth_scale(abs(self.chi_q), self._one_minus(abs(self.chi_q))))

    @cached_property
    def xi_c(self) -> float:
        """Depth scale of the correlation, -1/ln|chi_c|."""
        return float(depth_scale(self.chi_c, self.one_minus_chi_c))

    @cached_property
    def gradient_factor(self) -> float:
        """Growth of the mean squared back-propagated gradient per layer, at constant width."""
        if math.isnan(self._q):
            return math.nan
        if self._q == 0 and 0.0 not in self.activation.kinks:
            return 1 + self._excess_at_zero
        return self._w * float(self._kernel.slope_moment(self._q))

    @cached_property
    def xi_grad(self) -> float:
        """Depth scale of gradients, -1/ln(gradient_factor): negative where they explode."""
        distance = self._one_minus(self.gradient_factor)
        if abs(distance) <= _ROUNDING:
            return math.inf
        return float(depth_scale(self.gradient_factor, distance))

    @cached_property
    def phase(self) -> str:
        """The phase, in a word."""
        if math.isnan(self.q_star):
            return "marginal"
        if math.isinf(self.q_star):
            return "unbounded"
        if self.is_noisy and not self.noise.shared:
            return "noisy"
        if self._is_odd_map and self.q_star > 0:
            return "chaotic"
        if abs(self._one_minus_chi_1) <= _CRITICAL:
            return "critical"
        return "ordered" if self.chi_1 <= 1 else "chaotic"

    # ------------------------------------------------------------------ trajectories
    def propagate_length(self, q0: ArrayLike, depth: int) -> Array:
        """Return q^0, ..., q^depth, with q^0 = `q0`; shape (depth + 1, *shape of q0)."""
        q = positive_array("q0", q0, zero=True)
        depth = integer("depth", depth, minimum=0, maximum=_DEEPEST)
        path = np.empty((depth + 1, *q.shape))
        path[0] = q
        for layer in range(depth):
            path[layer + 1] = self._length.value(path[layer])
        return path

    def propagate_correlation(
        self,
        c0: ArrayLike,
        depth: int,
        *,
        q1: ArrayLike | None = None,
        q2: ArrayLike | None = None,
    ) -> Array:
        """Return c^0, ..., c^depth, with c^0 = `c0`; shape (depth + 1, *broadcast shape).

        Parameters
        ----------
        c0 : array_like
            Correlations in [-1, 1].
        depth : int
        q1, q2 : array_like, optional
            Lengths of the two inputs in layer 0; the default is q_star for both.  With `q1`
            alone both have it.
        """
        c = correlations("c0", c0)
        depth = integer("depth", depth, minimum=0, maximum=_DEEPEST)
        if q1 is None and q2 is None:
            path = np.empty((depth + 1, *c.shape))
            path[0] = epsilon = 1 - c
            for layer in range(depth):
                path[layer + 1] = epsilon = self._distance(epsilon)
            result = 1 - path
            result[0] = c
            return result
        if q1 is None:
            raise InputError("q1 must be given where q2 is")
        first = positive_array("q1", q1)
        second = first if q2 is None else positive_array("q2", q2)
        try:
            first, second, c = (np.array(a) for a in np.broadcast_arrays(first, second, c))
        except ValueError as error:
            raise InputError(
                f"c0, q1 and q2 must broadcast, got shapes {c.shape}, {first.shape}, {second.shape}"
            ) from error
        path = np.empty((depth + 1, *c.shape))
        path[0] = c
        epsilon = 1 - c
        for layer in range(depth):
            epsilon = self._distance_between(
                np.minimum(first, FAR), np.minimum(second, FAR), epsilon
            )
            first, second = self._length.value(first), self._length.value(second)
            path[layer + 1] = 1 - epsilon
        return path

    def _distance_between(self, first: Array, second: Array, epsilon: Array) -> Array:
        """Return 1 - c of the next layer, for lengths and 1 - c of one shape."""
        size = np.sqrt(self._length.value(first)) * np.sqrt(self._length.value(second))
        dead = size == 0  # nothing arrives: all signals are the same
        size = np.where(dead, 1.0, size)
        equal = first == second
        lost = np.empty(epsilon.shape)
        if equal.any():  # next to c = 1 a difference of covariances would lose all digits
            q, e = first[equal], epsilon[equal]
            moment = self._kernel.second_moment(q)
            extra = (self._w - self._pair_w) * moment + (self._b - self._pair_b)
            lost[equal] = (self._pair_w * self._kernel.deficit(q, e) + extra) / size[equal]
        if not equal.all():
            far = ~equal
            h = self._kernel.overlap(first[far], second[far], epsilon[far])
            lost[far] = 1 - (self._pair_w * h + self._pair_b) / size[far]
        return np.asarray(np.where(dead, 0.0, lost).clip(0, 2))

    def iterations(
        self, q0: ArrayLike, tol: float = 0.01, *, limit: int = 100_000
    ) -> NDArray[np.int64]:
        """Return the number of layers after which abs(q/q_star - 1) <= `tol`, for each `q0`."""
        from spinnet.propagation.gradients import iterations

        return iterations(self, q0, tol, limit=limit)

    def max_depth(self, k: float = 6.0) -> float:
        """Return k xi_c, up to which networks train (Schoenholz et al.: k = 6)."""
        from spinnet.propagation.gradients import max_depth

        return max_depth(self, k)

    def critical_decay(self) -> CriticalDecay:
        """Return the power law 1 - c^l ~ amplitude / l^exponent at chi_1 = 1."""
        from spinnet.propagation.gradients import critical_decay

        return critical_decay(self)

    def gradient_profile(
        self, depth: int, widths: Sequence[int] | int | None = None, **options: Any
    ) -> GradientProfile:
        """Return squared gradients layer by layer; see `gradients.gradient_profile`."""
        from spinnet.propagation.gradients import gradient_profile

        return gradient_profile(self, depth, widths, **options)

    def propagate_curve(self, depth: int, q1: float | None = None) -> Curve:
        """Return length and curvature of a circle's image; see `geometry.propagate_curve`."""
        from spinnet.propagation.geometry.curves import propagate_curve

        return propagate_curve(self, depth, q1)

    def autocorrelation(self, dtheta: ArrayLike, depth: int, **options: Any) -> Array:
        """Return c^l(dtheta) along a circle's image; see `geometry.autocorrelation`."""
        from spinnet.propagation.geometry.curves import autocorrelation

        return autocorrelation(self, dtheta, depth, **options)

    def jacobian(
        self, depth: int, weights: str = "gaussian", *, q: float | None = None
    ) -> JacobianSpectrum:
        """Return the singular values of the Jacobian of `depth` layers; see `jacobian`."""
        from spinnet.propagation.jacobian import jacobian

        return jacobian(self, depth, weights, q=q)

    def finite_width_band(
        self, width: int | Sequence[int], depth: int, **options: Any
    ) -> FiniteWidthBand:
        """Return how far the lengths of finite networks scatter; see `finite_width_band`."""
        from spinnet.propagation.finite_width import finite_width_band

        return finite_width_band(self, width, depth, **options)

    def finite_width_gradient(
        self, width: int | Sequence[int], depth: int, **options: Any
    ) -> FiniteWidthGradient:
        """Return how far their gradients scatter; see `finite_width_gradient`."""
        from spinnet.propagation.finite_width import finite_width_gradient

        return finite_width_gradient(self, width, depth, **options)


def _deviation(name: str, sigma: float | None, variance: float | None) -> tuple[float, float]:
    """Return standard deviation and variance from the one that was given."""
    if (sigma is None) == (variance is None):
        given = "both" if sigma is not None else "neither"
        raise InputError(f"give {name} or {name}2 (its square), got {given}")
    if sigma is not None:
        value = positive_float(name, sigma, zero=True)
        square = value * value
    else:
        square = positive_float(f"{name}2", variance, zero=True)
        value = math.sqrt(square)
    if square > _LARGEST or (value > 0 and square < _SMALLEST):
        raise InputError(
            f"{name} must be 0 or from {math.sqrt(_SMALLEST):g} to {math.sqrt(_LARGEST):g}, "
            f"got {value:g}"
        )
    return value, square
