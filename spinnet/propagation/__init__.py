"""Signals in random deep networks: lengths, correlations, gradients, curves, spectra.

`MeanField` is the theory of one architecture, `phase_diagram` that of a grid; `simulate` has the
finite networks beside it.  Conventions: W_ij ~ N(0, sigma_w^2 / fan-in), b_i ~ N(0, sigma_b^2);
q is the variance of the pre-activations, c the correlation of two inputs; `keep` is the
probability to keep an activation.  Sources: Poole et al., arXiv:1606.05340, and Schoenholz et
al., arXiv:1611.01232.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spinnet.propagation import figures as figures
    from spinnet.propagation import geometry as geometry
    from spinnet.propagation import simulate as simulate
    from spinnet.propagation import trainability as trainability
    from spinnet.propagation.activations import ACTIVATIONS as ACTIVATIONS
    from spinnet.propagation.activations import Activation as Activation
    from spinnet.propagation.activations import get_activation as get_activation
    from spinnet.propagation.activations import leaky_relu as leaky_relu
    from spinnet.propagation.activations import scaled_erf as scaled_erf
    from spinnet.propagation.audit import audit_init as audit_init
    from spinnet.propagation.convolution import ConvolutionMeanField as ConvolutionMeanField
    from spinnet.propagation.critical import CriticalLine as CriticalLine
    from spinnet.propagation.critical import critical_line as critical_line
    from spinnet.propagation.critical import critical_sigma_w as critical_sigma_w
    from spinnet.propagation.critical import doubly_critical as doubly_critical
    from spinnet.propagation.critical import inverse_point as inverse_point
    from spinnet.propagation.diagram import PhaseDiagram as PhaseDiagram
    from spinnet.propagation.diagram import phase_diagram as phase_diagram
    from spinnet.propagation.finite_width import FiniteWidthBand as FiniteWidthBand
    from spinnet.propagation.finite_width import FiniteWidthGradient as FiniteWidthGradient
    from spinnet.propagation.finite_width import finite_width_band as finite_width_band
    from spinnet.propagation.finite_width import finite_width_gradient as finite_width_gradient
    from spinnet.propagation.gaussian import MeanField as MeanField
    from spinnet.propagation.gaussian_process import nngp as nngp
    from spinnet.propagation.gaussian_process import ntk as ntk
    from spinnet.propagation.jacobian import JacobianSpectrum as JacobianSpectrum
    from spinnet.propagation.jacobian import jacobian_density as jacobian_density
    from spinnet.propagation.layer_norm import LayerNormMeanField as LayerNormMeanField
    from spinnet.propagation.length import FixedPoint as FixedPoint
    from spinnet.propagation.noise import AdditiveGaussian as AdditiveGaussian
    from spinnet.propagation.noise import Dropout as Dropout
    from spinnet.propagation.noise import MultiplicativeGaussian as MultiplicativeGaussian
    from spinnet.propagation.residual import ResidualMeanField as ResidualMeanField

_MODULES = {
    "figures": "spinnet.propagation.figures",
    "geometry": "spinnet.propagation.geometry",
    "simulate": "spinnet.propagation.simulate",
    "trainability": "spinnet.propagation.trainability",
}
_NAMES = {
    "ACTIVATIONS": "spinnet.propagation.activations",
    "Activation": "spinnet.propagation.activations",
    "AdditiveGaussian": "spinnet.propagation.noise",
    "ConvolutionMeanField": "spinnet.propagation.convolution",
    "CriticalLine": "spinnet.propagation.critical",
    "Dropout": "spinnet.propagation.noise",
    "FiniteWidthBand": "spinnet.propagation.finite_width",
    "FiniteWidthGradient": "spinnet.propagation.finite_width",
    "FixedPoint": "spinnet.propagation.length",
    "JacobianSpectrum": "spinnet.propagation.jacobian",
    "LayerNormMeanField": "spinnet.propagation.layer_norm",
    "MeanField": "spinnet.propagation.gaussian",
    "MultiplicativeGaussian": "spinnet.propagation.noise",
    "PhaseDiagram": "spinnet.propagation.diagram",
    "ResidualMeanField": "spinnet.propagation.residual",
    "audit_init": "spinnet.propagation.audit",
    "critical_line": "spinnet.propagation.critical",
    "critical_sigma_w": "spinnet.propagation.critical",
    "doubly_critical": "spinnet.propagation.critical",
    "finite_width_band": "spinnet.propagation.finite_width",
    "finite_width_gradient": "spinnet.propagation.finite_width",
    "get_activation": "spinnet.propagation.activations",
    "inverse_point": "spinnet.propagation.critical",
    "jacobian_density": "spinnet.propagation.jacobian",
    "leaky_relu": "spinnet.propagation.activations",
    "nngp": "spinnet.propagation.gaussian_process",
    "ntk": "spinnet.propagation.gaussian_process",
    "phase_diagram": "spinnet.propagation.diagram",
    "scaled_erf": "spinnet.propagation.activations",
}
__all__ = sorted([*_MODULES, *_NAMES])


def __getattr__(name: str) -> object:
    if name in _MODULES:
        value: object = importlib.import_module(_MODULES[name])
    elif name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    else:
        raise AttributeError(f"module 'spinnet.propagation' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
