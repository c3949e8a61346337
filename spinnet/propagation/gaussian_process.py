"""Kernels of infinitely wide networks on many inputs: Gaussian process and tangent kernel.

At infinite width the outputs of a random network are a Gaussian process whose covariance, the
NNGP kernel, is iterated layer by layer (Lee et al., arXiv:1711.00165; Matthews et al.,
arXiv:1804.11271); training by gradient flow is governed by the neural tangent kernel (Jacot et
al., arXiv:1806.07572).

Covariances are carried as lengths q_i and half squared distances d_ij = (q_i + q_j)/2 - K_ij, so
that inputs that almost coincide stay apart and inputs that coincide stay together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.kernels.base import Kernel
from spinnet.validation import finite_array, integer, positive_float

Array = NDArray[np.float64]

_ROUNDING = 8 * float(np.finfo(float).eps)


def nngp(
    activation: str | Activation,
    inputs: ArrayLike,
    sigma_w: float,
    sigma_b: float,
    depth: int,
) -> Array:
    r"""Return the covariance of the outputs of an infinitely wide random network.

    .. math::
        K^0_{ab} = \sigma_w^2\, x_a \cdot x_b / n_0 + \sigma_b^2, \qquad
        K^{l+1}_{ab} = \sigma_w^2\, E[\phi(u_a) \phi(u_b)] + \sigma_b^2,

    with (u_a, u_b) normal of covariance K^l (Lee et al., arXiv:1711.00165, eqs. 4-5).

    Parameters
    ----------
    activation : str or Activation
    inputs : array_like, shape (n, n0)
        One input a row.
    sigma_w, sigma_b : float
        Standard deviations: weights have variance sigma_w^2 / fan-in, biases sigma_b^2.
    depth : int
        Number of hidden layers, each an affine map and an activation; 0 is the affine map alone.

    Returns
    -------
    ndarray, shape (n, n)
        Symmetric; positive semidefinite up to rounding.  Rows of equal inputs are equal.

    Raises
    ------
    InputError
        If `inputs` is no non-empty matrix of finite numbers, or a parameter is out of range.

    Examples
    --------
    >>> nngp("relu", [[1.0, 0.0], [0.0, 2.0]], sigma_w=2.0**0.5, sigma_b=0.0, depth=1).round(6)
    array([[1.     , 0.63662],
           [0.63662, 4.     ]])
    """
    kernel, q, d, place, w, b, depth = _prepared(activation, inputs, sigma_w, sigma_b, depth)
    for _ in range(depth):
        second_moment, half_square = covariance_step(kernel, q, d)
        q, d = w * second_moment + b, w * half_square
    return covariance_of(q, d)[np.ix_(place, place)]


def ntk(
    activation: str | Activation,
    inputs: ArrayLike,
    sigma_w: float,
    sigma_b: float,
    depth: int,
    *,
    train_biases: bool = True,
) -> Array:
    r"""Return the neural tangent kernel of an infinitely wide random network.

    In the tangent parametrisation :math:`h = \sigma_w \omega \phi / \sqrt{N} + \sigma_b \beta`
    with parameters omega, beta of unit variance, the sum over all parameters of
    :math:`\partial f(x_a)\, \partial f(x_b)` is

    .. math::
        \Theta^0 = K^0, \qquad
        \Theta^{l+1} = K^{l+1} + \sigma_w^2\, \Theta^l\, E[\phi'(u_a) \phi'(u_b)]

    (Jacot et al., arXiv:1806.07572, theorem 1).

    Parameters
    ----------
    activation, inputs, sigma_w, sigma_b, depth
        As in :func:`nngp`.
    train_biases : bool
        Whether derivatives by the biases are in the sum; without them sigma_b^2 is taken off
        each layer's own term K.

    Returns
    -------
    ndarray, shape (n, n)
        Symmetric; positive semidefinite up to rounding.

    Raises
    ------
    InputError
        As in :func:`nngp`.

    Examples
    --------
    >>> ntk("linear", [[1.0], [2.0]], sigma_w=1.0, sigma_b=0.0, depth=1)
    array([[2., 4.],
           [4., 8.]])
    """
    if not isinstance(train_biases, bool):
        raise InputError(f"train_biases must be True or False, got {train_biases!r:.80}")
    kernel, q, d, place, w, b, depth = _prepared(activation, inputs, sigma_w, sigma_b, depth)
    untrained = 0.0 if train_biases else b
    theta = covariance_of(q, d) - untrained
    for _ in range(depth):
        slopes = _over_pairs(kernel.slope_overlap, q, d)
        np.fill_diagonal(slopes, kernel.slope_moment(q))
        second_moment, half_square = covariance_step(kernel, q, d)
        q, d = w * second_moment + b, w * half_square
        theta = covariance_of(q, d) - untrained + w * theta * slopes
    return np.asarray(theta[np.ix_(place, place)])


# ------------------------------------------------------------------ lengths and distances
def covariance_step(kernel: Kernel, q: Array, d: Array) -> tuple[Array, Array]:
    """Return E[phi(u_i)^2] and E[(phi(u_i) - phi(u_j))^2]/2 for jointly normal u.

    Parameters
    ----------
    kernel : Kernel
    q : ndarray, shape (n,)
        Variances.
    d : ndarray, shape (n, n)
        Half the variances of the differences u_i - u_j; 0 on the diagonal.

    Returns
    -------
    second_moment : ndarray, shape (n,)
    half_square : ndarray, shape (n, n)
        Symmetric, 0 on the diagonal.
    """

    def term(q1: Array, q2: Array, epsilon: Array) -> Array:
        return half_squared_difference(kernel, q1, q2, epsilon)

    return kernel.second_moment(q), _over_pairs(term, q, d)


def half_squared_difference(kernel: Kernel, q1: Array, q2: Array, epsilon: Array) -> Array:
    """Return E[(phi(u1) - phi(u2))^2]/2, to relative accuracy where q1 = q2; one-dimensional."""
    result = np.empty(q1.shape)
    equal = np.abs(q1 - q2) <= _ROUNDING * np.maximum(q1, q2)
    result[equal] = kernel.deficit((q1[equal] + q2[equal]) / 2, epsilon[equal])
    first, second, rest = q1[~equal], q2[~equal], epsilon[~equal]
    if first.size:
        mean = (kernel.second_moment(first) + kernel.second_moment(second)) / 2
        result[~equal] = np.maximum(mean - kernel.overlap(first, second, rest), 0)
    return result


def one_minus_correlation(q1: ArrayLike, q2: ArrayLike, d: ArrayLike) -> Array:
    """Return 1 - c of two variables from their variances and half squared distance.

    Where a variance is 0 the correlation has no meaning; 0 is returned.
    """
    q1, q2, d = (np.asarray(a, dtype=np.float64) for a in (q1, q2, d))
    root = np.sqrt(q1) * np.sqrt(q2)
    lengths = (np.sqrt(q1) - np.sqrt(q2)) ** 2 / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        epsilon = (d - lengths) / root
    return np.clip(np.where(root > 0, epsilon, 0.0), 0.0, 2.0)


def _over_pairs(term: Callable[[Array, Array, Array], Array], q: Array, d: Array) -> Array:
    """Return the symmetric matrix of term(q_i, q_j, 1 - c_ij); its diagonal is left at 0."""
    i, j = np.triu_indices(len(q), 1)
    result = np.zeros(d.shape)
    first, second = q[i], q[j]
    result[i, j] = result[j, i] = term(first, second, one_minus_correlation(first, second, d[i, j]))
    return result


def covariance_of(q: Array, d: Array) -> Array:
    """Return K from lengths and half squared distances."""
    return np.asarray((q[:, None] + q[None, :]) / 2 - d)


def _prepared(
    activation: str | Activation, inputs: ArrayLike, sigma_w: float, sigma_b: float, depth: int
) -> tuple[Kernel, Array, Array, NDArray[np.intp], float, float, int]:
    """Return the kernel, q and d of the distinct inputs, the place of each input among them, ..."""
    kernel = get_activation(activation).kernel
    x = finite_array("inputs", inputs, ndim=2)
    if x.size == 0:
        raise InputError(f"inputs must hold at least one number, got shape {x.shape}")
    w = positive_float("sigma_w", sigma_w, zero=True) ** 2
    b = positive_float("sigma_b", sigma_b, zero=True) ** 2
    depth = integer("depth", depth, minimum=0)
    x, place = np.unique(x, axis=0, return_inverse=True)
    n, n0 = x.shape
    q = w * np.sum(x * x, axis=1) / n0 + b
    d = np.zeros((n, n))
    for row in range(n):  # a row at a time: n x n x n0 differences need not fit into memory
        d[row] = w * np.sum((x[row] - x) ** 2, axis=1) / (2 * n0)
    return kernel, q, d, place.ravel(), w, b, depth
