"""The checker finds wrong signs and factors, and derivations record how each step was checked."""

import re
import shutil
import subprocess

import pytest
import sympy as sp

from spinnet import theory
from spinnet.errors import InputError
from spinnet.theory.checking import Derivation, DerivationError, check_equal, escape_latex

x, z = sp.symbols("x z", real=True)
p = sp.Symbol("p", positive=True)
n = sp.Symbol("n", integer=True, positive=True)


@pytest.mark.parametrize(
    ("lhs", "rhs", "how"),
    [
        ((x + 1) ** 2, x**2 + 2 * x + 1, "symbolic"),
        (sp.tanh(x), (sp.exp(2 * x) - 1) / (sp.exp(2 * x) + 1), "symbolic"),
        (sp.Matrix([x, z]), sp.Matrix([x + 0 * z, z]), "symbolic"),
        ([x, 1], (x, 1), "symbolic"),
        (sp.gamma(sp.Rational(1, 4)) * sp.gamma(sp.Rational(3, 4)), sp.sqrt(2) * sp.pi, None),
        (sp.atanh(sp.tanh(x)), x, "numeric, 50 digits"),
        (sp.Integral(sp.exp(-(z**2)), (z, -sp.oo, sp.oo)), sp.sqrt(sp.pi), "symbolic"),
        (sp.cos(sp.pi * n), (-1) ** n, "symbolic"),
    ],
)
def test_true_statements_are_confirmed_with_how(lhs, rhs, how):
    found = check_equal(lhs, rhs)
    assert found in ("symbolic", "numeric, 50 digits")
    assert how in (None, found)


@pytest.mark.parametrize(
    ("lhs", "rhs"),
    [
        (sp.tanh(x), -sp.tanh(x)),
        (sp.tanh(x), sp.tanh(x) / 2),
        (sp.cosh(x) ** 2 + sp.sinh(x) ** 2, 1),
        (sp.log(2 * sp.cosh(x)), sp.log(sp.cosh(x))),
        (sp.sqrt(x**2), x),
        (sp.Matrix([x, z]), sp.Matrix([x, -z])),
        (sp.sin(x), sp.sin(x) + sp.Rational(1, 10**48) * x),
        (p**2, p**2 * (1 + sp.Rational(1, 10**45))),
        (sp.Integer(9), sp.Rational(27, 5)),
    ],
)
def test_wrong_signs_factors_and_tiny_terms_are_caught(lhs, rhs):
    with pytest.raises(DerivationError, match="not equal") as caught:
        check_equal(lhs, rhs)
    assert set(caught.value.point) == {str(s) for s in sp.Matrix([lhs, rhs]).free_symbols} or (
        isinstance(lhs, sp.MatrixBase)
    )


w, q = sp.Symbol("w"), sp.Symbol("q", negative=True)
k = sp.Symbol("k", integer=True)


@pytest.mark.parametrize(
    ("lhs", "rhs"),
    [
        (sp.conjugate(w), w),  # on the real axis only
        (sp.sqrt(w**2), w),
        (sp.Abs(k), k),  # for k >= 0 only
        (sp.Abs(x - 1), 1 - x),  # for x <= 1 only
        (sp.asin(sp.sin(x)), x),
        (sp.log((x - sp.Rational(3, 2)) ** 2), 2 * sp.log(sp.Rational(3, 2) - x)),
        (sp.Heaviside(p - 3), 0),
        (sp.Piecewise((x, x > 0), (sp.nan, True)), x),  # no value on one side
        (sp.Rational(1, 10**70), 0),
        (sp.exp(-1000 * p), 0),
        (x / 10**70, 2 * x / 10**70),
    ],
)
def test_statements_true_on_part_of_the_domain_or_nearly_are_caught(lhs, rhs):
    with pytest.raises(DerivationError, match="not equal"):
        check_equal(lhs, rhs)


@pytest.mark.parametrize(
    ("lhs", "rhs"),
    [
        (1 / (n * (n + 1)), 1 / n - 1 / (n + 1)),
        (sp.Sum(1 / k, (k, 1, n)), sp.harmonic(n)),
        (sp.Abs(q), -q),
        (sp.binomial(n, 2), n * (n - 1) / 2),  # 1/gamma(0) at n = 1
        (sp.exp(500 * p) - sp.exp(499 * p) * sp.exp(p), 0),
        (sp.sqrt(w) ** 2, w),
    ],
)
def test_true_statements_survive_integers_signs_and_cancellation(lhs, rhs):
    check_equal(lhs, rhs)


@pytest.mark.parametrize(
    ("lhs", "rhs", "words"),
    [
        ([], [], "at least one expression"),
        (sp.zeros(0, 0), sp.zeros(0, 0), "at least one expression"),
        ([[1, 2], [3, 4]], [[1, 2, 3], [4]], "same shape"),
        (sp.Eq(x, z), sp.Eq(x, z), "expressions with a value"),
        (sp.Function("g")(x), x, "undefined function g"),
    ],
)
def test_what_cannot_be_compared_is_refused(lhs, rhs, words):
    with pytest.raises(InputError, match=words):
        check_equal(lhs, rhs)


def test_ranges_against_the_assumptions_are_refused():
    with pytest.raises(InputError, match="values that p can take"):
        check_equal(p, p, ranges={p: (-2, -1)})


def test_the_counterexample_is_reproducible_and_seeded():
    points = []
    for seed in (1, 1, 2):
        with pytest.raises(DerivationError) as caught:
            check_equal(x, 2 * x, rng=seed)
        points.append(caught.value.point["x"])
    assert points[0] == points[1] != points[2]


def test_ranges_and_assumptions_bound_the_points():
    assert check_equal(sp.Abs(p), p) == "symbolic"
    check_equal(sp.Abs(x), x, ranges={x: (0.1, 0.2)})
    with pytest.raises(DerivationError, match="could not be evaluated"):
        check_equal(1 / sp.floor(p), 2 / sp.floor(p), ranges={p: (0.1, 0.9)})


def test_shapes_must_agree():
    with pytest.raises(InputError, match="same shape"):
        check_equal(sp.eye(2), sp.ones(1, 4))


@pytest.fixture
def small():
    d = Derivation("A 50% test & more", "nobody_1")
    d.section("One")
    d.step("double angle", sp.sinh(2 * x), 2 * sp.sinh(x) * sp.cosh(x), note="p_1 < p_2")
    d.section("Two")
    d.refute("sign", sp.sinh(x), -sp.sinh(x))
    d.step("long", sp.Matrix(40, 1, lambda i, _: x**i), sp.Matrix(40, 1, lambda i, _: x**i))
    return d


def test_steps_carry_their_sides_and_how(small):
    first, second, _ = small.steps
    assert (first.title, first.how, first.section, first.holds) == (
        "double angle",
        "symbolic",
        "One",
        True,
    )
    assert first.lhs == sp.sinh(2 * x)
    assert not second.holds
    assert second.how == "numeric, 50 digits"
    assert abs(second.counterexample.left + second.counterexample.right) < 1e-15
    assert list(small.sections()) == ["One", "Two"]
    assert len(small) == 3 == len(list(small))


def test_verify_finds_a_step_that_was_tampered_with(small):
    assert small.verify()
    object.__setattr__(small.steps[0], "rhs", 2 * sp.sinh(x))
    with pytest.raises(DerivationError):
        small.verify()


def test_a_true_statement_cannot_be_refuted_and_a_false_one_not_stepped(small):
    with pytest.raises(DerivationError, match=r"'evenness'.*holds at every point"):
        small.refute("evenness", sp.cosh(-x), sp.cosh(x))
    with pytest.raises(DerivationError, match="step 'oddness': the two sides are not equal"):
        small.step("oddness", sp.cosh(-x), -sp.cosh(x))
    assert len(small) == 3


def test_text_shows_relation_counterexample_and_sections(small):
    text = small.to_text()
    assert "One\n---" in text
    assert "!= -sinh(x)" in text
    assert "left = " in text
    assert small.to_text("Two").startswith("Two")
    with pytest.raises(InputError, match="section must be one of One, Two"):
        small.to_text("Three")


def test_latex_is_a_balanced_standalone_article(small):
    source = small.to_latex()
    assert source.startswith("\\documentclass{article}")
    assert source.rstrip().endswith("\\end{document}")
    assert r"A 50\% test \& more" in source
    assert r"p\_1 \textless{} p\_2" in source
    assert r"\neq" in source
    for environment in ("document", "multline*", "matrix"):
        begins = source.count(f"\\begin{{{environment}}}")
        assert begins == source.count(f"\\end{{{environment}}}")
    bare = re.sub(r"\\[{}]", "", source)
    assert bare.count("{") == bare.count("}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(small, tmp_path):
    path = small.write_latex(tmp_path / "d.tex")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", path.name]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_writing_latex_needs_an_existing_folder(small, tmp_path):
    assert small.write_latex(tmp_path / "d.tex").read_text(encoding="utf-8") == small.to_latex()
    with pytest.raises(InputError, match="does not exist"):
        small.write_latex(tmp_path / "missing" / "d.tex")
    with pytest.raises(InputError, match="got the folder"):
        small.write_latex(tmp_path)


def test_escape_latex_covers_every_special_character():
    assert escape_latex(r"\{}$&#^_~%<>") == (
        r"\textbackslash{}\{\}\$\&\#\textasciicircum{}\_\textasciitilde{}\%"
        r"\textless{}\textgreater{}"
    )


def test_derive_names_the_nearest_derivation():
    assert {"curie_weiss", "network_dual", "signal_propagation"} < set(theory.DERIVATIONS)
    with pytest.raises(InputError, match="did you mean 'curie_weiss'"):
        theory.derive("curie-weis")
