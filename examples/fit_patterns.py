"""Whether the activation patterns of a layer follow Zipf's law, trained or shuffled."""

# %% [markdown]
# # Zipf's law of activation patterns
#
# Each input switches some nodes of a layer on: a pattern.  Patterns ranked by frequency often
# look like a power law.  Whether training made it is a question for a null model: the same
# weights, shuffled within the layer.

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
    parser.add_argument("--quick", action="store_true", help="fewer bootstrap replicates")
    parser.add_argument("--layer", default="fc3")
    parser.add_argument("--output", default="fit_patterns.png")
    options = parser.parse_args()

    trained = sn.networks.load_bundled()
    images = sn.networks.datasets.load("fashion-mnist")
    fig, ax = plt.subplots(layout="constrained")
    for name, network in (("trained", trained), ("shuffled", trained.shuffled(rng=7))):
        activations = sn.networks.record(network, images, layers=[options.layer])
        counts = sn.networks.measure(
            activations, network, options.layer, rng=7
        ).pattern_frequencies.counts
        fit = sn.tails.fit_zipf(counts, n_bootstrap=20 if options.quick else 200, rng=7)
        print(
            f"{name:9s} {len(counts)} patterns, zipf = {fit.zipf:.3f} +- {fit.zipf_error:.3f}, "
            f"p = {fit.p_value:.3f} over {fit.decades:.1f} decades"
        )
        rank = np.arange(1, len(counts) + 1)
        (line,) = ax.loglog(rank, np.sort(counts)[::-1], ".", label=name)
        ranks = np.arange(1, fit.r_max + 1)
        ax.loglog(ranks, fit.pmf(ranks) * fit.n_fitted, color=line.get_color())
    ax.set(xlabel="rank", ylabel="inputs with the pattern", title=f"layer {options.layer}")
    ax.legend()
    fig.savefig(options.output)
    print(f"figure: {options.output}")


if __name__ == "__main__":
    main()
