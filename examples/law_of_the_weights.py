"""Which law the weights of a trained layer follow, and how heavy their tails are."""

# %% [markdown]
# # The law of trained weights
#
# Are trained weights Gaussian, alpha-stable, or something between?  The families are fitted to the
# same weights by maximum likelihood and ranked; the tail of |w| is judged on its own, because a
# Student t and a stable law look alike in the middle.

# %%
from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import spinnet as sn


# %%
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5,000 of the weights")
    parser.add_argument("--layer", default="fc1")
    parser.add_argument("--output", default="law_of_the_weights.png")
    options = parser.parse_args()

    weights = sn.networks.load_bundled()[options.layer].weights.astype(np.float64).ravel()
    if options.quick:
        weights = np.random.default_rng(7).choice(weights, 5000, replace=False)
    families = sn.tails.compare_families(weights)
    print(families.summary())
    print(sn.tails.stable.fit(weights, beta=0.0).summary())
    tail = sn.tails.tail_index(np.abs(weights), rng=7)
    print(tail.summary())

    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    families.plot(left)
    tail.plot(right)
    left.set_title(f"weights of {options.layer}")
    fig.savefig(options.output)
    print(f"figure: {options.output}")


if __name__ == "__main__":
    main()
