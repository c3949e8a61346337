r"""The algebra of one bond, in log-odds, safe at any strength of bond and field.

Two spins with log-odds (cavity fields over T) y and y' and a bond K = beta J have the weight
exp(K s s' + y s + y' s').  The bond passes

.. math:: u = \operatorname{artanh}(\tanh K \tanh y)

from the first spin to the second.  Nothing here exponentiates a positive number, so that
K = 1e4 is as exact as K = 1.  Every function broadcasts.
"""

from __future__ import annotations

import numpy as np

from spinnet.spins.models.base import Array

_LINEAR = 0.5  # below this, artanh of the product of two tanh loses no digit


def log_cosh(x: Array) -> Array:
    """Return ln cosh x."""
    size = np.abs(x)
    far = size + np.log1p(np.exp(-2 * size)) - np.log(2.0)
    # cosh x - 1 = 2 sinh(x/2)^2 keeps the digits of a small x
    near = np.log1p(2 * np.sinh(np.minimum(size, 1.0) / 2) ** 2)
    return np.asarray(np.where(size < 1, near, far))


def transmit(bond: Array, y: Array) -> Array:
    """Return artanh(tanh(bond) tanh(y))."""
    product = np.asarray(np.tanh(bond) * np.tanh(y))
    answer = np.asarray(np.arctanh(np.clip(product, -_LINEAR, _LINEAR)))
    strong = np.abs(product) >= _LINEAR  # few of many bonds: the form in logarithms costs more
    if np.any(strong):
        sizes = (np.abs(np.broadcast_to(x, product.shape)[strong]) for x in (bond, y))
        answer[strong] = np.sign(product[strong]) * _in_logarithms(*sizes)
    return answer


def _in_logarithms(bond: Array, y: Array) -> Array:
    """Return artanh(tanh(bond) tanh(y)) of positive numbers."""
    low, high = np.minimum(bond, y), np.maximum(bond, y)
    # ln cosh(K + y) - ln cosh(K - y), halved, with the large parts cancelled by hand
    rest = np.log1p(np.exp(-2 * (high + low))) - np.log1p(np.exp(-2 * (high - low)))
    return np.asarray(low + 0.5 * rest)


def gain(bond: Array, y: Array) -> tuple[Array, Array]:
    """Return theta = du/dy and ln(1 - |theta|), each to full precision.

    theta = sinh 2K/(cosh 2K + cosh 2y).
    """
    k, a = np.abs(bond), np.abs(y)
    decay = np.exp(-4 * k)
    log_ratio = 2 * (a - k) + np.log1p(np.exp(-4 * a))
    log_total = np.logaddexp(np.log1p(decay), log_ratio)
    theta = np.sign(bond) * -np.expm1(-4 * k) * np.exp(-log_total)
    return theta, np.logaddexp(log_ratio, np.log(2.0) - 4 * k) - log_total


def bond_factor(bond: Array, y: Array, y_other: Array) -> Array:
    """Return ln(1 + tanh(bond) tanh(y) tanh(y_other))."""
    field = transmit(y, y_other)  # of the product s s': artanh(tanh y tanh y')
    product = np.tanh(bond) * np.tanh(field)
    direct = np.log1p(np.maximum(product, -_LINEAR))
    log_form = log_cosh(bond + field) - log_cosh(bond) - log_cosh(field)
    return np.where(product > -_LINEAR, direct, log_form)


def pair_correlation(bond: Array, y: Array, y_other: Array) -> Array:
    """Return <s s'>."""
    return np.asarray(np.tanh(bond + transmit(y, y_other)))


def cavity_from_marginals(bond: Array, a: Array, b: Array) -> Array:
    r"""Return the cavity log-odds y of the first spin of a bond whose marginals are given.

    a, b are the full log-odds artanh(m), artanh(m').  Of all distributions of the pair with
    these means and weight exp(K s s'), the one of least free energy is exp(K s s' + y s + y' s');
    p(++) solves a quadratic (Welling & Teh, UAI 2001, eq. 16), here in a form without
    cancellation.
    """
    b = np.where(bond < 0, -b, b)
    r, rest = np.exp(-4 * np.abs(bond)), -np.expm1(-4 * np.abs(bond))
    p, p_, q, q_ = _expit(a), _expit(-a), _expit(b), _expit(-b)
    delta = np.where(a + b > 0, q_ - p_, p - q)
    root = np.sqrt((rest * delta) ** 2 + r * (r + 2 * rest * (p * q_ + q * p_)))
    # ln p(++) - ln p(--), with p(++) = 2 p q/(r + rest (p + q) + root) and its mirror image
    up, down = r + rest * (p + q) + root, r + rest * (p_ + q_) + root
    same = 2 * (a + b) + np.log(down) - np.log(up)
    product = _log_expit(a) + _log_expit(-a) + _log_expit(b) + _log_expit(-b)
    half = np.log(2.0) + 0.5 * (product - np.log(up) - np.log(down))  # ln sqrt(p(++) p(--))
    return np.asarray((same + _log_ratio(delta, half - 2 * np.abs(bond))) / 4)


def _log_ratio(delta: Array, log_root: Array) -> Array:
    """Return ln(p/q) of p, q > 0 with p - q = delta and p q = exp(2 log_root)."""
    with np.errstate(divide="ignore"):
        z = np.log(np.abs(delta)) - np.log(2.0) - log_root
    far = z > 20
    near = np.arcsinh(np.exp(np.where(far, 0.0, z)))
    return np.sign(delta) * 2 * np.where(far, z + np.log(2.0), near)


def _log_expit(a: Array) -> Array:
    return -np.logaddexp(0.0, -2 * a)


def _expit(a: Array) -> Array:
    return np.exp(_log_expit(a))
