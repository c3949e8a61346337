"""What frameworks' initialisations do: published verdicts, and torch's own numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from spinnet.errors import InputError
from spinnet.propagation import MeanField, leaky_relu
from spinnet.propagation.audit import Verdict, audit_init

FOUR_DIGITS = 5e-4


# ------------------------------------------------------------------ verdicts of the specification
def test_torch_tanh_gain_is_chaotic() -> None:
    audit = audit_init("tanh")
    assert audit.sigma_w == 5 / 3
    assert audit.q_star == pytest.approx(1.178, abs=FOUR_DIGITS)
    assert audit.chi_1 == pytest.approx(1.210, abs=FOUR_DIGITS)
    assert audit.phase == "chaotic"
    assert audit.verdict is Verdict.EXPLODING
    assert audit.gradient_growth == pytest.approx(audit.chi_1**49, rel=0.5)
    assert audit.recommended is not None
    assert audit.recommended.sigma_w == 1


def test_torch_selu_gain_is_the_empirically_stable_one() -> None:
    audit = audit_init("selu")
    assert audit.sigma_w == 0.75
    assert audit.chi_1 == pytest.approx(1.0037, abs=5e-5)
    assert audit.verdict is Verdict.BALANCED
    one = audit_init("selu", 1.0)
    assert one.q_star == pytest.approx(1, rel=1e-12)  # Klambauer et al. chose selu for this
    assert one.chi_1 == pytest.approx(1.0716, abs=5e-5)


def test_sigmoid_with_gain_one_is_deeply_ordered() -> None:
    audit = audit_init("sigmoid")
    assert audit.chi_1 == pytest.approx(0.056, abs=FOUR_DIGITS)
    assert audit.verdict is Verdict.VANISHING
    assert audit.recommended is not None
    assert audit.recommended.sigma_w == pytest.approx(10.1493, abs=5e-5)


@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_the_gain_of_relu_kills_its_smooth_relatives(name: str) -> None:
    audit = audit_init(name, "kaiming")
    assert audit.sigma_w == math.sqrt(2)
    assert audit.q_star == 0
    assert audit.chi_1 == pytest.approx(0.5, rel=1e-12)
    assert audit.verdict is Verdict.VANISHING
    # 1/|phi'(0)| = 2 is critical and useless: signals leave q = 0
    assert "sigma_w = 2" in audit.note
    assert audit.recommended is not None
    at_two = MeanField(name, 2.0, 0.0, q0=0.01)
    assert math.isinf(at_two.q_star)
    good = audit.recommended
    net = MeanField(name, good.sigma_w, good.sigma_b, q0=0.5 * good.q)
    assert net.q_star == pytest.approx(good.q, rel=1e-8)
    assert net.chi_1 == pytest.approx(1, abs=1e-9)


def test_kaiming_suits_relu() -> None:
    for rule in (None, "torch", "kaiming", "He"):
        audit = audit_init("relu", rule)
        assert audit.chi_1 == pytest.approx(1, rel=1e-15)
        assert audit.gradient_growth == pytest.approx(1, rel=1e-12)
        assert audit.q_last == pytest.approx(audit.q1, rel=1e-12)
        assert audit.verdict is Verdict.BALANCED
        assert "as here" in audit.summary()


def test_default_layers_of_torch_make_everything_vanish() -> None:
    for name in ("tanh", "relu", "gelu"):
        audit = audit_init(name, "torch_linear")
        assert audit.sigma_w**2 == pytest.approx(1 / 3)
        assert audit.phase == "ordered"
        assert audit.verdict is Verdict.VANISHING


def test_softplus_has_nothing_to_recommend() -> None:
    audit = audit_init("softplus", 1.0)
    assert audit.recommended is None
    assert "never critical" in audit.note


def test_depth_decides_about_a_slow_loss() -> None:
    """tanh at gain 1 is critical: squared gradients fall off like 1/depth, not exponentially."""
    shallow, deep = audit_init("tanh", 1.0, depth=20), audit_init("tanh", 1.0, depth=2000)
    assert shallow.verdict is Verdict.BALANCED
    assert deep.verdict is Verdict.VANISHING
    assert deep.gradient_growth > 1e-2 * shallow.gradient_growth * 20 / 2000
    ordered = audit_init("tanh", 0.9, depth=2000)
    assert ordered.gradient_growth < 1e-90


def test_growth_is_that_of_the_lengths_on_the_way() -> None:
    audit = audit_init("erf", 1.4, 0.2, depth=6, q1=9.0)
    net = MeanField("erf", 1.4, 0.2)
    q, growth = 9.0, 1.0
    for _ in range(5):
        growth *= 1.4**2 * 4 / math.pi / math.sqrt(1 + 4 * q)
        q = float(net.length_map(q))
    assert audit.gradient_growth == pytest.approx(growth, rel=1e-12)
    assert audit.q_last == pytest.approx(q, rel=1e-12)


def test_unbounded_signals_are_reported_without_overflow() -> None:
    audit = audit_init("relu", 3.0, depth=5000)
    assert math.isinf(audit.q_star)
    assert math.isinf(audit.q_last)
    assert audit.verdict is Verdict.EXPLODING
    assert audit_init("relu", 3.0, depth=40).gradient_growth == pytest.approx(4.5**39, rel=1e-9)
    assert "grow without bound" in audit.summary()


def test_several_stable_lengths_are_named() -> None:
    low = audit_init("gelu", math.sqrt(1.9881), math.sqrt(0.165), q1=1.0)
    high = audit_init("gelu", math.sqrt(1.9881), math.sqrt(0.165), q1=20.0)
    assert (low.phase, high.phase) == ("ordered", "chaotic")
    assert low.q_star == pytest.approx(1.583, abs=FOUR_DIGITS)
    assert high.q_star == pytest.approx(10.607, abs=FOUR_DIGITS)
    assert "q = 1.583, 10.61" in low.note


# ------------------------------------------------------------------ against torch
@pytest.mark.parametrize(
    "name", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "gelu", "silu", "softplus"]
)
def test_gains_are_those_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    slope = 0.1 if name == "leaky_relu" else None
    try:
        expected = torch.nn.init.calculate_gain(name, slope)
    except ValueError:
        with pytest.raises(InputError, match=f"'torch' has no value for '{name}'"):
            audit_init(name)
        return
    assert audit_init(name).sigma_w == pytest.approx(expected, rel=1e-15)


def test_leaky_gain_follows_the_slope() -> None:
    torch = pytest.importorskip("torch")
    expected = torch.nn.init.calculate_gain("leaky_relu", 0.3)
    assert audit_init(leaky_relu(0.3)).sigma_w == pytest.approx(expected, rel=1e-15)


@pytest.mark.statistical
@pytest.mark.parametrize("rule", ["kaiming", "xavier", "lecun", "orthogonal", "torch_linear"])
def test_rules_are_the_variances_that_torch_draws(rule: str) -> None:
    """250 000 weights: the variance's standard error is 2.9e-3; false alarms in 6e-5 each."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(7)
    n = 500
    layer = torch.nn.Linear(n, n)
    draw: dict[str, Any] = {
        "kaiming": lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu"),
        "xavier": torch.nn.init.xavier_uniform_,
        "lecun": lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="linear"),
        "orthogonal": torch.nn.init.orthogonal_,
        "torch_linear": lambda w: None,
    }
    draw[rule](layer.weight)
    variance = n * float(layer.weight.detach().double().square().mean())
    assert variance == pytest.approx(audit_init("linear", rule).sigma_w ** 2, rel=4 * 2.9e-3)
    if rule == "torch_linear":
        bias = float(layer.bias.detach().double().square().mean())
        assert bias == pytest.approx(1 / (3 * n), rel=0.2)  # 500 numbers: 4 %


@pytest.mark.statistical
def test_networks_of_torch_have_these_gradients() -> None:
    """Mean over 60 networks of width 150, ten layers; four standard errors, 6e-5 by chance.

    At q_star alone the growth would be 1.21^9 = 5.6, and not 3.1.
    """
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    width, depth, ratios = 150, 10, []
    gain = torch.nn.init.calculate_gain("tanh")
    for _ in range(60):
        weights = [torch.empty(width, width) for _ in range(depth)]
        for weight in weights:
            torch.nn.init.xavier_normal_(weight, gain=gain)
        x = torch.randn(width)
        x *= math.sqrt(width) / x.norm()
        steps = [weights[0] @ x]
        for weight in weights[1:]:
            steps.append(weight @ torch.tanh(steps[-1]))
        first = delta = torch.randn(width)
        for weight, h in zip(weights[:0:-1], steps[-2::-1], strict=True):
            delta = (1 - torch.tanh(h) ** 2) * (weight.T @ delta)
        ratios.append(float(delta.square().sum() / first.square().sum()))
    error = np.std(ratios, ddof=1) / math.sqrt(60)
    growth = audit_init("tanh", depth=depth).gradient_growth
    assert error < 0.2 * growth
    # corrections of order depth/width, 7 per cent
    assert abs(np.mean(ratios) - growth) < 4 * error + 0.07 * growth


# ------------------------------------------------------------------ presentation and bad input
def test_the_summary_says_it_in_words() -> None:
    text = audit_init("tanh").summary()
    assert "torch gain 1.66667" in text
    assert "gradients explode" in text
    assert "critical: sigma_w = 1 at sigma_b = 0; here it is 67 % above" in text
    assert "power of the depth" in audit_init("tanh", "xavier").summary()
    assert "die out" in audit_init("gelu", "he").summary()
    # no comparison with a point at another sigma_b
    assert "% below" not in audit_init("gelu", "he").summary()


@pytest.mark.parametrize("name", ["tanh", "gelu", "softplus"])
def test_the_audit_is_plain_data(name: str) -> None:
    data = audit_init(name, 1.2).to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["verdict"] in Verdict.__members__


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'kaiming'"):
        audit_init("tanh", "kaimin")
    with pytest.raises(InputError, match="gain must be > 0, got -1"):
        audit_init("tanh", -1.0)
    with pytest.raises(InputError, match="gain must be finite"):
        audit_init("tanh", math.nan)
    with pytest.raises(InputError, match="sigma_b must be >= 0"):
        audit_init("tanh", 1.0, -0.1)
    with pytest.raises(InputError, match="depth must be an integer >= 2"):
        audit_init("tanh", depth=1)
    with pytest.raises(InputError, match="q1 must be > 0"):
        audit_init("tanh", q1=0.0)
    with pytest.raises(InputError, match="did you mean 'gelu'"):
        audit_init("gellu", 1.0)
