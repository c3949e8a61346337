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
    from spinnet.propagation import simulate as simulate
    from spinnet.propagation.activations import ACTIVATIONS as ACTIVATIONS
    from spinnet.propagation.activations import Activation as Activation
    from spinnet.propagation.activations import get_activation as get_activation
    from spinnet.propagation.activations import leaky_relu as leaky_relu
    from spinnet.propagation.activations import scaled_erf as scaled_erf
    from spinnet.propagation.gaussian import MeanField as MeanField
    from spinnet.propagation.length import FixedPoint as FixedPoint
    from spinnet.propagation.noise import AdditiveGaussian as AdditiveGaussian
    from spinnet.propagation.noise import Dropout as Dropout
    from spinnet.propagation.noise import MultiplicativeGaussian as MultiplicativeGaussian

_MODULES = {
    "simulate": "spinnet.propagation.simulate",
}
_NAMES = {
    "ACTIVATIONS": "spinnet.propagation.activations",
    "Activation": "spinnet.propagation.activations",
    "AdditiveGaussian": "spinnet.propagation.noise",
    "Dropout": "spinnet.propagation.noise",
    "FixedPoint": "spinnet.propagation.length",
    "MeanField": "spinnet.propagation.gaussian",
    "MultiplicativeGaussian": "spinnet.propagation.noise",
    "get_activation": "spinnet.propagation.activations",
    "leaky_relu": "spinnet.propagation.activations",
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
