r"""Which theory suits a coupling matrix at one temperature, and why.

Naive mean field is exact to leading order when sum_ij J_ij^2 = o(N) (Basak and Mukherjee,
"Universality of the mean-field for the Potts model", 2017).  What shows that it is not, and what
then replaces it:

* the Onsager size r2 = mean_i beta^2 sum_j J_ij^2, the weight of the reaction term that naive
  mean field leaves out (it is of order 1 for random signs and doubles T_c there): TAP, or
  adaptive TAP where the spectrum is not that of independent entries;
* a bond as strong as the temperature that carries its row, or few neighbours: no field replaces
  such a bond, and belief propagation keeps it exactly;
* the participation ratio PR = 1/(N sum_i v_i^4) of the top mode: near 1/N, a few spins order,
  which no finite system does;
* a temperature between the T_c of naive mean field and that with the reaction: the theories
  disagree on the phase itself, however small the reaction is;
* few spins: all states can be summed.

Below the temperature where a random bulk freezes, no one solution is the state: Monte Carlo
decides.  Fields round every transition off; they change the advice on T_c, not on the theory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING

from spinnet.files import finite_or_null
from spinnet.spins.meanfield.couplings import TopMode
from spinnet.spins.meanfield.method import MeanFieldMethod, checked_beta
from spinnet.spins.meanfield.profile import Profile, profile_of
from spinnet.spins.meanfield.profile import participation_ratio as participation_ratio
from spinnet.spins.meanfield.system import System, system_of
from spinnet.validation import choice

if TYPE_CHECKING:
    from spinnet.spins.models import SpinModel

_ENUMERATED = 20  # spins: seconds at most
_LARGE_REACTION = 0.1
_NEGLIGIBLE_REACTION = 0.01
_FROZEN = 2.0  # r2 of the bulk; TAP fails somewhere below r2 = 1, where the bulk freezes
_STRONG_BOND = 0.5
_DOMINANT = 0.5  # a bond over the root of its row's sum of squares
_FEW = 6.0  # neighbours that carry a row
_SPARSE = 16.0  # neighbours, where most pairs have no bond
_LOCALISED = 0.1
_NEAR_ORDER = 0.5  # of beta lambda_max: below, the mode is quiet
_NON_IID = 0.2  # of the spectral excess, which is 1 in size for an orthogonal J
_NOISE = 3.0  # standard deviations of the same
_ROUNDING = 1e-9  # of a temperature

_BONDS = (
    "single bonds or few neighbours carry the rows, and no reaction term replaces them: use belief "
    "propagation (Bethe) or Monte Carlo"
)
_GLASS = "far below where the random bulk freezes: one of many solutions, Monte Carlo decides"
_SPECTRUM = (
    "the spectrum is not that of independent entries, which changes the reaction term: use "
    "AdaptiveTAP or Monte Carlo"
)

# loaded on use: each theory imports this module
_THEORIES = {
    "naive": ("naive", "NaiveMeanField"),
    "tap": ("tap", "TAP"),
    "adaptive-tap": ("adaptive", "AdaptiveTAP"),
    "bethe": ("bethe", "Bethe"),
}


class Advice(Enum):
    """What the couplings say about naive mean field; the value is the sentence for readers."""

    RELIABLE = "naive mean field with its one-loop term suits these couplings"
    REACTION = (
        "the Onsager reaction term is not small: naive mean field misplaces T_c and the free "
        "energy; compare TAP or Monte Carlo, and the Onsager-corrected estimate"
    )
    STRONG_BONDS = (
        "single bonds are as strong as the temperature: naive mean field orders pairs of spins "
        "that no exact sum orders; use belief propagation (Bethe) or Monte Carlo"
    )
    LOCALISED = (
        "the top mode lives on few spins: what looks like a transition is a smooth freezing; "
        "use belief propagation (Bethe), exact sums or Monte Carlo"
    )
    DISPUTED = (
        "the phase is in dispute: ordered in naive mean field, disordered with the Onsager "
        "reaction; compare TAP, AdaptiveTAP or Monte Carlo"
    )


@dataclass(frozen=True)
class Diagnosis:
    r"""How large the terms are that mean-field theories neglect, at one temperature.

    Attributes
    ----------
    label : str
        The model and the treatment of its fields.
    beta : float
    n_spins : int
        Spins of the system, the outputs of a marginal dual included.
    onsager_size : float
        r2 = mean_i beta^2 sum_j J_ij^2.
    bulk_size : float
        The same without the top mode, where that is separated from the bulk: the reaction of
        the random part alone.
    strongest_bond : float
        max_{i != j} |beta J_ij|.
    row_norm_ratio : float
        max |J_ij| over sqrt(mean_i sum_j J_ij^2): 1/sqrt(N) where all couplings are alike, near
        1 or above where single bonds carry their rows.
    row_spread : float
        Standard deviation over mean of sum_j J_ij^2 (the larger of two layers): 0 where the
        variance is homogeneous, about sqrt(2/N) for Gaussian couplings.
    kurtosis : float
        <x^4>/<x^2>^2 of the couplings that are not 0, about their mean: 3 for a Gaussian; NaN
        where all are alike.
    neighbours, effective_neighbours : float
        Mean number of bonds of a spin; and how many carry the weight,
        sum_i (sum_j J_ij^2)^2/sum_ij J_ij^4.
    participation_ratio : float
        1/(N sum_i v_i^4) of the top mode v of J, between 1/N and 1.
    gap : float
        lambda_1 over the edge of a random bulk of the same variance (sigma_1 over sigma_edge for
        two layers); inf if there is no bulk.
    separated : bool
        Whether the top mode stands clear of that bulk, at the 0.1 % level.
    spectral_excess : float
        Fourth free cumulant of the bulk over the square of its second, less what rows of unequal
        variance give: 0 for independent entries (semicircle, Marchenko-Pastur), -1 for an
        orthogonal J; NaN where there is no bulk.
    iid_spectrum : bool
        Whether `spectral_excess` is that of independent entries, within its noise.
    has_fields : bool
        Fields round the transition off: no sharp T_c.
    naive_temperature, reduced_temperature : float
        T_c of naive mean field without fields; and what the reaction lowers it to, as TAP to
        first order: between the two, the phase itself is in dispute.
    advice : Advice
        The verdict on naive mean field.
    theory : str
        The mean-field theory that suits best: "naive", "tap", "adaptive-tap" or "bethe".
    recommended : str
        `theory`, or "exact" or "monte-carlo" where these should decide.
    reason : str
        Why, in words.
    """

    label: str
    beta: float
    n_spins: int
    onsager_size: float
    bulk_size: float
    strongest_bond: float
    row_norm_ratio: float
    row_spread: float
    kurtosis: float
    neighbours: float
    effective_neighbours: float
    participation_ratio: float
    gap: float
    separated: bool
    spectral_excess: float
    iid_spectrum: bool
    has_fields: bool
    naive_temperature: float
    reduced_temperature: float
    advice: Advice
    theory: str
    recommended: str
    reason: str

    @property
    def naive_is_reliable(self) -> bool:
        """Whether numbers of naive mean field may be trusted here."""
        return self.advice is Advice.RELIABLE

    @property
    def sharp_transition(self) -> bool:
        """Whether a sharp T_c is to be expected at all: no fields, and an extended mode."""
        return not self.has_fields and self.participation_ratio >= _LOCALISED

    def caution(self, theory: str) -> str:
        """Return why numbers of a theory are not to be trusted here; empty if nothing says so.

        `theory` is "naive", "tap", "adaptive-tap" or "bethe".
        """
        choice("theory", theory, tuple(_THEORIES))
        if theory == "naive":
            if self.advice is Advice.DISPUTED:
                return self._dispute()
            return "" if self.naive_is_reliable else self.advice.value
        if theory != "bethe" and self.theory == "bethe":
            return _BONDS
        if self.recommended == "monte-carlo":
            return _GLASS
        # a mean of two neighbours or fewer: nearly a forest, where Bethe is exact
        loops = theory == "tap" or self.neighbours > 2
        return _SPECTRUM if self.theory == "adaptive-tap" != theory and loops else ""

    def _dispute(self) -> str:
        fields = " of the couplings without fields" if self.has_fields else ""
        return (
            f"ordered in naive mean field, T = {1 / self.beta:.4g} between its T_c = "
            f"{self.naive_temperature:.4g} and the T = {self.reduced_temperature:.4g} to which the "
            f"Onsager reaction lowers it{fields}: the phase is in dispute, compare Monte Carlo"
        )

    def method(self) -> MeanFieldMethod:
        """Return the theory named by `theory`, to give to `solve` or `critical_beta`.

        Where `recommended` is "exact" or "monte-carlo" this is the best theory to compare with.
        """
        return theory_named(self.theory)

    def summary(self) -> str:
        """Return the diagnosis in a few lines for people."""
        kind = "as of" if self.iid_spectrum else "not that of"
        excess = self.spectral_excess
        bulk = "no bulk" if math.isnan(excess) else f"{kind} independent entries ({excess:+.2g})"
        clear = "clear of" if self.separated else "not clear of"
        edge = f"{self.gap:.4g} of the bulk's edge ({clear} the bulk)"
        tails = f"kurtosis {self.kurtosis:.4g}"
        if math.isnan(self.kurtosis):
            tails = "no couplings" if self.strongest_bond == 0 else "all couplings equal"
        return "\n".join(
            [
                f"diagnosis of {self.label} at beta = {self.beta:.10g}: {self.recommended}",
                f"  {self.reason}",
                f"  Onsager size {self.onsager_size:.4g} (of the bulk {self.bulk_size:.4g}), "
                f"strongest bond {self.strongest_bond:.4g}",
                f"  top mode: participation ratio {self.participation_ratio:.4g}, "
                f"{edge if math.isfinite(self.gap) else 'no bulk'}",
                f"  couplings: {tails}, strongest over row norm "
                f"{_worded(self.row_norm_ratio)}, spread of rows {_worded(self.row_spread)}",
                f"  {self.neighbours:.4g} neighbours a spin, {_worded(self.effective_neighbours)} "
                f"carry the weight; spectrum: {bulk}",
                f"  naive mean field: {self.caution('naive') or self.advice.value}",
            ]
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers and words; None for what is not defined or infinite."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values |= {"advice": self.advice.name, "sharp_transition": self.sharp_transition}
        return {name: finite_or_null(value) for name, value in values.items()}


def _worded(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "undefined"


def theory_named(name: str) -> MeanFieldMethod:
    """Return a mean-field theory with its defaults: "naive", "tap", "adaptive-tap", "bethe"."""
    module, theory = _THEORIES[name]
    made = getattr(import_module(f"spinnet.spins.meanfield.{module}"), theory)()
    assert isinstance(made, MeanFieldMethod)
    return made


def diagnose(model: SpinModel, beta: float) -> Diagnosis:
    """Say which theory to trust for a model at one temperature, and why.

    Parameters
    ----------
    model : SpinModel
        Self-couplings count for nothing here.
    beta : float
        Inverse temperature, > 0.

    Returns
    -------
    Diagnosis
        ``.recommended`` is "exact", "naive", "tap", "adaptive-tap", "bethe" or "monte-carlo",
        ``.reason`` says why, and ``.method()`` is the theory to give to `solve`.

    Raises
    ------
    InputError
        For what is no model of two-level units, or a bad `beta`.

    Notes
    -----
    The fourth moment of the spectrum comes from 32 random probes above 400 spins (fixed seed),
    so that the work is that of 64 products with J, and of its top mode.

    Examples
    --------
    >>> import spinnet as sn
    >>> from spinnet.spins.meanfield.diagnosis import diagnose
    >>> diagnose(sn.CurieWeiss(1000), beta=1.2).recommended
    'naive'
    >>> diagnose(sn.Ising([[0, 1], [1, 0]]), beta=2.0).recommended
    'exact'
    """
    return diagnosis_of(system_of(model, diagonal=False), checked_beta(beta))


def diagnosis_of(
    system: System, beta: float, top: TopMode | None = None, profile: Profile | None = None
) -> Diagnosis:
    """Return the diagnosis of a system; `top` or `profile` save finding them again."""
    p = profile_of(system.coupling, top) if profile is None else profile
    iid = not abs(p.spectral_excess) > max(_NON_IID, _NOISE * p.spectral_noise)
    theory, why = _theory(p, beta, iid)
    recommended, reason = _decide(p, beta, theory, why)
    if system.has_fields:
        reason += "; its fields round the transition off, there is no sharp T_c"
    return Diagnosis(
        label=system.label,
        beta=beta,
        n_spins=p.n_spins,
        onsager_size=beta**2 * p.row_square,
        bulk_size=beta**2 * p.bulk_square,
        strongest_bond=beta * p.strongest,
        row_norm_ratio=p.bond_ratio,
        row_spread=p.row_spread,
        kurtosis=p.kurtosis,
        neighbours=p.neighbours,
        effective_neighbours=p.effective_neighbours,
        participation_ratio=p.participation_ratio,
        gap=p.gap,
        separated=p.separated,
        spectral_excess=p.spectral_excess,
        iid_spectrum=iid,
        has_fields=system.has_fields,
        naive_temperature=p.top,
        reduced_temperature=p.reduced,
        advice=_advice(p, beta),
        theory=theory,
        recommended=recommended,
        reason=reason,
    )


def _strong(p: Profile, beta: float) -> bool:
    """Whether single bonds are as strong as the temperature and carry their rows."""
    return beta * p.strongest > _STRONG_BOND and p.bond_ratio > _DOMINANT


def _localised(p: Profile) -> bool:
    """Whether a mode above the bulk lives on few spins; one of many within it says nothing."""
    return p.participation_ratio < _LOCALISED and p.gap > 1


def _advice(p: Profile, beta: float) -> Advice:
    """Return the verdict on naive mean field."""
    if _strong(p, beta):
        return Advice.STRONG_BONDS
    if _localised(p):
        return Advice.LOCALISED
    if beta**2 * p.bulk_square > _LARGE_REACTION:
        return Advice.REACTION
    return Advice.DISPUTED if _disputed(p, beta) else Advice.RELIABLE


def _disputed(p: Profile, beta: float) -> bool:
    """Whether naive mean field orders at this temperature, and the reaction undoes that.

    At T_c of naive mean field itself too, if the reaction moves that by 1 %.
    """
    width = p.top - p.reduced
    if width <= _ROUNDING * p.top:
        return False
    counts = width > _NEGLIGIBLE_REACTION * p.top
    high = p.top * (1 + _ROUNDING if counts else 1 - _ROUNDING)
    return p.reduced <= 1 / beta < high


def _theory(p: Profile, beta: float, iid: bool) -> tuple[str, str]:
    """Return the mean-field theory that suits best, and why."""
    r2, bond = beta**2 * p.bulk_square, beta * p.strongest
    if p.strongest == 0:
        return "naive", "no spin is coupled to another: every theory is exact"
    if _strong(p, beta):
        tails = f", heavy-tailed couplings (kurtosis {p.kurtosis:.3g})" if p.kurtosis > 10 else ""
        return "bethe", (
            f"single bonds are as strong as the temperature (max |beta J| = {bond:.3g}) and carry "
            f"their rows{tails}: belief propagation keeps each bond exactly"
        )
    if p.density < 0.5 and p.neighbours <= _SPARSE:
        return "bethe", (
            f"a sparse graph ({p.neighbours:.3g} neighbours a spin): belief propagation is exact "
            "on trees, and an approximation where loops are short"
        )
    if p.effective_neighbours < _FEW and p.n_spins > _ENUMERATED:
        return "bethe", (
            f"heavy-tailed couplings (kurtosis {p.kurtosis:.3g}): {p.effective_neighbours:.3g} "
            "bonds carry a row, which belief propagation keeps exactly"
        )
    if _localised(p) and beta * p.top > _NEAR_ORDER:
        return "bethe", (
            f"the top mode lives on few spins (participation ratio {p.participation_ratio:.3g}), "
            "which freeze without a transition"
        )
    if r2 < _LARGE_REACTION and _disputed(p, beta):
        return "tap" if iid else "adaptive-tap", (
            f"the phase is in dispute: T = {1 / beta:.4g} lies between T_c = {p.top:.4g} of naive "
            f"mean field and {p.reduced:.4g}, to which the Onsager reaction lowers it; compare "
            "Monte Carlo"
        )
    if r2 < _NEGLIGIBLE_REACTION:
        return "naive", f"the Onsager reaction is negligible (bulk r2 = {r2:.2g})"
    if r2 < _LARGE_REACTION and p.separated:
        return "naive", (
            f"a small Onsager reaction (bulk r2 = {r2:.2g}) and one extended top mode clear of "
            f"the bulk (gap {p.gap:.3g}, participation ratio {p.participation_ratio:.3g}); take "
            "the one-loop term with it"
        )
    size = f"the Onsager reaction counts (bulk r2 = {r2:.2g}) and no single bond is strong"
    if iid:
        return "tap", f"{size}; the spectrum is that of independent entries"
    return "adaptive-tap", (
        f"{size}; the spectrum is not that of independent entries (free cumulant "
        f"{p.spectral_excess:+.2g} in place of 0)"
    )


def _decide(p: Profile, beta: float, theory: str, why: str) -> tuple[str, str]:
    """Return what should decide, and why: exact sums, Monte Carlo, or the theory."""
    if p.n_spins <= _ENUMERATED:
        return "exact", f"N = {p.n_spins} spins: all states can be summed. Else {theory}: {why}"
    if p.narrow <= _ENUMERATED:
        return "exact", (
            f"a layer of {p.narrow} units: exact.enumerate sums over its states, and over the "
            f"other layer in closed form. Else {theory}: {why}"
        )
    if p.uniform and theory != "naive":
        return "exact", (
            f"all pairs are coupled alike: exact.curie_weiss sums them at any size. Else {theory}: "
            f"{why}"
        )
    r2 = beta**2 * p.bulk_square
    if theory in ("tap", "adaptive-tap") and r2 > _FROZEN:
        return "monte-carlo", (
            f"far below where the random bulk freezes (bulk r2 = {r2:.3g}, freezing at about 1): "
            f"these equations have many solutions, Monte Carlo decides. To compare, {theory}: {why}"
        )
    return theory, why
