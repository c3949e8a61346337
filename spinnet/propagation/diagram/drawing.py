"""Figures of phase diagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinnet import plotting
from spinnet.propagation.diagram.result import PHASES, QUANTITIES, PhaseDiagram
from spinnet.validation import choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_LABELS = {
    "q_star": r"length $q^*$",
    "chi_q": r"slope of lengths $\chi_q$",
    "chi_1": r"slope at $c = 1$, $\chi_1$",
    "c_star": r"correlation $c^*$",
    "one_minus_c_star": r"$1 - c^*$",
    "chi_c": r"slope at $c^*$, $\chi_c$",
    "one_minus_chi_c": r"$1 - \chi_c$",
    "xi_q": r"depth scale of lengths $\xi_q$ (layers)",
    "xi_c": r"depth scale of correlations $\xi_c$ (layers)",
    "xi_grad": r"depth scale of gradients $\xi_\nabla$ (layers)",
    "phase": "phase",
}
_TITLES = {
    "q_star": r"length $q^*$",
    "chi_1": r"slope $\chi_1$ at $c = 1$",
    "c_star": r"correlation $c^*$",
    "xi_c": r"depth scale $\xi_c$ (layers)",
}
_PHASE_COLOURS = (
    plotting.SKY_BLUE, plotting.ORANGE, plotting.BLACK, plotting.GREEN,
    plotting.PURPLE, plotting.LIGHT_GREY,
)  # fmt: skip
_PERCENTILE = 99
_OUTLIER = 5.0  # largest value over that percentile, from which colours end at the latter
_DEPTHS = ("xi_q", "xi_c")
_WIDE = 30.0  # largest value over median, from which colours are logarithmic


def draw(diagram: PhaseDiagram, ax: Axes | None, quantity: str) -> QuadMesh:
    """Draw one quantity; see PhaseDiagram.plot."""
    choice("quantity", quantity, (*QUANTITIES, "phase"))
    ax = plotting.axes(ax)
    mesh = _draw(diagram, ax, quantity)
    if quantity != "phase":
        ax.figure.colorbar(mesh, ax=ax, label=_LABELS[quantity], extend=_extend(mesh))
    return mesh


def draw_all(diagram: PhaseDiagram) -> Figure:
    """Draw q*, chi_1, c* and xi_c."""
    with plotting.style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.2, 5.6), layout="constrained")
        panels = figure.subplots(2, 2, sharex=True, sharey=True)
        for ax, (quantity, title) in zip(panels.flat, _TITLES.items(), strict=True):
            mesh = _draw(diagram, ax, quantity)
            figure.colorbar(mesh, ax=ax, extend=_extend(mesh))
            ax.set_title(title)
            ax.label_outer()
        figure.suptitle(_heading(diagram), fontsize=8)
    return figure


def _heading(diagram: PhaseDiagram) -> str:
    noise = f", {diagram.noise}" if diagram._is_noisy else ""
    line = diagram.critical_line
    text = f"{diagram.activation.name}{noise}"
    if line is not None and line.sigma_w.size:
        text += r"; black line: $\chi_1 = 1$"
        if not line.stable_q.all():
            text += " (dashed: at an unstable length)"
    if not np.isfinite(diagram.q_star).all():
        text += "; grey: no fixed point"
    return text


def _draw(diagram: PhaseDiagram, ax: Axes, quantity: str) -> QuadMesh:
    w, columns = np.unique(diagram.sigma_w, return_index=True)
    b, rows = np.unique(diagram.sigma_b, return_index=True)
    if quantity == "phase":
        values = np.select(
            [diagram.phase == name for name in PHASES], [float(k) for k in range(len(PHASES))]
        )
        style = _phase_style(ax, np.unique(diagram.phase).tolist())
    else:
        values = np.asarray(getattr(diagram, quantity), dtype=np.float64)
        style = _style(quantity, values)
    values = np.ma.masked_invalid(_shown(values[np.ix_(rows, columns)], quantity, style))
    edges = plotting.cell_edges(w), plotting.cell_edges(b)
    mesh = ax.pcolormesh(*edges, values, rasterized=True, **style)
    ax.set_xlim(edges[0][0], edges[0][-1])
    ax.set_ylim(edges[1][0], edges[1][-1])
    ax.set_xlabel(r"$\sigma_w$")
    ax.set_ylabel(r"$\sigma_b$")
    _draw_line(diagram, ax)
    return mesh


def _shown(values: Array, quantity: str, style: dict[str, Any]) -> Array:
    """Return values with infinite depth scales as large, and zeros as small, as colours go."""
    from matplotlib.colors import LogNorm

    norm = style["norm"]
    if quantity in (*_DEPTHS, "xi_grad"):
        values = np.where(values == np.inf, 10 * norm.vmax, values)
    if isinstance(norm, LogNorm) and norm.vmin is not None:
        values = np.maximum(values, norm.vmin / 10)
    return values


def _draw_line(diagram: PhaseDiagram, ax: Axes) -> None:
    line = diagram.critical_line
    if line is None or line.sigma_w.size == 0:
        return
    order = np.argsort(line.q, kind="stable") if np.isfinite(line.q).all() else slice(None)
    x, y, stable = line.sigma_w[order], line.sigma_b[order], line.stable_q[order]
    joined = stable.copy()  # the parts share a point, so that no gap is left
    joined[1:] |= stable[:-1]
    limits = ax.get_xlim(), ax.get_ylim()
    plotting.line(ax, x, np.where(joined, y, np.nan), color=plotting.BLACK)
    if not stable.all():
        plotting.line(ax, x, np.where(stable, np.nan, y), color=plotting.BLACK, dashes="--")
    ax.set_xlim(limits[0])
    ax.set_ylim(limits[1])


# ---------------------------------------------------------------------- colours
def _style(quantity: str, values: Array) -> dict[str, Any]:
    """Return colour map and norm of a quantity."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize, SymLogNorm, TwoSlopeNorm

    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    norm: Normalize
    name = "viridis"
    if quantity in ("chi_1", "chi_q"):
        name = "RdBu_r"
        norm = TwoSlopeNorm(1.0, vmin=min(low, 0.0), vmax=max(high, 1.5))
    elif quantity in _DEPTHS:
        positive = finite[finite > 0]
        if positive.size:
            low, most = float(positive.min()), float(np.percentile(positive, _PERCENTILE))
            high = min(high, most) if high > _OUTLIER * most else high
        norm = LogNorm(max(low, high * 1e-4, 1e-2), max(high, 1.0))
    elif quantity == "xi_grad":
        name = "PuOr"
        size = float(np.percentile(np.abs(finite), _PERCENTILE)) if finite.size else 1.0
        norm = SymLogNorm(1.0, vmin=-max(size, 2.0), vmax=max(size, 2.0))
    elif quantity in ("c_star", "chi_c", "one_minus_c_star"):
        norm = Normalize(0.0, 1.0)
    elif finite.size and high > _WIDE * max(float(np.median(finite)), 0.0):
        norm = LogNorm(max(low, high * 1e-4), high) if high > 0 else Normalize(low, low + 1.0)
    else:
        norm = Normalize(low, high if high > low else low + 1.0)
    colours = colormaps[name].with_extremes(bad=plotting.LIGHT_GREY)
    return {"cmap": colours, "norm": norm}


def _extend(mesh: QuadMesh) -> str:
    """Return at which ends of the colour bar values lie beyond it."""
    values: Array = np.ma.compressed(np.ma.asarray(mesh.get_array()))
    if values.size == 0:
        return "neither"
    low, high = mesh.norm.vmin, mesh.norm.vmax
    ends = (bool(values.min() < low), bool(values.max() > high))
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[ends]


def _phase_style(ax: Axes, names: list[str]) -> dict[str, Any]:
    """Return the colours of phases, and make a legend of those that occur."""
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Patch

    patches = [
        Patch(color=colour, label=name)
        for name, colour in zip(PHASES, _PHASE_COLOURS, strict=True)
        if name in names
    ]
    ax.legend(handles=patches, frameon=True)
    bounds = np.arange(len(PHASES) + 1) - 0.5
    return {"cmap": ListedColormap(_PHASE_COLOURS), "norm": BoundaryNorm(bounds, len(PHASES))}
