r"""Finite-size scaling at the mean-field critical point: every scaling function of the family.

Near T_c the magnetisation of N spins, x = m N^{1/4}, has the density

.. math:: e^{-rx^2/2 - x^4/12 + yx}\Big[1 + N^{-1/2}\Big(\frac{x^2}{2}-\frac{x^6}{30}\Big)
    + O(1/N)\Big],\qquad r=\sqrt N\Big(1-\frac JT\Big),\quad y=\beta hN^{3/4},

so that each observable is a power of N times a function of r and y, with a correction of relative
order N^{-1/2}.  Exponents are in N, not in a length: beta/nu_bar = 1/4, gamma/nu_bar = 1/2 and
1/nu_bar = 1/2.  The symbolic statements are here and are derived in
derivations/critical_scaling.py; `compiled` gives them as NumPy functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import mpmath
import sympy as sp

from spinnet.errors import InputError, did_you_mean
from spinnet.theory import curie_weiss as cw
from spinnet.theory.checking import Derivation
from spinnet.validation import integer

if TYPE_CHECKING:
    from spinnet.theory.compiled_scaling import CompiledScaling

x, r, y = sp.symbols("x r y", real=True)
delta = sp.Symbol("delta", positive=True)  # N**(-1/2)

# Averages under the weight, by what is averaged; Z_0 is the integral of the weight.
mean_x, mean_x2, mean_x3, mean_x4, mean_abs, integral = sp.symbols(
    "<x> <x^2> <x^3> <x^4> <|x|> Z_0", real=True
)
AVERAGED: Mapping[sp.Symbol, sp.Expr] = MappingProxyType(
    {mean_x: x, mean_x2: x**2, mean_x3: x**3, mean_x4: x**4, mean_abs: sp.Abs(x)}
)
_R = sp.Rational


@lru_cache(maxsize=1)
def log_weight() -> tuple[sp.Expr, sp.Expr]:
    r"""Return ln P(x) as its limit and the coefficient of N^{-1/2}, from the Gibbs density.

    Magnetisations are the exact lattice of M with Stirling's prefactor, as in
    `curie_weiss.critical_weight`, at J/T = 1 - r N^{-1/2} and h = T y N^{-3/4}.
    """
    small = sp.Symbol("epsilon", positive=True)  # N**(-1/4)
    bulk = _series(-cw.beta * cw.gibbs_free_energy().expr.rewrite(sp.log), 6)
    prefactor = sp.series(-sp.log(1 - cw.m**2) / 2, cw.m, 0, 3).removeO()
    return _orders((bulk - sp.log(2)) / small**4 + prefactor, small)


@lru_cache(maxsize=1)
def field_log_weight() -> tuple[sp.Expr, sp.Expr]:
    r"""Return the same for the Hubbard-Stratonovich field, :math:`-N\beta f(m)`.

    The limit is that of `log_weight`; the correction is another, since the field is the
    magnetisation plus Gaussian noise of variance T/(JN).
    """
    small = sp.Symbol("epsilon", positive=True)
    bulk = _series(-cw.beta * cw.free_energy().expr.rewrite(sp.log), 6)
    return _orders((bulk - sp.log(2)) / small**4, small)


def _series(density: sp.Expr, top: int) -> sp.Expr:
    """Return the Taylor polynomial in m of -beta f at J = 1, to first order in the field.

    The field beta h = y N^(-3/4) multiplies m: its higher orders are O(1/N) in the weight.
    """
    of_m = density.subs(cw.J, 1)
    free = sp.series(of_m.subs(cw.h, 0), cw.m, 0, top + 1).removeO()
    linear = sp.series(sp.diff(of_m, cw.h).subs(cw.h, 0), cw.m, 0, 4).removeO()
    return sp.expand(free + cw.h * linear)


def _orders(expr: sp.Expr, small: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """Put in the scaling variables; return the coefficients of N^0 and N^(-1/2)."""
    coupling = 1 - r * small**2
    place = {cw.m: x * small, cw.h: y * small**3 / coupling, cw.beta: coupling}
    scaled = sp.expand(sp.expand(expr.subs(place, simultaneous=True)))
    return scaled.coeff(small, 0), scaled.coeff(small, 2)


# --- moments ----------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def half_moment(k: int) -> sp.Expr:
    r"""Return :math:`\int_0^\infty x^ke^{-rx^2/2-x^4/12}dx`, any real r, y = 0.

    .. math:: \tfrac14 12^s\Gamma(s)\,{}_1F_1(s;\tfrac12;\tfrac34r^2)
        -\tfrac r8 12^{s+1/2}\Gamma(s+\tfrac12)\,{}_1F_1(s+\tfrac12;\tfrac32;\tfrac34r^2),
        \qquad s=\tfrac{k+1}4

    from the expansion of :math:`e^{-rx^2/2}`, even and odd powers summed apart.
    """
    s, z = _R(integer("k", k, minimum=0) + 1, 4), 3 * r**2 / 4
    half = _R(1, 2)
    even = 12**s * sp.gamma(s) * sp.hyper([s], [half], z) / 4
    odd = 12 ** (s + half) * sp.gamma(s + half) * sp.hyper([s + half], [3 * half], z)
    return even - r * odd / 8


def moment(k: int) -> sp.Expr:
    r"""Return :math:`\langle|x|^k\rangle` at y = 0 as a function of r, in closed form."""
    return half_moment(k) / half_moment(0)


# --- observables ------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScalingObservable:
    r"""One observable near T_c: :math:`N^{scaling}[leading + N^{-1/2}correction + O(1/N)]`.

    Attributes
    ----------
    name : str
    scaling : Rational
        Power of N.
    expr : Expr
        In the averages `AVERAGED`, ``Z_0``, r, y and ``delta`` = N^{-1/2}; the averages are those
        of the full weight, so that its N^{-1/2} term adds to the correction.
    meaning : str
        What it is in terms of m.
    """

    name: str
    scaling: sp.Rational
    expr: sp.Expr
    meaning: str

    @property
    def leading(self) -> sp.Expr:
        """The scaling function, in averages under the limiting weight."""
        return self.expr.subs(delta, 0)

    def in_zero_field(self) -> sp.Expr:
        """Return the scaling function at y = 0 in closed form, a function of r alone."""
        values = {mean_x: 0, mean_x3: 0, mean_x2: moment(2), mean_x4: moment(4)}
        values |= {mean_abs: moment(1), integral: 2 * half_moment(0), y: 0}
        return self.leading.subs(values)


@lru_cache(maxsize=1)
def observables() -> Mapping[str, ScalingObservable]:
    """Return the observables by name; those of `curie_weiss.finite_size_constants` and <m>."""
    quarter, half, zero = _R(1, 4), _R(1, 2), sp.S.Zero
    q, fourth = mean_x2, mean_x4
    heat = (1 - r * delta) ** 2 * (fourth - q**2) / 4  # (J/T)^2 N var(m^2)/4, and the field's part
    heat += (1 - r * delta) * delta * y * (mean_x3 - mean_x * q)
    heat += delta**2 * y**2 * (q - mean_x**2)
    rows = (
        ("magnetization", -quarter, mean_x, "<m>"),
        ("abs_m", -quarter, mean_abs, "<|m|>"),
        ("m2", -half, q, "<m^2>"),
        ("m4", sp.S.NegativeOne, fourth, "<m^4>"),
        ("binder", zero, 1 - fourth / (3 * q**2), "1 - <m^4>/(3 <m^2>^2)"),
        ("kurtosis", zero, fourth / q**2, "<m^4>/<m^2>^2"),
        ("ratio", zero, q / mean_abs**2, "<m^2>/<|m|>^2"),
        ("susceptibility", half, q - mean_x**2, "T chi = N (<m^2> - <m>^2)"),
        ("susceptibility_abs", half, q - mean_abs**2, "N (<m^2> - <|m|>^2)"),
        ("specific_heat", zero, heat, "c = N beta^2 var(e)"),
        ("partition_function", quarter, integral / sp.sqrt(2 * sp.pi), "Z/2^N"),
    )
    return MappingProxyType({row[0]: ScalingObservable(*row) for row in rows})


def observable(name: str) -> ScalingObservable:
    """Return one of `observables`.

    Raises
    ------
    InputError
        If there is no observable of that name.
    """
    table = observables()
    if name not in table:
        raise InputError(
            f"name must be one of {', '.join(table)}, got {name!r}{did_you_mean(name, table)}"
        )
    return table[name]


def variance_equation() -> sp.Eq:
    r"""Return the equation of q(r) = <x^2> at y = 0: :math:`q'=-\tfrac12(3-3rq-q^2)=-2c`.

    From :math:`\langle x^4\rangle=3-3rq` (integration by parts) and
    :math:`q'=-\tfrac12(\langle x^4\rangle-q^2)`: specific heat and Binder cumulant are functions
    of q and r alone.
    """
    q = sp.Function("q")(r)
    return sp.Eq(sp.diff(q, r), -(3 - 3 * r * q - q**2) / 2)


# --- maxima -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScalingMaximum:
    r"""The maximum over temperature of an observable at h = 0, N large.

    .. math:: 1-\frac{J}{T^*}=\frac{r}{\sqrt N}+\frac{shift}{N}+O(N^{-3/2}),\qquad
        A_{max}=N^{scaling}\Big[value+\frac{correction}{\sqrt N}+O(1/N)\Big]

    Attributes
    ----------
    name : str
    scaling : Rational
    r, value : Float
        Where the scaling function f is largest, and its value there, to 40 digits.
    correction : Float
        g(r), the N^{-1/2} term: the maximum's own shift changes its height at O(1/N) only.
    shift : Float
        -g'(r)/f''(r), by which the maximum moves.
    """

    name: str
    scaling: sp.Rational
    r: sp.Float
    value: sp.Float
    correction: sp.Float
    shift: sp.Float


@lru_cache(maxsize=8)
def maximum(name: str) -> ScalingMaximum:
    """Return the maximum of ``specific_heat`` or ``susceptibility_abs`` over r, at y = 0.

    The other observables are monotone in r, and have none.
    """
    starts = {"specific_heat": -2.26, "susceptibility_abs": -1.24}
    if name not in starts:
        raise InputError(
            f"name must be one of {', '.join(starts)} (the others are monotone), got {name!r}"
        )
    seen = observable(name)
    f, g = seen.in_zero_field(), correction_in_zero_field(name)
    with mpmath.workdps(60):
        slope = sp.lambdify(r, sp.diff(f, r), "mpmath")
        place = mpmath.findroot(slope, mpmath.mpf(starts[name]))
        exprs = [f, g, -sp.diff(g, r) / sp.diff(f, r, 2)]
        found = [place, *sp.lambdify(r, exprs, "mpmath")(place)]
        numbers = [sp.Float(mpmath.nstr(v, 45), 40) for v in found]
    return ScalingMaximum(name, seen.scaling, *numbers)


@lru_cache(maxsize=16)
def correction_in_zero_field(name: str) -> sp.Expr:
    r"""Return the coefficient of N^{-1/2} at y = 0 in closed form, a function of r.

    An average changes by :math:`\langle AC\rangle-\langle A\rangle\langle C\rangle`, with C the
    N^{-1/2} term of `log_weight`, and Z_0 by <C> Z_0.
    """
    seen = observable(name)
    terms = sp.Poly(log_weight()[1].subs(y, 0), x).terms()
    mean_c = sum(c * moment(j) for (j,), c in terms)
    values = {mean_x: 0, mean_x3: 0, mean_x2: moment(2), mean_x4: moment(4), mean_abs: moment(1)}
    values |= {integral: 2 * half_moment(0), y: 0, delta: 0}
    change = sp.diff(seen.expr, delta).subs(values)
    change += (sp.diff(seen.expr, integral) * integral).subs(values) * mean_c
    for symbol, k in ((mean_x2, 2), (mean_x4, 4), (mean_abs, 1)):
        shifted = sum(c * moment(k + j) for (j,), c in terms) - moment(k) * mean_c
        change += sp.diff(seen.expr, symbol).subs(values) * shifted
    return change


def compiled() -> CompiledScaling:
    """Return the scaling functions f(r, y) and their corrections as NumPy functions."""
    from spinnet.theory.compiled_scaling import CompiledScaling

    return CompiledScaling()


def derivation() -> Derivation:
    """Return the checked derivation, from the exact density to the scaling functions."""
    from spinnet.theory._critical_scaling_steps import build

    return build()
