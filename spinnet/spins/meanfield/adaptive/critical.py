r"""Critical temperatures of adaptive TAP: from the spectrum, or with a reaction for each spin.

With one variance for each layer the paramagnet is known from the spectrum (`paramagnet`).  With
one for each spin the same two conditions are met with the precisions Lambda_i that the couplings
without their outliers need: T_F where the smallest eigenvalue of Lambda - beta J vanishes, T_SG
where the AT margin of the bulk does, extrapolated as from the spectrum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg as la

from spinnet.errors import InputError
from spinnet.spins.meanfield.adaptive.paramagnet import Spectrum, spectrum_of
from spinnet.spins.meanfield.adaptive.places import DenseEquations, DensePlace
from spinnet.spins.meanfield.adaptive.reference import groups_of, matrix_of, refuse_large
from spinnet.spins.meanfield.couplings import (
    BlockCoupling,
    Coupling,
    DenseCoupling,
    SparseCoupling,
    UniformCoupling,
)
from spinnet.spins.meanfield.system import system_of
from spinnet.spins.models import SpinModel
from spinnet.spins.models.base import Array
from spinnet.validation import choice

_NO_BULK = 1e-9
_ROUNDS = 12
_CLOSE = 1e-4  # relative: far within the scatter of one sample
_LARGEST_STEP = 0.3  # of ln T


@dataclass(frozen=True)
class AdaptiveTemperatures:
    """Where the paramagnet of adaptive TAP loses its stability in a large system.

    Attributes
    ----------
    ferromagnetic : float
        T_F, of the largest level that stands clear of the bulk; NaN if none does.
    spin_glass : float
        T_SG of the bulk; NaN if it does not freeze continuously.
    n_outliers : int
        Levels that stand clear of the bulk.
    variance : str
        "site" or "uniform".
    """

    ferromagnetic: float
    spin_glass: float
    n_outliers: int
    variance: str

    @property
    def temperature(self) -> float:
        """The larger of the two."""
        return float(np.nanmax([self.ferromagnetic, self.spin_glass]))

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers, None for NaN."""
        numbers = {
            "temperature": self.temperature,
            "ferromagnetic": self.ferromagnetic,
            "spin_glass": self.spin_glass,
        }
        plain: dict[str, object] = {k: None if np.isnan(v) else v for k, v in numbers.items()}
        return plain | {"n_outliers": self.n_outliers, "variance": self.variance}

    def summary(self) -> str:
        """Return one line."""
        return (
            f"adaptive TAP ({self.variance} variance): T_c = {self.temperature:.6g} "
            f"(T_F = {self.ferromagnetic:.6g}, T_SG = {self.spin_glass:.6g}; "
            f"{self.n_outliers} level(s) clear of the bulk)"
        )


def adaptive_temperatures(model: SpinModel, variance: str = "site") -> AdaptiveTemperatures:
    """Return T_F and T_SG of the model without its fields.

    Parameters
    ----------
    model : SpinModel
        Of at most 4000 spins, or a Curie-Weiss model.
    variance : {"site", "uniform"}
        As in `AdaptiveTAP`.

    Raises
    ------
    InputError
        If the paramagnet is stable at every temperature.

    Examples
    --------
    >>> import spinnet as sn
    >>> round(adaptive_temperatures(sn.CurieWeiss(100, J=1.5)).temperature, 9)
    1.5
    """
    choice("variance", variance, ("site", "uniform"))
    coupling = system_of(model, diagonal=False).coupling
    refuse_large(coupling)
    spectrum = spectrum_of(coupling)
    count = spectrum.n_outliers
    bulk = spectrum.without(count) if count else spectrum
    ferro = spectrum.ferromagnetic(bulk) if count else float("nan")
    glass, far = bulk.glass()
    if glass < _NO_BULK * spectrum.top:  # what rounding leaves beside the outliers
        glass = float("nan")
    if variance == "site" and not isinstance(coupling, UniformCoupling):
        site = _Site(coupling, count)
        if count:
            ferro = _root(site.lowest, ferro)
        if np.isfinite(glass):
            glass = _site_glass(site, bulk, far)
    if np.isnan(ferro) and np.isnan(glass):
        raise InputError(
            f"model must have a continuous transition in adaptive TAP, got {model!r:.80}: its "
            "paramagnet is stable at every temperature"
        )
    return AdaptiveTemperatures(ferro, glass, count, variance)


class _Site:
    """The paramagnet with a reaction for each spin, from the couplings without outliers."""

    def __init__(self, coupling: Coupling, n_outliers: int) -> None:
        self.matrix = matrix_of(coupling)
        self.bulk = _without(coupling, n_outliers) if n_outliers else coupling
        self.groups = groups_of(coupling, "site")
        self._near: DensePlace | None = None

    def place(self, temperature: float) -> DensePlace:
        """Return the paramagnet of the bulk."""
        n = self.bulk.n_spins
        matrix = matrix_of(self.bulk)
        equations = DenseEquations(self.bulk, matrix, np.zeros(n), 1 / temperature, self.groups)
        self._near = equations.at(np.zeros(n), self._near)
        return self._near

    def lowest(self, temperature: float) -> float:
        """Return the smallest eigenvalue of Lambda - beta J, outliers included."""
        k = self.matrix.full(self.matrix.scaled(np.ones(self.bulk.n_spins))) / temperature
        a = np.diag(1 + self.place(temperature).reaction) - k
        return float(la.eigvalsh(a, subset_by_index=[0, 0])[0])

    def root(self, temperature: float) -> float:
        """Return (1 - AT margin)^{-1/2} of the bulk."""
        margin = self.place(temperature).margin()
        return float((1 - margin) ** -0.5) if margin < 1 else float("inf")


def _without(coupling: Coupling, count: int) -> Coupling:
    """Return the couplings without their largest levels."""
    if isinstance(coupling, BlockCoupling):
        u, s, v = la.svd(coupling.block, full_matrices=False)
        return BlockCoupling(coupling.block - (u[:, :count] * s[:count]) @ v[:count])
    assert isinstance(coupling, DenseCoupling | SparseCoupling)
    matrix = coupling.matrix
    dense: Array = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
    n = coupling.n_spins
    values, vectors = la.eigh(dense, subset_by_index=[n - count, n - 1])
    return DenseCoupling(dense - (vectors * values) @ vectors.T)


def _root(function: Callable[[float], float], start: float) -> float:
    """Return the root of a function that rises with ln T, by secants from `start`; NaN if none."""
    x = [np.log(start), np.log(start) + 0.05]
    y = [function(float(np.exp(u))) for u in x]
    for _ in range(_ROUNDS):
        if y[-1] == y[-2]:
            break
        move = -y[-1] * (x[-1] - x[-2]) / (y[-1] - y[-2])
        if abs(move) <= _CLOSE:
            return float(np.exp(x[-1] + move))
        x.append(x[-1] + float(np.clip(move, -_LARGEST_STEP, _LARGEST_STEP)))
        y.append(function(float(np.exp(x[-1]))))
    return float("nan")


def _site_glass(site: _Site, bulk: Spectrum, far: float) -> float:
    """Return T_SG, from where the AT margin is what the spectrum has at its far temperature."""
    goal = (1 - bulk.margin(bulk.offset(1 / far))) ** -0.5
    found = _root(lambda t: site.root(t) - goal, far)
    if not np.isfinite(found):
        return float("nan")
    low, high = 0.99 * found, 1.01 * found
    below, above = site.root(low), site.root(high)
    critical = low - (below - 1) * (high - low) / (above - below)
    return critical if critical > 0 else float("nan")
