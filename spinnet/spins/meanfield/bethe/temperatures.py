r"""Critical temperatures of the zero-field paramagnet on a graph of bonds.

Ferromagnetic: the highest T where an eigenvalue of the messages' linearisation B, of weights
t = tanh(J/T), reaches +1, which is where the smallest eigenvalue of the Bethe Hessian reaches 0
(Saade, Krzakala & Zdeborova, NIPS 2014).  A random regular graph of degree c has
tanh(J/T) = 1/(c - 1).

Spin glass: where the spectral radius of B with weights t^2 is 1, so that random changes of the
messages grow in variance; (c - 1) <t^2> = 1.  Both need two loops in one connected part: a tree
or a ring has no transition above T = 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

from spinnet.errors import ConvergenceError, InputError
from spinnet.spins.meanfield.bethe.graph import Graph, SparseGraph, UniformGraph, graph_of
from spinnet.spins.meanfield.bethe.hessian import hessian_of
from spinnet.spins.meanfield.bethe.spectrum import growth_of
from spinnet.spins.meanfield.method import checked_beta
from spinnet.spins.meanfield.system import system_of
from spinnet.spins.models import SpinModel
from spinnet.spins.models.base import Array
from spinnet.validation import positive_float

_RTOL = 1e-12
_SCAN = 24  # temperatures looked at for a ferromagnetic instability among mixed signs
_BELOW_GLASS = 4.0  # how far below T_SG the scan goes
_HESSIAN_SIZE = 400  # spins of a sparse graph above which messages are iterated
_WIDEST = 200.0  # of a bracket, in ln T


def growth_rate(model: SpinModel, beta: float, *, squared: bool = False) -> float:
    """Return the spectral radius of the linearised messages of the zero-field paramagnet.

    Parameters
    ----------
    model : SpinModel
        Its fields are dropped.
    beta : float
        Inverse temperature, > 0.
    squared : bool
        Weights tanh^2(beta J), the growth of the variance, in place of tanh(beta J).

    Returns
    -------
    float
        Below 1 the paramagnet holds; 0 on forests.

    Notes
    -----
    For couplings of random signs both pass 1 at the same T as N grows, from opposite sides:
    Cauchy couplings of N = 200 have the growth 1.03 with signs, 0.95 with squares, at the T_SG
    of their law, and pass 1 at 1.08 and 0.94 of it.
    """
    weights = np.tanh(checked_beta(beta) * _graph(model).couplings)
    return growth_of(_graph(model), weights**2 if squared else weights, signed=not squared)


def critical_temperature(model: SpinModel) -> float:
    """Return the larger of the two temperatures, fields dropped.

    Raises
    ------
    InputError
        If no connected part has two loops.
    """
    graph = _looped(model)
    glass = _spin_glass(graph)
    found = _ferromagnetic(graph, glass)
    return glass if found is None else max(found, glass)


def spin_glass_temperature(model: SpinModel) -> float:
    """Return the T where the spectral radius with weights tanh^2(J/T) is 1, fields dropped.

    On one finite system; a large random graph has (c - 1) <tanh^2(J/T)> = 1, couplings of
    variance 1/N on all pairs N <tanh^2> = 1, two layers N_a N_b <tanh^2>^2 = 1.  It is not where
    messages with their signs begin to grow, ``growth_rate(model, 1/T)`` = 1, which is the higher
    on a finite system.  Nothing
    freezes there on a lattice of short loops (or without frustration), where it is only the
    bound below which the Bethe susceptibility chi_SG of the paramagnet has diverged.

    Raises
    ------
    InputError
        If no connected part has two loops.
    """
    return _spin_glass(_looped(model))


def ferromagnetic_temperature(model: SpinModel) -> float:
    """Return the highest T where the smallest eigenvalue of the Bethe Hessian at m = 0 is 0.

    Order of any pattern of signs that the bonds agree with counts as ferromagnetic.  For
    couplings of both signs 24 temperatures are looked at, from the bound for |J| down to a
    quarter of the spin-glass temperature.

    Raises
    ------
    InputError
        If no connected part has two loops, or the Hessian stays positive.
    """
    graph = _looped(model)
    glass = _spin_glass(graph)
    found = _ferromagnetic(graph, glass / _BELOW_GLASS)
    if found is None:
        raise InputError(
            f"model must have an ordered phase for a ferromagnetic temperature, got {model!r}: "
            f"the Bethe Hessian of its paramagnet is positive down to T = "
            f"{glass / _BELOW_GLASS:.6g} (its spin-glass temperature is {glass:.6g})"
        )
    return found


def spin_glass_temperature_stable(stable_alpha: float, scale: float = 1.0) -> float:
    r"""Return T_SG of couplings J_ij = scale N^{-1/alpha} z on all pairs as N grows.

    z follows the symmetric stable law with characteristic function exp(-|k|^alpha)
    (alpha = 1: Cauchy; alpha = 2: a normal of variance 2).  From N <tanh^2(beta J)> = 1,

    .. math:: T^\alpha = \frac{2}{\pi} \alpha \Gamma(\alpha) \sin\frac{\pi\alpha}{2}
        \int_0^\infty x^{-1-\alpha} \tanh^2 x \, dx \; \text{scale}^\alpha ,

    28 zeta(3)/pi^3 for Cauchy couplings (Cizeau & Bouchaud, J. Phys. A 26, L187 (1993), for
    the model).  For two layers, N is sqrt(N_a N_b).

    Parameters
    ----------
    stable_alpha : float
        In (0, 2].
    scale : float

    Examples
    --------
    >>> round(spin_glass_temperature_stable(1.0), 10)
    1.0855090289
    """
    alpha = positive_float("stable_alpha", stable_alpha)
    scale = positive_float("scale", scale)
    if alpha > 2:
        raise InputError(f"stable_alpha must lie in (0, 2], got {alpha}")
    if alpha == 2:
        return math.sqrt(2) * scale
    # the tail integral by parts: int x^-a 2 tanh x sech^2 x dx/a, less singular at 0
    inner = quad(lambda y: _tail_integrand(y, alpha), 0, 1, epsabs=0, epsrel=1e-13)[0]
    outer = quad(lambda x: x**-alpha * _slope(x), 1, np.inf, epsabs=1e-15, epsrel=1e-13)[0]
    density = 2 / math.pi * math.gamma(alpha) * math.sin(math.pi * alpha / 2)
    return float(scale * (density * (inner + outer)) ** (1 / alpha))


def _slope(x: float) -> float:
    """Return d(tanh^2 x)/dx."""
    return 2 * math.tanh(x) / math.cosh(min(x, 350.0)) ** 2


def _tail_integrand(y: float, alpha: float) -> float:
    """Return the integrand of x^-alpha slope(x) on (0, 1) after x = y^(1/(2 - alpha))."""
    power = 1 / (2 - alpha)
    x = y**power
    return power * (_slope(x) / x if x > 0 else 2.0)


def _graph(model: SpinModel) -> Graph:
    return graph_of(system_of(model, diagonal=False).coupling)


def _looped(model: SpinModel) -> Graph:
    graph = _graph(model)
    if not graph.may_freeze:
        shape = "no loop" if graph.is_forest else "at most one loop in each connected part"
        raise InputError(
            f"model must have two loops of bonds in one connected part for a transition, got "
            f"{shape} for {model!r}: in Bethe's theory its paramagnet is stable at every T > 0"
        )
    return graph


def _spin_glass(graph: Graph) -> float:
    """Return T_SG; the spectral radius falls from above 1 at T = 0 to 0."""
    if isinstance(graph, UniformGraph):
        return abs(float(graph.couplings[0])) / math.atanh((graph.n_spins - 2) ** -0.5)
    return _root(graph, lambda log_t: _holds(graph, log_t, squared=True))


def _ferromagnetic(graph: Graph, lowest: float) -> float | None:
    """Return T_F if there is one above `lowest`."""
    if isinstance(graph, UniformGraph):
        pair = float(graph.couplings[0])
        return pair / math.atanh(1 / (graph.n_spins - 2)) if pair > 0 else None
    bound = _root(graph, lambda log_t: _holds(graph, log_t, squared=False))
    if np.all(graph.couplings >= 0):
        return bound
    grid = np.linspace(math.log(bound * (1 + 1e-9)), math.log(lowest), _SCAN)
    for k, log_t in enumerate(grid):
        if k > 0 and _smallest(graph, graph.couplings, log_t) < 0:
            root = brentq(
                lambda s: _smallest(graph, graph.couplings, s), grid[k], grid[k - 1], xtol=_RTOL
            )
            return float(math.exp(root))
    return None


def _holds(graph: Graph, log_t: float, *, squared: bool) -> float:
    """Return what is > 0 while the radius with weights |tanh|, or tanh^2, is below 1.

    For weights of one sign the Hessian is positive just as long.
    """
    if isinstance(graph, SparseGraph) and graph.n_spins > _HESSIAN_SIZE:
        t = np.tanh(np.abs(graph.couplings) / math.exp(log_t))
        return 1 - growth_of(graph, t**2 if squared else t, signed=False)
    return _smallest(graph, np.abs(graph.couplings), log_t, squared=squared)


def _smallest(graph: Graph, couplings: Array, log_t: float, *, squared: bool = False) -> float:
    """Return the smallest eigenvalue of the Bethe Hessian at m = 0, of weights t or t^2."""
    bond = couplings / math.exp(log_t)
    t = np.tanh(bond)
    log_rest = 2 * (np.log(2.0) - np.abs(bond) - np.log1p(np.exp(-2 * np.abs(bond))))
    if squared:  # 1 - t^4 = (1 - t^2)(1 + t^2)
        t, log_rest = t**2, log_rest + np.log1p(t**2)
    value = hessian_of(graph, t, log_rest).lowest()
    if not np.isnan(value):
        return value
    raise ConvergenceError(
        f"the smallest eigenvalue of the Bethe Hessian was not reached at T = {math.exp(log_t):.6g}"
        f" for {graph.n_spins} spins with bonds up to {np.abs(bond).max():.3g} T"
    )


def _root(graph: Graph, holds: Callable[[float], float]) -> float:
    """Return the highest T where what is > 0 at high T passes 0."""
    high = math.log(float(graph.incoming(np.abs(graph.couplings)).max()))  # the radius is < 1
    width = 1.0
    while holds(high - width) >= 0:
        high, width = high - width, 1.5 * width
        if width > _WIDEST:
            raise ConvergenceError("the spectral radius does not pass 1 at any temperature")
    return float(math.exp(brentq(holds, high - width, high, xtol=_RTOL, rtol=1e-14)))
