"""The figures of Schoenholz et al., arXiv:1611.01232, with theory and simulation side by side.

Axes are variances, sigma_w^2 and sigma_b^2, as in the paper.  ``fig5`` and ``fig6`` train networks
on images that they are given, and need PyTorch (extra `train`).
"""

from spinnet.propagation.figures.schoenholz.depth import fig2
from spinnet.propagation.figures.schoenholz.dropout import fig3
from spinnet.propagation.figures.schoenholz.gradient import fig4
from spinnet.propagation.figures.schoenholz.plane import fig1
from spinnet.propagation.figures.schoenholz.training import fig5, fig6

__all__ = ["fig1", "fig2", "fig3", "fig4", "fig5", "fig6"]
