r"""Residual networks: x^l = x^{l-1} + V^l phi(h^l) + a^l, h^l = W^l x^{l-1} + b^l.

Weights of W and V have variances sigma_w^2 and sigma_v^2 over their fan-in, the biases b and a
sigma_b^2 and sigma_a^2.  With p = <x^2> and q = <h^2> per unit,

.. math::
    q = \sigma_w^2 p + \sigma_b^2, \qquad p' = p + \sigma_v^2 F(q) + \sigma_a^2,

and squared gradients by x grow by 1 + sigma_v^2 sigma_w^2 E[phi'(h)^2] from the output of a block
to its input (Yang and Schoenholz, arXiv:1712.08969, section 3).  Nothing is at a fixed point: p
grows for ever, like l for bounded activations, and then gradients do not grow exponentially.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.memory import refuse_beyond_memory
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.gaussian_process import half_squared_difference, one_minus_correlation
from spinnet.validation import correlations, integer, positive_array, positive_float

Array = NDArray[np.float64]

_LARGEST, _LARGEST_HOMOGENEOUS = 1e12, 1e150  # <h^2> up to which averages keep their digits
_FAR = 1e8  # q at which limits q -> infinity are read off, with that at 4 q
_EXPONENT_ERROR = 1e-2


@dataclass(frozen=True)
class ResidualTrajectory:
    """Lengths and gradients, block by block; axis 0 runs over layers.

    Attributes
    ----------
    p : ndarray, shape (depth + 1, ...)
        <x^2> of the input (index 0) and after each block.
    q : ndarray, shape (depth, ...)
        <h^2> inside block 1, ..., depth.
    gradient_factors : ndarray, shape (depth, ...)
        Growth of the squared gradient from the output of each block to its input.
    gradients : ndarray, shape (depth + 1, ...)
        Mean squared gradient by x^l over that by x^depth; the last is 1.
    """

    p: Array
    q: Array
    gradient_factors: Array
    gradients: Array


@dataclass(frozen=True)
class ResidualPair:
    """Two inputs, block by block; axis 0 runs over layers.

    Attributes
    ----------
    p1, p2 : ndarray, shape (depth + 1, ...)
        <x^2> of each input.
    c, one_minus_c : ndarray, shape (depth + 1, ...)
        Correlation of x, and its distance from 1, to relative accuracy where p1 = p2.
    gradient_factors : ndarray, shape (depth, ...)
        Growth of the covariance of the two gradients from the output of each block to its input,
        1 + sigma_v^2 sigma_w^2 E[phi'(h1) phi'(h2)].
    """

    p1: Array
    p2: Array
    c: Array
    one_minus_c: Array
    gradient_factors: Array


@dataclass(frozen=True)
class ResidualGrowth:
    """What lengths and gradients do in a network of very many blocks.

    Attributes
    ----------
    length : str
        "constant", "linear" (p ~ length_rate l) or "exponential" (ln p ~ length_rate l).
    length_rate : float
    gradient : str
        "constant", "stretched" (ln of the growth over l blocks ~ gradient_rate sqrt(l)) or
        "exponential" (~ gradient_rate l).
    gradient_rate : float
    """

    length: str
    length_rate: float
    gradient: str
    gradient_rate: float


class ResidualMeanField:
    """Signal propagation in an infinitely wide residual network.

    Parameters
    ----------
    activation : str or Activation
    sigma_w, sigma_b : float
        Standard deviations into the activation: weights sigma_w^2 / fan-in, biases sigma_b^2.
    sigma_v, sigma_a : float
        The same for the weights and biases behind the activation.

    Raises
    ------
    InputError
        For an unknown activation or a negative or non-finite parameter.

    Examples
    --------
    >>> net = ResidualMeanField("relu", sigma_w=1.0, sigma_b=0.0, sigma_v=1.0, sigma_a=0.0)
    >>> net.propagate(1.0, depth=3).p
    array([1.   , 1.5  , 2.25 , 3.375])
    """

    def __init__(
        self,
        activation: str | Activation,
        sigma_w: float,
        sigma_b: float,
        sigma_v: float = 1.0,
        sigma_a: float = 0.0,
    ) -> None:
        self.activation = get_activation(activation)
        self.sigma_w = positive_float("sigma_w", sigma_w, zero=True)
        self.sigma_b = positive_float("sigma_b", sigma_b, zero=True)
        self.sigma_v = positive_float("sigma_v", sigma_v, zero=True)
        self.sigma_a = positive_float("sigma_a", sigma_a, zero=True)
        self._kernel = self.activation.kernel

    def __repr__(self) -> str:
        return (
            f"ResidualMeanField({self.activation.name!r}, sigma_w={self.sigma_w:g}, "
            f"sigma_b={self.sigma_b:g}, sigma_v={self.sigma_v:g}, sigma_a={self.sigma_a:g})"
        )

    def pre_activation(self, p: ArrayLike) -> Array:
        """Return q = sigma_w^2 p + sigma_b^2."""
        return self._inside(positive_array("p", p, zero=True))

    def length_map(self, p: ArrayLike) -> Array:
        """Return <x^2> after one more block."""
        return self._grown(positive_array("p", p, zero=True))

    def gradient_factor(self, p: ArrayLike) -> Array:
        """Return the growth of squared gradients through a block whose input has length `p`."""
        return self._factor(self.pre_activation(p))

    def propagate(self, p0: ArrayLike, depth: int) -> ResidualTrajectory:
        """Return lengths and gradients through `depth` blocks.

        Parameters
        ----------
        p0 : array_like
            <x^2> of the input, >= 0.
        depth : int

        Returns
        -------
        ResidualTrajectory

        Raises
        ------
        InputError
            If lengths pass 1e12 on the way (1e150 for homogeneous activations, such as ReLU).
        """
        start = positive_array("p0", p0, zero=True)
        depth = integer("depth", depth, minimum=0)
        refuse_beyond_memory(40.0 * depth * start.size, f"depth = {depth}", "take fewer blocks")
        p = np.empty((depth + 1, *start.shape))
        p[0] = start
        for layer in range(depth):
            p[layer + 1] = self._checked(self._grown(p[layer]), layer)
        q = self._inside(p[:-1])
        factors = self._factor(q)
        gradients = np.ones_like(p)
        gradients[:-1] = np.cumprod(factors[::-1], axis=0)[::-1]
        return ResidualTrajectory(p, q, factors, gradients)

    def propagate_pair(
        self, c0: ArrayLike, depth: int, *, p1: ArrayLike = 1.0, p2: ArrayLike | None = None
    ) -> ResidualPair:
        r"""Return the correlation of two inputs through `depth` blocks.

        The covariance obeys p12' = p12 + sigma_v^2 E[phi(h1) phi(h2)] + sigma_a^2, where h1 and
        h2 have covariance sigma_w^2 p12 + sigma_b^2.

        Parameters
        ----------
        c0 : array_like
            Correlations of the inputs, in [-1, 1].
        depth : int
        p1, p2 : array_like
            <x^2> of the inputs, > 0; `p2` is `p1` where it is left out.

        Returns
        -------
        ResidualPair

        Raises
        ------
        InputError
            If a correlation is outside [-1, 1], or lengths pass the limit of :meth:`propagate`.
        """
        c = correlations("c0", c0)
        depth = integer("depth", depth, minimum=0)
        first = positive_array("p1", p1)
        second = first if p2 is None else positive_array("p2", p2)
        try:
            c, first, second = (np.array(a) for a in np.broadcast_arrays(c, first, second))
        except ValueError as error:
            raise InputError(
                f"c0, p1 and p2 must broadcast, got shapes {c.shape}, {first.shape}, {second.shape}"
            ) from error
        refuse_beyond_memory(40.0 * depth * c.size, f"depth = {depth}", "take fewer blocks")
        shape = (depth + 1, *c.shape)
        one, two, epsilon = (np.empty(shape) for _ in range(3))
        factors = np.empty((depth, *c.shape))
        one[0], two[0], epsilon[0] = first, second, 1 - c
        # half the mean square of x1 - x2: sums of positive terms, so that 1 - c keeps its digits
        d = (np.sqrt(first) - np.sqrt(second)) ** 2 / 2 + np.sqrt(first * second) * epsilon[0]
        for layer in range(depth):
            q1, q2 = self._inside(one[layer]), self._inside(two[layer])
            inside = one_minus_correlation(q1, q2, self.sigma_w**2 * d)
            factors[layer] = 1 + self._strength * self._kernel.slope_overlap(q1, q2, inside)
            gap = half_squared_difference(
                self._kernel, *(np.atleast_1d(a).ravel() for a in (q1, q2, inside))
            )
            d = d + self.sigma_v**2 * gap.reshape(d.shape)
            one[layer + 1] = self._checked(self._grown(one[layer]), layer)
            two[layer + 1] = self._checked(self._grown(two[layer]), layer)
            epsilon[layer + 1] = one_minus_correlation(one[layer + 1], two[layer + 1], d)
        correlation = 1 - epsilon
        correlation[0] = c
        return ResidualPair(one, two, correlation, epsilon, factors)

    def asymptotics(self) -> ResidualGrowth:
        r"""Return how lengths and gradients grow with the number of blocks.

        For large q either F(q) -> f q, and p grows by 1 + sigma_v^2 sigma_w^2 f per block, or F
        saturates, and p by sigma_v^2 F + sigma_a^2.  Either E[phi'^2] -> m, and gradients grow by
        1 + sigma_v^2 sigma_w^2 m per block, or phi' is square integrable, E[phi'^2] ->
        int phi'^2 / sqrt(2 pi q), and with p = s l the logarithm of the growth is

        .. math:: \frac{2 \sigma_v^2 \sigma_w}{\sqrt{2 \pi s}} \int \phi'(x)^2 dx\, \sqrt{l}

        (Yang and Schoenholz, arXiv:1712.08969, theorems 3.2 and 3.5: exp O(sqrt(l)) for tanh).

        Raises
        ------
        InputError
            If phi is neither bounded nor asymptotically linear on each side.
        """
        if self.sigma_v == 0 or self.sigma_w == 0:
            rate = self.sigma_v**2 * float(self._kernel.second_moment(self.sigma_b**2))
            rate += self.sigma_a**2
            return ResidualGrowth("linear" if rate else "constant", rate, "constant", 0.0)
        length, f = self._far_second_moment
        gradient, m = self._far_slope_moment
        if length == "exponential":
            rate = math.log1p(self._strength * f)
        else:
            rate = self.sigma_v**2 * f + self.sigma_a**2
        if gradient == "exponential":
            return ResidualGrowth(length, rate, gradient, math.log1p(self._strength * m))
        stretched = 2 * self.sigma_v**2 * self.sigma_w * m / math.sqrt(rate)
        return ResidualGrowth(length, rate, gradient, stretched)

    # ------------------------------------------------------------------ parts
    @property
    def _strength(self) -> float:
        return self.sigma_v**2 * self.sigma_w**2

    def _inside(self, p: Array) -> Array:
        return np.asarray(self.sigma_w**2 * p + self.sigma_b**2)

    def _grown(self, p: Array) -> Array:
        added = self.sigma_v**2 * self._kernel.second_moment(self._inside(p))
        return np.asarray(p + added + self.sigma_a**2)

    def _checked(self, p: Array, layer: int) -> Array:
        """Return `p`, unless averages can no longer be taken at that length."""
        most = _LARGEST_HOMOGENEOUS if self._kernel.homogeneous else _LARGEST
        if np.any(self._inside(p) > most):
            raise InputError(
                f"depth must be at most {layer} here: <h^2> passes {most:g} in the next block; "
                "asymptotics() has the growth law, smaller sigma_v a tamer network"
            )
        return p

    def _factor(self, q: Array) -> Array:
        return np.asarray(1 + self._strength * self._kernel.slope_moment(q))

    @cached_property
    def _far_second_moment(self) -> tuple[str, float]:
        """Return the kind of growth and the limit of F(q)/q or of F(q)."""
        near, far = (float(self._kernel.second_moment(q)) for q in (_FAR, 4 * _FAR))
        exponent = math.log(far / near) / math.log(4)
        if abs(exponent - 1) < _EXPONENT_ERROR:
            return "exponential", _limit(near / _FAR, far / (4 * _FAR))
        if abs(exponent) < _EXPONENT_ERROR:
            return "linear", _limit(near, far)
        raise InputError(
            "activation must be bounded or asymptotically linear for a growth law, got "
            f"{self.activation.name!r} with E[phi^2] ~ q^{exponent:.3f}"
        )

    @cached_property
    def _far_slope_moment(self) -> tuple[str, float]:
        """Return the kind of growth and the limit of E[phi'^2] or of sqrt(q) E[phi'^2]."""
        near, far = (float(self._kernel.slope_moment(q)) for q in (_FAR, 4 * _FAR))
        exponent = math.log(far / near) / math.log(4)
        if abs(exponent) < _EXPONENT_ERROR:
            return "exponential", _limit(near, far)
        if abs(exponent + 0.5) < _EXPONENT_ERROR:
            return "stretched", _limit(near * math.sqrt(_FAR), far * math.sqrt(4 * _FAR))
        raise InputError(
            "activation must have a derivative that is square integrable or tends to constants "
            f"for a growth law, got {self.activation.name!r} with E[phi'^2] ~ q^{exponent:.3f}"
        )


def _limit(near: float, far: float) -> float:
    """Return the limit of values at q and 4 q whose distance from it falls as 1/sqrt(q)."""
    return 2 * far - near
