"""``spinnet compare`` on a small network of the user's own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spinnet.comparison import criticality

OWN = (
    "--weights", "net.npz", "--inputs", "inputs.npy", "--layer", "fc2", "--replicates", "199",
)  # fmt: skip


@pytest.fixture(autouse=True)
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the Monte Carlo part: the command is tested here, not its statistics."""
    monkeypatch.setattr(criticality, "_N_SWEEPS", 200)
    monkeypatch.setattr(criticality, "_FAMILY_SWEEPS", 200)


@pytest.mark.usefixtures("network")
class TestCompare:
    def test_prints_a_table_and_writes_the_report(self, spinnet, tmp_path):
        outcome = spinnet("compare", *OWN, "--labels", "labels.npy", "--initial", "initial.npz")
        assert outcome.code == 0, outcome.err
        assert "fc2" in outcome.out
        assert "verdict" in outcome.out.lower()
        assert outcome.out.endswith("report: spinnet-report.html\n")
        page = (tmp_path / "spinnet-report.html").read_text()
        assert page.lstrip().lower().startswith("<!doctype html>")
        assert "fc2" in page
        # self-contained: nothing is fetched when it is opened
        assert 'src="http' not in page
        assert '<link rel="stylesheet"' not in page

    def test_settings_come_from_a_file_and_the_command_line_wins(self, spinnet, tmp_path):
        folder = tmp_path / "jobs"
        folder.mkdir()
        (folder / "c.toml").write_text(
            '[compare]\nweights = "../net.npz"\ninputs = "../inputs.npy"\nlayer = "fc1"\n'
            'replicates = 199\nseed = 3\noutput = "page.html"\njson = "numbers.json"\n'
            "quiet = true\n"
        )
        outcome = spinnet("compare", "--config", "jobs/c.toml", "--layer", "fc2")
        assert outcome.code == 0, outcome.err
        assert outcome.err == ""
        assert (folder / "page.html").exists()
        numbers = json.loads((folder / "numbers.json").read_text())
        assert numbers["layer"] == "fc2"
        # and the same seed gives the same numbers; the time it took is not one of them
        assert spinnet("compare", *OWN, "--seed", "3", "--json", "again.json").code == 0
        again = json.loads((tmp_path / "again.json").read_text())
        assert set(again) == set(numbers)
        for name, value in numbers.items():
            assert name in ("seconds", "provenance") or again[name] == value, name

    def test_a_layer_with_dead_nodes_is_compared_without_a_crash(self, spinnet, tmp_path):
        with np.load("net.npz") as file:
            arrays = dict(file)
        arrays["fc2.bias"][:3] = -1e3
        np.savez("net.npz", **arrays)
        outcome = spinnet("compare", *OWN)
        assert outcome.code in (0, 3), outcome.err
        assert (tmp_path / "spinnet-report.html").exists() == (outcome.code == 0)
