r"""Signals in random deep networks: every statement of the mean field, in SymPy.

.. math:: h^l = W^l\phi(h^{l-1}) + b^l,\qquad W_{ij}\sim N(0,\sigma_w^2/N_{l-1}),\qquad
    b_i\sim N(0,\sigma_b^2)

q is the variance of a pre-activation, c the correlation of those of two inputs, p = c sqrt(q_1
q_2) their covariance, rho the probability that dropout keeps a unit, and l = 1 the first layer of
pre-activations.  An activation is an expression in ``u``, or a name of `ACTIVATIONS`.  The
statements lie in `averages`, `kernels`, `maps`, `critical`, `geometry`, `spectra` and `mixture`;
derivations/signal_propagation.py tells the argument.  Sources: Poole et al., arXiv:1606.05340;
Schoenholz et al., arXiv:1611.01232.
"""

from __future__ import annotations

from spinnet.theory.checking import Derivation
from spinnet.theory.propagation import geometry, mixture, spectra
from spinnet.theory.propagation.averages import (
    average,
    c,
    chi1,
    chi2,
    gaussian_moment,
    p,
    pair_average,
    q,
    q1,
    q2,
    rho,
    sigma_b,
    sigma_w,
    u,
    u1,
    u2,
)
from spinnet.theory.propagation.critical import (
    CornerExpansion,
    corner_expansion,
    critical_decay,
    critical_line,
    distance_map,
    epsilon,
    gelu_doubly_critical_point,
    layers,
    relu_distance_map,
    slope_on_critical_line,
    small_variance,
    smooth_distance_map,
)
from spinnet.theory.propagation.kernels import ACTIVATIONS, PHI, Kernel, alpha, kernel
from spinnet.theory.propagation.maps import (
    at_dropout_fixed_point,
    at_fixed_point,
    chi,
    chi_1,
    chi_2,
    chi_q,
    correlation_map,
    covariance_map,
    depth_scale,
    dropout_correlation_map,
    dropout_covariance_map,
    dropout_gradient_map,
    dropout_length_map,
    dropout_self_correlation,
    gradient_covariance_map,
    gradient_map,
    length_map,
    weight_gradient,
    xi_c,
    xi_grad,
    xi_q,
)

__all__ = [
    "ACTIVATIONS",
    "PHI",
    "CornerExpansion",
    "Kernel",
    "alpha",
    "at_dropout_fixed_point",
    "at_fixed_point",
    "average",
    "c",
    "chi",
    "chi1",
    "chi2",
    "chi_1",
    "chi_2",
    "chi_q",
    "corner_expansion",
    "correlation_map",
    "covariance_map",
    "critical_decay",
    "critical_line",
    "depth_scale",
    "derivation",
    "distance_map",
    "dropout_correlation_map",
    "dropout_covariance_map",
    "dropout_gradient_map",
    "dropout_length_map",
    "dropout_self_correlation",
    "epsilon",
    "gaussian_moment",
    "gelu_doubly_critical_point",
    "geometry",
    "gradient_covariance_map",
    "gradient_map",
    "kernel",
    "layers",
    "length_map",
    "mixture",
    "p",
    "pair_average",
    "q",
    "q1",
    "q2",
    "relu_distance_map",
    "rho",
    "sigma_b",
    "sigma_w",
    "slope_on_critical_line",
    "small_variance",
    "smooth_distance_map",
    "spectra",
    "u",
    "u1",
    "u2",
    "weight_gradient",
    "xi_c",
    "xi_grad",
    "xi_q",
]


def derivation() -> Derivation:
    """Return the checked derivation, from Gaussian averages to the errata of the slides."""
    from spinnet.theory.propagation._steps import build

    return build()
