"""TAP by Plefka's expansion: the Gibbs free energy in powers of beta."""

# %% [markdown]
# # TAP by Plefka's expansion
#
# The naive mean field takes the field at a site from the mean spins of its neighbours, and forgets
# that part of these means is the neighbours' answer to the site itself.  For weak couplings of many
# signs, sum_j J_ij^2 of order one, this echo is as large as the field.  Plefka's expansion finds
# it: fix the magnetisations, expand the free energy in beta,
#
# $$-\beta G(m) = \sum_is(m_i) + \beta\sum_{i<j}J_{ij}m_im_j
# + \frac{\beta^2}2\sum_{i<j}J_{ij}^2(1-m_i^2)(1-m_j^2) + \ldots$$
#
# The first order is the naive mean field, the second the Onsager term of Thouless, Anderson and
# Palmer.  The statements are in `spinnet.theory.plefka`.

# %%
import itertools
import sys
from argparse import ArgumentParser

import mpmath

from spinnet.errors import InputError
from spinnet.files import check_writable
from spinnet.theory import plefka

# A notebook has arguments of its own; there, nothing is parsed.
parser = ArgumentParser(description="Derive TAP by Plefka's expansion, every step checked.")
parser.add_argument("--latex", metavar="FILE", help="also write the derivation as LaTeX")
options = parser.parse_args([] if "ipykernel" in sys.modules else None)
if options.latex:
    try:
        check_writable(options.latex, "--latex")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")

steps = plefka.derivation()
print(f"{steps.title}\n{steps.reference}\n")

# %% [markdown]
# ## Fixed magnetisations
#
# A field lambda on each site holds its mean at m.  Since the Gibbs free energy is stationary in
# lambda, its slope in beta is the mean of the energy.

# %%
print(steps.to_text("Legendre transform"))

# %% [markdown]
# ## Order by order
#
# `plefka.expansion` works with polynomials in s - m, of which averages are coefficients.  Each
# order is compared with sums over the states of three spins, and with the form in print; of two
# spins everything is known in closed form.

# %%
print(steps.to_text("Expansion in beta"))
print(steps.to_text("Two spins, exactly"))

# %% [markdown]
# ## TAP

# %%
print(steps.to_text("TAP: free energy, equations, stability"))
print(steps.to_text("What the Onsager term repairs"))

# %% [markdown]
# ## The model for which it was made
#
# In the model of Sherrington and Kirkpatrick the naive mean field orders at T = 2 J.  With the
# Onsager term the lowest mode is (1 - beta J)^2: it touches zero at T = J, and nothing happens
# above.

# %%
print(steps.to_text("Sherrington and Kirkpatrick: couplings of variance J^2/N"))
print(steps.to_text("Checks that must fail"))

# %% [markdown]
# ## The same results by another route
#
# Four spins in numbers: lambda solved for by Newton's method at each beta, and the Gibbs free
# energy differentiated at beta = 0 in 60 digits.

# %%
SIZE, ORDER = 4, 4
J = {
    pair: mpmath.mpf(x) / 10
    for pair, x in zip(itertools.combinations(range(SIZE), 2), (9, -4, 7, 5, -8, 6), strict=True)
}
M = [mpmath.mpf(x) / 10 for x in (3, -2, 5, 1)]
STATES = list(itertools.product((1, -1), repeat=SIZE))


def gibbs(beta: mpmath.mpf) -> mpmath.mpf:
    """Return -beta G at the magnetisations M, without any expansion."""

    def weights(fields: list[mpmath.mpf]) -> list[mpmath.mpf]:
        return [
            mpmath.exp(
                beta * sum(x * s[i] * s[j] for (i, j), x in J.items())
                + sum(f * (a - m) for f, a, m in zip(fields, s, M, strict=True))
            )
            for s in STATES
        ]

    def gap(*fields: mpmath.mpf) -> list[mpmath.mpf]:
        p = weights(list(fields))
        return [
            sum(w * s[i] for w, s in zip(p, STATES, strict=True)) / sum(p) - M[i]
            for i in range(SIZE)
        ]

    start = [mpmath.atanh(m) for m in M]
    found = mpmath.findroot(gap, start, tol=1e-100)
    return mpmath.log(sum(weights(list(found))))


with mpmath.workdps(60):
    step = mpmath.mpf(1) / 50
    points = [k * step for k in range(-8, 9)]  # a polynomial through 17 points
    values = [gibbs(b) for b in points]
    vandermonde = mpmath.matrix([[b**k for k in range(17)] for b in points])
    series = mpmath.lu_solve(vandermonde, mpmath.matrix(values))
    symbols = {str(x): m for x, m in zip(plefka.magnetizations(SIZE), M, strict=True)}
    symbols |= {f"J_{i + 1}_{j + 1}": x for (i, j), x in J.items()}
    for k in range(ORDER):
        term = plefka.expansion(SIZE, ORDER - 1)[k]
        at = {s: symbols[s.name] for s in term.free_symbols}
        ours = mpmath.mpf(str(term.evalf(40, subs=at)))
        print(f"beta^{k}: {mpmath.nstr(ours, 15)}, exact {mpmath.nstr(series[k], 15)}")
        assert abs(ours - series[k]) < 1e-12
print(f"\n{len(steps)} steps hold, and spinnet.theory.plefka agrees with the second route.")

# %%
if options.latex:
    try:
        print(f"LaTeX written to {steps.write_latex(options.latex)}")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
