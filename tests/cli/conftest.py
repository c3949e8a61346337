from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from spinnet.cli import main

CURIE_WEISS = """
[model]
type = "curie-weiss"
n_spins = 20

[sample]
beta = [0.5, 0.8]
n_sweeps = 100
n_replicas = 8
n_burn_in = 50
seed = 7

[solve]
beta = 1.25
diagonal = true
"""


class Outcome(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def spinnet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Run the command line in an empty folder and return code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")

    def run(*words: str | Path) -> Outcome:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.toml"
    path.write_text(CURIE_WEISS)
    return path


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A random network 12-10-8-4, its untrained weights, and inputs with labels, as files."""
    rng = np.random.default_rng(7)
    for name in ("net", "initial"):
        arrays = {}
        for k, (n_in, n_out) in enumerate([(12, 10), (10, 8), (8, 4)], 1):
            arrays[f"fc{k}.weight"] = rng.normal(0, 1 / np.sqrt(n_in), (n_out, n_in))
            arrays[f"fc{k}.bias"] = rng.normal(0, 0.1, n_out)
        np.savez(tmp_path / f"{name}.npz", **arrays)
    np.save(tmp_path / "inputs.npy", rng.normal(size=(2000, 12)).astype(np.float32))
    np.save(tmp_path / "labels.npy", rng.integers(0, 4, 2000))
    return tmp_path / "net.npz"
