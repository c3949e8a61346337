"""Drawing primitives: axes in, artists out.

They know no physics.  Colours are those of Okabe and Ito, which people with any colour vision
tell apart; kinds of curves differ in line style or marker too.  Nothing here changes global
settings: the shipped style is opted into, as a context, with :func:`style`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.container import ErrorbarContainer
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation

BLACK, GREY, LIGHT_GREY = "#000000", "#999999", "#E6E6E6"
ORANGE, SKY_BLUE, GREEN = "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

_STYLE = Path(__file__).with_name("spinnet.mplstyle")


def style() -> AbstractContextManager[None]:
    """Return a context in which figures are made in spinnet's style; nothing is kept after it.

    Examples
    --------
    >>> from spinnet import plotting
    >>> with plotting.style():
    ...     pass  # comparison.plot()
    """
    from matplotlib.style import context

    return context(_STYLE)


def axes(ax: Axes | None) -> Axes:
    """Return `ax`, or the axes of a new pyplot figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def points(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    error: ArrayLike | None = None,
    *,
    label: str | None = None,
    color: str = BLACK,
    marker: str = "o",
    size: float = 3.5,
    error_color: str | None = None,
) -> ErrorbarContainer:
    """Draw open markers, with error bars of one standard error where given.

    `error_color` sets many overlapping bars behind their markers.
    """
    return ax.errorbar(
        np.asarray(x),
        np.asarray(y),
        yerr=None if error is None else np.asarray(error),
        fmt=marker,
        ms=size,
        mfc="none",
        mew=0.8,
        color=color,
        ecolor=error_color or color,
        elinewidth=0.8,
        capsize=0 if error_color else 1.5,
        label=label,
    )


def line(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    *,
    label: str | None = None,
    color: str = VERMILLION,
    dashes: str = "-",
    width: float = 1.2,
) -> Line2D:
    """Draw a curve; NaN breaks it."""
    return ax.plot(
        np.asarray(x), np.asarray(y), color=color, ls=dashes, lw=width, marker="", label=label
    )[0]


def band(
    ax: Axes,
    x: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    label: str | None = None,
    color: str = BLUE,
) -> PolyCollection:
    """Fill between two curves, behind everything else."""
    return ax.fill_between(
        np.asarray(x),
        np.asarray(low),
        np.asarray(high),
        facecolor=(color, 0.3),
        edgecolor=color,
        lw=0.5,
        zorder=1,
        label=label,
    )


def level(
    ax: Axes, y: float, *, label: str | None = None, color: str = GREY, dashes: str = ":"
) -> Line2D:
    """Draw a horizontal line through the axes."""
    return ax.axhline(y, color=color, ls=dashes, lw=0.9, zorder=1, label=label)


def mark_abscissae(
    ax: Axes, marks: Mapping[str, float], *, emphasised: Sequence[str] = ()
) -> list[Annotation]:
    """Draw labelled vertical lines; labels stand slanted above the axes, apart from each other.

    Call it last: marks outside the limits of the axis are left out.  Labels in `emphasised` are
    black, with a solid line.
    """
    left, right = ax.get_xlim()
    inside = sorted((x, name) for name, x in marks.items() if min(left, right) <= x <= right)
    artists, last = [], -np.inf
    figure = ax.get_figure(root=True)
    assert figure is not None
    width = figure.get_figwidth() * ax.get_position().width * 72
    gap = 15 / max(width, 1.0)
    to_fraction = ax.transData + ax.transAxes.inverted()
    for x, name in inside:
        strong = name in emphasised
        color, dashes = (BLACK, "-") if strong else ("#555555", ":")
        ax.axvline(x, color=color, ls=dashes, lw=0.7, zorder=1)
        place = float(to_fraction.transform((x, ax.get_ylim()[0]))[0])
        last = max(place, last + gap)
        artists.append(
            ax.annotate(
                name,
                (x, 1.0),
                xytext=(last, 1.04),
                xycoords=("data", "axes fraction"),
                textcoords="axes fraction",
                rotation=35,
                rotation_mode="anchor",
                ha="left",
                va="bottom",
                fontsize="small",
                color=color,
                arrowprops={
                    "arrowstyle": "-",
                    "lw": 0.5,
                    "color": color,
                    "shrinkA": 0,
                    "shrinkB": 0,
                },
                annotation_clip=False,
            )
        )
    return artists


@dataclass(frozen=True)
class Row:
    """One row of a forest plot.

    Attributes
    ----------
    label : str
    low, high, centre : float
        NaN where there is no interval.
    color : str
    filled : bool
        Filled or open marker.
    remark : str
        Written right of the axes.
    missing : str
        Written in place of the interval where there is none.
    """

    label: str
    low: float
    high: float
    centre: float
    color: str = BLACK
    filled: bool = True
    remark: str = ""
    missing: str = ""


def intervals(ax: Axes, rows: Sequence[Row], *, remarks: str = "") -> list[Line2D]:
    """Draw one interval per row, the first on top, with labels left and remarks right.

    `remarks` heads the column of remarks.
    """
    artists = []
    for y, row in enumerate(rows):
        if np.isfinite(row.low):
            artists += ax.plot([row.low, row.high], [y, y], color=row.color, lw=2, marker="")
            face = row.color if row.filled else "white"
            artists += ax.plot(row.centre, y, "o", ms=4.5, mec=row.color, mfc=face, ls="")
        elif row.missing:
            ax.text(
                0.5,
                y,
                row.missing,
                transform=ax.get_yaxis_transform(),
                ha="center",
                va="center",
                fontsize="small",
                style="italic",
                color="#555555",
            )
        _remark(ax, y, row.remark)
    _remark(ax, -1, remarks)
    ax.set_yticks(range(len(rows)), [row.label for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.7)
    ax.tick_params(axis="y", length=0)
    return artists


def _remark(ax: Axes, y: float, text: str) -> None:
    if text:
        ax.text(
            1.02,
            y,
            text,
            transform=ax.get_yaxis_transform(),
            ha="left",
            va="center",
            fontsize="small",
        )


def legend_below(ax: Axes, *, columns: int = 2, drop: float = 34.0) -> Legend:
    """Put the legend under the axes, where it hides nothing, points with error bars first.

    `drop` is the distance from the axes in points: it leaves room for the axis label.
    """
    from matplotlib.container import ErrorbarContainer
    from matplotlib.transforms import ScaledTranslation

    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda k: not isinstance(handles[k], ErrorbarContainer))
    figure = ax.get_figure(root=True)
    assert figure is not None
    return ax.legend(
        [handles[k] for k in order],
        [labels[k] for k in order],
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=ax.transAxes + ScaledTranslation(0, -drop / 72, figure.dpi_scale_trans),
        ncols=columns,
        borderaxespad=0.0,
        frameon=False,
    )


def plain_log_ticks(ax: Axes) -> None:
    """Label 0.5, 1, 2, 5, ... of a logarithmic abscissa that spans little more than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def start_at_share(ax: Axes, sizes: NDArray[np.float64], share: float = 0.02) -> None:
    """Start a logarithmic abscissa where this share of the sorted `sizes` lies below.

    The smallest of many numbers would take up decades in which nothing happens.
    """
    start = float(sizes[int(share * sizes.size)])
    if 0.0 < start < sizes[-1]:
        ax.set_xlim(left=start)


def thinned(size: int, limit: int = 120) -> NDArray[np.int64]:
    """Return at most about `limit` indices into a sequence, evenly spaced in their logarithm.

    >>> thinned(3).tolist()
    [0, 1, 2]
    """
    if size <= 0:
        return np.zeros(0, dtype=np.int64)
    return np.unique(np.geomspace(1, size, min(size, limit)).round().astype(np.int64)) - 1


def cell_edges(centres: ArrayLike) -> NDArray[np.float64]:
    """Return the borders of cells around increasing places, half a step beyond the ends.

    >>> cell_edges([1.0, 2.0, 4.0]).tolist()
    [0.5, 1.5, 3.0, 5.0]
    """
    x = np.asarray(centres, dtype=np.float64)
    if x.size == 1:
        return np.array([x[0] - 0.5, x[0] + 0.5])
    middle = (x[1:] + x[:-1]) / 2
    return np.concatenate([[2 * x[0] - middle[0]], middle, [2 * x[-1] - middle[-1]]])


def survival(values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distinct values, and the share of all values that is at least as large.

    >>> x, p = survival([1, 1, 2, 4])
    >>> x.tolist(), p.tolist()
    ([1.0, 2.0, 4.0], [1.0, 0.5, 0.25])
    """
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    return distinct, np.cumsum(counts[::-1])[::-1] / counts.sum()


def svg(figure: Figure, prefix: str, *, title: str = "") -> str:
    """Return a figure as an SVG element for an HTML page.

    Text is drawn as shapes, so that it looks the same where its font is not installed.  Ids
    start with `prefix`, so that several figures can share a page; namespaces, metadata and the
    fixed size are left out, as HTML needs none of them.

    Parameters
    ----------
    figure : Figure
    prefix : str
        Letters, digits and hyphens.
    title : str
        What a screen reader reads out.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": prefix}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = text.replace("xlink:href=", "href=")
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    head, rest = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    opening = f'<svg {box.group() if box else ""} role="img" aria-label="{_quoted(title)}"'
    return opening + ">" + re.sub(r"\n\s*", "\n", rest).strip()


def _quoted(text: str) -> str:
    import html

    return html.escape(text, quote=True)


def new_figure(width: float, height: float) -> tuple[Figure, Any]:
    """Return a figure that pyplot does not know, and its axes; sizes in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()
