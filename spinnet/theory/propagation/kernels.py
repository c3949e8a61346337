r"""Activations and their Gaussian averages, in closed form where there is one.

An activation phi is an expression in the symbol ``u``.  A `Kernel` holds its six averages: of
phi^2, phi'^2 and phi''^2 over one pre-activation, and of phi phi, phi' phi' and phi'' phi'' over
a pair.  By Price's theorem each of the last three is the derivative of the one before by the
covariance, so a closed form is stated once, for phi phi; see derivations/signal_propagation.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import TypeAlias

import sympy as sp

from spinnet.errors import InputError, did_you_mean
from spinnet.theory.propagation.averages import average, p, pair_average, q, q1, q2, u, u1, u2

alpha = sp.Symbol("alpha", real=True)
PHI = sp.Function("phi", real=True)(u)

Phi: TypeAlias = "sp.Expr | str | Kernel"


@dataclass(frozen=True)
class Kernel:
    r"""The Gaussian averages of one activation.

    Each is an expression in ``q`` (one pre-activation) or ``q1, q2, p`` (a pair): closed if
    `closed_pair` or `closed_length` is given or `average` finds a closed form, otherwise an
    Integral.

    Attributes
    ----------
    activation : Expr
        phi, in ``u``.
    closed_pair : Expr, optional
        :math:`E[\phi(u_1)\phi(u_2)]`; the other averages are derived from it.
    closed_length, closed_slope : Expr, optional
        :math:`E_q[\phi^2]` and :math:`E_q[\phi'^2]`, where no closed form of the pair is known.
    kinked : bool
        Whether phi' jumps; phi''^2 then has no finite average.
    """

    activation: sp.Expr
    closed_pair: sp.Expr | None = None
    closed_length: sp.Expr | None = None
    closed_slope: sp.Expr | None = None
    kinked: bool = False

    @cached_property
    def length(self) -> sp.Expr:
        r"""F(q) = :math:`E_q[\phi^2]`."""
        if self.closed_length is not None:
            return self.closed_length
        return self._single(self.closed_pair, 0)

    @cached_property
    def slope(self) -> sp.Expr:
        r""":math:`E_q[\phi'^2]`."""
        if self.closed_slope is not None:
            return self.closed_slope
        return self._single(self._closed(1), 1)

    @cached_property
    def curvature(self) -> sp.Expr:
        r""":math:`E_q[\phi''^2]`, infinite if phi' jumps."""
        return sp.oo if self.kinked else self._single(self._closed(2), 2)

    @cached_property
    def pair(self) -> sp.Expr:
        r"""H = :math:`E[\phi(u_1)\phi(u_2)]`."""
        return self._pair(self.closed_pair, 0)

    @cached_property
    def pair_slope(self) -> sp.Expr:
        r""":math:`E[\phi'(u_1)\phi'(u_2)] = \partial H/\partial p` (Price)."""
        return self._pair(self._closed(1), 1)

    @cached_property
    def pair_curvature(self) -> sp.Expr:
        r""":math:`E[\phi''(u_1)\phi''(u_2)] = \partial^2H/\partial p^2`; where p^2 < q_1 q_2."""
        return self._pair(self._closed(2), 2)

    @cached_property
    def length_derivative(self) -> sp.Expr:
        r"""F'(q), as :math:`E_q[u\phi\phi']/q` where F has no closed form.

        This form needs no second derivative of phi, and holds at kinks too.
        """
        if self.closed_length is not None or self.closed_pair is not None:
            return sp.diff(self.length, q)
        return average(u * self.activation * sp.diff(self.activation, u)) / q

    def at_correlation(self, expr: sp.Expr, correlation: sp.Expr) -> sp.Expr:
        """Return an average over a pair at q_1 = q_2 = q and p = q * `correlation`."""
        return expr.subs({q1: q, q2: q, p: q * correlation}, simultaneous=True)

    def _closed(self, order: int) -> sp.Expr | None:
        """Return the closed form of the average of the derivatives of that order, if known."""
        if self.closed_pair is None:
            return None
        return sp.factor_terms(sp.diff(self.closed_pair, p, order))

    def _single(self, closed: sp.Expr | None, order: int) -> sp.Expr:
        if closed is not None:
            return _factored_roots(self.at_correlation(closed, sp.S.One))
        return average(sp.diff(self.activation, u, order) ** 2)

    def _pair(self, closed: sp.Expr | None, order: int) -> sp.Expr:
        if closed is not None:
            return closed
        derivative = sp.diff(self.activation, u, order)
        return pair_average(derivative.subs(u, u1).doit() * derivative.subs(u, u2).doit())


def _factored_roots(expr: sp.Expr) -> sp.Expr:
    """Return `expr` with what stands under roots expanded and factored: (1+q)^2 - q^2 = 1 + 2q."""
    return expr.replace(
        lambda e: e.is_Pow and e.exp.is_Rational and not e.exp.is_Integer,
        lambda e: sp.factor(e.base) ** e.exp,
    )


def kernel(phi: Phi = PHI) -> Kernel:
    """Return the averages of an activation.

    Parameters
    ----------
    phi : Expr, str or Kernel
        An expression in ``u``, or a name of `ACTIVATIONS`; erf, gelu, leaky_relu (of slope
        ``alpha`` at u < 0), linear, relu and sin have closed forms throughout, hard_tanh for one
        pre-activation.  The default is an unspecified function, for which every average is an
        Integral.

    Raises
    ------
    InputError
        If the name is unknown, or the expression has no ``u``.

    Examples
    --------
    >>> kernel("erf").length
    2*asin(2*q/(2*q + 1))/pi
    """
    if isinstance(phi, Kernel):
        return phi
    if isinstance(phi, str):
        if phi not in ACTIVATIONS:
            raise InputError(
                f"phi must be an expression in u or one of {', '.join(ACTIVATIONS)}, got {phi!r}"
                f"{did_you_mean(phi, ACTIVATIONS)}"
            )
        return _named(phi)
    expr = sp.sympify(phi)
    if not expr.has(u):
        raise InputError(f"phi must be an expression in the symbol u, got {expr}")
    return Kernel(expr)


@lru_cache(maxsize=16)
def _named(name: str) -> Kernel:
    phi = ACTIVATIONS[name]
    if name == "hard_tanh":
        return Kernel(phi, closed_length=_hard_tanh_length(), closed_slope=_inside(), kinked=True)
    closed = _CLOSED.get(name)
    return Kernel(phi, closed() if closed else None, kinked=name in ("relu", "leaky_relu"))


def _erf() -> sp.Expr:
    """Return the arcsine kernel of Williams (1997)."""
    return 2 / sp.pi * sp.asin(2 * p / sp.sqrt((1 + 2 * q1) * (1 + 2 * q2)))


def _relu() -> sp.Expr:
    """Return the arc-cosine kernel of Cho and Saul (2009), of order 1."""
    x = p / sp.sqrt(q1 * q2)
    return sp.sqrt(q1 * q2) / (2 * sp.pi) * (sp.sqrt(1 - x**2) + x * (sp.pi - sp.acos(x)))


def _leaky_relu() -> sp.Expr:
    return (1 - alpha) ** 2 * _relu() + alpha * p


def _sin() -> sp.Expr:
    return sp.exp(-(q1 + q2) / 2) * sp.sinh(p)


def _gelu() -> sp.Expr:
    a, b = 1 + q1, 1 + q2
    weight = 1 / (2 * sp.pi * sp.sqrt(a * b - p**2))
    angle = sp.asin(p / sp.sqrt(a * b)) / (2 * sp.pi)
    return p * (sp.Rational(1, 4) + angle) + weight * (q1 * q2 + p**2 - p**2 * (q1 / a + q2 / b))


def _linear() -> sp.Expr:
    return p


def _inside() -> sp.Expr:
    """Return the probability that abs(u) < 1."""
    return sp.erf(1 / sp.sqrt(2 * q))


def _hard_tanh_length() -> sp.Expr:
    """Return E[u^2; abs(u) < 1] + P(abs(u) > 1)."""
    edge = sp.sqrt(2 / (sp.pi * q)) * sp.exp(-1 / (2 * q))
    return q * (_inside() - edge) + 1 - _inside()


ACTIVATIONS: Mapping[str, sp.Expr] = MappingProxyType(
    {
        "erf": sp.erf(u),
        "gelu": u * (1 + sp.erf(u / sp.sqrt(2))) / 2,
        "hard_tanh": sp.Piecewise((-1, u < -1), (u, u < 1), (1, True)),
        "leaky_relu": sp.Piecewise((alpha * u, u < 0), (u, True)),
        "linear": u,
        "relu": sp.Piecewise((0, u < 0), (u, True)),
        "sigmoid": 1 / (1 + sp.exp(-u)),
        "sin": sp.sin(u),
        "tanh": sp.tanh(u),
    }
)

_CLOSED = {
    "erf": _erf,
    "gelu": _gelu,
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "relu": _relu,
    "sin": _sin,
}
