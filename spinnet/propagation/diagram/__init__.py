"""Phase diagrams of random deep networks: a whole grid of (sigma_w, sigma_b) at once."""

from __future__ import annotations

from spinnet.propagation.diagram.grid import phase_diagram
from spinnet.propagation.diagram.result import PhaseDiagram

__all__ = ["PhaseDiagram", "phase_diagram"]
