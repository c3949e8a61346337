r"""tanh as a mixture of error functions over the Kolmogorov law.

.. math:: \tanh x = \int_0^\infty \operatorname{erf}\Big(\frac{x}{\sqrt2K}\Big)f(K)\,dK ,\qquad
    f(K) = 8K\sum_{n\ge1}(-1)^{n+1}n^2e^{-2n^2K^2} ,

f the density of the limit law of the Kolmogorov-Smirnov statistic.  Gaussian averages of tanh are
therefore mixtures of those of erf: a logistic variable is a Gaussian one times 2K (Andrews and
Mallows, 1974; Stefanski, 1991).
"""

from __future__ import annotations

import sympy as sp

from spinnet.theory.propagation.averages import u

K = sp.Symbol("K", positive=True)
n = sp.Symbol("n", integer=True, positive=True)


def density_term() -> sp.Expr:
    r"""Return :math:`8K(-1)^{n+1}n^2e^{-2n^2K^2}`, the n-th term of f; for large K."""
    return (-1) ** (n + 1) * 8 * K * n**2 * sp.exp(-2 * n**2 * K**2)


def dual_density_term() -> sp.Expr:
    r"""Return the n-th term of f after a Jacobi transformation; for small K.

    .. math:: \sqrt{2\pi}\Big(\frac{2a}{K^4}-\frac1{K^2}\Big)e^{-a/K^2},\qquad
        a = (2n-1)^2\pi^2/8
    """
    a = (2 * n - 1) ** 2 * sp.pi**2 / 8
    return sp.sqrt(2 * sp.pi) * (2 * a / K**4 - 1 / K**2) * sp.exp(-a / K**2)


def component() -> sp.Expr:
    r"""Return :math:`\operatorname{erf}(u/\sqrt2K)`, the function that is mixed."""
    return sp.erf(u / (sp.sqrt(2) * K))
