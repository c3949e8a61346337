"""How the transition of the Curie-Weiss model becomes sharp as N grows."""

# %% [markdown]
# # The Curie-Weiss transition at finite N
#
# The mean-field branch m = tanh(beta J m) is the limit of N to infinity.  At finite N, <|m|> is
# a sum over N + 1 magnetisations, done exactly at any N; Monte Carlo must agree with it within
# its errors.

# %%
from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import spinnet as sn
from spinnet.theory import curie_weiss


# %%
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer sweeps")
    parser.add_argument("--output", default="curie_weiss_magnetisation.png")
    options = parser.parse_args()

    beta = np.linspace(0.6, 1.6, 101)
    limit = sn.solve(curie_weiss.free_energy(), beta=beta, J=1.0, h=0.0)

    fig, ax = plt.subplots(layout="constrained")
    for n_spins in (50, 500, 5000):
        ax.plot(beta, sn.exact.curie_weiss(n_spins, beta).abs_m, label=f"exact, N = {n_spins}")
    ax.plot(beta, np.nanmax(limit.order, axis=0), "k--", label="mean field, N infinite")

    run = sn.sample(sn.CurieWeiss(500), beta[5::15], n_sweeps=500 if options.quick else 5000, rng=7)
    abs_m = run.estimate("abs_m")
    ax.errorbar(run.beta, abs_m.value, abs_m.error, fmt="o", label="Monte Carlo, N = 500")

    exact = sn.exact.curie_weiss(500, run.beta).abs_m
    pulls = (abs_m.value - exact) / abs_m.error
    print("beta           ", *(f"{b:8.2f}" for b in run.beta))
    print("<|m|>          ", *(f"{m:8.4f}" for m in abs_m.value))
    print("(MC-exact)/error", *(f"{z:+8.1f}" for z in pulls))
    ax.set(xlabel="beta J", ylabel="<|m|>")
    ax.legend()
    fig.savefig(options.output)
    print(f"figure: {options.output}")


if __name__ == "__main__":
    main()
