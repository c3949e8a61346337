"""``spinnet fit``: any file of numbers in, the library's result out, mistakes in one line."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spinnet as package
from spinnet.cli import fit as command
from spinnet.cli import fit_laws
from spinnet.cli.samples import Request, read_sample
from spinnet.errors import StatisticsError
from spinnet.tails.dependence import block_bootstrap, check_independence
from spinnet.tails.powerlaw import fit_power_law
from spinnet.tails.rank import fit_zipf
from spinnet.tails.rank.fit import MODELS
from spinnet.tails.tail_index import tail_index

FAST = ("--bootstrap", "0")
PNG = b"\x89PNG\r\n"


@pytest.fixture
def values():
    return np.random.default_rng(1).pareto(1.5, 600) + 1.0


@pytest.fixture
def unpainted(monkeypatch):
    """Figures are made and not painted, which takes most of the time: other tests look at them."""
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda _self, stream, **_: stream.write(PNG)
    )


def write_csv(values, header="id,size,note"):
    lines = [header] if header else []
    lines += [f'{k},{x!r},"a, b"' for k, x in enumerate(values.tolist())]
    Path("a.csv").write_text("\n".join(lines) + "\n")


def stored(stem):
    return json.loads(Path(f"{stem}.json").read_text())


def is_png(path):
    return Path(path).read_bytes().startswith(PNG)


def test_a_power_law_is_the_library_call(spinnet, tmp_path, values):
    np.save("x.npy", values)
    outcome = spinnet("fit", "x.npy", "--bootstrap", "30", "--seed", "3", "--min-tail", "60")
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    fit = fit_power_law(values, min_tail=60, n_bootstrap=30, rng=3)
    assert fit.summary() in outcome.out
    record = stored("fit-x")
    assert record["fit"] == json.loads(json.dumps(fit.to_dict()))
    assert record["scan"]["chosen"] == fit.xmin
    assert record["independence"] == check_independence(values, rng=3).to_dict()
    hill = tail_index(values, n_bootstrap=200, rng=3)
    assert record["tail_index"][0]["xi"] == hill.xi
    assert [entry["method"] for entry in record["tail_index"]] == ["hill", "moments", "kernel"]
    assert "lognormal" in record["alternatives"]["laws"]
    content = (tmp_path / "x.npy").read_bytes()
    assert record["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert (record["file"]["name"], record["file"]["n"]) == ("x.npy", 600)
    assert (record["version"], record["seed"]) == (package.__version__, 3)
    assert record["options"]["min_tail"] == 60
    assert record["options"]["convention"] == "csn"
    assert "k_min" not in record["options"]
    assert is_png("fit-x.png")
    assert {p.name for p in tmp_path.iterdir()} == {"x.npy", "fit-x.png", "fit-x.json"}


@pytest.mark.usefixtures("unpainted")
def test_every_option_of_the_power_law_reaches_it(spinnet, values):
    whole = np.append(np.rint(values * 3), [0.0, 0.0])
    np.savetxt("x.txt", whole, fmt="%d")
    outcome = spinnet(
        "fit", "x.txt", "--continuous", "--xmin", "3", "--xmax", "60", "--zeros", "drop",
        "--convention", "left", *FAST, "--output", "r",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    fit = fit_power_law(whole, False, 3, xmax=60, zeros="drop", convention="left")
    record = stored("r")
    assert record["fit"] == json.loads(json.dumps(fit.to_dict()))
    assert record["fit"]["n_zeros"] == 2
    assert any("no p-value" in text for text in record["warnings"])
    assert any("--xmax" in text for text in record["warnings"])
    spinnet("fit", "x.txt", "--discrete", "--zeros", "drop", *FAST, "--output", "r")
    assert stored("r")["fit"]["discrete"] is True
    assert stored("r")["tail_index"][0]["noise"] is True


@pytest.mark.usefixtures("unpainted")
def test_a_better_law_is_a_caution(spinnet, values):
    np.save("x.npy", values)
    spinnet("fit", "x.npy", "--xmin", "1", *FAST)
    assert not any("fits the tail better" in text for text in stored("fit-x")["warnings"])
    np.save("x.npy", 1.0 + np.random.default_rng(6).exponential(size=600))
    outcome = spinnet("fit", "x.npy", "--xmin", "1", *FAST)
    assert "caution: the law 'exponential' fits the tail better" in outcome.out


@pytest.mark.usefixtures("unpainted")
def test_workers_change_no_number(spinnet, values):
    np.save("x.npy", values[:200])
    spinnet("fit", "x.npy", "--bootstrap", "20", "--output", "one")
    spinnet("fit", "x.npy", "--bootstrap", "20", "--workers", "2", "--output", "two")
    one, two = stored("one"), stored("two")
    assert two["options"].pop("workers") == 2
    assert one["options"].pop("workers") == 1
    assert one == two


@pytest.mark.usefixtures("unpainted")
def test_signed_values_need_a_word(spinnet, values):
    signed = values * np.where(np.arange(600) % 2, 1, -1)
    np.save("x.npy", signed)
    refused = spinnet("fit", "x.npy", *FAST)
    assert refused.code == 2
    assert "300 of 600 values are negative" in refused.err
    assert "--absolute" in refused.err
    assert spinnet("fit", "x.npy", "--absolute", *FAST).code == 0
    assert stored("fit-x")["fit"]["alpha"] == fit_power_law(values).alpha


@pytest.mark.parametrize("dtype", ["i1", "<i8", ">i4"])
def test_the_size_of_the_least_integer_is_positive(dtype):
    info = np.iinfo(dtype)
    found = fit_laws._sizes(np.array([info.min, -3, 0, info.max], dtype=dtype))
    assert found.tolist() == [-int(info.min), 3, 0, int(info.max)]
    real = np.array([-1.5, 2.0], dtype=np.float32)
    np.testing.assert_array_equal(fit_laws._sizes(real), [1.5, 2.0])


def test_dependent_values_get_errors_of_their_own(spinnet, request):
    from scipy.signal import lfilter

    steps = np.random.default_rng(2).standard_normal(2500)
    x = np.exp(0.6 * lfilter([1.0], [1.0, -0.9], steps)[500:])
    np.save("x.npy", x)
    outcome = spinnet("fit", "x.npy", "--bootstrap", "20")
    assert outcome.code == 0, outcome.err
    record = stored("fit-x")
    blocks = block_bootstrap(x, n_bootstrap=20, rng=7)
    assert record["block_bootstrap"] == json.loads(json.dumps(blocks.to_dict()))
    thinned = check_independence(x, rng=7).thinned(x)
    assert record["thinned_fit"]["n"] == thinned.size
    assert any("depend on each other" in text for text in record["warnings"])
    assert "block bootstrap: 20 resamples" in outcome.out
    assert sum("--bootstrap" in text for text in record["warnings"]) == 0
    request.getfixturevalue("unpainted")
    # in order, the order says nothing
    np.save("x.npy", np.sort(x[:300]))
    assert "the values are sorted" in spinnet("fit", "x.npy", *FAST).out
    assert stored("fit-x")["independence"] is None


@pytest.mark.usefixtures("unpainted")
def test_a_bootstrap_of_blocks_that_fails_leaves_the_rest(spinnet, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise StatisticsError("too few blocks")

    monkeypatch.setattr("spinnet.tails.dependence.block_bootstrap", refuse)
    steps = np.random.default_rng(2).standard_normal(400)
    np.save("x.npy", np.exp(np.convolve(steps, np.ones(40))[40:-40]))
    outcome = spinnet("fit", "x.npy", "--bootstrap", "5")
    assert outcome.code == 0, outcome.err
    assert "block bootstrap: no errors (too few blocks)" in outcome.out
    assert "thinned series: not fitted" in outcome.out  # 40 correlated values make 9 in 360
    record = stored("fit-x")
    assert record["block_bootstrap"] is record["thinned_fit"] is None
    assert record["fit"]["n"] == 359
    without = spinnet("fit", "x.npy", *FAST)
    assert "caution: successive values depend" in without.out
    assert "--bootstrap 200 makes errors from blocks" in without.out
    assert "block_bootstrap" not in stored("fit-x")


@pytest.mark.usefixtures("unpainted")
def test_a_light_tail_is_not_given_an_exponent(spinnet):
    np.save("x.npy", np.random.default_rng(2).exponential(size=1000) + 1e-9)
    outcome = spinnet("fit", "x.npy", *FAST)
    lines = [line.split(",")[-1] for line in outcome.out.splitlines() if " xi = " in line]
    assert len(lines) == 3
    assert all(line.startswith((" alpha > ", " no power-law tail")) for line in lines[1:])
    assert "caution: tail index (hill): the Hill estimate is positive for every" in outcome.out
    assert "caution: tail index (moments, kernel): not above zero" in outcome.out


@pytest.mark.parametrize(
    ("xi", "error", "text"),
    [(0.5, 0.1, "alpha = 3.000 +- 0.400"), (0.1, 0.1, "alpha > 4.38"), (-0.5, 0.1, "no power-law")],
)
def test_alpha_is_given_as_far_as_xi_tells(xi, error, text):
    # slope of 1/xi: 0.1/0.5^2; upper end of xi: 0.1 + 0.196, and 1 + 1/0.296 = 4.378
    found = tail_index(np.random.default_rng(1).pareto(2.0, 100) + 1.0, "moments", k=20)
    ci = (xi - 1.96 * error, xi + 1.96 * error)
    assert fit_laws._exponent(replace(found, xi=xi, error=error, ci=ci)).startswith(text)


def test_a_single_candidate_for_xmin_is_drawn_without_its_scan(spinnet, monkeypatch):
    def fail(*_args):
        raise AssertionError("one point has no axis")

    monkeypatch.setattr("spinnet.tails.powerlaw.scan.XminScan.plot", fail)
    np.save("x.npy", np.random.default_rng(2).pareto(1.5, 50) + 1.0)
    outcome = spinnet("fit", "x.npy", *FAST)  # warnings are errors
    assert (outcome.code, outcome.err) == (0, "")
    assert len(stored("fit-x")["scan"]["xmin"]) == 1
    assert is_png("fit-x.png")


def test_counts_by_pattern_are_ranked(spinnet):
    counts = np.round(2e4 / np.arange(1, 301) ** 0.9)
    np.savetxt("c.txt", counts, fmt="%d")
    outcome = spinnet("fit", "c.txt", "--law", "zipf", "--bootstrap", "10", "--k-min", "20")
    assert outcome.code == 0, outcome.err
    fit = fit_zipf(counts, k_min=20, n_bootstrap=10, rng=7)
    record = stored("fit-c")
    assert record["fit"] == json.loads(json.dumps(fit.to_dict()))
    assert record["alternatives"]["model"] == "zipf"
    assert record["exponents"]
    assert is_png("fit-c.png")
    assert not record["warnings"]


@pytest.mark.usefixtures("unpainted")
def test_what_limits_a_rank_law_is_said_once(spinnet):
    counts = np.random.default_rng(1).zipf(2.2, 2000)
    np.savetxt("c.txt", counts, fmt="%d")
    outcome = spinnet("fit", "c.txt", "--law", "zipf", "--bootstrap", "20")
    assert outcome.out.count("coverage is 0.") == 1
    cautions = stored("fit-c")["warnings"]
    assert any(text.startswith("p = 0.000 < 0.1") for text in cautions)
    assert any("fits the ranks better (AIC less by" in text for text in cautions)
    outcome = spinnet("fit", "c.txt", "--law", "zipf", "--model", "cut-off", *FAST)
    assert stored("fit-c")["fit"]["model"] == "cut-off"
    assert "caution: no p-value, and an error as for known ranks" in outcome.out
    few = spinnet("fit", "c.txt", "--law", "zipf", "--k-min", "5000")
    assert few.code == 3
    assert "have counts >= k_min=5000" in few.err
    outcome = spinnet("fit", "c.txt", "--law", "zipf", "--k-min", "100", "--force", *FAST)
    assert outcome.code == 0, outcome.err
    assert stored("fit-c")["exponents"]["rank"]["s"] == stored("fit-c")["fit"]["zipf"]


@pytest.mark.slow
@pytest.mark.parametrize("law", ["stable", "families"])
def test_laws_of_all_values_are_fitted(spinnet, law):
    x = np.random.default_rng(3).standard_cauchy((20, 15))
    np.savez("w.npz", weight=x, bias=x[0])
    outcome = spinnet("fit", "w.npz", "--key", "weight", "--flatten", "--law", law)
    assert outcome.code == 0, outcome.err
    record = stored("fit-w")
    assert (record["law"], record["file"]["key"], record["file"]["n"]) == (law, "weight", 300)
    if law == "stable":
        from spinnet.tails.stable.fitting import fit

        assert record["fit"] == json.loads(json.dumps(fit(x).to_dict()))
    else:
        assert {"normal", "student-t"} <= {f["name"] for f in record["fit"]["fits"]}
    assert is_png("fit-w.png")


def same(file, expected, **which):
    """The numbers read are `expected`."""
    sample = read_sample(Request(Path(file), **which))
    np.testing.assert_array_equal(sample.values, expected)
    assert sample.source["n"] == expected.size


@pytest.mark.usefixtures("spinnet")
class TestReading:
    def test_archives(self, values):
        np.savez("one.npz", x=values)
        same("one.npz", values)
        np.savez_compressed("two.npz", x=values, y=values**2)
        same("two.npz", values**2, key="y")

    def test_arrays_of_every_shape_and_type(self, values):
        np.save("x.npy", values[:, None])
        same("x.npy", values)
        np.save("x.npy", values.reshape(200, 3))
        same("x.npy", values, flatten=True)
        same("x.npy", values[1::3], column="2")
        np.save("x.npy", values.astype(np.float32))
        same("x.npy", values.astype(np.float32).astype(float))
        np.save("x.npy", np.rint(values * 9).astype(np.uint16))
        same("x.npy", np.rint(values * 9))
        Path("x.npy").rename("data.bin")
        same("data.bin", np.rint(values * 9))

    def test_tables(self, values):
        write_csv(values)
        same("a.csv", values, column="size")
        same("a.csv", values, column="2")
        write_csv(values, header="")  # text in the first line is not yet a header
        same("a.csv", values, column="2")
        write_csv(values, header="id,2019,note")
        same("a.csv", values, column="2019")
        Path("b.csv").write_text("size\r\n" + "\r\n".join(map(repr, values.tolist())))
        same("b.csv", values)
        text = "\ufeffk;size\n" + "\n".join(f"1;{x!r}" for x in values.tolist())
        Path("c.csv").write_text(text, encoding="utf-8")
        same("c.csv", values, column="size")
        Path("d.tsv").write_text("\n".join(f"{x!r}\t1" for x in values.tolist()))
        same("d.tsv", values, column="1")
        Path("e.txt").write_text("k size\n" + "\n".join(f"1 {x!r}" for x in values.tolist()))
        same("e.txt", values, column="size")

    def test_plain_text(self, values):
        words = [repr(x) for x in values.tolist()]
        Path("x.txt").write_text("# sizes\n\n" + "\n".join(words) + "  # the last\n")
        same("x.txt", values)
        Path("x").write_text(" ".join(words))
        same("x", values)
        Path("x").write_text("\n".join([*words[:300], " ".join(words[300:])]))
        same("x", values)
        Path("x").write_text("\n".join([" ".join(words[:7]), *words[7:]]))
        same("x", values)
        Path("x").write_text(",".join(words))
        same("x", values)


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
        ([], ["FILE"]),
        (["none.txt"], ["none.txt", "no such file"]),
        (["x.npz"], ["x.npz", "no such file", "did you mean 'x.npy'"]),
        (["x.npy/y"], ["'x.npy' is a file, not a folder"]),
        (["."], ["is a folder"]),
        (["x.npy", "--law", "powerlaw"], ["--law", "did you mean 'power-law'"]),
        (["x.npy", "--law", "zipf", "--model", "zip"], ["--model", "did you mean 'zipf'"]),
        (["x.npy", "--law", "stable", "--xmin", "1"], ["--xmin", "no meaning", "stable"]),
        (["x.npy", "--law", "zipf", "--continuous"], ["--continuous", "no meaning"]),
        (["x.npy", "--k-min", "3"], ["--k-min", "no meaning", "power-law"]),
        (["x.npy", "--discrete", "--continuous"], ["--continuous", "--discrete"]),
        (["x.npy", "--discrete"], ["discrete", "whole numbers"]),
        (["x.npy", "--xmin", "0"], ["--xmin", "> 0"]),
        (["x.npy", "--xmin", "5", "--xmax", "4"], ["--xmax must be > --xmin = 5", "4"]),
        (["x.npy", "--min-tail", "1"], ["--min-tail", ">= 2"]),
        (["x.npy", "--bootstrap", "-1"], ["--bootstrap", "integer >= 0"]),
        (["x.npy", "--workers", "0"], ["--workers", ">= 1"]),
        (["x.npy", "--key", "w"], ["--key is for .npz archives"]),
        (["x.npy", "--column", "1"], ["--column is for tables", "(600,)"]),
        (["x.npy", "--output", "none/r"], ["--output", "'none'", "does not exist"]),
        (["x.npy", "--output", "./"], ["--output", "'results/sizes'"]),
        (["x.npy", "--output", "a" * 231], ["--output", "at most 230 bytes, got 231"]),
        (["x.npy", "--outptu", "r"], ["'--outptu'", "did you mean '--output'"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_words_are_refused(spinnet, tmp_path, values, words, expected):
    np.save("x.npy", values)
    assert_refused(spinnet("fit", *words), *expected)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


GOOD = "\n".join(str(x) for x in range(1, 100))


@pytest.mark.parametrize(
    ("content", "words", "expected"),
    [
        ("", [], ["holds no numbers"]),
        ("# only this\n", [], ["holds no numbers"]),
        ("a\nb\n", [], ["line 1 holds 'a', no number, nor does the next: 'b'"]),
        ("#a,b\n1,2\n", ["--column", "b"], ["no column 'b'", "a line after # does not count"]),
        (f"{GOOD}\nx7\n", [], ["line 100 holds 'x7'"]),
        (f"{GOOD}\n1 2 x8\n", [], ["line 100 holds 'x8'"]),
        (f"{GOOD}\nnan\n", [], ["1 value(s) are NaN or infinite", "number 100 of 100"]),
        (f"{GOOD}\ninf\n1e999\n", [], ["2 value(s) are NaN or infinite"]),
        (f"{GOOD}\n-1\n", [], ["1 of 100 values are negative", "--absolute"]),
        (f"{GOOD}\n0\n", [], ["1 of 100 values are zero", "--zeros drop"]),
        ("1 2\n3 4\n", [], ["2 columns", "--column", "--flatten"]),
        ("a,b\n1,2\n", [], ["2 columns", "a, b"]),
        ("a,size\n1,2\n", ["--column", "sise"], ["no column 'sise'", "did you mean 'size'"]),
        ("1,2\n3,4\n", ["--column", "size"], ["no column 'size'", "no header"]),
        ("1,2\n3,4\n", ["--column", "3"], ["1 to 2, got 3"]),
        ("1,2\n3,4\n", ["--column", "0"], ["1 to 2, got 0"]),
        ("a,a\n3,4\n", ["--column", "a"], ["2 columns 'a'", "give a number"]),
        ("a,b\n1,2\n3,\n", ["--column", "b"], ["line 3 holds ''"]),
        ("a,b\n1,2\n3\n", ["--column", "b"], ["line 3 has 1 column"]),
        ("1,2\n3,x\n", ["--flatten"], ["line 2 holds 'x'"]),
        ("1,2\n3\n", ["--flatten"], ["line 2 has 1 numbers, the first has 2"]),
        ("1,2\n", ["--flatten", "--column", "1"], ["--flatten", "choose"]),
        ("1\n2\n", ["--key", "a"], ["--key is for .npz"]),
    ],
)
def test_text_that_is_no_series_is_refused_by_its_line(spinnet, tmp_path, content, words, expected):
    Path("x.txt").write_text(content)
    assert_refused(spinnet("fit", "x.txt", *words), *expected)
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def test_binary_junk_is_refused(spinnet):
    Path("junk").write_bytes(bytes(range(256)) * 40)
    assert_refused(spinnet("fit", "junk"), "junk", "neither text nor")
    Path("latin.txt").write_bytes("1\n2\nf\xfcnf\n".encode("latin-1"))
    assert_refused(spinnet("fit", "latin.txt"), "latin.txt", "UTF-8")
    for suffix in (".npy", ".npz"):
        Path(f"x{suffix}").write_text("1\n2\n")
        assert_refused(spinnet("fit", f"x{suffix}"), f"no {suffix} file")
    Path("cut.npy").write_bytes(b"\x93NUMPY\x01\x00")
    assert_refused(spinnet("fit", "cut.npy"), "cut.npy", "cannot be read")
    Path("cut.npz").write_bytes(b"PK\x03\x04junk")
    assert_refused(spinnet("fit", "cut.npz"), "cut.npz")


@pytest.mark.parametrize(
    ("array", "words", "expected"),
    [
        (np.ones((5, 4)), [], ["(5, 4)", "4 columns", "--column", "--flatten"]),
        (np.ones((5, 4)), ["--column", "5"], ["1 to 4, got 5"]),
        (np.ones((2, 3, 4)), [], ["(2, 3, 4)", "--flatten"]),
        (np.float64(1.0), [], ["shape ()"]),
        (np.array(["1", "2"]), [], ["real numbers", "<U1"]),
        (np.array([1j, 2.0]), [], ["real numbers", "complex128"]),
        (np.array([True, False]), [], ["real numbers", "bool"]),
        (np.zeros(3, dtype=[("a", float), ("b", int)]), [], ["records of a, b"]),
        (np.zeros(0), [], ["holds no numbers"]),
        (np.array([1.0, np.nan]), [], ["1 value(s)", "number 2 of 2"]),
    ],
    ids=str,
)
def test_arrays_that_are_no_series_are_refused(spinnet, array, words, expected):
    np.save("x.npy", array)
    assert_refused(spinnet("fit", "x.npy", *words), "x.npy", *expected)


def test_objects_are_never_unpickled(spinnet):
    np.save("x.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert_refused(spinnet("fit", "x.npy"), "Python objects", "never unpickled")
    np.savez("x.npz", a=np.array([{}], dtype=object))
    assert_refused(spinnet("fit", "x.npz"), "Python objects", "never unpickled")


def test_archives_name_their_arrays(spinnet, values):
    np.savez("w.npz", weight=values, bias=values)
    assert_refused(spinnet("fit", "w.npz"), "2 arrays", "--key: weight, bias")
    assert_refused(spinnet("fit", "w.npz", "--key", "wieght"), "'wieght'", "did you mean 'weight'")


def test_too_little_data_ends_with_3_and_no_file(spinnet, tmp_path):
    Path("x.txt").write_text("1.5\n2.5\n")
    assert_refused(spinnet("fit", "x.txt"), "fewer than min_tail=50", code=3)
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def test_results_never_overwrite_the_file_fitted(spinnet, values):
    np.savetxt("x.json", values)
    assert_refused(spinnet("fit", "x.json", "--output", "x"), "overwrite", "x.json")


def test_a_name_of_the_allowed_length_can_be_written(spinnet, unpainted, values):
    np.save("x.npy", values[:100])
    assert spinnet("fit", "x.npy", *FAST, "--output", "a" * 230).code == 0


class TestFullDisk:
    """Figure and numbers of an earlier run stay together."""

    @pytest.fixture(autouse=True)
    def earlier(self, tmp_path, values, monkeypatch):
        def short(_values, _options):
            noise = np.random.default_rng(1).standard_normal(2000)
            return fit_laws.Report(["x"], {"fit": ["x"] * 1000}, [lambda ax: ax.plot(noise)])

        monkeypatch.setattr(fit_laws, "analyse", short)
        monkeypatch.chdir(tmp_path)
        np.save("x.npy", values)
        self.names = ["fit-x.json", "fit-x.png", "x.npy"]
        for name in self.names[:2]:
            Path(name).write_text("earlier")

    def unchanged(self):
        assert sorted(p.name for p in Path().iterdir()) == self.names
        return all(Path(name).read_text() == "earlier" for name in self.names[:2])

    def test_the_figure_does_not_fit(self, spinnet):
        resource = pytest.importorskip("resource")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # the figure has more
        try:
            outcome = spinnet("fit", "x.npy")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert_refused(outcome, "cannot write 'fit-x.png'", "File too large")
        assert self.unchanged()

    def test_the_numbers_do_not_fit(self, spinnet, unpainted):
        resource = pytest.importorskip("resource")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))  # the numbers have more
        try:
            outcome = spinnet("fit", "x.npy")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert_refused(outcome, "cannot write 'fit-x.json'", "File too large")
        assert self.unchanged()

    def test_with_room_both_are_replaced(self, spinnet):
        assert spinnet("fit", "x.npy").code == 0
        assert is_png("fit-x.png")
        assert stored("fit-x")["fit"] == ["x"] * 1000


def test_an_interrupt_leaves_no_file(spinnet, tmp_path, values, monkeypatch):
    def interrupt(*_args, **_kwargs):
        raise KeyboardInterrupt

    np.save("x.npy", values)
    monkeypatch.setattr("spinnet.tails.powerlaw.fit_power_law", interrupt)
    assert_refused(spinnet("fit", "x.npy"), "interrupted", code=130)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_the_command_knows_every_model():
    assert set(command.MODELS) == set(MODELS)


def test_the_help_loads_no_numpy():
    script = (
        "import sys; from spinnet.cli import main; code = main(['fit', '--help']); "
        "sys.exit(code or 10 * ('numpy' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "spinnet fit avalanches.csv --column size" in done.stdout


def test_stable_law_in_either_parametrization(spinnet, tmp_path):
    x = np.random.default_rng(5).standard_cauchy(2000)
    np.save(tmp_path / "x.npy", x)
    near = spinnet("fit", "x.npy", "--law", "stable", "--parametrization", "S0", "--output", "s")
    assert near.code == 0, near.err
    record = json.loads((tmp_path / "s.json").read_text())
    assert record["fit"]["parametrization"] == "S0"
    assert abs(record["fit"]["loc"]) < 0.3  # 5 standard errors
    assert spinnet("fit", "x.npy", "--parametrization", "S0").code == 2
