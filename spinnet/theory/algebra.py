r"""Symbolic tools: free energies, Gaussian integrals, Laplace's method.

Conventions: F is per spin, :math:`f = -(1/\beta N)\ln Z`, k_B = 1, and beta = 1/T is the only
temperature argument.  `check_equal` and `Derivation` live in `spinnet.theory.checking` and are
offered here under the same names.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from spinnet.errors import InputError
from spinnet.theory.checking import Counterexample as Counterexample
from spinnet.theory.checking import Derivation as Derivation
from spinnet.theory.checking import DerivationError as DerivationError
from spinnet.theory.checking import Step as Step
from spinnet.theory.checking import check_equal as check_equal
from spinnet.theory.compiled import CompiledFreeEnergy
from spinnet.theory.functions import LogCosh as LogCosh
from spinnet.theory.functions import SpinEntropy as SpinEntropy
from spinnet.validation import integer

__all__ = [
    "CompiledFreeEnergy",
    "Counterexample",
    "Derivation",
    "DerivationError",
    "FreeEnergy",
    "LogCosh",
    "SpinEntropy",
    "Step",
    "check_equal",
    "gaussian_average",
    "gaussian_integral",
    "hubbard_stratonovich",
    "saddle_point",
]


@dataclass(frozen=True)
class FreeEnergy:
    """A free energy per spin as a function of its order parameters.

    Attributes
    ----------
    expr : Expr
        F(order; params), per spin.
    order : tuple of Symbol
        Order parameters; F is stationary in them at a solution.
    params : tuple of Symbol
        Every other symbol of `expr`, in the order that compiled functions use.
    reference : str
        Where the formula comes from.
    domain : (float, float)
        Interval that holds every stationary value of each order parameter.
    field : tuple of Symbol
        Those parameters that break the symmetry order -> -order; zero in a Landau series.
    arrays : tuple of (name, Array)
        Groups of parameters that compiled functions take as one array, e.g. ``W``.
    name : str
        Letter of the function in LaTeX.

    Examples
    --------
    >>> from spinnet.theory import curie_weiss
    >>> curie_weiss.free_energy().self_consistency()
    Eq(m, tanh(beta*(J*m + h)))
    """

    expr: sp.Expr
    order: tuple[sp.Symbol, ...]
    params: tuple[sp.Symbol, ...]
    reference: str
    domain: tuple[float, float] = (-1.0, 1.0)
    field: tuple[sp.Symbol, ...] = ()
    arrays: tuple[tuple[str, sp.ImmutableDenseNDimArray], ...] = ()
    name: str = "f"

    def __post_init__(self) -> None:
        if not self.order:
            raise InputError("order must name at least one order parameter, got none")
        listed = [*self.order, *self.params]
        if len({s.name for s in listed}) < len(listed):
            raise InputError(f"order and params must have distinct names, got {listed}")
        unknown = sp.sympify(self.expr).free_symbols - set(listed)
        if unknown:
            names = ", ".join(sorted(s.name for s in unknown))
            raise InputError(f"expr has symbols that are neither in order nor in params: {names}")
        if not self.domain[0] < self.domain[1]:
            raise InputError(f"domain must be (low, high) with low < high, got {self.domain}")

    def stationarity(self) -> list[sp.Expr]:
        """Return [dF/dm for each order parameter m]; a solution makes each vanish."""
        return [sp.simplify(sp.diff(self.expr, m)) for m in self.order]

    def self_consistency(self) -> sp.Eq | list[sp.Eq]:
        """Return stationarity in textbook form, m = g(m); a list if there are several m.

        Solves dF/dm = 0 for the part linear in m with every function of m held fixed, or, if m
        stands only inside artanh, inverts it.

        Raises
        ------
        InputError
            If stationarity is of neither form.
        """
        gradient = self.stationarity()
        atoms = {a for g in gradient for a in g.atoms(sp.Function) if a.has(*self.order)}
        held = {a: sp.Dummy() for a in atoms}
        frozen = [sp.expand(g.subs(held)) for g in gradient]
        back = {dummy: a for a, dummy in held.items()}
        # in the order of the order parameters: a set has none of its own
        inverse = sorted(
            (a for a in atoms if isinstance(a, sp.atanh)),
            key=lambda a: ([not a.has(m) for m in self.order], sp.default_sort_key(a)),
        )
        unknowns = [held[a] for a in inverse] if inverse else list(self.order)
        solved = sp.solve(frozen, unknowns, dict=True) if len(unknowns) == len(frozen) else []
        if not solved or len(solved) > 1:
            raise InputError(
                "self_consistency needs dF/dm linear in m or in artanh(m), with other functions "
                f"of m held fixed; got {gradient}"
            )
        sides = [(u, sp.simplify(solved[0][u].subs(back))) for u in unknowns]
        if inverse:
            sides = [(back[u].args[0], sp.tanh(sp.factor(rhs))) for u, rhs in sides]
        equations = [sp.Eq(u, rhs) for u, rhs in sides]
        return equations[0] if len(equations) == 1 else equations

    def hessian(self) -> sp.ImmutableMatrix:
        """Return the matrix of second derivatives, one row for each order parameter."""
        return sp.ImmutableMatrix(sp.hessian(self.expr, self.order)).applyfunc(sp.simplify)

    def landau_series(self, n: int, *, zero_field: bool = True) -> sp.Expr:
        """Return the Taylor polynomial in m about 0 up to and including m**n.

        Parameters
        ----------
        n : int
            Highest power.
        zero_field : bool
            Expand at zero symmetry-breaking field (the Landau form); False keeps the field.
        """
        if len(self.order) != 1:
            raise InputError(f"landau_series needs one order parameter, got {len(self.order)}")
        top = integer("n", n, minimum=0)
        m = self.order[0]
        term = self.expr.subs(dict.fromkeys(self.field, 0)) if zero_field else self.expr
        total = sp.S.Zero
        for k in range(top + 1):
            total += sp.factor(sp.simplify(term.subs(m, 0))) * m**k / sp.factorial(k)
            term = sp.expand(sp.diff(term, m)) if k else sp.diff(term, m)
        return total

    def latex(self) -> str:
        """Return ``f(m) = ...`` in LaTeX."""
        arguments = ", ".join(sp.latex(m) for m in self.order)
        return rf"{self.name}\left({arguments}\right) = {sp.latex(self.expr)}"

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"

    def compile(self) -> CompiledFreeEnergy:
        """Return NumPy functions of F, its gradient and its Hessian (made once)."""
        return _compiled(self)


@lru_cache(maxsize=64)
def _compiled(free_energy: FreeEnergy) -> CompiledFreeEnergy:
    return CompiledFreeEnergy(free_energy)


def gaussian_average(
    expr: sp.Expr, z: sp.Symbol, *, mean: sp.Expr = 0, variance: sp.Expr = 1
) -> sp.Expr:
    r"""Return :math:`\int Dz\, expr(z)` over a Gaussian of given mean and variance.

    Closed form if every term of the expanded `expr` is :math:`z^k e^{az}`, by
    :math:`\langle z^k e^{az}\rangle = \partial_a^k e^{a\,mean + a^2 variance/2}`; otherwise an
    unevaluated Integral.
    """
    mean, variance, expr = map(sp.sympify, (mean, variance, expr))
    rewritten = expr.rewrite(sp.exp) if expr.has(sp.cosh, sp.sinh, sp.cos, sp.sin) else expr
    total = sp.S.Zero
    for term in sp.Add.make_args(sp.expand(rewritten)):
        closed = _gaussian_term(sp.powsimp(term), z, mean, variance)
        if closed is None:
            density = sp.exp(-((z - mean) ** 2) / (2 * variance)) / sp.sqrt(2 * sp.pi * variance)
            return sp.Integral(density * expr, (z, -sp.oo, sp.oo))
        total += closed
    return total


def _gaussian_term(term: sp.Expr, z: sp.Symbol, mean: sp.Expr, variance: sp.Expr) -> sp.Expr | None:
    """Return the average of c z^k exp(a z + b), or None if `term` is not of that form."""
    constant, rest = term.as_independent(z, as_Add=False)
    power, exponent = 0, sp.S.Zero
    for factor in sp.Mul.make_args(rest):
        if isinstance(factor, sp.exp):
            exponent += factor.args[0]
        elif factor != 1:
            base, k = factor.as_base_exp()
            if base != z or not (k.is_Integer and k > 0):
                return None
            power += int(k)
    exponent = sp.expand(exponent)
    if not exponent.is_polynomial(z) or sp.degree(exponent, z) > 1:
        return None
    a = sp.Dummy("a")
    moment = sp.diff(sp.exp(a * mean + a**2 * variance / 2), a, power)
    linear, offset = exponent.coeff(z, 1), exponent.coeff(z, 0)
    result: sp.Expr = constant * sp.exp(offset) * moment.subs(a, linear)
    return result


def gaussian_integral(matrix: sp.Matrix, source: sp.Matrix) -> sp.Expr:
    r"""Return the n-dimensional Gaussian integral with a source.

    .. math:: \int d^nx\, e^{-x^T M x/2 + k^T x} = (2\pi)^{n/2}\det(M)^{-1/2} e^{k^T M^{-1} k/2}

    Parameters
    ----------
    matrix : Matrix, (n, n)    M, symmetric, with positive definite real part.
    source : Matrix, (n, 1)    k, real or complex.
    """
    if matrix != matrix.T:
        raise InputError("matrix must be symmetric; pass (M + M.T)/2")
    n = matrix.shape[0]
    if source.shape != (n, 1):
        raise InputError(f"source must have shape ({n}, 1) like matrix, got {source.shape}")
    exponent = (source.T * matrix.inv(method="ADJ") * source)[0] / 2
    return (2 * sp.pi) ** sp.Rational(n, 2) / sp.sqrt(matrix.det()) * sp.exp(sp.together(exponent))


def hubbard_stratonovich(a: sp.Expr, x: sp.Symbol | None = None) -> sp.Eq:
    r"""Return :math:`e^{a^2/2} = \int\frac{dx}{\sqrt{2\pi}} e^{-x^2/2 + a x}`, checked.

    `a` must be real: a coupling matrix with a negative eigenvalue needs an imaginary field.
    """
    a = sp.sympify(a)
    x = x or sp.Symbol("x", real=True)
    if a.is_real is False:
        raise InputError(f"a must be real (the field is imaginary otherwise), got {a}")
    if a.has(x):
        raise InputError(f"a must not contain the integration variable {x}, got {a}")
    integrand = sp.exp(-(x**2) / 2 + a * x) / sp.sqrt(2 * sp.pi)
    check_equal(sp.exp(a**2 / 2), gaussian_average(sp.exp(a * x), x))
    integral = sp.Integral(integrand, (x, -sp.oo, sp.oo))
    return sp.Eq(sp.exp(a**2 / 2), integral, evaluate=False)


def saddle_point(
    f: sp.Expr,
    variables: sp.Symbol | Sequence[sp.Symbol],
    at: sp.Expr | Sequence[sp.Expr],
    large: sp.Symbol,
    *,
    correction: bool = False,
) -> sp.Expr:
    r"""Return Laplace's approximation of :math:`\ln\int d^dx\, e^{-L f(x)}`, L = `large`.

    .. math:: -L f_0 - \tfrac12\ln\det\frac{L f''}{2\pi} + \frac1L\Big[-\tfrac18 f_{ijkl}G_{ij}
        G_{kl} + \tfrac18 f_{ijk}f_{lmn}G_{ij}G_{kl}G_{mn} + \tfrac1{12} f_{ijk}f_{lmn}G_{il}
        G_{jm}G_{kn}\Big]

    with :math:`G = (f'')^{-1}` at the stationary point.

    Parameters
    ----------
    f : Expr
    variables : Symbol or sequence
    at : Expr or sequence
        The stationary point.  Pass the variables themselves to keep it implicit; otherwise the
        gradient there is checked to vanish.
    large : Symbol
        The large parameter L; f must not contain it.
    correction : bool
        Include the 1/L bracket (errors O(1/L) without it, O(1/L^2) with it).
    """
    names = list(variables) if isinstance(variables, Sequence) else [variables]
    point = list(at) if isinstance(at, Sequence) else [at]
    if len(names) != len(point):
        raise InputError(f"at must have one value per variable, got {len(point)}")
    if sp.sympify(f).has(large):
        raise InputError(f"f must not contain the large parameter {large}, got {f}")
    place = dict(zip(names, point, strict=True))
    if names != point:
        check_equal([sp.diff(f, v).subs(place) for v in names], [0] * len(names))
    curvature = sp.hessian(f, names).subs(place)
    d = len(names)
    total = -large * f.subs(place) - sp.log(curvature.det()) / 2
    total -= sp.Rational(d, 2) * sp.log(large / (2 * sp.pi))
    return total + _loop_correction(f, names, place, curvature) / large if correction else total


def _loop_correction(
    f: sp.Expr, names: list[sp.Symbol], place: dict[sp.Symbol, sp.Expr], curvature: sp.Matrix
) -> sp.Expr:
    """Return the bracket of `saddle_point`: the three two-loop vacuum diagrams."""
    green = curvature.inv(method="ADJ")
    index = range(len(names))

    def vertex(*legs: int) -> sp.Expr:
        return sp.diff(f, *(names[k] for k in legs)).subs(place)

    total = sp.S.Zero
    for i, j, k, l in itertools.product(index, repeat=4):  # noqa: E741
        total -= vertex(i, j, k, l) * green[i, j] * green[k, l] / 8
    for i, j, k, l, m, n in itertools.product(index, repeat=6):  # noqa: E741
        pair = vertex(i, j, k) * vertex(l, m, n)
        total += pair * green[i, j] * green[k, l] * green[m, n] / 8
        total += pair * green[i, l] * green[j, m] * green[k, n] / 12
    return sp.simplify(total)
