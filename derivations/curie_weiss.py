"""The Curie-Weiss model: partition function, saddle point, exponents, finite size."""

# %% [markdown]
# # The Curie-Weiss model
#
# Every spin feels every other with the same strength:
#
# $$H = -\frac{J}{2N}\Big(\sum_i s_i\Big)^2 - h\sum_i s_i, \qquad s_i = \pm 1.$$
#
# It is the one spin system whose mean field is exact, so it is where the exponents of the duality
# between spins and networks can be computed without an approximation: Oprisa and Toth,
# arXiv:1702.08039 and 1705.11023.  This script tells the argument.  The formulas are stated in
# `spinnet.theory.curie_weiss`, once; each line printed below has been checked there by machine,
# and says how.  Run it (`--latex FILE` also writes an article), or open it as a notebook.

# %%
import itertools
import sys
from argparse import ArgumentParser

import mpmath
import sympy as sp

from spinnet.errors import InputError
from spinnet.files import check_writable
from spinnet.theory import check_equal, curie_weiss
from spinnet.theory.algebra import LogCosh
from spinnet.theory.curie_weiss import J, K, N, beta, h, m, tau

# A notebook has arguments of its own; there, nothing is parsed.
parser = ArgumentParser(description="Derive the Curie-Weiss model, every step checked.")
parser.add_argument("--latex", metavar="FILE", help="also write the derivation as LaTeX")
options = parser.parse_args([] if "ipykernel" in sys.modules else None)
if options.latex:
    try:
        check_writable(options.latex, "--latex")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")

steps = curie_weiss.derivation()
print(f"{steps.title}\n{steps.reference}\n")

# %% [markdown]
# ## From the partition function to one integral
#
# The energy depends on the state through M alone, so Z is a sum over N + 1 values of M with
# binomial weights.  What stops the sum over single spins is the square of M.  A Gaussian field m
# removes it: averaging $e^{amM}$ over m gives $e^{a'M^2}$, and with J > 0 the field is real.  The
# spins are then independent *given m*, each contributes $2\cosh\beta(Jm+h)$, and what is left is
# one integral over m of $e^{-N\beta f(m)}$.  Nothing has been approximated.

# %%
print(steps.to_text("Partition function"))

# %% [markdown]
# ## The saddle point
#
# N multiplies the exponent, so for large N the integral is its saddle point.  The stationary m
# obeys m = tanh(beta (J m + h)).  It is easier to read backwards: *every* m in (-1, 1) is
# stationary at exactly one field, h = T artanh m - J m, and this explicit function carries all of
# the model: it is monotone above T = J; below, it folds at m^2 = 1 - T/J, the spinodals, and the
# field there is the coercive field.

# %%
print(steps.to_text("Saddle point"))

# %% [markdown]
# ## Two densities that are often confused
#
# The integrand's f(m) is not the Gibbs density g(m) = -J m^2/2 - h m - T s(m), which one gets
# from the entropy of M.  The field of the Hubbard-Stratonovich identity fluctuates about the
# magnetisation, and f is an inner minimum over g.  They have the same stationary points and the
# same values there; a plot of one labelled as the other is wrong everywhere else.

# %%
print(steps.to_text("Gibbs density"))

# %% [markdown]
# ## Response
#
# Since F is stationary in m, the total derivative by h is the partial one: m = -df/dh.  The
# susceptibility is the inverse slope of the fold h(m), and diverges where the fold begins.

# %%
print(steps.to_text("Response"))

# %% [markdown]
# ## Exponents and amplitudes
#
# At h = 0 a nonzero m obeys artanh(m)/m = J/T, a power series in m^2; reverting it gives m^2 in
# tau = 1 - T/J to any order.  At T = J the equation artanh(m) - m = h/J starts with a cube, hence
# delta = 3.  Susceptibility and specific heat follow by substitution.  All amplitudes are read
# off these series by code; the combination Gamma+ D B^(delta-1), which no change of units can
# alter, comes out as 1.

# %%
print(steps.to_text("Landau series and exponents"))

# %% [markdown]
# ## Beyond the saddle point
#
# The next order of Laplace's method gives the 1/N corrections that a simulation sees away from
# the critical point.  Their coefficients grow like powers of 1/(1 - K): the expansion announces
# its own end at T_c.

# %%
print(steps.to_text("Beyond the saddle point"))

# %% [markdown]
# ## At the critical point
#
# There the quadratic term is gone, the quartic decides, and m is of order N^(-1/4).  In
# x = m N^(1/4) the distribution tends to exp(-x^4/12), so that every limit is a ratio of Gamma
# functions.  Corrections are only of order N^(-1/2): at N = 100 the Binder cumulant is 0.306, far
# from its limit 0.2705, and a test against the limit would fail for a correct program.

# %%
print(steps.to_text("Finite size at the critical point"))

# %% [markdown]
# ## What the slides print, and what holds
#
# The talk on these papers has slips of sign and factor.  Each is recorded as an equality that
# fails, with a point at which it does.

# %%
print(steps.to_text("Errata of the talk"))

# %% [markdown]
# ## The same results by another route
#
# Last, the end points again, without the machinery above: f from the definition of the model by
# brute force; T_c from the sign change of its curvature; the series by inserting it; the limit of
# the Binder cumulant by extrapolating exact sums.

# %%
free_energy = curie_weiss.free_energy()
one_spin = sum(sp.exp(beta * (J * m + h) * s) for s in (1, -1))
check_equal(free_energy.expr, J * m**2 / 2 - sp.log(one_spin) / beta)
check_equal(free_energy.expr, J * m**2 / 2 - (sp.log(2) + LogCosh(beta * (J * m + h))) / beta)

# %%
# Z of four spins: all 16 states, and the integral over m by quadrature.
values = {beta: sp.Rational(7, 5), J: sp.Rational(9, 10), h: sp.Rational(1, 5)}
states = sum(
    sp.exp(beta * (J * sp.Integer(sum(s)) ** 2 / 8 + h * sum(s)))
    for s in itertools.product((1, -1), repeat=4)
)
density = sp.lambdify(
    m, sp.exp(-4 * beta * free_energy.expr.rewrite(sp.log)).subs(values), "mpmath"
)
integral = mpmath.sqrt(4 * mpmath.mpf("1.26") / (2 * mpmath.pi)) * mpmath.quad(
    density, [-mpmath.inf, 0, mpmath.inf]
)
assert abs(integral / states.subs(values).evalf() - 1) < 1e-12
assert sp.simplify(states - curie_weiss.partition_function(4)) == 0

# %%
assert curie_weiss.critical_beta() == 1 / J
series = curie_weiss.magnetization_series(4)
residual = sp.series(sp.atanh(m) - m / (1 - tau), m, 0, 10).removeO().subs(m, sp.sqrt(series))
assert sp.expand(sp.series(residual / sp.sqrt(series), tau, 0, 5).removeO()) == 0
assert dict(curie_weiss.exponents()) == {
    "beta": sp.Rational(1, 2),
    "gamma": 1,
    "delta": 3,
    "alpha": 0,
    "nu_bar": 2,
}


# %%
def binder(size: int) -> mpmath.mpf:
    """Return the Binder cumulant at T_c from the exact sum over M."""
    totals = [mpmath.mpf(0)] * 3
    for up in range(size + 1):
        total = mpmath.mpf(2 * up - size)
        weight = mpmath.binomial(size, up) * mpmath.exp(total**2 / (2 * size))
        totals = [t + weight * total ** (2 * k) for k, t in enumerate(totals)]
    z, second, fourth = totals
    return 1 - fourth * z / (3 * second**2)


constant = curie_weiss.finite_size_constants()["binder"]
for size in (100, 400, 1600):
    print(
        f"N = {size:5d}: exact {mpmath.nstr(binder(size), 10)}, expansion {constant.at(size):.10f}"
    )
    assert abs(binder(size) - constant.at(size)) < 1 / size  # the O(1/N) term left out
check_equal(constant.leading, 1 - sp.gamma(sp.Rational(1, 4)) ** 4 / (24 * sp.pi**2))
check_equal(curie_weiss.specific_heat().subs({h: 0, m: 0}), 0)
check_equal(curie_weiss.susceptibility().subs({m: 0, beta: K / J}) * N, N * K / (J * (1 - K)))
print(f"\n{len(steps)} steps hold, and spinnet.theory.curie_weiss agrees with the second route.")

# %%
if options.latex:
    try:
        print(f"LaTeX written to {steps.write_latex(options.latex)}")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
