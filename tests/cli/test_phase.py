"""``spinnet phase``: the files and the text of a phase diagram."""

from __future__ import annotations

import json

import numpy as np
import pytest

import spinnet.propagation as propagation
from spinnet.cli import phase
from spinnet.propagation.diagram import phase_diagram

SMALL = ("--sigma-w", "0.5:4:9", "--sigma-b", "0:2:5")


def test_phase_is_the_library_call(spinnet, tmp_path):
    outcome = spinnet("phase", "--activation", "erf", *SMALL, "--keep", "0.9", "--output", "e.9")
    assert outcome.code == 0, outcome.err
    diagram = phase_diagram("erf", np.linspace(0.5, 4, 9), np.linspace(0, 2, 5), 0.9)
    assert outcome.out == (
        f"{diagram.summary()}\n\nfigure: e.9.png\nnumbers: e.9.npz and e.9.json\n"
    )
    with np.load(tmp_path / "e.9.npz") as arrays:
        np.testing.assert_array_equal(arrays["xi_c"], diagram.xi_c)
        np.testing.assert_array_equal(arrays["sigma_w"], diagram.sigma_w)
    stored = json.loads((tmp_path / "e.9.json").read_text())
    assert stored["noise"] == {"keep": 0.9, "shared": False, "kind": "Dropout"}
    assert (tmp_path / "e.9.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {"e.9.png", "e.9.npz", "e.9.json"}


def test_names_of_files_follow_the_activation(spinnet, tmp_path):
    assert spinnet("phase", "--activation", "Hard-Tanh", *SMALL).code == 0
    assert spinnet("phase", *SMALL).code == 0
    assert spinnet("phase", *SMALL, "--output", "x.json").code == 0
    names = {path.name for path in tmp_path.iterdir()}
    stems = ("phase-hard_tanh", "phase-tanh", "x")
    assert names == {f"{stem}.{end}" for stem in stems for end in ("png", "npz", "json")}


def test_critical_weights_are_printed(spinnet):
    outcome = spinnet("phase", "--sigma-w", "1:3:5", "--sigma-b", "0:2:3")
    for word in ("1.00000000", "1.85558910", "2.32502494"):  # at sigma_b = 0, 1, 2
        assert word in outcome.out


def test_the_first_length_chooses_among_several(spinnet, tmp_path):
    point = ("--activation", "gelu", "--sigma-w", "1.41", "--sigma-b", "0.406201920231798")
    found = []
    for q0 in ("0.1", "100"):
        outcome = spinnet("phase", *point, "--q0", q0, "--output", "g")
        assert outcome.code == 0, outcome.err
        assert "q0 decides" in outcome.out
        with np.load(tmp_path / "g.npz") as arrays:
            found.append(float(arrays["q_star"][0, 0]))
    assert found == pytest.approx([1.583054526, 10.606528975])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5:4:200", np.linspace(0.5, 4, 200)),
        ("2:2:1", np.array([2.0])),
        ("1.5", np.array([1.5])),
        ("3,1e-3,0", np.array([3, 1e-3, 0])),
    ],
)
def test_grids_are_read(text, expected):
    np.testing.assert_array_equal(phase.grid(text).array(), expected)


def test_the_command_knows_every_activation():
    assert phase.ACTIVATIONS == propagation.ACTIVATIONS


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--sigma-w", "1:2"], ["--sigma-w", "FIRST:LAST:COUNT", "'1:2'"]),
        (["--sigma-w", "1:2:0"], ["--sigma-w", "'1:2:0'"]),
        (["--sigma-w", "1:2:99999999999"], ["--sigma-w", "'1:2:99999999999'"]),
        (["--sigma-w", "1:2:3:4"], ["--sigma-w", "'1:2:3:4'"]),
        (["--sigma-b", "-1"], ["--sigma-b", "'-1'"]),
        (["--sigma-b", "0,nan"], ["--sigma-b", "'0,nan'"]),
        (["--sigma-b", ""], ["--sigma-b", "''"]),
        (["--sigma-w", "1e7"], ["sigma_w must be at most 1e+06", "1e+07"]),
        (["--sigma-w", "0:1:100000", "--sigma-b", "0:1:100000"], ["5e+07 points"]),
        (["--activation", "tahn"], ["did you mean 'tanh'"]),
        (["--activation", "../x"], ["'../x'"]),
        (["--keep", "0"], ["--keep", "'0'"]),
        (["--keep", "1.5"], ["keep", "(0, 1]", "1.5"]),
        (["--q0", "-1"], ["--q0", "'-1'"]),
        (["--output", "none/x"], ["--output", "'none'", "does not exist"]),
        (["--output", "./"], ["--output", "'results/tanh'", "'./'"]),
        (["--output", ".npz"], ["--output", "'.npz'"]),
        (["--sigma", "1"], ["'--sigma'", "did you mean '--sigma-"]),
    ],
)
def test_wrong_words_are_refused(spinnet, tmp_path, words, expected):
    outcome = spinnet("phase", *words)
    assert outcome.code == 2
    assert outcome.out == ""
    first = outcome.err.splitlines()[0]
    assert first.startswith("spinnet: error: ")
    for word in expected:
        assert word in first
    assert list(tmp_path.iterdir()) == []
