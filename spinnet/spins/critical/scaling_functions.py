r"""The exact scaling functions of mean-field ferromagnets, by quadrature.

Near T_c and at large N, x = m N^{1/4} of a Curie-Weiss ferromagnet has the density

.. math:: p(x) \propto \exp(-r x^2/2 - x^4/12 + y x), \quad
          r = N^{1/2}(1 - \beta/\beta_c), \quad y = \beta h N^{3/4}

so that every average is a function of r and y alone.  A system with an isolated ordering mode
v, |v| = 1, has the same functions of x = (v.s) u^{1/4} with N replaced by 1/u,
u = sum_i v_i^4: that is N times the participation ratio of v.

The next order of Curie-Weiss (a term exp[N^{-1/2}(x^2/2 - x^6/30)]) comes from the sixth order
of the entropy and from the prefactor of the binomial; it is included where N is given.

References
----------
R. S. Ellis & C. M. Newman, Z. Wahrscheinlichkeitstheorie verw. Geb. 44, 117 (1978), the limit.
K. Binder, Z. Phys. B 43, 119 (1981).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from spinnet.errors import InputError
from spinnet.validation import finite_array, integer

Array = NDArray[np.float64]
_LARGEST = 1e6


@dataclass(frozen=True, eq=False)
class MeanFieldScaling:
    """Averages of x = m N^{1/4} near T_c; arrays of the broadcast shape of r and y.

    Attributes
    ----------
    r, y : ndarray
    abs_x, x, x2, x4 : ndarray
        <|x|>, <x>, <x^2>, <x^4>.
    binder : ndarray
        1 - <x^4>/(3 <x^2>^2).
    susceptibility, susceptibility_abs : ndarray
        Var x and Var |x|: T chi N^{-1/2} and T chi_abs N^{-1/2}.
    specific_heat : ndarray
        beta^2 N Var e: Var(x^2)/4, and where N was given the factor (beta/beta_c)^2 and the part
        of the field, Var(beta x^2/2 beta_c + y x N^{-1/2}); per spin (of 1/u spins).
    """

    r: Array
    y: Array
    abs_x: Array
    x: Array
    x2: Array
    x4: Array
    binder: Array
    susceptibility: Array
    susceptibility_abs: Array
    specific_heat: Array


@dataclass(frozen=True)
class ScalingMaximum:
    """Where a scaling function has its maximum, and how high: r and the height."""

    r: float
    height: float


def mean_field_scaling(
    r: ArrayLike, y: ArrayLike = 0.0, *, n_spins: int | None = None
) -> MeanFieldScaling:
    r"""Return the scaling functions of a mean-field ferromagnet.

    Parameters
    ----------
    r : array_like
        N^{1/2}(1 - beta/beta_c) within +-1e6: > 0 in the disordered phase.
    y : array_like
        beta h N^{3/4} within +-1e6.  They broadcast.
    n_spins : int, optional
        Adds the next order of Curie-Weiss, N^{-1/2}; the error is then O(1/N) at fixed r.

    Returns
    -------
    MeanFieldScaling

    Notes
    -----
    Gauss-Legendre quadrature over the peak at x >= 0; agrees with 30-digit integrals to 1e-12.
    The density is compiled from `spinnet.theory.critical_scaling`, where it is derived (SymPy is
    loaded at the first call); its `compiled` functions are the same ones, to first order in
    N^{-1/2} and as plain moments.  Here moments are centred: they keep their digits far from T_c.

    Examples
    --------
    >>> round(float(mean_field_scaling(0.0).binder), 8)
    0.27052013
    """
    grid = [finite_array("r", r), finite_array("y", y)]
    for name, values in zip("ry", grid, strict=True):
        if values.size and np.abs(values).max() > _LARGEST:
            raise InputError(f"{name} must be within +-{_LARGEST:g}, got {_worst(values):g}")
    try:
        first, second = np.broadcast_arrays(*grid)
    except ValueError as error:
        shapes = f"{grid[0].shape} and {grid[1].shape}"
        raise InputError(f"r and y must broadcast, got shapes {shapes}") from error
    eps = 0.0 if n_spins is None else integer("n_spins", n_spins, minimum=1) ** -0.5
    nodes, weights = _quadrature(np.ravel(first), np.ravel(second), eps)
    even = {k: _average(nodes**k, weights).reshape(first.shape) for k in (1, 2, 4)}
    var_abs = _centred(nodes, weights).reshape(first.shape)
    var_square = _centred(nodes**2, weights).reshape(first.shape)
    tanh = np.tanh(np.ravel(second)[:, None] * nodes)
    x = _average(nodes * tanh, weights).reshape(first.shape)
    odd = (nodes**2 - np.ravel(even[2])[:, None]) * nodes * tanh
    susceptibility = np.where(x == 0, even[2], var_abs + even[1] ** 2 - x**2)
    coupling = 1 - first * eps  # beta/beta_c
    heat = coupling**2 * var_square / 4 + eps**2 * second**2 * susceptibility
    heat += coupling * eps * second * _average(odd, weights).reshape(first.shape)
    return MeanFieldScaling(
        r=np.array(first),
        y=np.array(second),
        abs_x=even[1],
        x=x,
        x2=even[2],
        x4=even[4],
        binder=np.asarray(1 - even[4] / (3 * even[2] ** 2)),
        susceptibility=susceptibility,
        susceptibility_abs=var_abs,
        specific_heat=heat,
    )


def _worst(values: Array) -> float:
    return float(values.flat[int(np.abs(values).argmax())])


def _average(values: Array, weights: Array) -> Array:
    return np.asarray(np.sum(values * weights, axis=1))


def _centred(values: Array, weights: Array) -> Array:
    mean = _average(values, weights)
    return _average((values - mean[:, None]) ** 2, weights)


def _quadrature(r: Array, y: Array, eps: float) -> tuple[Array, Array]:
    """Return nodes x >= 0, shape (n, nodes), and normalised weights of the density of |x|."""
    from spinnet.theory.compiled_scaling import quadrature  # loads SymPy

    nodes, weights, _ = quadrature(r, y, eps)
    return nodes, weights


@functools.cache
def maximum_of(quantity: str) -> ScalingMaximum:
    """Return the maximum over r, at y = 0, of "specific_heat" or "susceptibility_abs".

    From d<f>/dr = -cov(f, x^2)/2: the specific heat peaks where the third cumulant of x^2
    vanishes, Var|x| where Var(x^2) = 2 <|x|> cov(|x|, x^2).
    """

    def slope(r: float) -> float:
        x, w = _quadrature(np.array([r]), np.zeros(1), 0.0)
        square = x**2 - _average(x**2, w)[:, None]
        if quantity == "specific_heat":
            return float(_average(square**3, w)[0])
        return float(_average(square**2 - 2 * _average(x, w)[:, None] * x * square, w)[0])

    if quantity not in ("specific_heat", "susceptibility_abs"):
        raise InputError(
            "quantity must be 'specific_heat' or 'susceptibility_abs', which have a maximum, "
            f"got {quantity!r:.80}"
        )
    r = float(optimize.brentq(slope, -4.0, -0.3, xtol=1e-13))
    return ScalingMaximum(r, float(getattr(mean_field_scaling(r), quantity)))
