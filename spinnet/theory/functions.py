r"""Special functions of the theory wing, with derivatives and stable numerics.

``log(cosh(x))``, ``sech(x)`` and the entropy of a spin are written as functions of their own, so
that differentiation keeps the forms that do not overflow or cancel: at :math:`x = 10^4` the naive
``log(cosh(x))`` is infinite and ``1 - tanh(x)**2`` has lost every digit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.special import xlogy

Real = NDArray[Any]


class LogCosh(sp.Function):
    r"""The even function :math:`\ln\cosh x`, with derivative :math:`\tanh x`."""

    nargs = 1

    @classmethod
    def eval(cls, x: sp.Expr) -> sp.Expr | None:
        """Return the value at 0 and infinity; write an even function of a canonical sign."""
        if x.is_zero:
            return sp.S.Zero
        if x in (sp.oo, -sp.oo):
            return sp.oo
        return cls(-x) if x.could_extract_minus_sign() else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        r"""Return :math:`\tanh x`."""
        return sp.tanh(self.args[0])

    def _eval_is_real(self) -> bool | None:
        return True if self.args[0].is_real else None

    def _eval_is_nonnegative(self) -> bool | None:
        return True if self.args[0].is_real else None

    def _eval_rewrite(self, rule: Any, args: tuple[sp.Expr, ...], **hints: Any) -> sp.Expr | None:
        return sp.log(sp.cosh(args[0])) if rule in (sp.log, sp.cosh) else None

    def _eval_nseries(self, x: sp.Symbol, n: int, logx: Any, cdir: int = 0) -> sp.Expr:
        return sp.log(sp.cosh(self.args[0]))._eval_nseries(x, n, logx=logx, cdir=cdir)

    def _eval_evalf(self, prec: int) -> sp.Expr:
        return sp.log(sp.cosh(self.args[0])).evalf(mpmath.libmp.prec_to_dps(prec))

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        body = rf"\ln\cosh\left({printer._print(self.args[0])}\right)"
        return body if exp is None else rf"\left[{body}\right]^{{{exp}}}"


class SpinEntropy(sp.Function):
    r"""Entropy of a spin of mean m: :math:`s = -\sum_\pm \frac{1\pm m}{2}\ln\frac{1\pm m}{2}`.

    Its derivative is :math:`-\operatorname{artanh} m`.
    """

    nargs = 1

    @classmethod
    def eval(cls, m: sp.Expr) -> sp.Expr | None:
        """Return the values at 0 and +-1; write an even function of a canonical sign."""
        if m.is_zero:
            return sp.log(2)
        if m in (sp.S.One, sp.S.NegativeOne):
            return sp.S.Zero
        return cls(-m) if m.could_extract_minus_sign() else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        r"""Return :math:`-\operatorname{artanh} m`."""
        return -sp.atanh(self.args[0])

    def _as_logs(self) -> sp.Expr:
        up, down = (1 + self.args[0]) / 2, (1 - self.args[0]) / 2
        return -up * sp.log(up) - down * sp.log(down)

    def _eval_rewrite(self, rule: Any, args: tuple[sp.Expr, ...], **hints: Any) -> sp.Expr | None:
        return self._as_logs() if rule is sp.log else None

    def _eval_nseries(self, x: sp.Symbol, n: int, logx: Any, cdir: int = 0) -> sp.Expr:
        return self._as_logs()._eval_nseries(x, n, logx=logx, cdir=cdir)

    def _eval_evalf(self, prec: int) -> sp.Expr:
        return self._as_logs().evalf(mpmath.libmp.prec_to_dps(prec))

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        body = rf"s\left({printer._print(self.args[0])}\right)"
        return body if exp is None else rf"{body}^{{{exp}}}"


class StableTanh(sp.Function):
    """tanh whose derivative is written sech(x)**2, free of the cancellation in 1 - tanh(x)**2."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return ``sech(x)**2``."""
        return StableSech(self.args[0]) ** 2


class StableSech(sp.Function):
    """sech, with derivative -sech(x) tanh(x)."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return ``-sech(x) tanh(x)``."""
        return -StableSech(self.args[0]) * StableTanh(self.args[0])


def stabilise(expr: sp.Expr) -> sp.Expr:
    """Return `expr` with tanh, sech and log(cosh) in the forms that keep their digits.

    Differentiate with `derivative` afterwards: it keeps the stable forms.
    """
    x = sp.Wild("x")
    expr = expr.replace(sp.log(sp.cosh(x)), LogCosh(x))
    return expr.replace(sp.tanh, StableTanh).replace(sp.sech, StableSech)


def derivative(expr: sp.Expr, symbol: sp.Symbol) -> sp.Expr:
    """Return the stable form of d expr / d symbol."""
    return stabilise(sp.diff(expr, symbol))


def log_cosh(x: Any) -> Real:
    """Return log(cosh(x)) to full relative accuracy, at any x; keeps the dtype."""
    size = np.abs(np.asarray(x))
    half = np.sinh(np.minimum(size, 1) / 2)
    far = size + np.log1p(np.exp(-2 * size)) - np.log(size.dtype.type(2))
    return np.asarray(np.where(size < 1, np.log1p(2 * half * half), far))


def sech(x: Any) -> Real:
    """Return 1/cosh(x) without overflow; keeps the dtype."""
    decay = np.exp(-np.abs(np.asarray(x)))
    return np.asarray(2 * decay / (1 + decay * decay))


def spin_entropy(m: Any) -> Real:
    """Return the entropy of a spin of mean `m`, 0 at m = +-1."""
    up, down = (1 + np.asarray(m)) / 2, (1 - np.asarray(m)) / 2
    return np.asarray(-xlogy(up, up) - xlogy(down, down))


def _atanh(x: Any) -> Real:
    with np.errstate(divide="ignore"):  # +-inf at +-1 is the value meant
        return np.asarray(np.arctanh(x))


NUMPY_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "LogCosh": log_cosh,
    "SpinEntropy": spin_entropy,
    "StableTanh": np.tanh,
    "StableSech": sech,
    "sech": sech,
    "atanh": _atanh,
}


def _mp_entropy(m: Any) -> Any:
    up, down = (1 + m) / 2, (1 - m) / 2
    return -sum(p * mpmath.log(p) for p in (up, down) if p != 0)


MPMATH_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "LogCosh": lambda x: mpmath.log(mpmath.cosh(x)),
    "SpinEntropy": _mp_entropy,
    "StableTanh": mpmath.tanh,
    "StableSech": mpmath.sech,
}
