"""The report is one page that needs nothing else, and the figures of a comparison in it."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

import spinnet
from spinnet import networks, plotting
from spinnet.comparison import Comparison, criticality, figures
from spinnet.comparison.figures import FIGURES, FigureEntry, observed
from spinnet.errors import InputError
from spinnet.networks import FeedForward, Layer

SEED = 20260401
ENTRIES = pytest.mark.parametrize("entry", FIGURES, ids=lambda entry: entry.name)
VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


@pytest.fixture(scope="module")
def comparison() -> Iterator[Comparison]:
    rng = np.random.default_rng(SEED)
    layers = (
        Layer("fc1", rng.normal(size=(6, 8)), rng.normal(size=8)),
        Layer("fc2", 1.5 * rng.normal(size=(8, 7)), rng.normal(size=7)),
        Layer("fc3", rng.normal(size=(7, 3)), rng.normal(size=3)),
    )
    network = FeedForward(layers)
    activations = networks.record(network, rng.normal(size=(400, 6)))
    with pytest.MonkeyPatch.context() as patch:
        # what is drawn matters here, not how precise it is
        patch.setattr(criticality, "_N_SWEEPS", 200)
        patch.setattr(criticality, "_FAMILY_SWEEPS", 200)
        yield spinnet.compare(network, activations, layer="fc2", n_replicates=199, rng=SEED)


@pytest.fixture(scope="module")
def page(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert spinnet.report(comparison, path) == path
    return path.read_text(encoding="utf-8")


class Page(HTMLParser):
    """Checks that tags are balanced; collects ids, references and visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.append((name, value or ""))
            if name == "id":
                self.ids.append(str(value))
            if name in ("href", "src", "srcset", "data", "action"):
                self.links.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data + " "


@ENTRIES
def test_a_figure_draws_and_labels_the_axes_it_is_given(
    entry: FigureEntry, comparison: Comparison
) -> None:
    before, open_figures = dict(mpl.rcParams), plt.get_fignums()
    canvas, ax = plotting.new_figure(*entry.size)
    assert entry.draw(comparison, ax) is ax
    canvas.draw_without_rendering()
    assert ax.has_data()
    assert ax.get_xlabel()
    assert ax.get_ylabel() or entry.name == "forest"
    assert ax.get_legend() is not None
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == open_figures


@ENTRIES
def test_a_figure_makes_its_own_axes(entry: FigureEntry, comparison: Comparison) -> None:
    ax = getattr(figures, entry.name)(comparison)
    assert ax.get_figure().number in plt.get_fignums()
    plt.close(ax.get_figure())


@ENTRIES
def test_a_caption_says_how_to_cite_the_figure(entry: FigureEntry, comparison: Comparison) -> None:
    text = figures.caption(comparison, entry.name)
    for part in (entry.title, "199 replicates", f"seed {SEED}", f"spinnet {comparison.version}"):
        assert part in text


def test_an_unknown_figure_or_exponent_is_refused(comparison: Comparison) -> None:
    with pytest.raises(InputError, match="did you mean 'forest'"):
        figures.caption(comparison, "forrest")
    with pytest.raises(InputError, match=r"did you mean 'patterns\.alpha'"):
        figures.forest(comparison, "pattern.alpha")


@pytest.mark.parametrize("key", observed.LABELS)
def test_the_forest_plot_has_a_row_for_each_model(key: str, comparison: Comparison) -> None:
    _, ax = plotting.new_figure(4, 4)
    figures.forest(comparison, key, ax)
    models = [item for item in comparison.predictions if key in item.values]
    assert len(ax.get_yticklabels()) == len(models)
    missing = [item for item in models if math.isnan(item.interval(key)[0])]
    said = [text for text in ax.texts if "too few patterns" in text.get_text()]
    assert len(said) == len(missing)


def test_plot_of_a_comparison_is_its_forest_plot(comparison: Comparison) -> None:
    _, ax = plotting.new_figure(4, 4)
    assert comparison.plot(ax) is ax
    assert "patterns" in ax.get_xlabel()


def test_monte_carlo_points_carry_the_errors_of_the_comparison(comparison: Comparison) -> None:
    _, ax = plotting.new_figure(4, 4)
    figures.magnetisation(comparison, ax)
    curves = comparison.criticality.curves
    segments = ax.containers[0][2][0].get_segments()
    half = [(s[1, 1] - s[0, 1]) / 2 for s in segments]
    np.testing.assert_allclose(half, curves.sampled_error, rtol=1e-9)


def test_the_saddle_point_curve_vanishes_from_its_critical_temperature_on(
    comparison: Comparison,
) -> None:
    _, ax = plotting.new_figure(4, 4)
    figures.magnetisation(comparison, ax)
    T, m = (np.asarray(v) for v in ax.lines[0].get_data())
    T_c = comparison.criticality.saddle_temperature
    assert (m[T_c <= T] == 0).all()
    assert (m[T_c > T] > 0).all()


def test_the_sampled_law_of_the_layer_is_the_exact_one(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = observed._layer_law(comparison, 1.0)
    monkeypatch.setattr(observed, "MAX_WHOLE", 0)
    sampled = observed._layer_law(comparison, 1.0)
    assert exact is not None
    assert sampled is not None
    assert exact.sum() == pytest.approx(1, abs=1e-9)
    # at least 64 independent chains, many sweeps each: 0.05 is over 5 standard errors
    assert np.abs(exact - sampled).max() < 0.05


def test_independent_units_follow_the_convolution_of_their_rates() -> None:
    law = observed._poisson_binomial(np.full(4, 0.5))
    np.testing.assert_allclose(law, np.array([1, 4, 6, 4, 1]) / 16)


def test_the_page_is_well_formed_and_needs_nothing_else(page: str) -> None:
    parsed = Page(page)
    assert page.startswith("<!DOCTYPE html>")
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert all(link.startswith("#") for link in parsed.links)
    assert {link[1:] for link in parsed.links} <= set(parsed.ids)
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(parsed.tags)
    assert "http" not in page
    assert "@import" not in page
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    assert parsed.tags.count("svg") == len(FIGURES)
    assert parsed.tags.count("figcaption") == len(FIGURES)
    assert sum(name == "aria-label" for name, _ in parsed.attributes) >= len(FIGURES)
    assert len(page.encode()) < 3_000_000


def test_the_page_says_everything(page: str, comparison: Comparison) -> None:
    text = Page(page).text
    assert f"Verdict: {comparison.verdict.text}" in text
    for row in comparison.measured:
        assert row.key in text
        assert row.status in text
    for item in comparison.predictions:
        assert item.model in text
    for temperature in comparison.criticality.temperatures:
        assert temperature.method in text
        assert temperature.value_text in text
    for exponent in comparison.criticality.exponents:
        assert exponent.name in text
    for value in (SEED, comparison.version, np.__version__, comparison.parameters["gain"]):
        assert str(value) in text
    assert comparison.parameters["weights_sha256"] in text
    assert "UTC" in text
    assert f"rng={SEED}" in text


def test_the_page_names_the_command_that_repeats_it(page: str) -> None:
    line = f"--weights WEIGHTS --inputs INPUTS --layer fc2 --replicates 199 --seed {SEED}"
    assert line in Page(page).text


def test_every_text_is_escaped(comparison: Comparison, tmp_path: Path) -> None:
    hostile = dataclasses.replace(
        comparison,
        layer='<script>alert("x")</script>',
        verdict=dataclasses.replace(comparison.verdict, text='no power law (<b>&"'),
    )
    path = spinnet.report(hostile, tmp_path / "report.html")
    page = path.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>" not in page
    assert 'no power law (<b>&"' in Page(page).text


def test_several_comparisons_share_a_page(comparison: Comparison, tmp_path: Path) -> None:
    other = dataclasses.replace(comparison, layer="other")
    path = spinnet.report([comparison, other], str(tmp_path / "report.html"))
    parsed = Page(path.read_text(encoding="utf-8"))
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert "Layer fc2 (8 inputs, 7 nodes)" in parsed.text
    assert "Layer other (8 inputs, 7 nodes)" in parsed.text
    assert {"#c1", "#c2"} <= set(parsed.links)
    assert {"c1", "c2"} <= set(parsed.ids)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (3, "got int"),
        ("text", "got str"),
        (None, "got NoneType"),
        ([], "got an empty list"),
        ([1], "got int at index 0"),
    ],
)
def test_what_is_no_comparison_is_refused(wrong: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        spinnet.report(wrong, tmp_path / "report.html")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_refused(comparison: Comparison, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        spinnet.report(comparison, tmp_path / "none" / "report.html")
    with pytest.raises(InputError, match="must name a file"):
        spinnet.report(comparison, tmp_path)
    with pytest.raises(InputError, match="path must be a str or Path, got int"):
        spinnet.report(comparison, 3)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_writing_fails(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    target.write_text("before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        spinnet.report(comparison, target)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert target.read_text() == "before"


def test_report_is_callable_however_it_is_imported() -> None:
    code = (
        "from spinnet.reporting import report\nimport spinnet\n"
        "for call in (report, spinnet.report):\n"
        "    try:\n        call(3, 'x')\n    except ValueError as error:\n        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("comparisons must be a Comparison") == 2
