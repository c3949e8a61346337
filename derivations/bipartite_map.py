"""Units {0,1} of a layer as spins: one congruence, and what it is not."""

# %% [markdown]
# # From units {0,1} to spins, by congruence
#
# A layer z = w^T a + bias with units that are on or off has the energy
#
# $$H = -\frac1{norm}\sum_{ij}w_{ij}a_ib_j - \sum_jh_jb_j - \sum_ig_ia_i,\qquad a,b\in\{0,1\}.$$
#
# Physics knows spins, so one writes a = (1 + sigma)/2.  The talk says that this changes H "up to a
# constant"; it changes the coupling, and puts a field on every site.  The statements are in
# `spinnet.theory.layers` and `spinnet.theory.dual.bipartite_to_ising`.

# %%
import itertools
import sys
from argparse import ArgumentParser

import numpy as np
import sympy as sp

from spinnet.errors import InputError
from spinnet.files import check_writable
from spinnet.theory import dual, layers

# A notebook has arguments of its own; there, nothing is parsed.
parser = ArgumentParser(description="Derive the map of a layer to spins, every step checked.")
parser.add_argument("--latex", metavar="FILE", help="also write the derivation as LaTeX")
options = parser.parse_args([] if "ipykernel" in sys.modules else None)
if options.latex:
    try:
        check_writable(options.latex, "--latex")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")

steps = layers.map_derivation()
print(f"{steps.title}\n{steps.reference}\n")

# %% [markdown]
# ## One pair is enough
#
# H is a sum over pairs and over sites, so that the map of one pair and of one site is the map at
# any size: of the coupling a quarter stays, and each end gets a quarter as a field.

# %%
print(steps.to_text("One pair and one site"))

# %% [markdown]
# ## In one line
#
# Put a 1 before each layer, (1, a), and the biases into row and column 0 of W.  Then (1, a) =
# P (1, sigma) is linear, and the matrix of the spin model is P_a^T W P_b: a congruence.  The corner
# is the constant.

# %%
print(steps.to_text("Congruence, sizes 1 x 1, 2 x 3, 3 x 2"))

# %% [markdown]
# ## At any size
#
# P has the entries (delta_i0 + delta_ki)/2.  Matrices x^k y^l span all matrices, and on them the
# congruence factorises into two sums of powers, done here for N symbolic.

# %%
print(steps.to_text("Congruence at any size"))

# %% [markdown]
# ## The spin that is not a spin
#
# The 1 in front is a number.  Summing over its sign, as over the spins, gives another model.

# %%
print(steps.to_text("Partition function and the clamped spin"))
print(steps.to_text("What the map is not"))

# %% [markdown]
# ## The same results by another route
#
# A 5 x 4 layer in numbers, state by state.

# %%
stream = np.random.default_rng(1)
w, h, g = stream.normal(size=(5, 4)), stream.normal(size=4), stream.normal(size=5)
form = dual.bipartite_to_ising(w, h, g, norm=3.0)
matrix = np.block([[np.zeros((1, 1)), 3.0 * h[None]], [3.0 * g[:, None], w]])
P_a, P_b = (np.array(layers.lift(n).tolist(), dtype=float) for n in w.shape)
congruent = P_a.T @ matrix @ P_b
np.testing.assert_allclose(congruent[1:, 1:] / 3.0, form.couplings, rtol=1e-14)
np.testing.assert_allclose(congruent[0, 1:] / 3.0, form.fields_b, rtol=1e-13)
np.testing.assert_allclose(congruent[1:, 0] / 3.0, form.fields_a, rtol=1e-13)
worst, weights = 0.0, {"bits": [], "spins": [], "same w": []}
for bits in itertools.product((0, 1), repeat=9):
    a, b = np.array(bits[:5]), np.array(bits[5:])
    s, t = 2 * a - 1, 2 * b - 1
    printed = -a @ w @ b / 3.0 - h @ b - g @ a
    spins = -s @ form.couplings @ t - form.fields_a @ s - form.fields_b @ t + form.constant
    worst = max(worst, abs(printed - spins))
    for name, energy in (
        ("bits", printed),
        ("spins", spins),
        ("same w", -s @ w @ t / 3.0 - h @ t - g @ s),
    ):
        weights[name].append(np.exp(-energy))
assert worst < 1e-13
log_z = {name: float(np.log(np.sum(values))) for name, values in weights.items()}
assert abs(log_z["bits"] - log_z["spins"]) < 1e-12
print(f"512 states: energies differ by at most {worst:.1e}")
print("ln Z: " + ", ".join(f"{name} {value:.4f}" for name, value in log_z.items()))

# %%
symbolic = dual.bipartite_to_ising(sp.Matrix([[1, 2], [3, 5]]), sp.Matrix([7, 11]), norm=2)
padded = layers.padded(sp.Matrix([[1, 2], [3, 5]]), sp.Matrix([7, 11]), sp.zeros(2, 1), norm=2)
assert layers.congruent(padded) == layers.padded_spins(symbolic, norm=2)
print(f"\n{len(steps)} steps hold, and spinnet.theory.layers agrees with the second route.")

# %%
if options.latex:
    try:
        print(f"LaTeX written to {steps.write_latex(options.latex)}")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
