"""Drawing primitives draw on the axes they are given, and change nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex

from spinnet import plotting
from spinnet.plotting import Row


def test_style_is_a_context_that_leaves_no_trace() -> None:
    before = dict(mpl.rcParams)
    with plotting.style():
        assert mpl.rcParams["svg.fonttype"] == "none"
        assert mpl.rcParams["pdf.fonttype"] == 42
        assert not mpl.rcParams["axes.spines.top"]
        assert mpl.rcParams["figure.figsize"] == [3.4, 2.6]
    assert dict(mpl.rcParams) == before


def test_importing_it_imports_no_matplotlib() -> None:
    code = "import sys, spinnet.plotting; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_points_draw_their_errors() -> None:
    _, ax = plotting.new_figure(3, 2)
    drawn = plotting.points(ax, [1, 2], [3.0, 4.0], [0.5, 1.0], label="data")
    segments = drawn[2][0].get_segments()
    np.testing.assert_allclose([s[:, 1] for s in segments], [[2.5, 3.5], [3.0, 5.0]])


def test_a_line_has_no_markers_and_breaks_at_nan() -> None:
    _, ax = plotting.new_figure(3, 2)
    drawn = plotting.line(ax, [0, 1, 2], [0, np.nan, 1], color=plotting.BLUE)
    assert drawn.get_marker() in ("", "None")
    assert to_hex(drawn.get_color()) == plotting.BLUE.lower()
    assert np.isnan(np.asarray(drawn.get_ydata())[1])


def test_marks_outside_the_axis_are_left_out_and_labels_keep_apart() -> None:
    figure, ax = plotting.new_figure(4, 3)
    ax.set_xlim(0, 10)
    marks = {"near": 5.0, "nearer": 5.01, "far": 11.0}
    drawn = plotting.mark_abscissae(ax, marks, emphasised=("near",))
    figure.draw_without_rendering()
    assert [text.get_text() for text in drawn] == ["near", "nearer"]
    # a line of slanted small text needs about 14 points
    width = ax.get_position().width * 4 * 72
    assert (drawn[1].xyann[0] - drawn[0].xyann[0]) * width > 12


def test_rows_without_an_interval_say_so() -> None:
    _, ax = plotting.new_figure(3, 2)
    rows = [Row("a", 1.0, 2.0, 1.5, remark="0.1"), Row("b", *3 * [np.nan], missing="too few")]
    plotting.intervals(ax, rows, remarks="p")
    texts = {text.get_text() for text in ax.texts}
    assert texts == {"0.1", "p", "too few"}
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    top, bottom = ax.get_ylim()[1], ax.get_ylim()[0]
    assert top < 0 < 1 < bottom, "the first row is on top"


def test_the_legend_starts_with_the_data() -> None:
    _, ax = plotting.new_figure(3, 2)
    plotting.line(ax, [0, 1], [0, 1], label="theory")
    plotting.points(ax, [0, 1], [0, 1], [1, 1], label="data")
    legend = plotting.legend_below(ax)
    assert [t.get_text() for t in legend.get_texts()] == ["data", "theory"]


@pytest.mark.parametrize("size", [0, 1, 2, 5, 119, 120, 121, 100_000])
def test_thinned_keeps_both_ends(size: int) -> None:
    kept = plotting.thinned(size)
    assert len(kept) <= 120
    assert len(np.unique(kept)) == len(kept)
    if size:
        assert (kept[0], kept[-1]) == (0, size - 1)


def test_survival_counts_what_is_at_least_as_large() -> None:
    values = np.random.default_rng(1).integers(1, 6, 200)
    x, share = plotting.survival(values)
    np.testing.assert_allclose(share, [(values >= v).mean() for v in x])


class Ids(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name == "href":
                self.references.append(str(value).removeprefix("#"))
            self.references += re.findall(r"url\(#([^)]*)\)", str(value))


def test_svg_stands_in_a_page_beside_others() -> None:
    figure, ax = plotting.new_figure(3, 2)
    plotting.points(ax, [1, 2], [3, 4], [1, 1])
    ax.set_xlabel("$T_c$ <&>")
    text = plotting.svg(figure, "one", title='a "title" & more')
    assert text.startswith("<svg viewBox=")
    assert text.endswith("</svg>")
    assert 'role="img" aria-label="a &quot;title&quot; &amp; more"' in text
    assert "http" not in text
    assert "<text" not in text, "text is drawn as shapes, whatever fonts there are"
    found = Ids()
    found.feed(text)
    assert found.ids
    assert all(name.startswith("one-") for name in found.ids)
    assert len(set(found.ids)) == len(found.ids)
    assert set(found.references) <= set(found.ids)
    assert plotting.svg(figure, "one") == plotting.svg(figure, "one")


def test_tails_start_where_a_share_of_the_sizes_lies_below():
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    ax.set_xscale("log")
    ax.plot([1e-6, 1e3], [1.0, 0.1])
    plotting.start_at_share(ax, np.r_[1e-6, np.arange(1.0, 100.0)])
    assert ax.get_xlim()[0] == 2.0  # two of the hundred sizes lie below
    plotting.start_at_share(ax, np.zeros(5))
    assert ax.get_xlim()[0] == 2.0
