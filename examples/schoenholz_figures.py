"""How far signals travel through random networks: the figures of Schoenholz et al.

    python schoenholz_figures.py [--quick] [--train] [fig1 ... fig6]

writes schoenholz-fig1.png, ....  At full size fig1 to fig4 take one core a few minutes.  fig5 and
fig6 train networks on the bundled digits: they need PyTorch (extra `train`), and are made with
`--train` or when named.
"""

# %% [markdown]
# # Deep information propagation
#
# Lengths and correlations settle exponentially with depth, and networks train up to about six
# times the depth scale of the correlation (arXiv:1611.01232).  Each figure has the theory as
# lines and finite random networks as points.

# %%
from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import spinnet as sn
from spinnet.propagation.figures import schoenholz

SIMULATED, TRAINED = ("fig1", "fig2", "fig3", "fig4"), ("fig5", "fig6")
QUICK: dict[str, dict[str, Any]] = {
    "fig1": {"width": 200, "n_networks": 5, "points": 6, "grid": 61},
    "fig2": {"width": 200, "n_networks": 8, "n_inputs": 10, "depth_c": 30},
    "fig3": {"width": 200, "n_networks": 8, "n_inputs": 10, "depth": 20},
    "fig4": {"width": 100, "n_networks": 10, "depth": 30},
    "fig5": {"depths": (4, 12, 24), "sigma_w2": (0.5, 1.76, 4.0), "width": 60, "steps": 150},
    "fig6": {"depths": (4, 12, 24), "sigma_w2": (0.5, 1.76, 4.0), "width": 60, "steps": 150},
}


# %%
def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="fig1, ..., fig6")
    parser.add_argument("--quick", action="store_true", help="small networks, and few")
    parser.add_argument("--train", action="store_true", help="fig5 and fig6 too (PyTorch)")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the files go")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    names = options.figures or SIMULATED + (TRAINED if options.train else ())
    unknown = sorted(set(names) - set(QUICK))
    if unknown:
        parser.error(f"figures are {', '.join(QUICK)}, got {', '.join(unknown)}")
    if not options.folder.is_dir():
        parser.error(f"--folder must exist, got {str(options.folder)!r}")
    training = bool(set(names) & set(TRAINED))
    if training and importlib.util.find_spec("torch") is None:
        parser.error("fig5 and fig6 need PyTorch: pip install 'spinnet[train]'")

    images = sn.networks.datasets.load("digits") if training else None
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        start = time.perf_counter()
        sizes = QUICK[name] if options.quick else {}
        arguments = () if name in SIMULATED else (images.images, images.labels)
        data = getattr(schoenholz, name)(*arguments, rng=options.seed, **sizes)
        path = data.save(options.folder / f"schoenholz-{name}.png")
        print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
        print(f"figure: {path}")


if __name__ == "__main__":
    main()
