"""What an exact sum returns."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ExactResult:
    """Exact thermal averages; every array has the shape of the temperature grid.

    Attributes
    ----------
    n_spins : int
        N.
    beta : ndarray
        Inverse temperatures.
    log_z : ndarray
        ln Z, in nats, the constant of the energy included.
    free_energy : ndarray
        -log_z/(beta N), per spin (-inf at beta = 0).
    energy : ndarray
        <E>, total.
    specific_heat : ndarray
        beta^2 Var(E)/N, per spin.
    magnetization, abs_m, m2, m4 : ndarray
        <m>, <|m|>, <m^2>, <m^4> of m = (sum of the units)/N, in the levels of the model.
    binder : ndarray
        1 - m4/(3 m2^2).
    susceptibility : ndarray
        beta N (<m^2> - <m>^2), per spin.
    susceptibility_abs : ndarray
        beta N (<m^2> - <|m|>^2).
    means : ndarray
        <s_i>, shape (..., n_spins); for Curie-Weiss <s>, the same for each spin.
    correlations : ndarray
        <s_i s_j>, shape (..., n_spins, n_spins); for Curie-Weiss that of any two spins
        (NaN for one spin).
    """

    n_spins: int
    beta: Array
    log_z: Array
    free_energy: Array
    energy: Array
    specific_heat: Array
    magnetization: Array
    abs_m: Array
    m2: Array
    m4: Array
    binder: Array
    susceptibility: Array
    susceptibility_abs: Array
    means: Array
    correlations: Array

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}


def free_energy_per_spin(log_z: Array, beta: Array, n_spins: int) -> Array:
    """Return -log_z/(beta N), with the limit -inf at beta = 0."""
    with np.errstate(divide="ignore"):
        return np.where(beta > 0, -log_z / (np.where(beta > 0, beta, 1.0) * n_spins), -np.inf)
