"""Networks whose pre-activations are layer-normalised.

Each layer computes W phi(h) + b, then subtracts the mean over its units and divides by their
standard deviation (Ba et al., arXiv:1607.06450).  In a wide layer the mean is 0 already, so that
normalisation pins the length at q = 1 and leaves the map of the correlation alone.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.memory import refuse_beyond_memory
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.correlation import stable_epsilon
from spinnet.propagation.scales import depth_scale
from spinnet.validation import correlations, integer, positive_float

Array = NDArray[np.float64]

_ROUNDING = 8 * float(np.finfo(float).eps)


class LayerNormMeanField:
    r"""Signal propagation in an infinitely wide network with layer normalisation.

    With h of variance 1, the correlation of two inputs obeys

    .. math::
        C(c) = \frac{\sigma_w^2 H(1, c) + \sigma_b^2}{\sigma_w^2 F(1) + \sigma_b^2}, \qquad
        \chi_1 = \frac{\sigma_w^2 E[\phi'^2]}{\sigma_w^2 E[\phi^2] + \sigma_b^2},

    averages over unit normal pre-activations: the map of a network without normalisation whose
    weights and biases are divided by the standard deviation, at q = 1.  Without biases sigma_w
    drops out.  The gain of the normalisation is 1 and its shift 0.

    Parameters
    ----------
    activation : str or Activation
    sigma_w, sigma_b : float
        Standard deviations: weights have variance sigma_w^2 / fan-in, biases sigma_b^2.

    Attributes
    ----------
    variance : float
        sigma_w^2 F(1) + sigma_b^2: of the pre-activations before they are normalised.
    chi_1 : float
        Slope of the correlation map at c = 1; also the growth of squared gradients per layer.
    c_star, one_minus_c_star : float
        Stable fixed point of the correlation map, and its distance from 1 to relative accuracy.
    chi_c, one_minus_chi_c : float
        Slope of the correlation map there, and its distance from 1 to relative accuracy.
    xi_c, xi_grad : float
        Depth scales in layers, -1/ln of chi_c and of chi_1: infinite at criticality, negative
        where gradients explode.
    phase : str
        "ordered", "chaotic" or "critical", by chi_1.

    Raises
    ------
    InputError
        If a parameter is out of range, or the pre-activations have no variance.

    Examples
    --------
    >>> net = LayerNormMeanField("tanh", sigma_w=1.0, sigma_b=0.0)
    >>> round(net.chi_1, 6), net.phase
    (1.177807, 'chaotic')
    """

    def __init__(self, activation: str | Activation, sigma_w: float, sigma_b: float) -> None:
        self.activation = get_activation(activation)
        self.sigma_w = positive_float("sigma_w", sigma_w, zero=True)
        self.sigma_b = positive_float("sigma_b", sigma_b, zero=True)
        self._kernel = self.activation.kernel
        second_moment = float(self._kernel.second_moment(1.0))
        self.variance = self.sigma_w**2 * second_moment + self.sigma_b**2
        if not 0 < self.variance < math.inf:
            raise InputError(
                "sigma_w and sigma_b must leave the pre-activations a finite variance > 0 to "
                f"divide by, got {self.variance:g} at sigma_w={self.sigma_w:g}, "
                f"sigma_b={self.sigma_b:g}"
            )
        self._w = self.sigma_w**2 / self.variance

    def __repr__(self) -> str:
        return (
            f"LayerNormMeanField({self.activation.name!r}, sigma_w={self.sigma_w:g}, "
            f"sigma_b={self.sigma_b:g})"
        )

    def correlation_map(self, c: ArrayLike) -> Array:
        """Return C(c), the correlation after one more layer.

        Raises
        ------
        InputError
            If a correlation is outside [-1, 1].
        """
        return np.asarray(1 - self._map_epsilon(1 - correlations("c", c)))

    def correlation_slope(self, c: ArrayLike) -> Array:
        """Return C'(c)."""
        epsilon = 1 - correlations("c", c)
        return np.asarray(self._w * self._kernel.slope_overlap(1.0, 1.0, epsilon))

    def propagate_correlation(self, c0: ArrayLike, depth: int) -> Array:
        """Return c^0, ..., c^depth, with c^0 = `c0`; shape (depth + 1, *shape of c0)."""
        c = correlations("c0", c0)
        depth = integer("depth", depth, minimum=0)
        refuse_beyond_memory(8.0 * depth * c.size, f"depth = {depth}", "take fewer layers")
        path = np.empty((depth + 1, *c.shape))
        path[0], epsilon = c, 1 - c
        for layer in range(depth):
            epsilon = self._map_epsilon(epsilon)
            path[layer + 1] = 1 - epsilon
        return path

    def _map_epsilon(self, epsilon: Array) -> Array:
        """Return 1 - C(1 - epsilon)."""
        return np.asarray(self._w * self._kernel.deficit(1.0, epsilon))

    @cached_property
    def chi_1(self) -> float:
        """Slope of the correlation map at c = 1."""
        return self._w * float(self._kernel.slope_moment(1.0))

    @cached_property
    def _one_minus_chi_1(self) -> float:
        gap = float(self._kernel.second_moment(1.0)) - float(self._kernel.slope_moment(1.0))
        value = self._w * gap + self.sigma_b**2 / self.variance
        return 0.0 if abs(value) <= _ROUNDING else value

    @cached_property
    def one_minus_c_star(self) -> float:
        """1 - c_star, to relative accuracy."""
        if self._one_minus_chi_1 >= 0:
            return 0.0
        if self._kernel.odd and self.sigma_b == 0:
            return 1.0
        return float(stable_epsilon(self._kernel, 1.0, self._w, 0.0, self.chi_1))

    @cached_property
    def c_star(self) -> float:
        """Stable fixed point of the correlation map."""
        return 1 - self.one_minus_c_star

    @cached_property
    def one_minus_chi_c(self) -> float:
        """1 - chi_c, to relative accuracy next to criticality."""
        epsilon = self.one_minus_c_star
        if epsilon == 0:
            return self._one_minus_chi_1
        rest = float(self._kernel.remainder(1.0, epsilon))
        return rest / float(self._kernel.deficit(1.0, epsilon))

    @cached_property
    def chi_c(self) -> float:
        """Slope of the correlation map at c_star."""
        return 1 - self.one_minus_chi_c

    @cached_property
    def xi_c(self) -> float:
        """Depth scale of the correlation, -1/ln chi_c."""
        return float(depth_scale(self.chi_c, self.one_minus_chi_c))

    @cached_property
    def xi_grad(self) -> float:
        """Depth scale of gradients, -1/ln chi_1: negative where they explode."""
        return float(depth_scale(self.chi_1, self._one_minus_chi_1))

    @property
    def phase(self) -> str:
        """The phase, in a word."""
        if self._one_minus_chi_1 == 0:
            return "critical"
        return "ordered" if self._one_minus_chi_1 > 0 else "chaotic"
