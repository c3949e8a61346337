"""The figures of Poole et al., arXiv:1606.05340, with theory and simulation beside each other.

Defaults are the paper's: tanh, sigma_w = 1.3, 2.5, 4, sigma_b = 0.3, N = 1000.  Unlike the code
released with the paper, every layer has weights of its own, c* is solved for and not read off a
grid, and the autocorrelation of a circle is an average over it.
"""

from spinnet.propagation.figures.poole.boundary import fig6
from spinnet.propagation.figures.poole.circle import fig3, fig4
from spinnet.propagation.figures.poole.correlation import fig2
from spinnet.propagation.figures.poole.expressivity import fig5
from spinnet.propagation.figures.poole.length import fig1

__all__ = ["fig1", "fig2", "fig3", "fig4", "fig5", "fig6"]
