"""The spin system dual to a network layer: exact form, saddle point, one loop, maps."""

# %% [markdown]
# # The spin system dual to a network layer
#
# A layer of units that are on or off, weights between them, biases on them: that is a spin system
# in disguise, and its thermodynamics can be asked for.  Oprisa and Toth (arXiv:1702.08039,
# 1705.11023) replace the layer by one fully connected system
#
# $$H = -\frac{1}{2N}\sum_{ij}W_{ij}s_is_j - \sum_i h_is_i$$
#
# and solve it at a saddle point.  This script follows the route with explicit symbols for a
# non-symmetric W with diagonal, checks each step by machine, and marks where the printed formulas
# need another sign, factor or word.  The statements live in `spinnet.theory.dual`.

# %%
import itertools
import sys
from argparse import ArgumentParser

import mpmath
import numpy as np
import sympy as sp

from spinnet.errors import InputError
from spinnet.files import check_writable
from spinnet.theory import dual

# A notebook has arguments of its own; there, nothing is parsed.
parser = ArgumentParser(description="Derive the dual of a network layer, every step checked.")
parser.add_argument("--latex", metavar="FILE", help="also write the derivation as LaTeX")
options = parser.parse_args([] if "ipykernel" in sys.modules else None)
if options.latex:
    try:
        check_writable(options.latex, "--latex")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")

steps = dual.derivation()
print(f"{steps.title}\n{steps.reference}\n")

# %% [markdown]
# ## An exact integral
#
# Write each spin as a variable V under a delta function, and the delta function as an integral
# over an imaginary U.  Spins then stand only in sum_s e^{U s} = 2 cosh U, and the energy is a
# function of V.  The U contour matters: along the imaginary axis cosh U = cos u, and the pair of
# integrals picks out V = +-1.  With a Gaussian dependence on V, which is what the energy gives,
# both integrals are elementary, and for n spins the result is the sum over states.

# %%
print(steps.to_text("Exact integral form"))

# %% [markdown]
# ## The saddle
#
# Only A = (W + W^T)/2 enters: the energy does not know the antisymmetric part of W, and neither
# may its derivatives.  Iterating V = tanh(beta (W V/N + h)) with a non-symmetric W finds a fixed
# point of a dynamics, not a stationary point of any free energy.

# %%
print(steps.to_text("Saddle point"))

# %% [markdown]
# ## One loop, with the contour in mind
#
# As a matrix of derivatives the Hessian is indefinite for *every* V, so its signs say nothing
# about stability.  Along the contour U = U_0 + i u they turn; integrating u first leaves
# D^{-1} - beta A/N, positive exactly while beta D^{1/2} A D^{1/2}/N has no eigenvalue above 1.
# The determinant of the full Hessian equals that of I - beta A D/N up to (-1)^N.

# %%
print(steps.to_text("Rotated contour and one loop"))

# %% [markdown]
# ## Free energy and response
#
# F_0 = (T/N) H_0 - T ln 2: the last term is the entropy of free spins.  At stationary V the
# derivative by a field is the partial one, so -dF_0/dh is the mean of V.  The response is explicit
# once one reads the saddle equation backwards, as h(V).

# %%
print(steps.to_text("Free energy"))
print(steps.to_text("Linear response"))

# %% [markdown]
# ## Units that are 0 or 1
#
# A unit is not a spin: a = (1 + sigma)/2.  Inserting this divides the coupling by four and
# leaves a field on every site, equal to a quarter of its summed weights.  The two descriptions
# agree state by state only with those fields, and with generic fields there is no sharp
# transition at all.

# %%
print(steps.to_text("Layers of 0 and 1 as spins"))
print(steps.to_text("Padded form"))

# %% [markdown]
# ## What the slides print, and what holds

# %%
print(steps.to_text("Errata of the talk: saddle point"))
print(steps.to_text("Errata of the talk: layers"))

# %% [markdown]
# ## The same results by another route
#
# A non-symmetric 3 x 3 matrix with diagonal and fields, in numbers.  The saddle is found by
# iteration, and its statements are compared with finite differences of the free energy, in 40
# digits; the map of a layer to spins is compared state by state.

# %%
SIZE, BETA = 3, mpmath.mpf("0.8")
W = [[mpmath.cos(i + 2 * j + 1) + mpmath.mpf(i) / 5 for j in range(SIZE)] for i in range(SIZE)]
H = [mpmath.sin(3 * i + 1) / 4 for i in range(SIZE)]
free_energy = dual.free_energy(SIZE)
symbols = [*free_energy.order, *free_energy.params]
evaluate = sp.lambdify(
    symbols, [free_energy.expr.rewrite(sp.log), *dual.linear_response(SIZE)], "mpmath"
)


def saddle(extra: mpmath.mpf) -> list[mpmath.mpf]:
    """Return the stationary V by iterating the symmetrised equation, in a shifted field."""
    V = [mpmath.mpf(1) / 2] * SIZE
    for _ in range(2000):
        local = [sum((W[i][j] + W[j][i]) / 2 * V[j] for j in range(SIZE)) for i in range(SIZE)]
        V = [mpmath.tanh(BETA * (x / SIZE + b + extra)) for x, b in zip(local, H, strict=True)]
    return V


def compiled(extra: mpmath.mpf) -> list[mpmath.mpf]:
    """Return F_0 and the response matrix of `spinnet.theory.dual` at the saddle."""
    flat = [w for row in W for w in row]
    return evaluate(*saddle(extra), BETA, *flat, *(b + extra for b in H))


with mpmath.workdps(40):
    step, centre = mpmath.mpf(10) ** -12, saddle(mpmath.mpf(0))
    slope = (compiled(step)[0] - compiled(-step)[0]) / (2 * step)
    assert abs(-slope - sum(centre) / SIZE) < 1e-20
    moved = [(a - b) / (2 * step) for a, b in zip(saddle(step), saddle(-step), strict=True)]
    response = compiled(mpmath.mpf(0))[1:]
    for i in range(SIZE):
        assert abs(moved[i] - sum(response[SIZE * i : SIZE * (i + 1)])) < 1e-20
print(f"mean V = {mpmath.nstr(sum(centre) / SIZE, 15)} = -dF_0/dh; response agrees to 1e-20")

# %%
# {0,1} against +-1, state by state, for a random rectangular layer.
stream = np.random.default_rng(1)
w, b_bias, a_bias = stream.normal(size=(4, 3)), stream.normal(size=3), stream.normal(size=4)
form = dual.bipartite_to_ising(w, b_bias, a_bias, norm=7.0)
worst = 0.0
for bits in itertools.product((0, 1), repeat=7):
    a, b = np.array(bits[:4]), np.array(bits[4:])
    s, t = 2 * a - 1, 2 * b - 1
    printed = -a @ w @ b / 7.0 - b_bias @ b - a_bias @ a
    spins = -s @ form.couplings @ t - form.fields_a @ s - form.fields_b @ t + form.constant
    worst = max(worst, abs(printed - spins))
assert worst < 1e-14
print(f"128 states of a 4 x 3 layer: energies differ by at most {worst:.1e}")
print(f"\n{len(steps)} steps hold, and spinnet.theory.dual agrees with the second route.")

# %%
if options.latex:
    try:
        print(f"LaTeX written to {steps.write_latex(options.latex)}")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
