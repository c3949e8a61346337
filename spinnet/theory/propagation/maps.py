r"""The mean field of a random deep network: length and correlation maps, gradients, dropout.

.. math:: h^l = W^l\phi(h^{l-1}) + b^l,\qquad W_{ij}\sim N(0,\sigma_w^2/N_{l-1}),\qquad
    b_i\sim N(0,\sigma_b^2)

with N_{l-1} the fan-in; q is the variance of a pre-activation, c the correlation of those of two
inputs, rho the probability that dropout keeps a unit.  Every function takes the activation `phi`
as `kernels.kernel` does, and returns an expression in ``sigma_w, sigma_b, q, c, rho``.  Statements
*at the fixed point* hold where q = V(q); put sigma_b^2 = q - sigma_w^2 F(q) to make that
explicit, as `at_fixed_point` does.  Sources: Poole et al., arXiv:1606.05340; Schoenholz et al.,
arXiv:1611.01232.
"""

from __future__ import annotations

import sympy as sp

from spinnet.theory.propagation.averages import average, c, q, rho, sigma_b, sigma_w, u
from spinnet.theory.propagation.kernels import PHI, Phi, kernel

N_next, N_here, N_before = sp.symbols("N_{l+1} N_l N_{l-1}", integer=True, positive=True)


def length_map(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`V(q) = \sigma_w^2 E_q[\phi^2] + \sigma_b^2`, the next layer's variance."""
    return sigma_w**2 * kernel(phi).length + sigma_b**2


def chi_q(phi: Phi = PHI, *, pointwise: bool = False) -> sp.Expr:
    r"""Return the slope V'(q) of the length map.

    .. math:: \chi_q = \frac{\sigma_w^2}{q}E_q[u\,\phi\phi'] = \chi_1 + \sigma_w^2E_q[\phi\phi'']

    Parameters
    ----------
    phi : Expr, str or Kernel
    pointwise : bool
        Return the second form with phi'' taken point by point.  For a phi with kinks it misses
        their delta functions and is *wrong*: the first form is the one to use.
    """
    phi = kernel(phi)
    if not pointwise:
        return sigma_w**2 * phi.length_derivative
    second = sp.piecewise_fold(sp.diff(phi.activation, u, 2))
    return chi_1(phi) + sigma_w**2 * average(phi.activation * second)


def covariance_map(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`\sigma_w^2 E[\phi(u_1)\phi(u_2)] + \sigma_b^2` in ``q1, q2, p``."""
    return sigma_w**2 * kernel(phi).pair + sigma_b**2


def correlation_map(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`C(c) = (\sigma_w^2 H(q, c) + \sigma_b^2)/q`, at the fixed point q of V."""
    phi = kernel(phi)
    return (sigma_w**2 * phi.at_correlation(phi.pair, c) + sigma_b**2) / q


def chi(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`\chi(c) = C'(c) = \sigma_w^2 E[\phi'(u_1)\phi'(u_2)]`, a double average."""
    phi = kernel(phi)
    return sigma_w**2 * phi.at_correlation(phi.pair_slope, c)


def chi_1(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`\chi_1 = \chi(1) = \sigma_w^2 E_q[\phi'^2]`, a single average."""
    return sigma_w**2 * kernel(phi).slope


def chi_2(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`\chi_2 = \sigma_w^2 E_q[\phi''^2] = C''(1)/q`; infinite for a kinked phi."""
    return sigma_w**2 * kernel(phi).curvature


def depth_scale(rate: sp.Expr) -> sp.Expr:
    r"""Return :math:`\xi = -1/\ln|rate|`: :math:`|rate|^l = \exp(-l/\xi)`.

    Infinite at rate 1, negative (growth) above.
    """
    return -1 / sp.log(sp.Abs(rate))


def xi_q(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`\xi_q = -1/\ln|\chi_q|`, the depth over which q approaches q*."""
    return depth_scale(chi_q(phi))


def xi_c(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`\xi_c = -1/\ln|\chi(c)|`, to be taken at c = c* (1 in the ordered phase)."""
    return depth_scale(chi(phi))


def xi_grad(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`\xi_\nabla = -1/\ln\chi_1`: positive, gradients vanish; negative, explode."""
    return depth_scale(chi_1(phi))


def at_fixed_point(expr: sp.Expr, phi: Phi = PHI) -> sp.Expr:
    r"""Put :math:`\sigma_b^2 = q - \sigma_w^2F(q)`, the bias variance whose fixed point is q.

    Where it is negative no network has this fixed point.
    """
    bias = sp.sqrt(q - sigma_w**2 * kernel(phi).length)
    return sp.sympify(expr).subs(sigma_b, bias)


# --- back-propagation -------------------------------------------------------------------------


def gradient_map(phi: Phi = PHI, *, equal_widths: bool = False) -> sp.Expr:
    r"""Return :math:`\tilde q^{\,l}/\tilde q^{\,l+1} = \chi_1 N_{l+1}/N_l`.

    q~ is the variance of one component of dE/dh.  The squared norm of the whole gradient,
    N_l q~, changes by chi_1 alone, whatever the widths.
    """
    return chi_1(phi) * (1 if equal_widths else N_next / N_here)


def gradient_covariance_map(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`\tilde q_{ab}^{\,l}/\tilde q_{ab}^{\,l+1} = \chi(c^l)N_{l+1}/N_l`."""
    return chi(phi) * N_next / N_here


def weight_gradient(gradient: sp.Expr) -> sp.Expr:
    r"""Return the average squared norm of the gradient by the weights of layer l.

    .. math:: E\|\partial E/\partial W^l\|^2 =
        N_lN_{l-1}\tilde q^{\,l}\,\frac{q^l-\sigma_b^2}{\sigma_w^2}

    Parameters
    ----------
    gradient : Expr      q~ of layer l; q is the variance of its pre-activations.
    """
    return N_here * N_before * gradient * (q - sigma_b**2) / sigma_w**2


# --- dropout ----------------------------------------------------------------------------------


def dropout_length_map(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`(\sigma_w^2/\rho)E_q[\phi^2] + \sigma_b^2`: kept units are divided by rho."""
    return sigma_w**2 / rho * kernel(phi).length + sigma_b**2


def dropout_covariance_map(phi: Phi = PHI, *, same_mask: bool = False) -> sp.Expr:
    r"""Return the covariance of two inputs in ``q1, q2, p`` in the next layer.

    :math:`\sigma_w^2H+\sigma_b^2` for masks drawn independently for each input (no 1/rho);
    with the same mask, :math:`(\sigma_w^2/\rho)H+\sigma_b^2`.
    """
    return sigma_w**2 * kernel(phi).pair / (rho if same_mask else 1) + sigma_b**2


def dropout_correlation_map(phi: Phi = PHI, *, same_mask: bool = False) -> sp.Expr:
    r"""Return the correlation map at the fixed point q of `dropout_length_map`."""
    covariance = dropout_covariance_map(phi, same_mask=same_mask)
    return kernel(phi).at_correlation(covariance, c) / q


def dropout_self_correlation(phi: Phi = PHI) -> sp.Expr:
    r"""Return :math:`\bar C(1) = 1 - \frac{1-\rho}{\rho}\frac{\sigma_w^2F(q)}{q}`.

    Below 1: with independent masks c = 1 is not a fixed point.  q is that of
    `dropout_length_map`.
    """
    return 1 - (1 - rho) / rho * sigma_w**2 * kernel(phi).length / q


def dropout_gradient_map(phi: Phi = PHI, *, equal_widths: bool = False) -> sp.Expr:
    r"""Return :math:`(\chi_1/\rho)N_{l+1}/N_l`, the factor of q~; that of q~_ab has no 1/rho."""
    return gradient_map(phi, equal_widths=equal_widths) / rho


def at_dropout_fixed_point(expr: sp.Expr, phi: Phi = PHI) -> sp.Expr:
    r"""Put :math:`\sigma_b^2 = q - (\sigma_w^2/\rho)F(q)`."""
    bias = sp.sqrt(q - sigma_w**2 / rho * kernel(phi).length)
    return sp.sympify(expr).subs(sigma_b, bias)
