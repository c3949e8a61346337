"""The figures of the two papers, as arrays and as drawings.

`poole` has ``fig1`` to ``fig6`` of Poole et al. (arXiv:1606.05340) and `schoenholz` those of
Schoenholz et al. (arXiv:1611.01232).  Each function returns a :class:`FigureData`: theory,
simulation and errors by name, with ``plot()`` and ``save(path)``.
"""

from spinnet.propagation.figures.data import FigureData

__all__ = ["FigureData"]
