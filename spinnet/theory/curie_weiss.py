r"""The Curie-Weiss model: every statement about its mean field and its critical point.

.. math:: H = -\frac{J}{2N}\Big(\sum_i s_i\Big)^2 - h\sum_i s_i,\qquad s_i = \pm1,

diagonal included, so that the pair form (i != j) has the constant -J/2 besides.  Per spin,
m = -df/dh and T_c = J.  tau = 1 - T/J below T_c, t = T/J - 1 above, K = beta J.
Sources: Oprisa & Toth, arXiv:1702.08039 and 1705.11023.  The argument is told in
derivations/curie_weiss.py; here stand the statements, each computed from the free energy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import sympy as sp

from spinnet.errors import InputError
from spinnet.theory.algebra import FreeEnergy, LogCosh, SpinEntropy
from spinnet.theory.checking import Derivation
from spinnet.validation import integer

beta, J, T, N = sp.symbols("beta J T N", positive=True)
h, m = sp.symbols("h m", real=True)
K, tau, t = sp.symbols("K tau t", positive=True)
y = sp.Symbol("y", positive=True)

_REFERENCE = "Curie-Weiss model; Oprisa & Toth, arXiv:1702.08039"


@lru_cache(maxsize=1)
def free_energy() -> FreeEnergy:
    r"""Return the Hubbard-Stratonovich density :math:`Jm^2/2 - T\ln 2\cosh\beta(Jm+h)`.

    :math:`Z = \sqrt{N\beta J/2\pi}\int dm\,e^{-N\beta f(m)}` exactly.  At a stationary point f is
    the free energy per spin and m the magnetisation; elsewhere f is *not* the Gibbs density.
    """
    expr = J * m**2 / 2 - (sp.log(2) + LogCosh(beta * (J * m + h))) / beta
    return FreeEnergy(expr, (m,), (beta, J, h), _REFERENCE, field=(h,))


@lru_cache(maxsize=1)
def gibbs_free_energy() -> FreeEnergy:
    r"""Return the Gibbs density :math:`g = -Jm^2/2 - hm - Ts(m)`, s the entropy of a spin.

    g >= f everywhere, with equality exactly at stationary points.
    """
    expr = -J * m**2 / 2 - h * m - SpinEntropy(m) / beta
    return FreeEnergy(expr, (m,), (beta, J, h), _REFERENCE, field=(h,), name="g")


def partition_function(n_spins: int) -> sp.Expr:
    r"""Return :math:`Z = \sum_k\binom{N}{k}e^{\beta(JM^2/2N + hM)}`, M = N - 2k, for explicit N."""
    size = integer("n_spins", n_spins, minimum=1)
    total = sp.S.Zero
    for k in range(size + 1):
        M = size - 2 * k
        total += sp.binomial(size, k) * sp.exp(beta * (J * sp.Rational(M**2, 2 * size) + h * M))
    return total


def local_field() -> sp.Expr:
    """Return beta (J m + h), the argument of the tanh in the self-consistency."""
    equation = free_energy().self_consistency()
    assert isinstance(equation, sp.Eq)
    return equation.rhs.args[0]


def field_at(order: sp.Expr = m) -> sp.Expr:
    """Return the field h at which `order` is stationary: statements at a saddle made explicit."""
    stationary = sp.Eq(sp.atanh(m), local_field())
    return sp.expand(sp.solve(stationary, h)[0]).subs(m, order)


def critical_beta() -> sp.Expr:
    """Return beta_c = 1/J, where the Hessian at m = h = 0 vanishes."""
    (solution,) = sp.solve(free_energy().hessian()[0].subs({m: 0, h: 0}), beta)
    return solution


def susceptibility() -> sp.Expr:
    r"""Return chi = dm/dh at a stationary point m: :math:`\beta(1-m^2)/(1-\beta J(1-m^2))`."""
    expr = free_energy().expr
    response = -sp.diff(expr, m, h) / sp.diff(expr, m, 2)
    return sp.factor(_on_shell(response))


def energy() -> sp.Expr:
    r"""Return the energy per spin :math:`d(\beta f)/d\beta = -Jm^2/2 - hm` at a stationary m."""
    return sp.expand(_on_shell(sp.diff(beta * free_energy().expr, beta)))


def specific_heat() -> sp.Expr:
    r"""Return c = de/dT at a stationary m: :math:`(\beta(Jm+h))^2(1-m^2)/(1-\beta J(1-m^2))`."""
    expr = free_energy().expr
    slope = -sp.diff(expr, m, beta) / sp.diff(expr, m, 2)
    return sp.factor(-(beta**2) * sp.diff(energy(), m) * _on_shell(slope))


def _on_shell(expr: sp.Expr) -> sp.Expr:
    """Put tanh(beta (J m + h)) = m."""
    return sp.simplify(expr.subs(sp.tanh(beta * (J * m + h)), m))


# --- series -------------------------------------------------------------------------------


def _truncate(expr: sp.Expr, symbol: sp.Symbol, n: int) -> sp.Expr:
    polynomial = sp.expand(expr)
    return sum((polynomial.coeff(symbol, k) * symbol**k for k in range(n + 1)), sp.S.Zero)


def _taylor(expr: sp.Expr, symbol: sp.Symbol, n: int) -> sp.Expr:
    return _truncate(sp.series(expr, symbol, 0, n + 1).removeO(), symbol, n)


def _revert(series: sp.Expr, x: sp.Symbol, target: sp.Symbol, n: int) -> sp.Expr:
    """Solve ``series(x) = target`` for x as a series in `target` up to target**n."""
    first = series.coeff(x, 1)
    solution = target / first
    for _ in range(n - 1):  # each pass makes one more order exact
        image = series.subs(x, solution)
        solution = _truncate(solution + (target - image) / first, target, n)
    return solution


def _order(n: int) -> int:
    return integer("n", n, minimum=1, maximum=12)


@lru_cache(maxsize=32)
def magnetization_series(n: int = 5, variable: str = "tau") -> sp.Expr:
    """Return m**2 at h = 0 below T_c, as a series up to the n-th power.

    Parameters
    ----------
    n : int
        Highest power, 1 to 12.
    variable : {"tau", "K"}
        tau = 1 - T/J, or K - 1 = J/T - 1.
    """
    top, square = _order(n), sp.Symbol("x")
    # m = tanh(K m) gives K(m**2) = artanh(m)/m, a power series in m**2.
    argument = local_field().subs({h: 0, beta: K / J})
    coupling = sp.solve(argument - sp.atanh(m), K)[0]
    in_square = _taylor(coupling, m, 2 * top).subs(m, sp.sqrt(square))
    if variable == "K":
        return _revert(in_square - 1, square, K, top).subs(K, K - 1)
    if variable != "tau":
        raise InputError(f"variable must be 'tau' or 'K', got {variable!r}")
    return _revert(_taylor(1 - 1 / in_square, square, top), square, tau, top)


@lru_cache(maxsize=32)
def critical_isotherm_series(n: int = 7) -> sp.Expr:
    """Return m at T = T_c as a series in y = (3h/J)**(1/3), up to y**n."""
    top = _order(n)
    cubic = _taylor(3 * field_at().subs(beta, critical_beta()) / J, m, top + 2)
    root = _taylor(sp.expand(cubic / m**3) ** sp.Rational(1, 3), m, top - 1)
    return _revert(sp.expand(m * root), m, y, top)


@lru_cache(maxsize=32)
def susceptibility_series(n: int = 1) -> sp.Expr:
    """Return chi J at h = 0 below T_c as a Laurent series in tau up to tau**n."""
    square = magnetization_series(_order(n) + 2)
    chi = J * susceptibility().subs(m, sp.sqrt(square)).subs(beta, 1 / (J * (1 - tau)))
    series = _taylor(sp.cancel(tau * sp.cancel(chi)), tau, n + 1)
    return sp.expand(series / tau)


def susceptibility_above() -> sp.Expr:
    """Return chi at h = 0 above T_c in t = T/J - 1: exactly 1/(J t)."""
    return sp.simplify(susceptibility().subs({m: 0}).subs(beta, 1 / (J * (1 + t))))


@lru_cache(maxsize=32)
def specific_heat_series(n: int = 2) -> sp.Expr:
    """Return c at h = 0 below T_c as a series in tau up to tau**n (c = 0 above)."""
    square = magnetization_series(_order(n) + 1)
    in_tau = energy().subs(h, 0).subs(m, sp.sqrt(square))
    return sp.expand(-sp.diff(in_tau, tau) / J)  # T = J (1 - tau)


# --- exponents ----------------------------------------------------------------------------


@dataclass(frozen=True)
class ExponentTable(Mapping[str, sp.Rational]):
    r"""Critical exponents by name, with the amplitudes of the leading laws.

    Attributes
    ----------
    amplitudes : mapping of str to Expr
        ``magnetization`` B in m = B tau^beta; ``susceptibility_above`` and ``_below`` Gamma+- in
        chi = Gamma |T/J - 1|^-gamma; ``field`` D in h = D m^delta; ``critical_isotherm`` A in
        m = A (h/J)^(1/delta); ``specific_heat_jump`` of c at T_c; ``susceptibility_ratio``
        Gamma+/Gamma-; ``universal_ratio`` Gamma+ D B^(delta-1).
    """

    values_by_name: Mapping[str, sp.Rational]
    amplitudes: Mapping[str, sp.Expr]

    def __getitem__(self, name: str) -> sp.Rational:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


def _leading(series: sp.Expr, symbol: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """Return (amplitude, exponent) of the lowest power of `symbol` in a sum of powers."""
    terms = [term.as_coeff_exponent(symbol) for term in sp.Add.make_args(sp.expand(series))]
    amplitude, exponent = min(terms, key=lambda term: term[1])
    return amplitude, exponent


@lru_cache(maxsize=1)
def exponents() -> ExponentTable:
    """Return beta, gamma, delta, alpha and nu_bar = nu d_c, read off the series of the model.

    nu_bar is the exponent of the correlation *number*: at T_c the Landau quartic makes
    m ~ N**-p, and the quadratic term scales with tau N**(1/nu_bar).
    """
    square, twice_beta = _leading(magnetization_series(2), tau)
    above, minus_gamma = _leading(susceptibility_above(), t)
    below, minus_gamma_below = _leading(susceptibility_series(1) / J, tau)
    field_amplitude, delta = _leading(_taylor(field_at().subs(beta, 1 / J), m, 5), m)
    heat, minus_alpha = _leading(specific_heat_series(1), tau)
    _, power = _leading(free_energy().landau_series(4).subs(beta, 1 / J) + sp.log(2) * J, m)
    assert minus_gamma == minus_gamma_below  # one gamma on both sides of T_c
    p = 1 / power  # N m**power stays of order one, and N tau m**2 = tau N**(1 - 2p)
    amplitude = sp.sqrt(square)
    amplitudes = {
        "magnetization": amplitude,
        "susceptibility_above": above,
        "susceptibility_below": below,
        "susceptibility_ratio": above / below,
        "field": field_amplitude,
        "critical_isotherm": (J / field_amplitude) ** (1 / delta),
        "specific_heat_jump": heat,
        "universal_ratio": sp.simplify(above * field_amplitude * amplitude ** (delta - 1)),
    }
    table = {
        "beta": twice_beta / 2,
        "gamma": -minus_gamma,
        "delta": delta,
        "alpha": -minus_alpha,
        "nu_bar": 1 / (1 - 2 * p),
    }
    return ExponentTable(MappingProxyType(table), MappingProxyType(amplitudes))


# --- finite size at T_c ------------------------------------------------------------------


@dataclass(frozen=True)
class FiniteSizeConstant:
    """An expectation at T_c, h = 0: ``leading + correction / sqrt(N) + O(1/N)``.

    Attributes
    ----------
    scaling : Rational      The quantity itself is N**scaling times this expansion.
    leading : Expr          Closed form of the limit.
    correction : Expr       Coefficient of N**-1/2.
    """

    scaling: sp.Rational
    leading: sp.Expr
    correction: sp.Expr

    def at(self, n_spins: int) -> float:
        """Return the value of the quantity at N, without the O(1/N) term of the expansion."""
        size = integer("n_spins", n_spins, minimum=1)
        value = self.leading + self.correction / sp.sqrt(size)
        return float((sp.Integer(size) ** self.scaling * value).evalf(20))


@lru_cache(maxsize=64)
def scaling_moment(k: int) -> sp.Expr:
    r"""Return :math:`\langle|x|^k\rangle` under the weight :math:`e^{-x^4/12}`, x = m N^{1/4}."""
    x = sp.Symbol("x", positive=True)
    weight = sp.exp(critical_weight(x)[0])
    power = integer("k", k, minimum=0)
    upper, lower = (sp.integrate(x**j * weight, (x, 0, sp.oo)) for j in (power, 0))
    return sp.gammasimp(upper / lower)


def critical_weight(x: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    r"""Return ln P(x) at T_c, x = m N^{1/4}: the limit, and the coefficient of N^{-1/2}.

    From the exact pmf with Stirling's
    :math:`\binom{N}{N(1+m)/2} = 2^N\sqrt{2/\pi N(1-m^2)}\,e^{N(s(m)-\ln2)}(1+O(1/N))`.
    Replacing the sum over the lattice of m by an integral costs less than any power of 1/N for a
    smooth average, and O(N^{-3/2}) for one of |m|, whose kink the lattice sees.
    """
    small = sp.Symbol("epsilon", positive=True)  # N**-1/4
    density = gibbs_free_energy().expr.subs({h: 0, beta: 1 / J}).rewrite(sp.log)
    bulk = _taylor(-density / J - sp.log(2), m, 6)
    prefactor = _taylor(-sp.log(1 - m**2) / 2, m, 2)
    scaled = sp.expand((bulk / small**4 + prefactor).subs(m, x * small))
    return scaled.coeff(small, 0), scaled.coeff(small, 2)


def _moment_pair(k: int) -> tuple[sp.Expr, sp.Expr]:
    """Return <|x|^k> and its N**-1/2 correction under `critical_weight`."""
    x = sp.Symbol("x", positive=True)
    terms = sp.Poly(critical_weight(x)[1], x).terms()
    shifted = sum(c * scaling_moment(k + j) for (j,), c in terms)
    normal = sum(c * scaling_moment(j) for (j,), c in terms)
    return scaling_moment(k), sp.gammasimp(shifted - scaling_moment(k) * normal)


@lru_cache(maxsize=1)
def finite_size_constants() -> Mapping[str, FiniteSizeConstant]:
    r"""Return the finite-size constants at T_c and h = 0, in closed form.

    Keys: ``abs_m``, ``m2``, ``m4``; ``binder`` U = 1 - <m^4>/(3<m^2>^2); ``kurtosis``
    <m^4>/<m^2>^2; ``ratio`` <m^2>/<|m|>^2; ``susceptibility`` T_c chi; ``susceptibility_abs``
    T_c chi_{|m|}; ``specific_heat``; ``partition_function`` Z/2^N.
    """
    small = sp.Symbol("epsilon")

    def expand(quantity: sp.Expr, scaling: sp.Rational) -> FiniteSizeConstant:
        leading = sp.gammasimp(sp.simplify(quantity.subs(small, 0)))
        slope = sp.gammasimp(sp.simplify(sp.diff(quantity, small).subs(small, 0)))
        return FiniteSizeConstant(scaling, leading, slope)

    pairs = {k: _moment_pair(k) for k in (1, 2, 4)}
    a, q, r = (first + small * second for first, second in pairs.values())
    half, quarter = sp.Rational(1, 2), sp.Rational(1, 4)
    table = {
        "abs_m": expand(a, -quarter),
        "m2": expand(q, -half),
        "m4": expand(r, sp.S.NegativeOne),
        "binder": expand(1 - r / (3 * q**2), sp.S.Zero),
        "kurtosis": expand(r / q**2, sp.S.Zero),
        "ratio": expand(q / a**2, sp.S.Zero),
        "susceptibility": expand(q, half),
        "susceptibility_abs": expand(q - a**2, half),
        "specific_heat": expand((r - q**2) / 4, sp.S.Zero),  # beta^2 (J/2)^2 N var(m^2)
        "partition_function": expand(_normalisation(small), quarter),
    }
    return MappingProxyType(table)


def _normalisation(small: sp.Symbol) -> sp.Expr:
    """Return Z 2**-N N**(-1/4): (N/2) sqrt(2/(pi N)) N**(-1/4) times the integral of the weight."""
    x = sp.Symbol("x", positive=True)
    weight, correction = critical_weight(x)
    integral = 2 * sp.integrate(sp.exp(weight), (x, 0, sp.oo))
    mean = sum(c * scaling_moment(j) for (j,), c in sp.Poly(correction, x).terms())
    return integral / sp.sqrt(2 * sp.pi) * (1 + small * mean)


def derivation() -> Derivation:
    """Return the checked derivation, from the partition function to the exponents."""
    from spinnet.theory._curie_weiss_steps import build

    return build()
