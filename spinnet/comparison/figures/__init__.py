"""The figures of a comparison: one function each, f(comparison, ax=None) -> Axes.

Temperatures are in natural units: k_B = 1, and T = 1 is the network as it is.  `FIGURES` lists
all figures in the order of a report, and :func:`caption` says what one shows and how it was made.
"""

from spinnet.comparison.figures.captions import FIGURES, FigureEntry, caption
from spinnet.comparison.figures.dual import (
    binder,
    likelihood,
    magnetisation,
    specific_heat,
    spectrum,
    susceptibility,
)
from spinnet.comparison.figures.observed import (
    ccdf,
    forest,
    nodes,
    p_of_m,
    rank_frequency,
    weights_ccdf,
)

__all__ = [
    "FIGURES",
    "FigureEntry",
    "binder",
    "caption",
    "ccdf",
    "forest",
    "likelihood",
    "magnetisation",
    "nodes",
    "p_of_m",
    "rank_frequency",
    "specific_heat",
    "spectrum",
    "susceptibility",
    "weights_ccdf",
]
