r"""Curves through a random network: length and curvature of their images, layer by layer.

A circle enters at the fixed point, h^1(theta) = sqrt(N q)(u cos theta + v sin theta).  Per neuron
g is the squared speed of its image, kappa^2 its squared curvature times N, and g kappa^2 the
squared speed of its unit tangent (the Gauss metric).  Everything follows from the correlation
K(Delta) of the pre-activations at two angles, K -> C(K) in each layer.  Off the fixed point the
recursions hold with chi_1 and chi_2 at the q of the layer.  Source: Poole et al.,
arXiv:1606.05340, section 3.
"""

from __future__ import annotations

import sympy as sp

from spinnet.theory.propagation.averages import chi1, chi2, q

layer = sp.Symbol("l", integer=True, positive=True)
Delta = sp.Symbol("Delta", real=True)


def metric_of(correlation: sp.Expr) -> sp.Expr:
    r"""Return g = :math:`-qK''(0)` of a curve whose correlation K is an expression in ``Delta``."""
    return -q * sp.diff(correlation, Delta, 2).subs(Delta, 0)


def curvature_squared_of(correlation: sp.Expr) -> sp.Expr:
    r"""Return kappa^2 = :math:`K''''(0)/(q K''(0)^2)`.

    Velocity and acceleration are orthogonal on average, since the speed is constant.
    """
    second, fourth = (sp.diff(correlation, Delta, k).subs(Delta, 0) for k in (2, 4))
    return fourth / (q * second**2)


def metric_map(metric: sp.Expr) -> sp.Expr:
    r"""Return the next layer's g: :math:`\chi_1 g`."""
    return chi1 * metric


def curvature_squared_map(curvature_squared: sp.Expr) -> sp.Expr:
    r"""Return the next layer's kappa^2: :math:`3\chi_2/\chi_1^2 + \kappa^2/\chi_1`."""
    return 3 * chi2 / chi1**2 + curvature_squared / chi1


def gauss_metric_map(gauss_metric: sp.Expr, metric: sp.Expr) -> sp.Expr:
    r"""Return the next layer's g kappa^2: :math:`g\kappa^2 + 3(\chi_2/\chi_1) g`."""
    return gauss_metric + 3 * chi2 / chi1 * metric


def metric() -> sp.Expr:
    r"""Return g of layer ``layer``: :math:`q\chi_1^{l-1}`."""
    return q * chi1 ** (layer - 1)


def curvature_squared_limit() -> sp.Expr:
    r"""Return :math:`3\chi_2/(\chi_1(\chi_1-1))`, the fixed point; reached where chi_1 > 1."""
    return 3 * chi2 / (chi1 * (chi1 - 1))


def curvature_squared() -> sp.Expr:
    r"""Return kappa^2 of layer ``layer``, for chi_1 != 1.

    .. math:: \kappa_l^2 = \kappa_\infty^2 + (1/q - \kappa_\infty^2)\chi_1^{-(l-1)}
    """
    limit = curvature_squared_limit()
    return limit + (1 / q - limit) * chi1 ** (1 - layer)


def gauss_metric() -> sp.Expr:
    r"""Return g kappa^2 of layer ``layer``, for chi_1 != 1.

    .. math:: 1 + 3\chi_2q\frac{\chi_1^{l-1}-1}{\chi_1(\chi_1-1)}

    In the ordered phase it tends to :math:`1 + 3\chi_2q/(\chi_1(1-\chi_1))`.
    """
    return 1 + q * curvature_squared_limit() * (chi1 ** (layer - 1) - 1)
