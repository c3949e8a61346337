"""The Gaussian integral about the saddle of a network's dual, and its determinant."""

# %% [markdown]
# # The one-loop determinant
#
# Z of the dual of a layer is an integral over V and over an *imaginary* U.  About its saddle the
# exponent is a quadratic form; the printed argument uses "2 pi/f''" of one real variable.  Here the
# integral is done for one, two and three spins along the contour on which it exists:
#
# $$F_1 = F_0 + \frac{T}{2N}\ln\det\Big(1-\frac{\beta}{N}AD\Big),\qquad
# D = \mathrm{diag}(1-V^2),\quad A = (W+W^T)/2.$$
#
# The statements are in `spinnet.theory.dual`.

# %%
import itertools
import sys
from argparse import ArgumentParser

import mpmath

from spinnet.errors import InputError
from spinnet.files import check_writable
from spinnet.theory import dual

# A notebook has arguments of its own; there, nothing is parsed.
parser = ArgumentParser(description="Derive the one-loop determinant, every step checked.")
parser.add_argument("--latex", metavar="FILE", help="also write the derivation as LaTeX")
options = parser.parse_args([] if "ipykernel" in sys.modules else None)
if options.latex:
    try:
        check_writable(options.latex, "--latex")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")

steps = dual.loop_derivation()
print(f"{steps.title}\n{steps.reference}\n")

# %% [markdown]
# ## The form, and the integral
#
# U = U_0 + i u: the square of u gets a plus, the product of u and v an i.  Integrating u first
# leaves exp(-v (D^-1 - beta A/N) v/2).

# %%
print(steps.to_text("Quadratic form along the contour"))
print(steps.to_text("Gaussian integral: u first, then v"))

# %% [markdown]
# ## Another way to the same determinant
#
# Replace each spin by a block of L spins.  The magnetisations of the blocks have an entropy and
# Stirling's prefactor, no U is needed, and Laplace's method in L gives the same determinant.

# %%
print(steps.to_text("The same determinant without U"))

# %% [markdown]
# ## When the integral exists

# %%
print(steps.to_text("Convergent exactly while lambda_max < 1"))
print(steps.to_text("Free energy to one loop"))

# %% [markdown]
# ## The Curie-Weiss model, and the printed Gaussian

# %%
print(steps.to_text("Consequences in the Curie-Weiss model"))
print(steps.to_text("The printed Gaussian"))

# %% [markdown]
# ## The same results by another route
#
# Blocks of L spins in exact sums: ln Z - L ln Z_0 tends to -1/2 ln det.  Two sums of L and 2 L
# remove the next term, of order 1/L.

# %%
BETA = mpmath.mpf("0.7")
W = [[mpmath.mpf(x) / 10 for x in row] for row in ((6, 5, -3), (1, 4, 7), (2, -4, 5))]
H = [mpmath.mpf(x) / 10 for x in (3, -2, 1)]


def coupling(i: int, j: int, n: int) -> mpmath.mpf:
    return (W[i][j] + W[j][i]) / 2 / n


def log_z(n: int, size: int) -> mpmath.mpf:
    """Return ln Z of n blocks of `size` spins: energies times size, as functions of the means."""
    counts = [mpmath.binomial(size, k) for k in range(size + 1)]
    means = [mpmath.mpf(size - 2 * k) / size for k in range(size + 1)]
    total = mpmath.mpf(0)
    for state in itertools.product(range(size + 1), repeat=n):
        M = [means[k] for k in state]
        energy = sum(H[i] * M[i] for i in range(n))
        energy += sum(coupling(i, j, n) * M[i] * M[j] for i in range(n) for j in range(n)) / 2
        total += mpmath.fprod(counts[k] for k in state) * mpmath.exp(BETA * size * energy)
    return mpmath.log(total)


def saddle(n: int) -> list[mpmath.mpf]:
    V = [mpmath.mpf(1) / 2] * n
    for _ in range(400):
        V = [
            mpmath.tanh(BETA * (sum(coupling(i, j, n) * V[j] for j in range(n)) + H[i]))
            for i in range(n)
        ]
    return V


with mpmath.workdps(30):
    for n, size in ((1, 64), (2, 32), (3, 10)):
        V = saddle(n)
        values = [*V, BETA, *(W[i][j] for i in range(n) for j in range(n)), *H[:n]]
        symbols = [*dual.order(n), dual.beta, *dual.weights(n), *dual.fields(n)]
        at = dict(zip(symbols, values, strict=True))
        f_0, f_1 = (
            mpmath.mpf(str(f.expr.evalf(30, subs=at)))
            for f in (dual.free_energy(n), dual.one_loop(n))
        )
        loop = -n * BETA * (f_1 - f_0)
        gaps = [log_z(n, k) + k * n * BETA * f_0 for k in (size // 2, size)]
        limit = 2 * gaps[1] - gaps[0]  # the 1/L term removed
        print(
            f"N = {n}: -1/2 ln det = {mpmath.nstr(loop, 8)}; "
            f"blocks of {size // 2} and {size} spins: "
            f"{mpmath.nstr(gaps[0], 6)}, {mpmath.nstr(gaps[1], 6)} -> {mpmath.nstr(limit, 8)}"
        )
        assert abs(limit - loop) < mpmath.mpf(3) / size**2
        assert abs(limit - loop) < abs(loop) / 20
print(f"\n{len(steps)} steps hold, and spinnet.theory.dual agrees with the second route.")

# %%
if options.latex:
    try:
        print(f"LaTeX written to {steps.write_latex(options.latex)}")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
