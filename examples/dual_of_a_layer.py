"""Where the dual of a trained layer orders, by mean field and by Monte Carlo."""

# %% [markdown]
# # The dual of one layer, from hot to cold
#
# Naive mean field lets the zero-field dual of a layer order at beta_c = 1/lambda_max.  The
# couplings have both signs, so the order shows in the overlap q of two independent copies and not
# in the magnetisation.  A system of 70 spins has no sharp transition, and q^2 starts from 1/N:
# Monte Carlo shows where the order really grows.

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
    parser.add_argument("--quick", action="store_true", help="fewer sweeps and temperatures")
    parser.add_argument("--layer", default="fc3")
    parser.add_argument("--output", default="dual_of_a_layer.png")
    options = parser.parse_args()

    layer = sn.networks.load_bundled()[options.layer]
    dual = sn.NetworkDual(layer.weights, layer.bias, kind="bipartite", fields="zero")
    beta_c = sn.critical_beta(dual)
    beta = beta_c * np.linspace(0.25, 3.0, 8 if options.quick else 15)

    def overlap_squared(spins: np.ndarray) -> np.ndarray:
        """Return q^2 of each replica with the next one."""
        return np.mean(spins * np.roll(spins, 1, axis=0), axis=1) ** 2

    mean_field = [np.mean(sn.solve(dual, b).magnetizations ** 2) ** 2 for b in beta]
    run = sn.sample(
        dual,
        beta,
        n_sweeps=500 if options.quick else 3000,
        n_burn_in=500,
        observers={"q2": overlap_squared},
        rng=7,
    )
    order = run.estimate("q2")

    print(f"{dual!r}: naive mean field beta_c = {beta_c:.4f}")
    for b, m, value, error in zip(beta, mean_field, order.value, order.error, strict=True):
        print(f"beta {b:6.3f}   mean field {m:.4f}   Monte Carlo {value:.4f} +- {error:.4f}")
    fig, ax = plt.subplots(layout="constrained")
    ax.plot(beta, mean_field, "k--", label="naive mean field")
    ax.errorbar(beta, order.value, order.error, fmt="o", label="Monte Carlo")
    ax.axvline(beta_c, color="grey", lw=0.8)
    ax.set(xlabel="beta", ylabel="q^2", title=dual.label)
    ax.legend()
    fig.savefig(options.output)
    print(f"figure: {options.output}")


if __name__ == "__main__":
    main()
