"""The errata of the talk: what is printed, what holds, and the check that decides."""

# %% [markdown]
# # Errata of the talk
#
# The talk on criticality and deep learning (2017, on Oprisa and Toth, arXiv:1702.08039 and
# 1705.11023) prints formulas that need another sign, factor or word.  A user who compares a
# program with the slides will find each difference here: what is printed, what holds, and a check.
# A printed formula that is wrong is an equality that fails, with a point at which it does.  Items
# that are right as printed are listed for what is often read into them.  The table is
# `spinnet.theory.errata.TABLE`.

# %%
import sys
from argparse import ArgumentParser

import numpy as np

from spinnet.errors import InputError
from spinnet.files import check_writable
from spinnet.theory import errata

# A notebook has arguments of its own; there, nothing is parsed.
parser = ArgumentParser(description="Check the errata of the talk, every step checked.")
parser.add_argument("--latex", metavar="FILE", help="also write the derivation as LaTeX")
options = parser.parse_args([] if "ipykernel" in sys.modules else None)
if options.latex:
    try:
        check_writable(options.latex, "--latex")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")

steps = errata.derivation()
print(f"{steps.title}\n{steps.reference}\n")

# %%
for item in errata.TABLE:
    print(f"{item.number:3d}  {item.verdict:10s}  {item.printed}\n{'':17s}-> {item.correct}")
print()

# %% [markdown]
# ## Item by item

# %%
for item in errata.TABLE:
    print(steps.to_text(item.title))

# %% [markdown]
# ## The same results by another route
#
# Two of them in numbers: Z of two layers and of one at N = 6 with both signs (item 9), and the
# frequencies of inputs shown a hundred times (item 20).

# %%
signs = 1 - 2 * ((np.arange(64)[:, None] >> np.arange(6)) & 1)
M = signs.sum(axis=1)
right, wrong = (float(np.log(np.exp(s * M**2 / 12).sum())) for s in (1, -1))
print(f"ln Z of six Curie-Weiss spins at K = 1: {right:.3f}, with the printed sign {wrong:.3f}")
assert round(right, 3) == 4.994
assert round(wrong, 3) == 3.801

# %%
stream = np.random.default_rng(20)
once = stream.random((2000, 50)) < 0.3  # 2000 experiments with 50 inputs each
shown = np.repeat(once, 100, axis=1)
naive = np.sqrt(0.3 * 0.7 / shown.shape[1])
true = shown.mean(axis=1).std()
print(f"Error of a frequency: {true:.4f}; from the count of presentations {naive:.4f}")
assert 9 < true / naive < 11  # ten, with 1.6 % of noise
assert set(np.unique(shown.sum(axis=1) % 100)) == {0}

# %%
by_section = steps.sections()
assert list(by_section) == [item.title for item in errata.TABLE]
for item in errata.TABLE:
    checks = by_section[item.title]
    assert any(step.holds for step in checks)
    assert item.verdict == "right" or any(not step.holds for step in checks) or item.number == 19
print(f"\n{len(steps)} steps hold, and spinnet.theory.errata agrees with the second route.")

# %%
if options.latex:
    try:
        print(f"LaTeX written to {steps.write_latex(options.latex)}")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
