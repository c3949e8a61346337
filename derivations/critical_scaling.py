"""Finite-size scaling at the mean-field critical point: from the exact density to functions."""

# %% [markdown]
# # Finite-size scaling at the critical point
#
# At T_c the free energy of N spins that all feel each other is flat to fourth order.  The
# magnetisation is then of order N^(-1/4) and its distribution is not Gaussian:
#
# $$P(x) \propto e^{-rx^2/2 - x^4/12 + yx},\qquad x = mN^{1/4},\quad r=\sqrt N(1-J/T),
# \quad y=\beta hN^{3/4}.$$
#
# Every exponent that a simulation can read off a series of sizes stands in these powers of N, and
# every amplitude is an integral over this weight.  The script derives the weight with its first
# correction, the integrals in closed form, and the maxima of specific heat and susceptibility.
# The statements are in `spinnet.theory.critical_scaling`.

# %%
import sys
from argparse import ArgumentParser

import numpy as np

from spinnet.errors import InputError
from spinnet.files import check_writable
from spinnet.theory import critical_scaling, curie_weiss

# A notebook has arguments of its own; there, nothing is parsed.
parser = ArgumentParser(description="Derive finite-size scaling at T_c, every step checked.")
parser.add_argument("--latex", metavar="FILE", help="also write the derivation as LaTeX")
options = parser.parse_args([] if "ipykernel" in sys.modules else None)
if options.latex:
    try:
        check_writable(options.latex, "--latex")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")

steps = critical_scaling.derivation()
print(f"{steps.title}\n{steps.reference}\n")

# %% [markdown]
# ## The weight
#
# The number of states at given M is a binomial coefficient; Stirling's formula gives its entropy
# and a prefactor.  In the scaling variables the quadratic, the quartic and the field term are all
# of order one, the sixth power and the prefactor are of order N^(-1/2): that is why a Binder
# cumulant at N = 100 is still far from its limit.  The field of the Hubbard-Stratonovich identity
# has the same limit but another correction: moments of one are not moments of the other.

# %%
print(steps.to_text("From the exact density to the weight"))

# %% [markdown]
# ## Moments in closed form
#
# Expanding e^{-r x^2/2} and integrating term by term sums to confluent hypergeometric functions
# of 3 r^2/4, valid on both sides of T_c.

# %%
print(steps.to_text("Moments"))
print(steps.to_text("At the critical point"))

# %% [markdown]
# ## Corrections, and one function for all of zero field
#
# The corrections at T_c have closed forms too.  In zero field the whole of the family is one
# function: q(r) = <x^2> obeys a Riccati equation, and c, the Binder cumulant and chi follow.

# %%
print(steps.to_text("Corrections of order N^(-1/2) at the critical point"))
print(steps.to_text("Zero field: one function q(r) = <x^2>"))

# %% [markdown]
# ## Maxima and exponents
#
# In the infinite system c jumps from 0 to 3/2 and has no maximum above that.  At every finite N
# it overshoots, to 1.657 in the limit, at a temperature that is too low by 2.26 N^(-1/2).  Whoever
# reads T_c off the maximum of c must extrapolate with this power.

# %%
print(steps.to_text("Maxima over temperature"))
print(steps.to_text("Exponents in N"))
print(steps.to_text("Checks that must fail"))

# %% [markdown]
# ## The same results by another route
#
# Exact sums over M at finite N, without any expansion.

# %%
scaling = critical_scaling.compiled()


def exact(size: int, r: float, y: float = 0.0) -> dict[str, float]:
    """Return the observables of `size` spins from the sum over M."""
    K = 1 - r / np.sqrt(size)
    M = np.arange(-size, size + 1, 2, dtype=float)
    logs = np.concatenate([[0.0], np.log(np.arange(1, size + 1)).cumsum()])  # ln k!
    logs = logs[-1] - logs - logs[::-1] + K * M**2 / (2 * size) + y * M / size**0.75
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    m = M / size
    energy = K * m**2 / 2 + y * m / size**0.75
    second, fourth = (weight * m**2).sum(), (weight * m**4).sum()
    return {
        "magnetization": (weight * m).sum(),
        "abs_m": (weight * abs(m)).sum(),
        "m2": second,
        "binder": 1 - fourth / (3 * second**2),
        "specific_heat": size * ((weight * energy**2).sum() - (weight * energy).sum() ** 2),
    }


for r, y in ((0.0, 0.0), (-2.2568, 0.0), (1.0, 0.0), (-1.5, 0.4), (0.5, 2.0)):
    for name, small in exact(400, r, y).items():
        expansions = [
            float(scaling.at(name, n, beta=1 - r / n**0.5, h=y / n**0.75 / (1 - r / n**0.5)))
            for n in (400, 1600)
        ]
        errors = [
            abs(value - expansion) * n ** (1 - float(critical_scaling.observable(name).scaling))
            for n, value, expansion in zip(
                (400, 1600), (small, exact(1600, r, y)[name]), expansions, strict=True
            )
        ]
        # What is left out is O(1/N): N times it stays put; a wrong N^(-1/2) term doubles it.
        assert errors[1] < 1.35 * errors[0] + 1e-7, (name, r, y, errors)
print("Sums over M at N = 400 and 1600: what the expansions leave out falls as 1/N.")

# %%
peak = critical_scaling.maximum("specific_heat")
grid = np.linspace(-2.3, -2.1, 41)
for size in (1_000, 10_000):
    best = max(exact(size, r)["specific_heat"] for r in grid)
    law = float(peak.value + peak.correction / np.sqrt(size))
    print(f"N = {size:6d}: largest c {best:.5f}, with the known correction {law:.5f}")
    assert abs(best - law) < 30 / size
assert abs(float(peak.r) + 2.2568473920) < 1e-10
constant = curie_weiss.finite_size_constants()["binder"]
assert abs(float(scaling.value("binder", 0.0)) - float(constant.leading)) < 1e-14
assert abs(float(scaling.correction("binder", 0.0)) - float(constant.correction)) < 1e-13
print(
    f"\n{len(steps)} steps hold, and spinnet.theory.critical_scaling agrees with the second route."
)

# %%
if options.latex:
    try:
        print(f"LaTeX written to {steps.write_latex(options.latex)}")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
