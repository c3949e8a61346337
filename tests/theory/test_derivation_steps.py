"""Derivations of layers, loops, TAP, scaling and the errata: what they prove, what they catch."""

import ast
import re
from pathlib import Path

import pytest
import sympy as sp

from spinnet import theory
from spinnet.theory import (
    _critical_scaling_steps,
    _errata_steps,
    _layer_steps,
    _one_loop_steps,
    _plefka_steps,
    critical_scaling,
    dual,
    errata,
    layers,
    plefka,
)
from spinnet.theory.checking import Derivation, DerivationError

NEW = (
    "bipartite_map",
    "one_loop_claim",
    "one_loop_determinant",
    "plefka_expansion",
    "critical_scaling",
    "errata",
)


@pytest.fixture(scope="module")
def table():
    return theory.derive("errata")


def test_derive_offers_them():
    assert set(NEW) < set(theory.DERIVATIONS)


@pytest.mark.slow
def test_every_erratum_is_decided(table):
    quoted = {
        2: "m = dF/db",
        5: "<s_i,s_j> ~ (b^2/T_c) |t|^-1",
        10: "Z_bip -> Z_full(W)",
        17: "m = dF/dh, P_c = d^2F/dh^2 = dm/dh",
        19: "W square, one N",
    }
    assert {k: errata.TABLE[k - 1].printed for k in quoted} == quoted
    sections = table.sections()
    assert [item.number for item in errata.TABLE] == list(range(1, 21))
    assert list(sections) == [item.title for item in errata.TABLE]
    for item in errata.TABLE:
        steps = sections[item.title]
        assert any(step.holds for step in steps), item.number
        refuted = [step for step in steps if not step.holds]
        # 19 has no equality to refute: W + W^T of a rectangular W does not exist
        assert refuted or item.number == 19, item.number
        assert all(step.counterexample is not None for step in refuted)
        assert any(step.holds and step.how == "symbolic" for step in steps), item.number


@pytest.mark.slow
def test_what_holds_is_proved_and_not_sampled(table):
    numeric = [s.title for s in table if s.holds and s.how != "symbolic"]
    assert len(numeric) <= 3, numeric
    assert len(table) > 60


@pytest.mark.parametrize(
    "module",
    [_critical_scaling_steps, _errata_steps, _layer_steps, _one_loop_steps, _plefka_steps],
    ids=lambda module: module.__name__.rsplit(".", 1)[-1],
)
def test_no_step_states_the_same_expression_twice(module):
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    steps = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("d.step", "d.refute")
        and len(node.args) == 3
    ]
    assert len(steps) > 20
    for node in steps:
        left, right = (ast.unparse(side) for side in node.args[1:])
        assert left != right, ast.unparse(node.args[0])


@pytest.mark.slow
def test_the_article_of_the_errata_is_well_formed(table):
    source = table.to_latex()
    opened = []  # environments and \\left must nest, and displays must not
    for word, name in re.findall(r"\\(begin|end|left|right|\[|\])(?:\{([a-z*]+)\})?", source):
        if word in ("begin", "left", "["):
            opened.append((word, name))
        else:
            assert opened.pop() == ({"end": "begin", "right": "left", "]": "["}[word], name)
    assert not opened
    bare = re.sub(r"\\[{}]", "", source)
    assert bare.count("{") == bare.count("}")
    assert source.count(r"\section*{") == 20
    assert source.count(r"\paragraph{") == len(table)


@pytest.mark.slow
def test_taken_steps_keep_their_check_under_another_section(table):
    d = Derivation("part")
    d.section("here")
    d.take(step for step in table if step.title.startswith("2: "))
    assert {s.section for s in d} == {"here"}
    assert d.verify()
    wrong = next(s for s in d if s.holds)
    object.__setattr__(wrong, "rhs", 2 * sp.sympify(wrong.rhs))
    with pytest.raises(DerivationError):
        d.verify()


@pytest.fixture
def fresh():
    """Forget what was computed before and, of the wrong statements, after."""

    def forget():
        for module in (critical_scaling, dual, layers, plefka, _plefka_steps):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()

    forget()
    yield
    forget()


def doubled(function):
    def wrong(*args, **options):
        value = function(*args, **options)
        if isinstance(value, tuple):
            return tuple(2 * x for x in value)
        return 2 * value

    return wrong


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("module", "name", "steps", "part", "title"),
    [
        (layers, "lift", _layer_steps, "_congruence", "(1, a) = P (1, sigma)"),
        (layers, "lift", _layer_steps, "_any_size", "Entries of P"),
        (layers, "padded", _layer_steps, "_congruence", "Biases as row and column 0"),
        (layers, "padded_spins", _layer_steps, "_congruence", "P_a^T W P_b is the model"),
        (layers, "congruent", _layer_steps, "_congruence", "P_a^T W P_b is the model"),
        (layers, "two_layers", _layer_steps, "_inequality", "Z_bip is their sum"),
        (layers, "one_layer", _layer_steps, "_inequality", "Weights of two copies"),
        (layers, "uniform_two_layers", _layer_steps, "_numbers", "Sums over magnetisations"),
        pytest.param(
            *(layers, "log_ratio_at_one_loop", _layer_steps, "_one_loop", "ln Z_bip"),
            marks=pytest.mark.slow,
        ),
        (layers, "uniform_critical_point", _layer_steps, "_uniform_network", "Both together"),
        (dual, "effective_hamiltonian", _one_loop_steps, "_quadratic_form", "H^g to second order"),
        (dual, "rotated_hessian", _one_loop_steps, "_quadratic_form", "The rotated Hessian"),
        (dual, "hessian", _one_loop_steps, "_integral", "The full Hessian"),
        (dual, "determinant", _one_loop_steps, "_free_energy", "F_1 = -T ln Z/N"),
        (plefka, "tap_field", _plefka_steps, "_tap", "Local field of TAP"),
        (plefka, "hessian", _plefka_steps, "_tap", "Hessian of beta N F"),
        (plefka, "expansion", _plefka_steps, "_two_spins", "The expansion solves numerator"),
        (critical_scaling, "log_weight", _critical_scaling_steps, "_density", "ln P(x), N large"),
        (critical_scaling, "field_log_weight", _critical_scaling_steps, "_density", "The Hubbard"),
        pytest.param(
            *(critical_scaling, "half_moment", _critical_scaling_steps, "_moments", "Moments at y"),
            marks=pytest.mark.slow,
        ),
        (critical_scaling, "moment", _critical_scaling_steps, "_one_function", "<x^4>"),
        (
            critical_scaling,
            "correction_in_zero_field",
            _critical_scaling_steps,
            "_corrections",
            "of N^(1/4) <|m|>",
        ),
        (dual, "hessian", _errata_steps, "_unsymmetric", "14: it is"),
        (dual, "linear_response", _errata_steps, "_response", "18: as printed"),
    ],
)
def test_a_step_fails_if_the_statement_it_checks_is_doubled(
    monkeypatch, module, name, steps, part, title
):
    with monkeypatch.context() as patch:
        patch.setattr(module, name, doubled(getattr(module, name)))
        with pytest.raises(DerivationError, match=re.escape(f"step {title!r}"[:-1])):
            getattr(steps, part)(Derivation("doubled"))


@pytest.mark.slow
def test_a_derivation_holds_twice_and_prints():  # the scripts run the others
    d = theory.derive("bipartite_map")
    assert d.verify()
    assert d.to_latex().count(r"\paragraph{") == len(d)
    text = d.to_text()
    assert all(step.title in text for step in d)
