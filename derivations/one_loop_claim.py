"""Two layers against one: what the 1-loop claim says, where it holds and where it fails."""

# %% [markdown]
# # Two layers and one: the 1-loop claim
#
# The talk replaces a layer, which is two sets of units with weights between them, by one set that
# feels itself: "the leading contribution to Z_bip is Z_full".  What is true is smaller and has
# other factors:
#
# $$Z_{bip}(W) \le Z_{full}(W/2)^2\quad\text{for symmetric }W\ge0,$$
#
# with equality to leading order if the rank of W is finite.  Half of W, and a square: with the
# printed form T_c is wrong by two.  The statements are in `spinnet.theory.layers`.

# %%
import sys
from argparse import ArgumentParser

import mpmath
import numpy as np
from scipy.special import gammaln, logsumexp

from spinnet.errors import InputError
from spinnet.files import check_writable
from spinnet.theory import layers

# A notebook has arguments of its own; there, nothing is parsed.
parser = ArgumentParser(description="Derive the 1-loop claim and its limits, every step checked.")
parser.add_argument("--latex", metavar="FILE", help="also write the derivation as LaTeX")
options = parser.parse_args([] if "ipykernel" in sys.modules else None)
if options.latex:
    try:
        check_writable(options.latex, "--latex")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")

steps = layers.claim_derivation()
print(f"{steps.title}\n{steps.reference}\n")

# %% [markdown]
# ## The theorem
#
# For W = L L^T, a^T W b is at most the mean of a^T W a and b^T W b, since the difference is half
# the square of L^T (a - b).  Summed over states: Z_bip is Z_full(W/2)^2 with every pair of states
# weighted by a number that is at most 1.

# %%
print(steps.to_text("Z_bip(W) <= Z_full(W/2)^2 for W = L L^T"))
print(steps.to_text("Mean field: x = y"))

# %% [markdown]
# ## One loop
#
# About the saddle x = y the two layers fluctuate in sum and in difference: det(1 - k) det(1 + k)
# against det(1 - k)^2.  One eigenvalue contributes a number; a bulk of eigenvalues contributes in
# proportion to N, and the claim fails at leading order.

# %%
print(steps.to_text("One loop"))
print(steps.to_text("Exact sums, N = 12, beta = 2, uniform weights +1 and -1"))

# %% [markdown]
# ## Where it fails

# %%
print(steps.to_text("The printed claim"))
print(steps.to_text("Where even W/2 and a square fail"))

# %% [markdown]
# ## The network of the talk, solved
#
# Equal weights w and units {0,1}.  At h = -w/2 there is an exact symmetry and one critical point;
# five recipes give five numbers called T_c, the largest twelve times the smallest.

# %%
print(steps.to_text("The uniform {0,1} network solved"))

# %% [markdown]
# ## The same results by another route
#
# Sums over magnetisations at N = 200 and 800, and random matrices of both kinds.


# %%
def log_states(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return M and the logarithm of its number of states."""
    up = np.arange(size + 1)
    return 2.0 * up - size, gammaln(size + 1) - gammaln(up + 1) - gammaln(size - up + 1)


def log_ratio(size: int, K: float) -> float:
    """Return ln Z_bip(W) - 2 ln Z_full(W/2) for equal weights, beta W_ij = K."""
    M, count = log_states(size)
    two = logsumexp(count[:, None] + count[None] + K * np.outer(M, M) / (2 * size))
    return float(two - 2 * logsumexp(count + K * M**2 / (4 * size)))


for K in (1.0, -1.0, 3.0):
    print(f"K = {K:4.1f}: " + ", ".join(f"N = {n}: {log_ratio(n, K):.6f}" for n in (200, 800)))
loop = float(layers.log_ratio_at_one_loop([mpmath.mpf(1) / 2]))
errors = [log_ratio(n, 1.0) - loop for n in (200, 800)]
assert abs(errors[0] / errors[1] - 4) < 0.1  # what is left out is O(1/N)
assert log_ratio(200, -1.0) > 0 > log_ratio(200, 1.0)
m = float(mpmath.findroot(lambda x: mpmath.tanh(1.5 * x) - x, 0.8))
below = float(layers.log_ratio_at_one_loop([1.5 * (1 - mpmath.mpf(m) ** 2)])) - np.log(2)
assert abs(log_ratio(800, 3.0) - below) < 5e-3  # O(1/N)

# %%
stream = np.random.default_rng(3)
signs = 1 - 2 * ((np.arange(256)[:, None] >> np.arange(8)) & 1)
worse = 0
for _ in range(20):
    root = stream.normal(size=(8, 8))
    for W, bound in ((root @ root.T, True), (root + root.T, False)):
        two, one = signs @ W @ signs.T, np.einsum("si,ij,sj->s", signs, W, signs)
        if bound:
            assert two.max() <= one.max() * (1 + 1e-12)
            assert logsumexp(two / 16) <= 2 * logsumexp(one / 32)
        else:
            worse += two.max() > one.max() * (1 + 1e-12)
print(f"Ground states: 20 positive matrices agree; of 20 indefinite ones {worse} do not.")
assert worse > 0
print(f"\n{len(steps)} steps hold, and spinnet.theory.layers agrees with the second route.")

# %%
if options.latex:
    try:
        print(f"LaTeX written to {steps.write_latex(options.latex)}")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
