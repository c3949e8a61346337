"""What a user can get wrong is one clear line, exit code 2 or 3, and no file half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from spinnet.cli import program
from spinnet.errors import ConvergenceError, StatisticsError

COMMAND = [sys.executable, "-m", "spinnet"]


def edited(job, old, new):
    text = job.read_text()
    assert old in text
    job.write_text(text.replace(old, new))
    return job


def assert_refused(outcome, *words, code=2):
    assert outcome.code == code, outcome
    assert outcome.out == ""
    first = outcome.err.splitlines()[0]
    assert first.startswith("spinnet: error: ")
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in first


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["a command is needed", "compare", "derive"]),
        (["comapre"], ["'comapre'", "did you mean 'compare'"]),
        (["compare", "--replicate", "5"], ["'--replicate'", "did you mean '--replicates'"]),
        (["compare", "stray"], ["'stray'"]),
        (["compare", "--seed", "-1"], ["--seed", "integer >= 0", "'-1'"]),
        (["compare", "--seed", "x"], ["--seed", "integer >= 0", "'x'"]),
        (["compare", "--replicates", "0"], ["--replicates", "integer >= 1", "'0'"]),
        (["compare", "--replicates", "10"], ["replicates", ">= 199", "10"]),
        (["compare", "--activation", "rellu"], ["--activation", "did you mean 'relu'"]),
        (["compare", "--activation", "tanh"], ["activation='tanh'", "give its weights"]),
        (["compare", "--layer", "fc9"], ["'fc9'", "fc1, fc2, fc3, fc4"]),
        (["compare", "--weights", "none.npz"], ["none.npz", "no such file"]),
        (["compare", "--weights", "model.pt"], ["model.pt", ".safetensors"]),
        (["compare", "--inputs", "none.npy"], ["none.npy", "no such file"]),
        (["compare", "--labels", "none.npy"], ["--labels belong to --inputs"]),
        (["compare", "--output", "none/report.html"], ["--output", "'none'", "does not exist"]),
        (["compare", "--output", "."], ["--output", "must name a file"]),
        (["compare", "--json", "none/a.json"], ["--json", "'none'", "does not exist"]),
        (["compare", "--output", "a", "--json", "./a"], ["--json and --output", "same file"]),
        (["compare", "--config", "none.toml"], ["none.toml", "no such file"]),
        (["compare", "--config", "."], ["cannot be read"]),
        (["run"], ["JOB.toml"]),
        (["run", "none.toml"], ["none.toml", "no such file"]),
        (["solve", "--beta", "0"], ["--beta", "> 0"]),
        (["solve", "--kind", "colapsed"], ["--kind", "did you mean 'collapsed'"]),
        (["solve", "--kind", "collapsed"], ["square", "(50, 20)"]),
        (["measure", "--layer", "fc"], ["'fc'"]),
        (["measure", "--layer", ""], ["no layer ''"]),
        (["compare", "--layer", ""], ["no layer ''"]),
        (["solve", "--layer", ""], ["no layer ''"]),
        (["derive"], ["NAME"]),
        (["derive", "curie-wiess"], ["curie_weiss, network_dual", "did you mean"]),
        (["derive", "curie_weiss", "--latex", "none/a.tex"], ["--latex", "does not exist"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_words_are_refused(spinnet, tmp_path, words, expected):
    assert_refused(spinnet(*words), *expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("n_sweeps", "n_sweep", ["[sample]", "'n_sweep'", "did you mean 'n_sweeps'"]),
        ("beta = [0.5, 0.8]", "temperature = 2", ["'temperature'", "beta = 1/T"]),
        ("beta = [0.5, 0.8]", "T = 2", ["'T'", "beta = 1/T"]),
        ("beta = [0.5, 0.8]", "", ["[sample]", "needs the key 'beta'"]),
        ("beta = [0.5, 0.8]", "beta = []", ["beta", "at least one"]),
        ("beta = [0.5, 0.8]", "beta = [-0.5]", ["beta", ">= 0", "-0.5"]),
        ("beta = [0.5, 0.8]", "beta = nan", ["beta", "finite"]),
        ("beta = [0.5, 0.8]", 'beta = "1"', ["beta", "number", "'1'"]),
        ("beta = [0.5, 0.8]", "beta = true", ["beta", "number", "True"]),
        ("n_sweeps = 100", "n_sweeps = 0", ["n_sweeps", ">= 1", "0"]),
        ("n_sweeps = 100", 'n_sweeps = "many"', ["n_sweeps", "'many'"]),
        ("seed = 7", "seed = -7", ["[sample]", "-7"]),
        ("seed = 7", "rng = 7", ["'rng'", "seed"]),
        ("seed = 7", 'update = "gibbs"', ["update", "block-gibbs"]),
        ("seed = 7", 'update = "block-gibbs"', ["[sample]", "two-layer"]),
        ("seed = 7", "heat_bath_every = 2", ["heat_bath_every", "metropolis"]),
        ("seed = 7", 'seed = "x"', ["[sample] seed", "'x'"]),
        ("n_spins = 20", "n_spins = 200000000000", ["3200 GB", "lower n_spins"]),
        ("n_sweeps = 100", "n_sweeps = 100000000000", ["2.56e+04 GB", "lower n_sweeps"]),
        ("[sample]", "[smaple]", ["[smaple]", "did you mean 'sample'"]),
        ("[sample]", "[sampl", ["not valid TOML", "line"]),
        ("[model]", "", ["'type'", "outside of a table"]),
        ("n_spins = 20", "", ["[model]", "needs the key 'n_spins'"]),
        ("n_spins = 20", "N = 20", ["'N'", "n_spins"]),
        ("n_spins = 20", "n_spins = 0", ["[model]", "n_spins", ">= 1"]),
        ("n_spins = 20", 'n_spins = "20"', ["[model]", "n_spins", "'20'"]),
        ("n_spins = 20", "n_spins = 20\nh = inf", ["[model]", "h must be finite"]),
        ("n_spins = 20", 'n_spins = 20\nfile = "x"', ["'file'", "type = 'curie-weiss'"]),
        ('"curie-weiss"', '"curie"', ["type", "curie-weiss, ising", "did you mean"]),
        ('"curie-weiss"', "3", ["type", "text in quotes", "3"]),
        ("diagonal", "diagnal", ["[solve]", "did you mean 'diagonal'"]),
    ],
)
def test_wrong_jobs_are_refused(spinnet, tmp_path, job, old, new, expected):
    edited(job, old, new)
    assert_refused(spinnet("run", job), "job.toml", *expected)
    assert [path.name for path in tmp_path.iterdir()] == ["job.toml"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[compare]\nlayr = 'fc3'", ["[compare]", "'layr'", "did you mean 'layer'"]),
        ("[compare]\nseed = -1", ["[compare]", "seed", ">= 0"]),
        ("[compare]\nreplicates = 1.5", ["replicates", "1.5"]),
        ("[compare]\nquiet = 1", ["[compare] quiet", "true or false", "1"]),
        ("[compare]\nlayer = 3", ["layer", "text in quotes"]),
        ("[compare]\nactivation = 'rellu'", ["did you mean 'relu'"]),
        ("[compare]\nweights = 'none.npz'", ["none.npz", "no such file"]),
        ("[compares]", ["[compares]", "did you mean 'compare'"]),
        ("", ["[compare] is missing"]),
    ],
)
def test_wrong_settings_of_compare_are_refused(spinnet, tmp_path, content, expected):
    (tmp_path / "c.toml").write_text(content)
    assert_refused(spinnet("compare", "--config", "c.toml"), *expected)
    assert [path.name for path in tmp_path.iterdir()] == ["c.toml"]


def test_too_little_memory_is_one_line(spinnet, job, monkeypatch):
    def fail(*_args, **_kwargs):
        raise MemoryError("unable to allocate 9 TiB")

    monkeypatch.setattr("spinnet.spins.meanfield.solve", fail)
    assert_refused(spinnet("solve", job), "not enough memory", "9 TiB")


def test_a_toml_file_in_another_encoding_is_refused(spinnet, tmp_path):
    (tmp_path / "job.toml").write_bytes(b"[model]\ntype = '\xff'\n")
    assert_refused(spinnet("run", "job.toml"), "not valid TOML")


@pytest.mark.usefixtures("network")
class TestFiles:
    def test_a_result_never_overwrites_what_it_was_made_from(self, spinnet, tmp_path):
        before = (tmp_path / "net.npz").read_bytes()
        words = ("--weights", "net.npz", "--inputs", "inputs.npy")
        for name in ("net.npz", "inputs.npy"):
            assert_refused(spinnet("compare", *words, "--output", name), "overwrite", name)
            assert_refused(spinnet("measure", *words, "--json", name), "overwrite", name)
        assert (tmp_path / "net.npz").read_bytes() == before

    def test_inputs_of_another_width_are_refused(self, spinnet):
        np.save("wide.npy", np.ones((5, 13)))
        words = ("measure", "--weights", "net.npz", "--inputs")
        assert_refused(spinnet(*words, "wide.npy"), "12 values per row", "13")
        assert_refused(spinnet("measure", "--weights", "net.npz"), "--inputs", "12 values")

    def test_initial_weights_of_another_shape_are_refused(self, spinnet):
        np.savez("other.npz", **{"fc1.weight": np.ones((3, 12)), "fc1.bias": np.ones(3)})
        words = ("compare", "--weights", "net.npz", "--inputs", "inputs.npy")
        assert_refused(spinnet(*words, "--initial", "other.npz"), "other.npz", "widths")

    @pytest.mark.parametrize(
        ("labels", "word"),
        [(np.ones((4, 2)), "(4, 2)"), (np.full(2000, 0.5), "integers"), (np.ones(3), "labels")],
    )
    def test_wrong_labels_are_refused(self, spinnet, labels, word):
        np.save("bad.npy", labels)
        words = ("measure", "--weights", "net.npz", "--inputs", "inputs.npy")
        assert_refused(spinnet(*words, "--labels", "bad.npy"), word)

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("", ["at least one row"]),
            ("a,b\n1,2\n", ["comma-separated numbers without a header", "row 1, column 1", "'a'"]),
            ("1,2\n3,x\n", ["row 2, column 2 holds 'x'"]),
            ("1;2\n", ["row 1, column 1 holds '1;2'"]),
            ("1 2\n", ["row 1, column 1 holds '1 2'"]),
            ("1,2\n3\n", ["row 2 has 1 numbers, the rows above have 2"]),
        ],
    )
    def test_a_csv_that_is_none_is_refused_by_its_cell(self, spinnet, content, expected):
        Path("x.csv").write_text(content)
        words = ("measure", "--weights", "net.npz", "--inputs")
        assert_refused(spinnet(*words, "x.csv"), "x.csv", *expected)
        if content:
            assert_refused(
                spinnet(*words, "inputs.npy", "--labels", "x.csv"), "x.csv", *expected[:1]
            )

    def test_archives_and_paths_that_are_none_are_named(self, spinnet, job):
        np.savez("two.npz", a=np.ones((2, 12)), b=np.ones(2))
        for name in ("junk.npz", "junk.npy"):
            Path(name).write_text("junk")
        words = ("measure", "--weights", "net.npz", "--inputs")
        assert_refused(spinnet(*words, "two.npz"), "a, b", "save the array alone, as .npy")
        outcome = spinnet(*words, "junk.npz")
        assert_refused(outcome, "is not an npz archive")
        assert "pickle" not in outcome.err
        outcome = spinnet(*words, "junk.npy")
        assert_refused(outcome, "not an .npy file")
        assert "pickle" not in outcome.err
        under = "'net.npz' is a file, not a folder"
        assert_refused(spinnet(*words, "net.npz/x.npy"), under)
        assert_refused(spinnet("measure", "--json", "net.npz/x.json"), under)
        assert_refused(spinnet("run", "net.npz/job.toml"), under)
        assert_refused(spinnet("run", job, "--output", "net.npz/x"), under)

    def test_a_damaged_file_is_refused(self, spinnet):
        content = Path("net.npz").read_bytes()
        Path("cut.npz").write_bytes(content[: len(content) // 2])
        assert_refused(spinnet("measure", "--weights", "cut.npz"), "cut.npz")

    def test_pickles_are_never_read(self, spinnet, job):
        np.save("objects.npy", np.array([{}], dtype=object), allow_pickle=True)
        edited(job, '"curie-weiss"', '"ising"\nfile = "objects.npy"')
        edited(job, "n_spins = 20", "")
        assert_refused(spinnet("run", job), "objects.npy")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that takes no file")
def test_an_unwritable_folder_is_refused_before_the_work(spinnet, job):
    words = ("--output", "cannot write", "another folder")
    assert_refused(spinnet("compare", "--output", "/proc/self/report.html"), *words)
    assert_refused(
        spinnet("run", job, "--output", "/proc/self/result"), "cannot make the folder", "choose"
    )


def test_chains_that_do_not_mix_end_with_3_and_no_result(spinnet, tmp_path, job):
    # two wells of different depth: replicas stay in the one they started in
    edited(job, "n_spins = 20", "n_spins = 2000\nh = 0.01")
    edited(job, "beta = [0.5, 0.8]", "beta = 1.3")
    edited(job, "n_burn_in = 50", 'n_burn_in = "auto"\nupdate = "heat-bath"')
    assert_refused(spinnet("run", job), "not mixed", "raise n_sweeps", code=3)
    assert not (tmp_path / "job" / "result.json").exists()


@pytest.mark.parametrize("error", [ConvergenceError, StatisticsError])
def test_what_does_not_converge_ends_with_3(spinnet, job, monkeypatch, error):
    def fail(*_args, **_kwargs):
        raise error("no fixed point after 7 steps; raise max_steps")

    monkeypatch.setattr("spinnet.spins.meanfield.solve", fail)
    assert_refused(spinnet("solve", job), "no fixed point after 7 steps", code=3)


def test_a_bug_keeps_its_traceback(spinnet, job, monkeypatch):
    def fail(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr("spinnet.spins.meanfield.solve", fail)
    with pytest.raises(ZeroDivisionError):
        spinnet("solve", job)


def test_an_interrupt_ends_with_130_and_no_file(spinnet, tmp_path, job, monkeypatch):
    def interrupt(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("spinnet.spins.meanfield.solve", interrupt)
    assert_refused(spinnet("solve", job), "interrupted", code=130)
    assert [path.name for path in tmp_path.iterdir()] == ["job.toml"]


def test_termination_is_an_interrupt(spinnet, job, monkeypatch):
    def wait(*_args, **_kwargs):
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        time.sleep(20)

    monkeypatch.setattr("spinnet.spins.meanfield.solve", wait)
    before = signal.getsignal(signal.SIGTERM)
    assert_refused(spinnet("solve", job), "interrupted", code=130)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_reader_who_stops_early_is_no_error():
    with subprocess.Popen(
        [*COMMAND, "solve"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_line():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, "solve"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("spinnet: error: cannot write to standard output")
    assert len(done.stderr.splitlines()) == 1


def test_own_warnings_are_one_line(capsys):
    import warnings

    from spinnet.errors import SpinnetWarning

    with warnings.catch_warnings(), program._plain_warnings():
        warnings.simplefilter("always")
        warnings.warn("few inputs", SpinnetWarning, stacklevel=1)
    assert capsys.readouterr().err == "spinnet: warning: few inputs\n"


def test_a_network_read_on_trust_is_one_line_of_warning(tmp_path):
    np.savez(tmp_path / "net.npz", W1=np.arange(9.0).reshape(3, 3))
    done = subprocess.run(
        [*COMMAND, "solve", "--weights", tmp_path / "net.npz"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stderr.startswith("spinnet: warning: the shapes do not decide")
    assert len(done.stderr.splitlines()) == 1
