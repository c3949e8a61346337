r"""Periodic convolutional networks in one and two dimensions.

With many channels, pre-activations are normal with covariance Sigma over positions,

.. math::
    \Sigma'_{\alpha\alpha'} = \sigma_w^2 \sum_\beta v_\beta\,
        H(\Sigma)_{\alpha+\beta,\,\alpha'+\beta} + \sigma_b^2,

where tap beta of the filters has weights of variance sigma_w^2 v_beta / channels, sum_beta v_beta
= 1, and H is the map of pairs of a fully connected network (Xiao et al., arXiv:1806.05393, eqs.
2.5-2.7).  Next to the fixed point a disturbance of pairs at a given distance is multiplied by
chi_c and averaged over the taps, so that its Fourier mode of wave number omega falls off as
(chi_c lambda)^l with lambda = abs(sum_beta v_beta exp(i beta omega)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.memory import refuse_beyond_memory
from spinnet.propagation.gaussian import MeanField
from spinnet.propagation.gaussian_process import (
    covariance_of,
    covariance_step,
    one_minus_correlation,
)
from spinnet.validation import finite_array, integer, positive_array

Array = NDArray[np.float64]

_SYMMETRY = 1e-10
_MOST_POSITIONS = 4096


class ConvolutionMeanField:
    """Signal propagation in a periodic convolutional network with very many channels.

    Parameters
    ----------
    net : MeanField
        Activation, sigma_w and sigma_b; the fully connected network of the same fixed point.
        Without noise.
    shape : int or sequence of int
        Number of positions along each of one or two axes.
    taps : int, sequence of int or array_like of float
        Integers are the filter's size along each axis (one number: along every axis), with equal
        variances.  An array of floats is the variance profile v itself, with as many axes as
        `shape`; it must add up to 1.  Tap k of n along an axis reaches to k - (n - 1) // 2.  The
        delta profile, such as [0.0, 1.0, 0.0], is that of delta-orthogonal filters.

    Attributes
    ----------
    shape : tuple of int
    profile : ndarray
        The variance profile v.
    mode_factors : ndarray, shape `shape`
        lambda of each Fourier mode, in the order of ``numpy.fft.fftfreq``.
    xi_c : ndarray, shape `shape`
        Depth scale -1/ln(chi_c lambda) of the correlation in each mode.
    xi_q : ndarray, shape `shape`
        Depth scale -1/ln(abs(chi_q) lambda) of the length in each mode.

    Raises
    ------
    InputError
        If `net` has noise, or shapes or profile are not as described.

    Examples
    --------
    >>> net = MeanField("tanh", sigma_w=1.3, sigma_b=0.3)
    >>> cnn = ConvolutionMeanField(net, shape=12, taps=3)
    >>> (net.chi_c * cnn.mode_factors[:4]).round(5)
    array([0.93981, 0.85587, 0.62654, 0.31327])
    """

    def __init__(
        self,
        net: MeanField,
        shape: int | Sequence[int],
        taps: int | Sequence[int] | ArrayLike,
    ) -> None:
        if not isinstance(net, MeanField):
            raise InputError(f"net must be a MeanField, got {type(net).__name__}")
        if net.is_noisy:
            raise InputError(f"net must have no noise here, got {net!r}")
        self.net = net
        self.shape = _sizes("shape", shape)
        if math.prod(self.shape) > _MOST_POSITIONS:
            raise InputError(
                f"shape must have at most {_MOST_POSITIONS} positions, got {self.shape}: "
                "covariances take the square of that"
            )
        self.profile = _profile(taps, len(self.shape))
        if any(k > n for k, n in zip(self.profile.shape, self.shape, strict=True)):
            raise InputError(
                f"taps must be at most shape {self.shape}, got a filter of {self.profile.shape}"
            )

    def __repr__(self) -> str:
        return f"ConvolutionMeanField({self.net!r}, shape={self.shape}, taps={self.profile.shape})"

    @property
    def n_positions(self) -> int:
        """Number of positions."""
        return math.prod(self.shape)

    @cached_property
    def mode_factors(self) -> Array:
        """The factor lambda of each Fourier mode; 1 for the uniform one."""
        # zeros fill up to `shape`; where the filter starts changes phases only
        transform = np.fft.fftn(self.profile, s=self.shape, axes=tuple(range(len(self.shape))))
        return np.asarray(np.minimum(np.abs(transform), 1.0))  # beyond 1 by rounding only

    @cached_property
    def xi_c(self) -> Array:
        """Depth scale of the correlation in each mode."""
        return _depth_scales(self.net.one_minus_chi_c, self.mode_factors)

    @cached_property
    def xi_q(self) -> Array:
        """Depth scale of the length in each mode; infinite for all of them where xi_q is."""
        one_minus = 0.0 if self.net.is_marginal else 1 - abs(self.net.chi_q)
        return _depth_scales(one_minus, self.mode_factors)

    # ------------------------------------------------------------------ covariances
    def input_covariance(self, image: ArrayLike) -> Array:
        """Return the covariance of the first layer's pre-activations.

        Parameters
        ----------
        image : array_like, shape (n_channels, *shape)

        Returns
        -------
        ndarray, shape (n_positions, n_positions)
            Positions are numbered in row-major order.
        """
        array = finite_array("image", image)
        if array.shape[1:] != self.shape or array.shape[0] == 0:
            raise InputError(f"image must have shape (channels, *{self.shape}), got {array.shape}")
        flat = array.reshape(array.shape[0], -1)
        lengths = np.mean(flat * flat, axis=0)
        d = np.stack(
            [np.mean((flat - flat[:, [k]]) ** 2, axis=0) / 2 for k in range(flat.shape[1])]
        )
        q, d = self._mixed(lengths, d)
        return covariance_of(q, d)

    def covariance_map(self, covariance: ArrayLike) -> Array:
        """Return the covariance after one more layer; shape (n_positions, n_positions)."""
        return np.asarray(self.propagate_covariance(covariance, 1)[1])

    def propagate_covariance(self, covariance: ArrayLike, depth: int) -> Array:
        """Return the covariances of layers 0, ..., depth, layer 0 being `covariance`.

        Parameters
        ----------
        covariance : array_like, shape (n_positions, n_positions)
            Of the pre-activations; symmetric, positive on the diagonal, correlations within
            [-1, 1].
        depth : int

        Returns
        -------
        ndarray, shape (depth + 1, n_positions, n_positions)

        Raises
        ------
        InputError
            If `covariance` is not as described.
        """
        sigma = self._checked(covariance)
        depth = integer("depth", depth, minimum=0)
        refuse_beyond_memory(8.0 * depth * sigma.size, f"depth = {depth}", "take fewer layers")
        path = np.empty((depth + 1, *sigma.shape))
        path[0] = sigma
        q = np.diagonal(sigma).copy()
        d = (q[:, None] + q[None, :]) / 2 - sigma
        for layer in range(depth):
            q, d = self._mixed(*covariance_step(self.net.activation.kernel, q, d))
            path[layer + 1] = covariance_of(q, d)
        return path

    def _mixed(self, q: Array, d: Array) -> tuple[Array, Array]:
        """Average lengths and half squared distances over the taps, and apply the weights."""
        q_next, d_next = np.zeros_like(q), np.zeros_like(d)
        for places, variance in self._shifts:
            q_next += variance * q[places]
            d_next += variance * d[np.ix_(places, places)]
        w, b = self.net.sigma_w**2, self.net.sigma_b**2
        return w * q_next + b, w * d_next

    @cached_property
    def _shifts(self) -> list[tuple[NDArray[np.intp], float]]:
        """Return where each position's tap reaches to, with the variance of the tap."""
        numbers = np.arange(self.n_positions).reshape(self.shape)
        axes = tuple(range(len(self.shape)))
        result = []
        for index in product(*(range(n) for n in self.profile.shape)):
            variance = float(self.profile[index])
            reach = [k - (n - 1) // 2 for k, n in zip(index, self.profile.shape, strict=True)]
            if variance > 0:
                shifted = np.roll(numbers, [-r for r in reach], axis=axes)
                result.append((shifted.ravel(), variance))
        return result

    def _checked(self, covariance: ArrayLike) -> Array:
        sigma = finite_array("covariance", covariance, ndim=2)
        n = self.n_positions
        if sigma.shape != (n, n):
            raise InputError(f"covariance must have shape {(n, n)}, got {sigma.shape}")
        q = np.diagonal(sigma)
        if np.any(q <= 0):
            raise InputError(f"covariance must be > 0 on the diagonal, got {float(q.min())}")
        root = np.sqrt(q[:, None] * q[None, :])
        off = float(np.max(np.abs(sigma - sigma.T) / root))
        if off > _SYMMETRY:
            raise InputError(f"covariance must be symmetric, got a relative difference of {off:g}")
        largest = float(np.max(np.abs(sigma) / root))
        if largest > 1 + _SYMMETRY:
            raise InputError(f"covariance must have correlations in [-1, 1], got {largest}")
        return sigma


def correlations(covariance: ArrayLike) -> Array:
    """Return the correlation matrix of a covariance matrix, 1 on the diagonal.

    Parameters
    ----------
    covariance : array_like, shape (..., n, n)

    Raises
    ------
    InputError
        If it is no square matrix of finite numbers with a positive diagonal.
    """
    sigma = finite_array("covariance", covariance)
    if sigma.ndim < 2 or sigma.shape[-1] != sigma.shape[-2]:
        raise InputError(f"covariance must be square matrices, got shape {sigma.shape}")
    q = np.diagonal(sigma, axis1=-2, axis2=-1)
    positive_array("the diagonal of covariance", q)
    d = (q[..., :, None] + q[..., None, :]) / 2 - sigma
    return np.asarray(1 - one_minus_correlation(q[..., :, None], q[..., None, :], d))


def _sizes(name: str, value: int | Sequence[int]) -> tuple[int, ...]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name} must be one or two integers, got {value!r:.80}") from error
    if array.ndim > 1 or array.size not in (1, 2):
        raise InputError(f"{name} must be one or two integers, got {value!r:.80}")
    return tuple(integer(name, size, minimum=1) for size in array.ravel().tolist())


def _profile(taps: int | Sequence[int] | ArrayLike, n_axes: int) -> Array:
    array = np.asarray(taps)
    if array.dtype.kind in "iu":
        sizes = _sizes("taps", array.tolist())
        if len(sizes) == 1:
            sizes = sizes * n_axes
        if len(sizes) != n_axes:
            raise InputError(f"taps must have {n_axes} size(s), got {sizes}")
        if math.prod(sizes) > _MOST_POSITIONS:
            raise InputError(f"taps must be at most {_MOST_POSITIONS} in all, got {sizes}")
        return np.full(sizes, 1 / math.prod(sizes))
    profile = positive_array("taps", array, zero=True)
    if profile.ndim != n_axes:
        raise InputError(f"taps must have {n_axes} axes, as shape has, got {profile.shape}")
    total = float(profile.sum())
    if abs(total - 1) > 1e-9:
        raise InputError(f"taps must add up to 1, got {total}")
    return profile / total


def _depth_scales(one_minus_slope: float, factors: Array) -> Array:
    """Return -1/ln((1 - one_minus_slope) factor)."""
    if math.isnan(one_minus_slope):
        return np.full(factors.shape, math.nan)
    with np.errstate(divide="ignore"):
        rate = np.log1p(-min(one_minus_slope, 1.0)) + np.log(factors)
        return np.asarray(np.where(rate == 0, math.inf, -1 / rate))
