"""Curves, decision boundaries and expressivity: the geometry of random deep networks."""

from spinnet.propagation.geometry.boundary import boundary_curvature, find_boundary
from spinnet.propagation.geometry.curves import (
    autocorrelation,
    propagate_curve,
    saturation_curvature,
    shallow_length,
    shallow_length_bound,
)
from spinnet.propagation.geometry.expressivity import fourier_errors, regress, variation

__all__ = [
    "autocorrelation",
    "boundary_curvature",
    "find_boundary",
    "fourier_errors",
    "propagate_curve",
    "regress",
    "saturation_curvature",
    "shallow_length",
    "shallow_length_bound",
    "variation",
]
