r"""Where the response of the zero-field system diverges: the critical point of naive mean field.

At h = 0 the paramagnet m = 0 has the response beta (1 - beta J)^{-1}, which diverges at
T_c = lambda_max(J); for two layers that is the largest singular value of the block.  Fields
round the transition off, so that they are dropped, and the result says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.linalg as la
import scipy.sparse.linalg as sla

from spinnet.errors import InputError
from spinnet.spins.meanfield.couplings import BlockCoupling
from spinnet.spins.meanfield.diagnosis import Diagnosis, diagnosis_of
from spinnet.spins.meanfield.method import MeanFieldMethod, checked_method
from spinnet.spins.meanfield.naive import NaiveMeanField
from spinnet.spins.meanfield.spectrum import OnsagerEstimate, onsager_estimate
from spinnet.spins.meanfield.system import System, positive_top, system_of
from spinnet.spins.models import NetworkDual, SpinModel
from spinnet.spins.models.base import Array

_FULL_SPECTRUM = 400


@dataclass(frozen=True, eq=False)
class CriticalPoint:
    """The critical point of the zero-field system, with what a reader must know beside it.

    Attributes
    ----------
    beta, temperature : float
        Naive mean field: T = lambda_max of the symmetric couplings.
    label : str
        The approximation, the form of the model, and what became of its fields.
    top_mode : ndarray, shape (n_spins,)
        Unit vector along which the order sets in (inputs only, for a marginal dual).
    gap : float
        lambda_1/lambda_2 (sigma_1/sigma_2 for two layers); inf if no second is positive.
    lambda_max : float
        Largest eigenvalue of the symmetric couplings, in units of energy.
    sigma_max : float
        Largest singular value of the couplings as stated (for two layers, of their block).
    spectral_radius : float
        max |eigenvalue| of the couplings as stated.  Where a stated matrix is not symmetric
        the three differ; this one is the edge of the dynamics x <- tanh(beta J x), which has no
        detailed balance, and is no thermodynamic temperature.
    onsager : OnsagerEstimate
        The estimate that includes the reaction of a random bulk.
    diagnosis : Diagnosis
        Size of the neglected terms at `beta`, with an advice in words.
    note : str
        What was dropped, or is missing.
    """

    beta: float
    temperature: float
    label: str
    top_mode: Array = field(repr=False)
    gap: float
    lambda_max: float
    sigma_max: float
    spectral_radius: float
    onsager: OnsagerEstimate
    diagnosis: Diagnosis
    note: str = ""

    @property
    def participation_ratio(self) -> float:
        """1/(N sum v^4) of the top mode: 1 if every spin takes part, 1/N if one does."""
        return self.diagnosis.participation_ratio

    @property
    def onsager_size(self) -> float:
        """mean_i beta^2 sum_j J_ij^2 at `beta`; naive mean field needs it small."""
        return self.diagnosis.onsager_size

    def summary(self) -> str:
        """Return the result in a few lines for people."""
        o = self.onsager
        mode = "separated from" if o.separated else "not separated from"
        lines = [
            f"{self.label}: T_c = {self.temperature:.10g} (beta_c = {self.beta:.10g})",
            f"  Onsager-corrected: T = {o.temperature:.6g} (T_F = {o.ferromagnetic:.6g}, "
            f"T_SG = {o.spin_glass:.6g}); top mode {mode} the bulk, edge {o.edge:.6g}",
            f"  lambda_max {self.lambda_max:.6g}, sigma_max {self.sigma_max:.6g}, "
            f"spectral radius {self.spectral_radius:.6g}, gap {self.gap:.4g}",
            f"  participation ratio {self.participation_ratio:.4g}, "
            f"Onsager size {self.onsager_size:.4g}: {self.diagnosis.advice.value}",
        ]
        return "\n".join([*lines, f"  note: {self.note}"] if self.note else lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers and words; the top mode as a list."""
        names = ("beta", "temperature", "label", "gap", "lambda_max", "sigma_max")
        values: dict[str, object] = {name: getattr(self, name) for name in names}
        return values | {
            "spectral_radius": self.spectral_radius,
            "participation_ratio": self.participation_ratio,
            "onsager_size": self.onsager_size,
            "onsager_temperature": self.onsager.temperature,
            "ferromagnetic_temperature": self.onsager.ferromagnetic,
            "spin_glass_temperature": self.onsager.spin_glass,
            "separated": self.onsager.separated,
            "advice": self.diagnosis.advice.name,
            "top_mode": self.top_mode.tolist(),
            "note": self.note,
        }


def critical_beta(model: SpinModel, method: MeanFieldMethod | None = None) -> float:
    """Return the inverse temperature where the response of the zero-field system diverges.

    Parameters
    ----------
    model : SpinModel
        Its fields, if any, are dropped.
    method : NaiveMeanField, TAP, AdaptiveTAP or Bethe, optional
        Naive mean field by default, where it is 1/lambda_max(J);
        ``NaiveMeanField(diagonal=True)`` keeps the self-couplings.

    Returns
    -------
    float
        `critical_point` adds the Onsager-corrected estimate and the caveats.

    Examples
    --------
    >>> import spinnet as sn
    >>> sn.critical_beta(sn.CurieWeiss(50, J=2.0), method=sn.NaiveMeanField(diagonal=True))
    0.5
    """
    return 1 / checked_method(method, NaiveMeanField).critical_temperature(model)


def critical_point(model: SpinModel, method: NaiveMeanField | None = None) -> CriticalPoint:
    """Return the critical point of the zero-field system with its edges and caveats.

    Parameters and conventions as in `critical_beta`.
    """
    method = method or NaiveMeanField()
    if not isinstance(method, NaiveMeanField):
        raise InputError(f"method must be a NaiveMeanField(...), got {method!r:.80}")
    system = system_of(model, diagonal=method.diagonal)
    top = positive_top(system.coupling, model)
    beta = 1 / top.value
    sigma, radius = _stated_edges(model, method, top.value, system)
    mode = top.vector[: system.n_reported]
    note = ""
    if system.has_fields:
        note = (
            "the model has fields, which turn the transition into a crossover: they are dropped "
            "here; solve(model, beta).distance_to_instability includes them"
        )
    return CriticalPoint(
        beta=beta,
        temperature=top.value,
        label=f"{method.label}, {_form(model, system)}",
        top_mode=mode / np.linalg.norm(mode),
        gap=top.value / top.second if top.second > 0 else float("inf"),
        lambda_max=top.value,
        sigma_max=sigma,
        spectral_radius=radius,
        onsager=onsager_estimate(system.coupling, top),
        diagnosis=diagnosis_of(system, beta, top),
        note=note,
    )


def _form(model: SpinModel, system: System) -> str:
    """Return the model's form with what became of its fields."""
    if isinstance(model, NetworkDual):
        code = model.label.split(",")[0]
        form = f"{code} (fields={model.field_treatment!r})"
    else:
        form = system.label
    return f"{form}, {'fields dropped' if system.has_fields else 'no fields'}"


def _stated_edges(
    model: SpinModel, method: NaiveMeanField, top: float, system: System
) -> tuple[float, float]:
    """Return the largest singular value and the spectral radius of the couplings as stated."""
    if isinstance(model, NetworkDual) and model.kind == "collapsed":
        stated = 2 * model.weights / model.norm
        if not method.diagonal:
            stated = stated - np.diag(np.diagonal(stated))
        return float(np.linalg.norm(stated, 2)), _spectral_radius(stated)
    if isinstance(system.coupling, BlockCoupling):
        return top, top
    largest = max(top, -_lowest(system))
    return largest, largest


def _lowest(system: System) -> float:
    """Return the smallest eigenvalue of the symmetric couplings."""
    coupling = system.coupling
    matrix = getattr(coupling, "matrix", None)
    if matrix is None or coupling.n_spins <= _FULL_SPECTRUM:
        return float(coupling.eigenvalues()[0])
    start = np.random.default_rng(0).standard_normal(coupling.n_spins)
    unit = coupling.strongest() or 1.0  # ARPACK needs a matrix of order 1
    scaled = matrix / unit
    return unit * float(sla.eigsh(scaled, k=1, which="SA", v0=start, return_eigenvectors=False)[0])


def _spectral_radius(matrix: Array) -> float:
    if matrix.shape[0] > _FULL_SPECTRUM:
        start = np.random.default_rng(0).standard_normal(int(matrix.shape[0]))
        unit = float(np.abs(matrix).max()) or 1.0
        try:
            values = sla.eigs(matrix / unit, k=6, which="LM", v0=start, return_eigenvectors=False)
            return unit * float(np.abs(values).max())
        except sla.ArpackNoConvergence:
            pass
    return float(np.abs(la.eigvals(matrix)).max())
