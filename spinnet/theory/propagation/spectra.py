r"""Singular values of the input-output Jacobian :math:`J = \prod_l D^lW^l` of an infinite network.

D is diagonal with entries phi'(h); D^2 has the moments :math:`\mu_k = E[\phi'^{2k}]`.  For a law
of squared singular values with moments m_k put :math:`M(z) = \sum_k m_k z^{-k}`.  The factors
multiply freely, and the inverse function of M for :math:`JJ^T` is

.. math:: z(m) = \frac{1+m}{m}\Big[\frac{m\,w(m)}{1+m}\Big]^L\big[\sigma_w^2(1+m)^g\big]^L ,

w(m) the inverse function of D^2, g = 1 for Gaussian and 0 for orthogonal weights, L layers.
Source: Pennington, Schoenholz, Ganguli, arXiv:1711.04735.
"""

from __future__ import annotations

import sympy as sp

from spinnet.theory.propagation.averages import sigma_w

L = sp.Symbol("L", positive=True)
m, share = sp.symbols("m p_1", positive=True)
mu1, mu2 = sp.symbols("mu_1 mu_2", positive=True)


def slope_inverse(kept: sp.Expr = share) -> sp.Expr:
    r"""Return w(m) = 1 + `kept`/m: slopes 1 with probability `kept`, else 0.

    1 for a linear network, 1/2 for relu, P(abs(u) < 1) for hard_tanh.
    """
    return 1 + kept / m


def slope_inverse_from_moments() -> sp.Expr:
    r"""Return :math:`w(m) = \mu_1/m + \mu_2/\mu_1`, up to terms of order m."""
    return mu1 / m + mu2 / mu1


def jacobian_inverse(slope: sp.Expr, *, orthogonal: bool = False) -> sp.Expr:
    r"""Return z(m) of :math:`JJ^T` for L layers.

    Parameters
    ----------
    slope : Expr
        w(m), e.g. `slope_inverse`.
    orthogonal : bool
        Orthogonal weights scaled by sigma_w, instead of Gaussian.
    """
    weights = sigma_w**2 * (1 if orthogonal else 1 + m)
    return (1 + m) / m * (sp.cancel(m * slope) / (1 + m)) ** L * weights**L


def jacobian_moments(*, orthogonal: bool = False) -> tuple[sp.Expr, sp.Expr]:
    r"""Return the mean of the squared singular values and their variance over the mean squared.

    .. math:: m_1 = (\sigma_w^2\mu_1)^L = \chi_1^L,\qquad
        \frac{m_2-m_1^2}{m_1^2} = L\Big(\frac{\mu_2}{\mu_1^2} - 1 + g\Big)
    """
    gaussian = 0 if orthogonal else 1
    return (sigma_w**2 * mu1) ** L, L * (mu2 / mu1**2 - 1 + gaussian)


def linear_edge() -> sp.Expr:
    r"""Return the largest squared singular value of L Gaussian layers, phi linear.

    .. math:: \lambda_{\max} = \sigma_w^{2L}\frac{(L+1)^{L+1}}{L^L}
    """
    return sigma_w ** (2 * L) * (L + 1) ** (L + 1) / L**L


def linear_edge_point() -> sp.Expr:
    """Return the m at which z(m) of `linear_edge` is smallest: 1/L."""
    return 1 / L


def relu_edge_point(*, orthogonal: bool = False) -> sp.Expr:
    r"""Return the m at which z(m) of a relu network is smallest; z there is the upper edge.

    :math:`(1-L+\sqrt{L^2+1})/2L` for Gaussian weights, 1/(L-2) for orthogonal ones (L > 2).
    """
    return 1 / (L - 2) if orthogonal else (1 - L + sp.sqrt(L**2 + 1)) / (2 * L)
