"""Multi-histogram reweighting: averages between, and a little beyond, simulated temperatures."""

from spinnet.spins.critical.reweighting.extrema import Place, crossing, maximum
from spinnet.spins.critical.reweighting.result import Reweighted, reweight

__all__ = ["Place", "Reweighted", "crossing", "maximum", "reweight"]
