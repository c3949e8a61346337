"""How the overlaps of two replicas of a spin glass spread as it is cooled."""

# %% [markdown]
# # Overlaps of a three-dimensional spin glass
#
# Edwards-Anderson: +-J couplings on a cubic lattice.  Parallel tempering takes every replica
# through all temperatures, so that cold ones do not stay where they froze.  Far above T_c (about
# 1.1 J) the overlap q of two replicas of the same couplings is Gaussian about 0; below, P(q) has
# two peaks, and weight between them.

# %%
from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

import spinnet as sn


def spin_glass(side: int, seed: int) -> sn.Ising:
    """Return +-J couplings on a periodic cubic lattice."""
    lattice = nx.grid_graph([side] * 3, periodic=True)
    rng = np.random.default_rng(seed)
    for _, _, bond in lattice.edges(data=True):
        bond["J"] = rng.choice([-1.0, 1.0])
    return sn.Ising.from_graph(lattice, J="J")


# %%
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller lattice, fewer sweeps")
    parser.add_argument("--output", default="overlaps_of_a_spin_glass.png")
    options = parser.parse_args()

    model = spin_glass(4 if options.quick else 6, seed=1)
    ladder = sn.place_temperatures(model, 0.4, 1.4, rng=2)
    print(ladder.summary())
    run = sn.sample(
        model,
        ladder.beta,
        n_sweeps=2000 if options.quick else 20000,
        n_replicas=16,
        tempering=True,
        store_every=20,
        rng=3,
    )
    print(run.choice)
    print(run.exchange.summary())

    fig, panels = plt.subplots(1, 3, figsize=(9, 3.2), sharey=True, layout="constrained")
    for ax, index in zip(panels, (0, len(ladder.beta) // 2, -1), strict=True):
        distribution = run.overlap_distribution(index, bins=41)
        print(distribution.summary())
        distribution.plot(ax)
        ax.set_title(f"T = {1 / distribution.beta:.2f} J")
        ax.label_outer()
    fig.savefig(options.output)
    print(f"figure: {options.output}")


if __name__ == "__main__":
    main()
