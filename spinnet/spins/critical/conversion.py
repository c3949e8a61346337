r"""From exponents in N to beta, gamma, delta and nu_bar, with their joint covariance."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spinnet.files import finite_or_null
from spinnet.spins.critical.fits import Array
from spinnet.spins.statistics import format_with_error

_NAMES = ("beta", "gamma", "delta", "nu_bar")
_MEAN_FIELD = {"beta": 0.5, "gamma": 1.0, "delta": 3.0, "nu_bar": 2.0}


@dataclass(frozen=True, eq=False)
class ConvertedExponents:
    r"""Thermodynamic exponents from finite-size scaling.

    Attributes
    ----------
    beta, gamma : float
        (beta/nu_bar)/(1/nu_bar) and (gamma/nu_bar)/(1/nu_bar); 1/2 and 1 in mean field.
    delta : float
        1 + gamma/beta (Widom), 3 in mean field: free of 1/nu_bar, so known best.
    nu_bar : float
        nu d_c, 2 in mean field.
    beta_error, gamma_error, delta_error, nu_bar_error : float
        To first order in the joint covariance; NaN where an exponent is missing.
    covariance : ndarray, shape (4, 4)
    """

    beta: float
    beta_error: float
    gamma: float
    gamma_error: float
    delta: float
    delta_error: float
    nu_bar: float
    nu_bar_error: float
    covariance: Array = field(repr=False)

    def summary(self) -> str:
        """Return one line for people."""
        parts = []
        for name in _NAMES:
            value, error = getattr(self, name), getattr(self, f"{name}_error")
            if np.isfinite(value):
                shown = format_with_error(value, error)
                parts.append(f"{name} = {shown} (mean field {_MEAN_FIELD[name]:g})")
        return ", ".join(parts) or "no exponent can be converted"

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers; null where one is not known."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        result = finite_or_null(values | {"covariance": self.covariance.tolist()})
        assert isinstance(result, dict)
        return result


def convert(values: Array, covariance: Array) -> ConvertedExponents:
    """Return the exponents from (beta/nu_bar, gamma/nu_bar, 1/nu_bar) and their covariance.

    Parameters
    ----------
    values : ndarray, shape (3,)
    covariance : ndarray, shape (3, 3)
        Entries may be NaN.
    """
    b, g, y = (float(x) for x in values)
    nan = float("nan")
    # rows: derivatives in b, g, y; an exponent free of y has no share in its NaN
    rules: dict[str, tuple[float, dict[int, float]]] = {
        "beta": (b / y, {0: 1 / y, 2: -b / y**2}),
        "gamma": (g / y, {1: 1 / y, 2: -g / y**2}),
        "delta": (1 + g / b, {0: -g / b**2, 1: 1 / b}),
        "nu_bar": (1 / y, {2: -1 / y**2}),
    }
    spread = np.array(
        [
            [
                sum(
                    x * z * covariance[i, j]
                    for i, x in rules[one][1].items()
                    for j, z in rules[two][1].items()
                )
                for two in _NAMES
            ]
            for one in _NAMES
        ],
        dtype=np.float64,
    )
    known: dict[str, float] = {}
    for k, name in enumerate(_NAMES):
        known[name] = rules[name][0]
        variance = spread[k, k]
        known[f"{name}_error"] = float(np.sqrt(variance)) if variance >= 0 else nan
    return ConvertedExponents(**known, covariance=spread)
