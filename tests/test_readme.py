"""The README is true: its Python runs, its commands exist, its files are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from spinnet.cli.program import build_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_python_blocks_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    assert len(blocks("python")) >= 4
    for number, block in enumerate(blocks("python"), 1):
        exec(compile(block, f"README.md, python block {number}", "exec"), namespace)
    assert {path.name for path in tmp_path.iterdir()} == {"my-run", "my-sweep"}


COMMANDS = [
    line.split("#")[0].strip()
    for block in blocks("sh")
    for line in block.splitlines()
    if line.startswith(("spinnet", "make"))
]


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("spinnet")])
def test_the_commands_are_understood(line):
    assert build_parser().parse_args(shlex.split(line)[1:]).execute is not None


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("make")])
def test_the_make_targets_exist(line):
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{line.split()[1]}:", makefile, re.MULTILINE)


NAMED = sorted(set(re.findall(r"`([\w./]+/[\w./]*)`", README)))


@pytest.mark.parametrize("path", [path for path in NAMED if not path.startswith(".venv/")])
def test_the_files_it_names_exist(path):
    assert (ROOT / path).exists()
