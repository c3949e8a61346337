"""What an initialisation, as frameworks name it, does to signals and gradients in deep networks.

A gain is the standard deviation sigma_w of weights in units of 1/sqrt(fan-in).  Layers have
constant width, so that fan-in and fan-out are the same; uniform, normal and orthogonal weights of
the same variance are alike at infinite width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum

import numpy as np

from spinnet.errors import InputError, did_you_mean
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.critical import CriticalPoint, critical_line, doubly_critical
from spinnet.propagation.gaussian import MeanField
from spinnet.propagation.gradients import gradient_profile
from spinnet.validation import integer, positive_float

_BALANCED = 100.0  # of squared gradients: a factor of ten in their size
_MARGIN = 1.2  # in sigma_b, beyond the point where the critical line turns stable
_LARGEST_LENGTH = 1e12


class Verdict(Enum):
    """How gradients fare; the value is the sentence for readers."""

    BALANCED = "gradients keep their size, to a factor of ten, over this depth"
    VANISHING = "gradients vanish: the first layers hardly learn"
    EXPLODING = "gradients explode on their way back to the first layers"


@dataclass(frozen=True)
class InitAudit:
    """The judgement of one initialisation; see :func:`audit_init`.

    Attributes
    ----------
    activation, scheme : str
        Its name; the gain, and where it is from.
    sigma_w, sigma_b : float
        Standard deviations of weights, times sqrt(fan-in), and of biases.
    depth : int
        Number of layers judged.
    q1, q_last : float
        Variance of the pre-activations of the first and of the last layer; inf where it passes
        1e12.
    q_star, chi_q : float
        What the variance tends to, and the slope of the length map there.
    chi_1 : float
        Growth of squared gradients per layer at q_star.
    phase : str
        "ordered", "chaotic", "critical", ... as in MeanField.
    c_star, xi_c : float
        Correlation that two inputs tend to, and in how many layers.
    max_depth : float
        6 xi_c, up to which networks train according to Schoenholz et al. (arXiv:1611.01232).
    gradient_growth : float
        Squared gradient of the first layer relative to the last, along the lengths that a signal
        starting from `q1` really has.
    recommended : CriticalPoint or None
        A critical initialisation with a length that signals settle at: at this sigma_b if there
        is one, else at a larger sigma_b.
    note : str
        Why nothing, or another sigma_b, is recommended; other stable lengths.
    """

    activation: str
    scheme: str
    sigma_w: float
    sigma_b: float
    depth: int
    q1: float
    q_last: float
    q_star: float
    chi_q: float
    chi_1: float
    phase: str
    c_star: float
    xi_c: float
    max_depth: float
    gradient_growth: float
    recommended: CriticalPoint | None
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """How gradients fare over this depth."""
        if self.gradient_growth > _BALANCED:
            return Verdict.EXPLODING
        return Verdict.VANISHING if self.gradient_growth < 1 / _BALANCED else Verdict.BALANCED

    def summary(self) -> str:
        """Return the judgement in a few lines for people."""
        lines = [
            f"{self.activation}, {self.scheme}: sigma_w = {self.sigma_w:.6g}, "
            f"sigma_b = {self.sigma_b:.6g}",
            f"  {self._lengths()}",
            f"  {self._correlations()}",
            f"  {self._gradients()}: {self.verdict.value}",
        ]
        if self.recommended is not None:
            lines.append(f"  {self._comparison(self.recommended)}")
        return "\n".join([*lines, f"  note: {self.note}"] if self.note else lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers and words."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["recommended"] = self.recommended._asdict() if self.recommended else None
        return values | {"verdict": self.verdict.name}

    def _lengths(self) -> str:
        path = f"q = {self.q1:.4g} in layer 1, {self.q_last:.4g} in layer {self.depth}"
        if math.isinf(self.q_star):
            return f"signals grow without bound: {path}"
        if self.q_star == 0:
            return f"signals die out, q* = 0: {path}"
        if math.isnan(self.q_star):
            return f"every length is kept: {path}"
        return f"signals settle at q* = {self.q_star:.4g}, chi_q = {self.chi_q:.4g}: {path}"

    def _correlations(self) -> str:
        if math.isnan(self.c_star):
            return "correlations have no fixed point"
        if math.isinf(self.xi_c):
            return "critical: correlations change like a power of the depth, if at all"
        fate = "inputs become alike" if self.c_star > 1 - 1e-12 else "inputs that are near part"
        return (
            f"{self.phase}: {fate}, c* = {self.c_star:.4g} within xi_c = {self.xi_c:.4g} layers; "
            f"trainable to about {self.max_depth:.3g} layers"
        )

    def _gradients(self) -> str:
        return (
            f"squared gradients change by chi_1 = {self.chi_1:.4g} per layer, by "
            f"{self.gradient_growth:.3g} over {self.depth} layers"
        )

    def _comparison(self, point: CriticalPoint) -> str:
        where = f"critical: sigma_w = {point.sigma_w:.6g} at sigma_b = {point.sigma_b:.6g}"
        away = self.sigma_w / point.sigma_w - 1
        if point.sigma_b != self.sigma_b:
            return where
        if abs(away) < 1e-9:
            return f"{where}, as here"
        return f"{where}; here it is {100 * abs(away):.2g} % {'above' if away > 0 else 'below'}"


def audit_init(
    activation: str | Activation,
    gain: float | str | None = None,
    sigma_b: float = 0.0,
    *,
    depth: int = 50,
    q1: float | None = None,
) -> InitAudit:
    """Judge an initialisation by the mean-field theory of deep networks.

    Parameters
    ----------
    activation : str or Activation
    gain : float or str, optional
        sigma_w itself, or the name of a rule, for layers of constant width:

        * "torch" (the default): ``torch.nn.init.calculate_gain``, which knows linear, sigmoid,
          tanh, relu, leaky_relu and selu
        * "kaiming" or "he": sqrt(2)
        * "xavier" or "glorot" (the default of Keras), "lecun", "orthogonal": 1
        * "torch_linear", what ``torch.nn.Linear`` does unless told otherwise: 1/sqrt(3).  Its
          biases have sigma_b = 1/sqrt(3 fan-in), which is not included.
    sigma_b : float
        Standard deviation of the biases; frameworks start at 0.
    depth : int
        Number of layers, at least 2.
    q1 : float, optional
        Variance of the first layer's pre-activations, > 0; the default is that of inputs of unit
        mean square, sigma_w^2 + sigma_b^2.

    Returns
    -------
    InitAudit

    Raises
    ------
    InputError
        For an unknown rule, one that does not cover the activation, or a number out of range.

    Examples
    --------
    >>> audit = audit_init("tanh")
    >>> audit.phase, round(audit.q_star, 3), round(audit.chi_1, 3), audit.verdict.name
    ('chaotic', 1.178, 1.21, 'EXPLODING')
    """
    phi = get_activation(activation)
    sigma_w, scheme = _resolved(phi, gain)
    sigma_b = positive_float("sigma_b", sigma_b, zero=True)
    depth = integer("depth", depth, minimum=2)
    net = MeanField(phi, sigma_w, sigma_b, q0=None if q1 is None else positive_float("q1", q1))
    start = sigma_w**2 + sigma_b**2 if net.q0 is None else net.q0
    growth, q_last = _over_depth(net, start, depth)
    recommended, note = _recommendation(phi, sigma_b)
    stable = [point.q for point in net.fixed_points() if point.stable]
    if len(stable) > 1:
        values = ", ".join(f"{q:.4g}" for q in stable)
        note = "; ".join([*filter(None, [note]), f"signals settle at one of q = {values} by q1"])
    return InitAudit(
        activation=phi.name,
        scheme=scheme,
        sigma_w=sigma_w,
        sigma_b=sigma_b,
        depth=depth,
        q1=start,
        q_last=q_last,
        q_star=net.q_star,
        chi_q=net.chi_q,
        chi_1=net.chi_1,
        phase=net.phase,
        c_star=net.c_star,
        xi_c=net.xi_c,
        max_depth=net.max_depth(),
        gradient_growth=growth,
        recommended=recommended,
        note=note,
    )


# ---------------------------------------------------------------------- rules
def _leaky_gain(phi: Activation) -> float:
    slope = float(np.asarray(phi.derivative(np.array([-1.0])))[0])
    return math.sqrt(2 / (1 + slope**2))


_TORCH_GAINS: dict[str, float | Callable[[Activation], float]] = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2.0),
    "leaky_relu": _leaky_gain,
    "selu": 0.75,
}
_RULES = {
    "kaiming": math.sqrt(2.0),
    "he": math.sqrt(2.0),
    "xavier": 1.0,
    "glorot": 1.0,
    "lecun": 1.0,
    "orthogonal": 1.0,
    "torch_linear": 1 / math.sqrt(3.0),
}


def _resolved(phi: Activation, gain: float | str | None) -> tuple[float, str]:
    """Return sigma_w and where it is from."""
    if gain is not None and not isinstance(gain, str):
        value = positive_float("gain", gain)
        return value, f"gain {value:.6g}"
    rule = "torch" if gain is None else gain.lower()
    if rule in _RULES:
        return _RULES[rule], f"{rule} gain {_RULES[rule]:.6g}"
    names = ("torch", *_RULES)
    if rule != "torch":
        raise InputError(
            f"gain must be a number or one of {', '.join(names)}, got {gain!r}"
            f"{did_you_mean(rule, names)}"
        )
    if phi.name not in _TORCH_GAINS:
        raise InputError(
            f"gain 'torch' has no value for {phi.name!r}, only for {', '.join(_TORCH_GAINS)}; give "
            "a number or a rule such as 'kaiming' (sqrt 2, the usual choice for relatives of relu)"
        )
    entry = _TORCH_GAINS[phi.name]
    value = entry(phi) if callable(entry) else entry
    return value, f"torch gain {value:.6g}"


# ---------------------------------------------------------------------- parts
def _over_depth(net: MeanField, q1: float, depth: int) -> tuple[float, float]:
    """Return the squared gradient of the first layer over the last's, and the last's length."""
    q = np.array(q1)
    for layer in range(1, depth):
        q = np.asarray(net.length_map(q))
        if not q <= _LARGEST_LENGTH:  # the slopes no longer change
            part = gradient_profile(net, layer, q1=q1, c0=1.0).norm_squared
            with np.errstate(over="ignore"):
                growth = part[0] * (part[-2] / part[-1]) ** (depth - 1 - layer)
            return float(growth), math.inf
    return float(gradient_profile(net, depth - 1, q1=q1, c0=1.0).norm_squared[0]), float(q)


def _recommendation(phi: Activation, sigma_b: float) -> tuple[CriticalPoint | None, str]:
    line = critical_line(phi, sigma_b=[sigma_b])
    if not line.sigma_w.size:
        return None, f"never critical: {line.reason}"
    point = CriticalPoint(float(line.q[0]), float(line.sigma_w[0]), sigma_b)
    if line.stable_q[0]:
        return point, ""
    turns = doubly_critical(phi)
    larger = max((turn.sigma_b for turn in turns), default=math.nan)
    reason = (
        f"at sigma_b = {sigma_b:.4g} signals leave the critical point, sigma_w = "
        f"{point.sigma_w:.4g}, since chi_q > 1"
    )
    if not larger > sigma_b:
        return None, reason
    line = critical_line(phi, sigma_b=[_MARGIN * larger])
    point = CriticalPoint(float(line.q[0]), float(line.sigma_w[0]), float(line.sigma_b[0]))
    return point, f"{reason}; beyond sigma_b = {larger:.4g} they stay"
