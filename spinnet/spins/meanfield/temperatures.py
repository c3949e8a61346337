"""Every critical temperature that mean field gives a model, each with its name and its model.

One network has several numbers that are all called T_c: they differ by the form of the dual, by
what became of the fields, and by the theory.  Each row here says all three.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from spinnet import plotting
from spinnet.errors import InputError, SpinnetError
from spinnet.files import finite_or_null
from spinnet.spins.meanfield.critical_point import CriticalPoint, critical_point
from spinnet.spins.meanfield.diagnosis import Advice, Diagnosis, theory_named
from spinnet.spins.meanfield.instability import instability
from spinnet.spins.meanfield.method import MeanFieldMethod, checked_method
from spinnet.spins.meanfield.naive import NaiveMeanField
from spinnet.spins.meanfield.system import system_of
from spinnet.spins.models import Bipartite, NetworkDual, SpinModel
from spinnet.spins.models.base import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PARAMAGNET = "where the paramagnet of this theory loses its stability"
_BETHE_F = "where the Bethe Hessian of the paramagnet loses positivity"
_BETHE_SG = "where the non-backtracking operator of weights tanh^2(beta J) has spectral radius 1"
_LINE = 100  # columns of the text
_THEORIES = ("tap", "adaptive-tap", "bethe")
_EDGES = ("sigma_max", "spectral radius")  # of the couplings as stated: no phase changes there
_SHORT = 90  # characters of a reason


@dataclass(frozen=True)
class CriticalTemperature:
    """One row of the table.

    Attributes
    ----------
    label : str
        What the number is.
    temperature, beta : float
        NaN where there is none; `note` says why.
    meaning : str
        Its definition.
    model : str
        The model, with the form of a dual, the treatment of its fields, and what they are.
    note : str
        Empty, or a caveat; why there is no number, where there is none.
    recommended : bool
        Whether this row is of the theory that `diagnose` names at beta = 1/lambda_max.
    """

    label: str
    temperature: float
    meaning: str
    model: str
    note: str = ""
    recommended: bool = False

    @property
    def beta(self) -> float:
        """1/temperature."""
        return 1 / self.temperature if self.temperature > 0 else math.nan

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers and words, None where there is no number."""
        plain = {name: finite_or_null(getattr(self, name)) for name in ("temperature", "beta")}
        return {"label": self.label, **plain, **{k: getattr(self, k) for k in _WORDS}}


_WORDS = ("meaning", "model", "note", "recommended")


@dataclass(frozen=True)
class CriticalTemperatures:
    """The critical temperatures of one model.

    Attributes
    ----------
    rows : tuple of CriticalTemperature
    model : str
    """

    rows: tuple[CriticalTemperature, ...]
    model: str

    def __getitem__(self, label: str) -> CriticalTemperature:
        """Return the row of this label."""
        for row in self.rows:
            if row.label == label:
                return row
        known = ", ".join(repr(row.label) for row in self.rows)
        raise InputError(f"label must be one of {known}, got {label!r:.80}")

    def summary(self) -> str:
        """Return the table as text; the model of a row stands below it where it is another.

        What is an edge of the spectrum, and no temperature of a transition, stands at the end.
        """
        width = max(len(row.label) for row in self.rows)
        common = self.rows[0].model
        lines = _wrapped(f"critical temperatures of {common}", "  ")
        edges = [row for row in self.rows if row.label in _EDGES]
        for row in [row for row in self.rows if row not in edges]:
            lines += _lines(row, width, common)
        lines += ["  edges of the spectrum (no transition temperature)"] if edges else []
        for row in edges:
            lines += _lines(row, width, common)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers and words."""
        return {"model": self.model, "rows": [row.to_dict() for row in self.rows]}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the temperatures, one line for each row that has one; return the axes."""
        ax = plotting.axes(ax)
        rows = [row for row in self.rows if math.isfinite(row.temperature)][::-1]
        places = np.arange(len(rows))
        plotting.points(ax, [row.temperature for row in rows], places)
        ax.set_yticks(places, [row.label for row in rows])
        ax.set_xlabel("temperature T = 1/beta")
        title = textwrap.fill(self.rows[0].model, 60)  # "with its fields" says what it is
        ax.set_title(title, fontsize="small")
        return ax


def _lines(row: CriticalTemperature, width: int, common: str) -> list[str]:
    """Return a row as text: its number and meaning, or why it has none."""
    none = math.isnan(row.temperature)
    mark = "  <- recommended by diagnose at 1/lambda_max" if row.recommended else ""
    text = f"{'none':>14}: {_short(row.note)}" if none else f"{row.temperature:>14.10g}"
    line = f"  {row.label:<{width}}  {text}{'' if none else f'  {row.meaning}'}{mark}"
    own = "" if row.model == common else f"[{row.model}]"
    lines = [line]
    for words in (own, "" if none else row.note):
        lines += _wrapped(f"      {words}", "      ") if words else []
    return lines


def _short(reason: str) -> str:
    """Return the first clause of a reason."""
    first = re.split(r";|: |\. |, got ", reason.removeprefix("none: "))[0]
    return textwrap.shorten(first, _SHORT, placeholder="...")


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _LINE, subsequent_indent=indent, break_on_hyphens=False)


def critical_temperatures(
    model: SpinModel,
    method: NaiveMeanField | None = None,
    *,
    theories: Sequence[MeanFieldMethod] | None = None,
) -> CriticalTemperatures:
    """Return the critical temperatures of a model by each method, labelled.

    Parameters
    ----------
    model : SpinModel
    method : NaiveMeanField, optional
        For the rows of naive mean field; ``NaiveMeanField(diagonal=True)`` keeps self-couplings.
    theories : sequence of TAP, AdaptiveTAP or Bethe, optional
        What to add; by default all three.  ``()`` adds none, and saves their time.

    Returns
    -------
    CriticalTemperatures
        ``.rows``, each with label, temperature, meaning, model and note; ``["lambda_max"]`` and
        so on is one row; ``.summary()`` is the table, with the model and its fields on top.

    Raises
    ------
    InputError
        For bad arguments.  A theory that has no critical temperature here is a row that says so.

    Notes
    -----
    All rows but "with its fields" are of the model without its fields, which have a sharp
    transition.  "with its fields" is where the branch that comes from high temperature loses its
    stability in naive mean field, if it does (see `instability`).

    Examples
    --------
    >>> import spinnet as sn
    >>> from spinnet.spins.meanfield.temperatures import critical_temperatures
    >>> table = critical_temperatures(sn.CurieWeiss(100, J=2.0), theories=())
    >>> round(table["lambda_max"].temperature, 12)
    1.98
    """
    method = NaiveMeanField() if method is None else method
    if not isinstance(method, NaiveMeanField):
        raise InputError(f"method must be a NaiveMeanField(...), got {method!r:.80}")
    if theories is None:
        theories = [theory_named(name) for name in _THEORIES]
    theories = [checked_method(theory, NaiveMeanField) for theory in theories]
    system = system_of(model, diagonal=method.diagonal)
    words = _Words(system.label, *stated_fields(model), system.has_fields)
    rows, seen = _spectral_rows(model, method, words)
    rows += [row for theory in theories for row in _theory_rows(theory, model, words)]
    if system.has_fields:
        rows.append(_with_fields(model, method, words))
    return CriticalTemperatures(tuple(_marked(rows, seen)), words.stated)


def _marked(
    rows: Sequence[CriticalTemperature], seen: Diagnosis | None
) -> list[CriticalTemperature]:
    """Return the rows, that of the theory which the diagnosis names marked; the highest of two."""
    name = "" if seen is None else seen.theory
    start = "lambda_max" if name == "naive" else theory_named(name).label if name else "?"
    own = [r for r in rows if r.label.split(", ")[0] == start and math.isfinite(r.temperature)]
    best = max(own, key=lambda row: row.temperature, default=None)
    return [replace(row, recommended=row is best) for row in rows]


@dataclass(frozen=True)
class _Words:
    """How a row names the model."""

    label: str
    fields: str
    rest: str
    has_fields: bool

    @property
    def stated(self) -> str:
        return f"{self.label}; {self.fields}{self.rest}"

    @property
    def kept(self) -> str:
        return f"{self.label}; {self.fields} (fields kept){self.rest}"

    @property
    def dropped(self) -> str:
        if not self.has_fields:
            return self.stated
        return f"{self.label}; {self.fields} (fields dropped){self.rest}"


def stated_fields(model: SpinModel) -> tuple[str, str]:
    """Return the fields of a model as it was stated, and what else belongs to them, in words."""
    if isinstance(model, NetworkDual):
        return f"bias = {_spread(model.bias)}", f", norm = {model.norm:.6g}"
    if isinstance(model, Bipartite):
        return f"bias_a = {_spread(model.bias_a)}, bias_b = {_spread(model.bias_b)}", ""
    return f"h = {_spread(np.atleast_1d(getattr(model, 'h', model.fields)))}", ""


def _spread(values: Array) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.6g}" if low == high else f"{low:.4g} ... {high:.4g} (mean {values.mean():.4g})"


def _spectral_rows(
    model: SpinModel, method: NaiveMeanField, words: _Words
) -> tuple[list[CriticalTemperature], Diagnosis | None]:
    """Return the rows that the spectrum gives, and the diagnosis at 1/lambda_max."""
    try:
        point = critical_point(model, method)
    except InputError as error:  # no positive eigenvalue
        reason = str(error)
        row = CriticalTemperature("lambda_max", math.nan, method.label, words.dropped, reason)
        return [row], None
    rows = [
        CriticalTemperature(label, value, meaning, words.dropped, note)
        for label, value, meaning, note in _edges(point, method)
    ]
    return rows, point.diagnosis


def _edges(point: CriticalPoint, method: NaiveMeanField) -> list[tuple[str, float, str, str]]:
    o = point.onsager
    bulk = "beside a top mode" if o.separated else "of all couplings"
    seen = point.diagnosis
    caution = seen.caution("naive")
    if seen.advice is Advice.DISPUTED:
        caution = (
            f"the Onsager reaction lowers it to {seen.reduced_temperature:.4g}, to first order: "
            "between the two the phase is in dispute"
        )
    return [
        ("lambda_max", point.lambda_max, f"{method.label}: top eigenvalue of J", caution),
        ("sigma_max", point.sigma_max, "largest singular value of the couplings as stated", ""),
        (
            "spectral radius",
            point.spectral_radius,
            "edge of the dynamics x <- tanh(beta J x): no thermodynamic temperature",
            "",
        ),
        (
            "Onsager T_F",
            o.ferromagnetic,
            "top mode with the reaction of a random bulk, 1/G(lambda_1)",
            o.note,
        ),
        ("Onsager T_SG", o.spin_glass, f"where a random bulk {bulk} freezes", ""),
    ]


def _theory_rows(
    theory: MeanFieldMethod, model: SpinModel, words: _Words
) -> list[CriticalTemperature]:
    """Return the row of a theory, two of one that tells a ferromagnet from a glass."""
    from spinnet.spins.meanfield.bethe import Bethe

    label = theory.label
    if isinstance(theory, Bethe):
        return [
            _row(
                f"{label}, ferromagnetic", _BETHE_F, theory.ferromagnetic_temperature, model, words
            ),
            _row(f"{label}, spin glass", _BETHE_SG, theory.spin_glass_temperature, model, words),
        ]
    return [_row(label, _PARAMAGNET, theory.critical_temperature, model, words)]


def _row(
    label: str, meaning: str, value: Callable[[SpinModel], float], model: SpinModel, words: _Words
) -> CriticalTemperature:
    """Return a row with the number, or with why there is none."""
    try:
        return CriticalTemperature(label, value(model), meaning, words.dropped)
    except SpinnetError as error:
        return CriticalTemperature(label, math.nan, meaning, words.dropped, str(error))


def _with_fields(model: SpinModel, method: NaiveMeanField, words: _Words) -> CriticalTemperature:
    meaning = f"{method.label}: where the branch from high T loses its stability"
    try:
        found = instability(model, method)
        value, note = found.temperature, found.note
    except InputError as error:  # no positive eigenvalue
        value, note = math.nan, str(error)
    return CriticalTemperature("with its fields", value, meaning, words.kept, note)
