"""The figures of Poole et al. (arXiv:1606.05340), theory and simulated networks together.

    python poole_figures.py [--quick] [fig1 ... fig6]

writes poole-fig1.png, ....  At the paper's sizes one core takes 7, 22, 26, 24, 265 and 1 s for the
six figures (processor time; fig5 pushes 10,000 points through 75 networks), and 10 s for
all of them with --quick.
"""

# %% [markdown]
# # Exponential expressivity through transient chaos
#
# Figures 1 and 2 are the length and the correlation of inputs, layer by layer: a network is
# chaotic where close inputs part.  Figures 3 and 4 push a circle through such networks; its image
# becomes exponentially longer and stays as curved.  Figure 5 is what a linear read-out makes of
# that, and figure 6 the curvature of decision boundaries.  Points are means over networks of
# finite width with one standard deviation; lines are the theory of infinite width.

# %%
from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from spinnet.propagation.figures import poole

NAMES = ("fig1", "fig2", "fig3", "fig4", "fig5", "fig6")
QUICK: dict[str, dict[str, Any]] = {
    "fig1": {"width": 300, "n_networks": 8},
    "fig2": {"width": 300, "n_networks": 8, "depth": 20},
    "fig3": {"width": 300, "n_networks": 4, "n_theta": 200},
    "fig4": {"width": 300, "n_networks": 3, "n_theta": 50, "depth": 20, "boundary_width": 100},
    "fig5": {
        "depths": (1, 2, 3),
        "width": 200,
        "widths": (200, 400, 600),
        "n_in": 100,
        "n_out": 200,
        "n_points": 2000,
        "frequencies": range(1, 100, 3),
        "n_networks": 2,
    },
    "fig6": {"width": 100},
}


# %%
def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="fig1, ..., fig6; default all")
    parser.add_argument("--quick", action="store_true", help="narrower and fewer networks")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the files go")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    unknown = sorted(set(options.figures) - set(NAMES))
    if unknown:
        parser.error(f"figures are {', '.join(NAMES)}, got {', '.join(unknown)}")
    if not options.folder.is_dir():
        parser.error(f"--folder must exist, got {str(options.folder)!r}")

    for name in options.figures or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        start = time.perf_counter()
        sizes = dict(QUICK[name]) if options.quick else {}
        if name == "fig5":
            sizes["progress"] = True
        data = getattr(poole, name)(rng=options.seed, **sizes)
        path = data.save(options.folder / f"poole-{name}.png")
        seconds = time.perf_counter() - start
        print(f"{name}: {seconds:.1f} s", file=sys.stderr, flush=True)
        print(f"figure: {path}")


if __name__ == "__main__":
    main()
