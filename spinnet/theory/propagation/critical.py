r"""The edge of chaos: the line chi_1 = 1, how signals decay on it, and its corner.

epsilon is 1 - c for maps of the correlation, and sigma_w - 1 at the corner (sigma_w, sigma_b) =
(1, 0) of an odd phi with phi'(0) = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from spinnet.errors import InputError
from spinnet.theory.propagation.averages import average, chi1, chi2, q, sigma_w, u
from spinnet.theory.propagation.kernels import PHI, Phi, kernel
from spinnet.validation import integer

epsilon = sp.Symbol("epsilon", positive=True)
layers = sp.Symbol("l", positive=True)


def critical_line(phi: Phi = PHI) -> tuple[sp.Expr, sp.Expr]:
    r"""Return :math:`(\sigma_w^2, \sigma_b^2)` on the line chi_1 = 1, parametrised by q = q*.

    .. math:: \sigma_w^2 = 1/E_q[\phi'^2],\qquad \sigma_b^2 = q - \sigma_w^2E_q[\phi^2]

    A q at which sigma_b^2 < 0 is no point of the line; one at which chi_q > 1 is an unstable
    fixed point of the length map.

    Examples
    --------
    >>> critical_line("relu")
    (2, 0)
    """
    phi = kernel(phi)
    weights = 1 / phi.slope
    return weights, q - weights * phi.length


def slope_on_critical_line(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`\chi_q = F'(q)/E_q[\phi'^2]` where chi_1 = 1."""
    phi = kernel(phi)
    return phi.length_derivative / phi.slope


@lru_cache(maxsize=4)
def gelu_doubly_critical_point() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    r"""Return (q, sigma_w^2, sigma_b^2) of gelu with chi_q = chi_1 = 1.

    :math:`q = (3+\sqrt{17})/2`, the zero of :math:`E_q[\phi\phi'']`.  The critical line runs
    along unstable fixed points at smaller q.
    """
    phi = kernel("gelu")
    gap = sp.factor(sp.simplify(phi.length_derivative - phi.slope))
    roots = sp.solve(sp.numer(gap), q)
    (place,) = [root for root in roots if root.is_positive]
    weights, biases = critical_line(phi)
    return place, weights.subs(q, place), biases.subs(q, place)


# --- decay on the line ------------------------------------------------------------------------


def distance_map(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`1 - C(1-\epsilon)` as an average of a square, free of cancellation.

    .. math:: \frac{\sigma_w^2}{2q}E\big[(\phi(u_1)-\phi(u_2))^2\big]

    in closed form :math:`\sigma_w^2(F - H)/q`.
    """
    phi = kernel(phi)
    return sigma_w**2 * (phi.length - phi.at_correlation(phi.pair, 1 - epsilon)) / q


def smooth_distance_map() -> sp.Expr:
    r"""Return :math:`\chi_1\epsilon - \frac12q\chi_2\epsilon^2`, the map of a smooth phi near 1."""
    return chi1 * epsilon - q * chi2 * epsilon**2 / 2


def relu_distance_map() -> sp.Expr:
    r"""Return :math:`\epsilon - \frac{2\sqrt2}{3\pi}\epsilon^{3/2}`: relu at sigma_w^2 = 2."""
    return epsilon - 2 * sp.sqrt(2) / (3 * sp.pi) * epsilon ** sp.Rational(3, 2)


def critical_decay(kind: str = "smooth") -> sp.Expr:
    r"""Return 1 - c after many ``layers`` (l) on the critical line.

    Parameters
    ----------
    kind : {"smooth", "relu"}
        :math:`2/(q\chi_2l)` for every smooth phi; :math:`(9\pi^2/2)/l^2` for relu.
    """
    if kind == "smooth":
        return 2 / (q * chi2 * layers)
    if kind == "relu":
        return 9 * sp.pi**2 / (2 * layers**2)
    raise InputError(f"kind must be 'smooth' or 'relu', got {kind!r}")


# --- the corner -------------------------------------------------------------------------------


@dataclass(frozen=True)
class CornerExpansion:
    r"""Series in epsilon = sigma_w - 1 at sigma_b = 0, where c* = 0.

    Attributes
    ----------
    q_star, chi_1, chi_c : Expr
        Up to and including epsilon**n.
    xi_c : Expr
        :math:`-1/\ln\chi_c`, a Laurent series with as many terms as chi_c allows.
    """

    q_star: sp.Expr
    chi_1: sp.Expr
    chi_c: sp.Expr
    xi_c: sp.Expr


def small_variance(expr: sp.Expr, n: int) -> sp.Expr:
    """Return the average of an analytic `expr` in ``u`` as a series in q up to q**n.

    The Taylor series is averaged term by term; it is asymptotic, as a rule.
    """
    top = integer("n", n, minimum=0, maximum=12)
    return sp.expand(average(sp.series(expr, u, 0, 2 * top + 1).removeO()))


@lru_cache(maxsize=8)
def corner_expansion(n: int = 2, phi: Phi = "tanh") -> CornerExpansion:
    r"""Return q*, chi_1, chi_c and xi_c near (sigma_w, sigma_b) = (1, 0).

    Parameters
    ----------
    n : int
        Order in epsilon, 2 to 6.
    phi : Expr, str or Kernel
        Odd and analytic in ``u`` with phi'(0) = 1 and phi'''(0) < 0.

    Examples
    --------
    >>> corner_expansion(2).q_star
    4*epsilon**2/3 + epsilon
    """
    top = integer("n", n, minimum=2, maximum=6)
    phi = kernel(phi).activation
    first, third = (sp.diff(phi, u, k).subs(u, 0) for k in (1, 3))
    if sp.simplify(phi + phi.subs(u, -u)) != 0 or first != 1 or not third < 0:
        raise InputError(f"phi must be odd in u with phi'(0) = 1 and phi'''(0) < 0, got {phi}")
    derivative, gain = sp.diff(phi, u), (1 + epsilon) ** 2
    ratio = sp.expand(small_variance(phi**2, top + 1) / q)
    q_star = _root(gain * ratio - 1, top)
    slope = gain * small_variance(derivative**2, top)
    apart = gain * small_variance(derivative, top) ** 2  # c* = 0: two independent averages
    chi_1, chi_c = (_truncate(x.subs(q, q_star), top) for x in (slope, apart))
    loss = _truncate(sp.series(-sp.log(chi_c), epsilon, 0, top + 1).removeO(), top)
    scaled = sp.series(epsilon**2 / loss, epsilon, 0, top - 1).removeO()
    return CornerExpansion(q_star, chi_1, chi_c, sp.expand(scaled / epsilon**2))


def _truncate(expr: sp.Expr, n: int) -> sp.Expr:
    polynomial = sp.expand(expr)
    return sp.Add(*(polynomial.coeff(epsilon, k) * epsilon**k for k in range(n + 1)))


def _root(equation: sp.Expr, n: int) -> sp.Expr:
    """Solve an equation linear in q and epsilon at lowest order for q, up to epsilon**n."""
    slope = sp.diff(equation, q).subs({q: 0, epsilon: 0})
    solution = sp.S.Zero
    for _ in range(n):  # each pass makes one more order exact
        solution = _truncate(solution - equation.subs(q, solution) / slope, n)
    return solution
