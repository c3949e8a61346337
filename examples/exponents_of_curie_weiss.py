"""Which critical exponents Monte Carlo runs of the Curie-Weiss model show."""

# %% [markdown]
# # Exponents of the Curie-Weiss model from its finite sizes
#
# At T_c, <|m|> falls as N^(-beta/nu), chi grows as N^(gamma/nu) and the slope of ln <|m|> in beta
# as N^(1/nu), with 1/4, 1/2 and 1/2 in mean field.  Each size is run at five temperatures about
# T_c; reweighting joins their samples at T_c and gives the slope there.

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
    parser.add_argument("--quick", action="store_true", help="smaller systems, fewer sweeps")
    parser.add_argument("--output", default="exponents_of_curie_weiss.png")
    options = parser.parse_args()

    sizes = (32, 64, 128, 256) if options.quick else (64, 128, 256, 512, 1024)
    autocorrelation_times = 60 if options.quick else 200
    curves = []
    for n_spins in sizes:
        beta = 1 + np.linspace(-1, 1, 5) / np.sqrt(n_spins)  # inside the critical region
        n_sweeps = int(autocorrelation_times * np.sqrt(n_spins))
        run = sn.sample(sn.CurieWeiss(n_spins), beta, n_sweeps=n_sweeps, rng=n_spins)
        curves.append(sn.critical.reweight(run, 1.0))

    fit = sn.critical.exponents(curves, beta_c=1.0)
    print(fit.summary())
    found = fit.converted
    for name, value in (("beta", 0.5), ("gamma", 1.0), ("delta", 3.0)):
        pull = (getattr(found, name) - value) / getattr(found, f"{name}_error")
        print(f"{name}: {pull:+.1f} errors off mean field")

    fig, ax = plt.subplots(layout="constrained")
    fit.plot(ax)
    fig.savefig(options.output)
    print(f"figure: {options.output}")


if __name__ == "__main__":
    main()
