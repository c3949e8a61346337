"""How far signals travel through random networks: the figures of Schoenholz et al."""

# %% [markdown]
# # Deep information propagation
#
# Lengths and correlations settle exponentially with depth, and networks train up to about six
# times the depth scale of the correlation (arXiv:1611.01232).  Each figure has the theory as
# lines and finite random networks as points.  `--train` adds the two figures for which networks
# are trained, on the bundled digits; they need PyTorch (extra `train`).

# %%
from __future__ import annotations

import argparse
import time

import spinnet as sn
from spinnet.propagation.figures import schoenholz

QUICK = {
    "fig1": {"width": 200, "n_networks": 5, "points": 6, "grid": 61},
    "fig2": {"width": 200, "n_networks": 8, "n_inputs": 10, "depth_c": 30},
    "fig3": {"width": 200, "n_networks": 8, "n_inputs": 10, "depth": 20},
    "fig4": {"width": 100, "n_networks": 10, "depth": 30},
    "fig5": {"depths": (4, 12, 24), "sigma_w2": (0.5, 1.76, 4.0), "width": 60, "steps": 150},
    "fig6": {"depths": (4, 12, 24), "sigma_w2": (0.5, 1.76, 4.0), "width": 60, "steps": 150},
}


# %%
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small networks, and few")
    parser.add_argument("--train", action="store_true", help="train networks too (PyTorch)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--output", default="schoenholz_{name}.png", help="name of the files")
    options = parser.parse_args()

    images = sn.networks.datasets.load("digits") if options.train else None
    for name in schoenholz.__all__:
        make = getattr(schoenholz, name)
        settings = QUICK[name] if options.quick else {}
        start = time.perf_counter()
        if name not in ("fig5", "fig6"):
            data = make(rng=options.seed, **settings)
        elif images is not None:
            data = make(images.images, images.labels, rng=options.seed, **settings)
        else:
            continue
        path = data.save(options.output.format(name=name))
        print(f"{name}: {path}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
