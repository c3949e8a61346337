"""Each command does its work and writes what it says; every example of the help runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

import spinnet as sn
from spinnet.cli import derive
from spinnet.cli.program import build_parser
from spinnet.theory import DERIVATIONS

COMMANDS = build_parser().subcommands()


def examples(name):
    """Return the TOML job and the command lines that the help of a command shows."""
    text = COMMANDS[name].epilog
    toml = re.search(r"with this file as job.toml\n\n(.*?)\n  spinnet", text, re.DOTALL)
    lines = [line.strip() for line in text.splitlines() if line.startswith("  spinnet ")]
    return toml and re.sub("^  ", "", toml[1], flags=re.MULTILINE), lines


EXAMPLES = [(name, line) for name in COMMANDS for line in examples(name)[1]]
SLOW = ("compare", "derive")


def test_every_command_shows_an_example():
    assert {name for name, _ in EXAMPLES} == set(COMMANDS)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        pytest.param(name, line, marks=[pytest.mark.slow] * (name in SLOW), id=line)
        for name, line in EXAMPLES
    ],
)
def test_the_example_of_the_help_works(spinnet, tmp_path, job, name, line):
    rng = np.random.default_rng(1)
    sizes = rng.zipf(2.5, 500)
    (tmp_path / "avalanches.csv").write_text("size\n" + "\n".join(map(str, sizes)) + "\n")
    np.savez(tmp_path / "weights.npz", **{"fc1.weight": rng.standard_t(4.0, (20, 50))})
    toml, _ = examples(name)
    if toml:
        (tmp_path / "job.toml").write_text(toml)
    if name in ("status", "merge", "export"):
        for seed, folder in enumerate(("job", "a", "b"), 1):
            job.write_text(job.read_text().replace("seed = ", f"seed = {seed}"))
            assert spinnet("run", job, "--output", folder).code == 0
    outcome = spinnet(*shlex.split(line)[1:])
    assert outcome.code == 0, outcome.err
    assert outcome.out
    for written in re.findall(r"--(?:json|latex|output) (\S+\.\w+)", line):
        assert (tmp_path / written).stat().st_size > 0


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_shows_usage_and_example(spinnet, name):
    outcome = spinnet(*([name] if name else []), "--help")
    assert outcome.code == 0
    assert outcome.out.startswith("usage: spinnet")
    assert "example" in outcome.out
    assert max(len(line) for line in outcome.out.splitlines()) <= 100


def test_version(spinnet):
    assert spinnet("--version") == (0, f"spinnet {sn.__version__}\n", "")


def test_help_loads_no_heavy_library():
    script = (
        "import sys; from spinnet.cli import main; main(['--help']); "
        "print(sorted({'numpy', 'scipy', 'sympy', 'matplotlib', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_columns_stay_apart_and_what_is_not_defined_is_a_dash(spinnet, job):
    text = job.read_text().replace("n_spins = 20", "n_spins = 1\nh = 1e-9")
    job.write_text(text.replace("n_sweeps = 100", "n_sweeps = 1").replace("= 8", "= 1"))
    outcome = spinnet("run", job)
    assert outcome.code == 0, outcome.err
    _, *rows = outcome.out.splitlines()[:4]
    assert [len(re.split(r" {2,}", row.strip())) for row in rows] == [8, 8, 8]
    assert "nan" not in outcome.out


def test_solve_keeps_the_self_coupling_on_request(spinnet, job, tmp_path):
    outcome = spinnet("solve", job, "--json", "solution.json")
    assert outcome.code == 0, outcome.err
    assert "beta_c = 1)" in outcome.out
    stored = json.loads((tmp_path / "solution.json").read_text())
    # m = tanh(1.25 m) has the root 0.7104117...
    assert np.mean(stored["solutions"][0]["magnetizations"]) == pytest.approx(0.710411706025)
    assert stored["critical_point"]["beta"] == 1


def test_solve_takes_temperatures_from_the_command_line(spinnet, job):
    outcome = spinnet("solve", job, "--beta", "0.5", "0.7")
    assert [outcome.out.count(f"beta = {b}") for b in ("0.5", "0.7", "1.25")] == [1, 1, 0]


def test_solve_of_antiferromagnetic_pair_reports_only_its_solution(spinnet, tmp_path):
    # one eigenvalue of the pair is positive even so; a model without couplings has none
    np.save(tmp_path / "none.npy", np.zeros((3, 3)))
    (tmp_path / "free.toml").write_text(
        '[model]\ntype = "ising"\nfile = "none.npy"\nh = 1.0\n[solve]\nbeta = 1.0\n'
    )
    outcome = spinnet("solve", "free.toml")
    assert outcome.code == 0, outcome.err
    assert "no critical temperature" in outcome.out
    assert "0.761594156" in outcome.out  # tanh(1)


METHODS = {
    "naive": sn.NaiveMeanField,
    "tap": sn.TAP,
    "adaptive-tap": sn.AdaptiveTAP,
    "bethe": sn.Bethe,
}


@pytest.mark.parametrize("method", METHODS)
def test_the_method_of_a_job_solves_it(spinnet, job, tmp_path, method):
    """By the key and by the option, which wins over the key."""
    text = job.read_text().replace("diagonal = true", f'method = "{method}"')
    job.write_text(text)
    other = tmp_path / "other.toml"
    other.write_text(text.replace(f'"{method}"', '"auto"'))
    by_key = spinnet("solve", job, "--json", "key.json")
    by_option = spinnet("solve", other, "--method", method)
    assert by_key.code == 0, by_key.err
    assert by_option.out == by_key.out.replace("\n\nnumbers: key.json", "")
    stored = json.loads((tmp_path / "key.json").read_text())["solutions"][0]
    expected = sn.solve(sn.CurieWeiss(20), 1.25, METHODS[method]())
    assert stored["method"] == METHODS[method]().label == expected.method
    assert stored["free_energy"] == pytest.approx(expected.free_energy, rel=1e-12)
    assert "diagnosis: exact" in by_key.out


def test_auto_takes_the_theory_that_the_diagnosis_names(spinnet, tmp_path):
    """SK at N = 60: no reaction to speak of at beta = 0.05, one at 0.7."""
    upper = np.triu(np.random.default_rng(7).standard_normal((60, 60)), 1) / np.sqrt(60)
    np.save(tmp_path / "J.npy", upper + upper.T)
    (tmp_path / "sk.toml").write_text(
        '[model]\ntype = "ising"\nfile = "J.npy"\n'
        '[solve]\nbeta = [0.05, 0.7]\nmethod = "auto"\nmax_steps = 500\n'
    )
    outcome = spinnet("solve", "sk.toml", "--json", "sk.json")
    assert outcome.code == 0, outcome.err
    solutions = json.loads((tmp_path / "sk.json").read_text())["solutions"]
    assert [s["method"] for s in solutions] == [sn.NaiveMeanField().label, sn.TAP().label]


@pytest.mark.parametrize(
    ("method", "key", "known"),
    [
        ("auto", "diagonal", "max_steps"),
        ("auto", "one_loop", "max_steps"),
        ("tap", "diagonal", "max_steps"),
        ("bethe", "diagonal", "one_loop"),
    ],
)
def test_a_setting_that_the_theory_has_not_is_refused(spinnet, job, method, key, known):
    job.write_text(
        job.read_text().replace("diagonal = true", f'{key} = false\nmethod = "{method}"')
    )
    outcome = spinnet("solve", job)
    assert outcome.code == 2
    assert f"{key} has no use with method = '{method}'" in outcome.err
    assert known in outcome.err


@pytest.mark.parametrize("sparse", [False, True])
def test_ising_couplings_come_from_a_file(spinnet, tmp_path, sparse):
    couplings = np.array([[0.0, 0.5], [0.5, 0.0]])
    if sparse:
        import scipy.sparse

        scipy.sparse.save_npz(tmp_path / "J.npz", scipy.sparse.csr_array(couplings))
    else:
        np.savez(tmp_path / "J.npz", J=couplings)
    folder = tmp_path / "a folder"
    folder.mkdir()
    (tmp_path / "J.npz").rename(folder / "J.npz")
    (folder / "pair.toml").write_text(
        '[model]\ntype = "ising"\nfile = "J.npz"\n[solve]\nbeta = 1.0\n'
    )
    outcome = spinnet("solve", folder / "pair.toml")
    assert outcome.code == 0, outcome.err
    assert "beta_c = 2)" in outcome.out


def test_a_bipartite_model_is_sampled_by_blocks(spinnet, tmp_path):
    np.save(tmp_path / "w.npy", np.full((4, 3), 0.1))
    (tmp_path / "rbm.toml").write_text(
        '[model]\ntype = "bipartite"\nfile = "w.npy"\nlevels = [0, 1]\nbias_a = 0.1\n'
        '[sample]\nbeta = 1.0\nn_sweeps = 100\nn_replicas = 8\nupdate = "block-gibbs"\nseed = 1\n'
    )
    outcome = spinnet("run", "rbm.toml")
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "rbm" / "result.json").read_text())["update"] == "BlockGibbs()"


def test_the_dual_of_a_users_network(spinnet, tmp_path, network):
    (tmp_path / "dual.toml").write_text(
        '[model]\ntype = "network-dual"\nweights = "net.npz"\nlayer = "fc2"\nfields = "zero"\n'
        "[solve]\nbeta = 1.0\n"
    )
    from_job = spinnet("solve", "dual.toml")
    by_options = spinnet("solve", "--weights", network, "--layer", "fc2", "--beta", "1")
    assert from_job.code == 0, from_job.err
    assert from_job.out == by_options.out
    layer = sn.networks.load_network(network)["fc2"]
    beta_c = 4 / np.linalg.norm(layer.weights.astype(float), 2)  # D0: J = w/4
    assert f"beta_c = {beta_c:.8g}"[:-1] in from_job.out


def test_measure_is_the_library_call(spinnet, tmp_path, network):
    outcome = spinnet(
        "measure", "--weights", network, "--activation", "tanh", "--inputs", "inputs.npy",
        "--labels", "labels.npy", "--layer", "fc1", "--json", "fc1.json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    net = sn.networks.load_network(network, activation="tanh")
    inputs = np.load(tmp_path / "inputs.npy")
    act = sn.networks.record(net, inputs, labels=np.load(tmp_path / "labels.npy"))
    assert outcome.out.startswith(sn.networks.measure(act, net, "fc1", rng=7).summary())
    assert json.loads((tmp_path / "fc1.json").read_text())["n_units"] == 10


def test_the_default_layer_is_the_last_hidden(spinnet, network):
    outcome = spinnet("measure", "--weights", network, "--inputs", "inputs.npy")
    assert outcome.out.startswith("layer 'fc2'")


def test_derive_knows_every_derivation():
    assert set(derive.NAMES) == set(DERIVATIONS)
