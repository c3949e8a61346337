"""The derivation scripts run, refuse bad paths in one line, and write a complete article."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "derivations"


def run(name, *arguments, cwd):
    command = [sys.executable, "-W", "error", str(SCRIPTS / f"{name}.py"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        (
            "curie_weiss",
            ["Self-consistency", "Binder cumulant", "5: printed", "second route"],
        ),
        (
            "network_dual",
            ["Hessian, true signs", "Congruence P_a^T W P_b", "17: printed", "second route"],
        ),
        (
            "bipartite_map",
            ["P_a^T W P_b is the model", "Entries of P", "8: printed", "second route"],
        ),
        pytest.param(
            "one_loop_claim",
            ["Polarisation", "10: printed", "Critical point", "second route"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "one_loop_determinant",
            ["the determinant, N = 3", "Congruence", "15: printed", "second route"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "plefka_expansion",
            ["the Onsager term", "Odds ratio", "Lowest mode", "second route"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "critical_scaling",
            ["ln P(x), N large", "-2.2568473920", "<m^2>/<|m|>^2", "second route"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "errata",
            ["1. Printed", "20: printed", "second route"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "signal_propagation",
            ["Stein's identity", "Critical line of erf", "(r) printed", "second route"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_script_runs_and_writes_latex(name, claims, tmp_path):
    result = run(name, "--latex", "article.tex", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    for claim in claims:
        assert claim in result.stdout
    source = (tmp_path / "article.tex").read_text(encoding="utf-8")
    assert source.startswith("\\documentclass{article}")
    assert source.endswith("\\end{document}\n")
    assert source.count(r"\paragraph{") == source.count(r"\hfill\textit{")
    # every step told in the script's output: the prose covers every section
    assert source.count(r"\paragraph{") == result.stdout.count("  [symbolic]") + (
        result.stdout.count("  [numeric, 50 digits]")
    )


@pytest.mark.parametrize("name", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_bad_latex_path_is_one_line_and_exit_2(name, tmp_path):
    for path in ("missing/article.tex", ".") if name == "curie_weiss" else (".",):
        result = run(name, "--latex", path, cwd=tmp_path)
        assert result.returncode == 2
        assert result.stdout == ""
        assert result.stderr.startswith("error: --latex")
        assert result.stderr.count("\n") == 1
