"""Figures of the dual spin system: order, fluctuations, couplings and likelihood against T."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from spinnet import plotting
from spinnet.comparison.layer import Array
from spinnet.plotting import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY_BLUE, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinnet.comparison.result import Comparison

T_LABEL = r"temperature $T$ (natural units, $k_B = 1$)"
NETWORK = "$T = 1$"
BINDER_MEAN_FIELD = 0.270520  # 1 - <x^4>/(3 <x^2>^2) under exp(-x^4), Curie-Weiss at T_c
HALF_NORMAL = 1 - 2 / math.pi  # var|a| / var a of a normal a of mean zero


def magnetisation(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw m = v.s/sqrt(N) against T: saddle point, exact sum and Monte Carlo."""
    ax = plotting.axes(ax)
    curves = comparison.criticality.curves
    T = curves.temperatures
    T_c = comparison.criticality.saddle_temperature
    fine, squared = _with_onset(T, curves.saddle**2, T_c)
    plotting.line(ax, fine, np.sqrt(squared), label="saddle point (naive mean field)")
    if curves.exact is not None:
        plotting.line(ax, T, curves.exact, color=BLUE, dashes="--", label="exact sum over outputs")
    label = r"Monte Carlo, $\sqrt{\langle a^2 \rangle / N}$"
    plotting.points(ax, T, curves.sampled, curves.sampled_error, label=label)
    ax.set_xlabel(T_LABEL)
    ax.set_ylabel(r"order parameter $m = v \cdot s / \sqrt{N}$")
    ax.set_ylim(bottom=0)
    plotting.legend_below(ax)
    _mark_temperatures(comparison, ax)
    return ax


def susceptibility(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw chi_top against T, sampled and of the saddle point, on a logarithmic axis."""
    ax = plotting.axes(ax)
    curves = comparison.criticality.curves
    T, T_c = curves.temperatures, comparison.criticality.saddle_temperature
    fine, inverse = _with_onset(T, 1 / curves.chi_saddle, T_c)
    chi = 1 / np.where(inverse > 0, inverse, np.nan)
    plotting.line(ax, fine[fine < T_c], chi[fine < T_c], label="saddle point, $T < T_c$")
    plotting.line(
        ax,
        fine[fine > T_c],
        HALF_NORMAL * chi[fine > T_c],
        dashes="--",
        label=r"saddle point $\times\,(1 - 2/\pi)$, $T > T_c$",
    )
    plotting.points(
        ax,
        T,
        curves.chi,
        curves.chi_error,
        label=r"Monte Carlo, $\beta(\langle a^2 \rangle - \langle |a| \rangle^2)$",
    )
    ax.set_yscale("log")
    ax.set_ylim(*_log_limits(curves.chi))
    ax.set_xlabel(T_LABEL)
    ax.set_ylabel(r"susceptibility $\chi_\mathrm{top}$")
    plotting.legend_below(ax)
    _mark_temperatures(comparison, ax)
    return ax


def specific_heat(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the specific heat per spin against T, with the fields dropped and exact."""
    ax = plotting.axes(ax)
    curves = comparison.criticality.curves
    kinds = (
        ("fields dropped", curves.specific_heat, curves.specific_heat_error, BLACK, "o"),
        (
            "fields exact",
            curves.specific_heat_exact_fields,
            curves.specific_heat_exact_fields_error,
            BLUE,
            "s",
        ),
    )
    for name, value, error, color, marker in kinds:
        plotting.line(ax, curves.temperatures, value, color=color, width=0.6)
        plotting.points(
            ax,
            curves.temperatures,
            value,
            error,
            color=color,
            marker=marker,
            label=f"Monte Carlo, {name}",
        )
    ax.set_xlabel(T_LABEL)
    ax.set_ylabel(r"specific heat $c$ per spin (units of $k_B$)")
    ax.set_ylim(bottom=0)
    plotting.legend_below(ax)
    marks = {NETWORK: 1.0, "saddle $T_c$": comparison.criticality.saddle_temperature}
    for item in comparison.criticality.temperatures:
        if "specific-heat" in item.method:
            name = "peak, fields exact" if "fields exact" in item.label else "peak, fields dropped"
            marks[name] = item.value
    plotting.mark_abscissae(ax, marks, emphasised=(NETWORK,))
    return ax


def binder(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the Binder cumulants of the replicated family, their crossing and theory's value."""
    ax = plotting.axes(ax)
    family = comparison.criticality.family
    temperatures = np.broadcast_to(family.temperatures, family.binder.shape)
    markers, colors = "osD^v<>", (SKY_BLUE, BLUE, GREEN, ORANGE, VERMILLION, PURPLE, BLACK)
    for k, n_spins in enumerate(family.n_spins):
        T, order = temperatures[k], np.argsort(temperatures[k])
        color = colors[k % len(colors)]
        plotting.line(ax, T[order], family.binder[k][order], color=color, width=0.7)
        plotting.points(
            ax,
            T,
            family.binder[k],
            family.binder_error[k],
            color=color,
            marker=markers[k % len(markers)],
            label=f"$N = {n_spins}$",
        )
    plotting.level(ax, BINDER_MEAN_FIELD, label=f"mean-field value {BINDER_MEAN_FIELD:.4f}")
    ax.set_xlabel(T_LABEL)
    ax.set_ylabel(r"$U = 1 - \langle a^4 \rangle / 3 \langle a^2 \rangle^2$")
    plotting.legend_below(ax, columns=3)
    marks = {NETWORK: 1.0, "saddle $T_c$": comparison.criticality.saddle_temperature}
    for item in comparison.criticality.temperatures:
        if "crossing" in item.method:
            marks["crossing"] = item.value
            if item.error > 0:
                ax.axvspan(
                    item.value - item.error, item.value + item.error, color=GREY, alpha=0.3, lw=0
                )
    plotting.mark_abscissae(ax, marks, emphasised=(NETWORK,))
    return ax


def spectrum(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the singular values of the coupling block beside those of its shuffled entries."""
    ax = plotting.axes(ax)
    result = comparison.criticality
    index = np.arange(1, len(result.singular_values) + 1)
    plotting.points(
        ax,
        index,
        result.random_singular_values,
        color=GREY,
        marker="s",
        label="the same entries, shuffled",
    )
    plotting.points(ax, index, result.singular_values, label="couplings $w_{ij}/4$ of the layer")
    plotting.level(
        ax,
        result.saddle_temperature,
        color=VERMILLION,
        dashes="--",
        label=f"saddle point $T_c = {result.saddle_temperature:.3g}$",
    )
    if 1.5 * result.saddle_temperature > 1.0:
        plotting.level(ax, 1.0, color=BLACK, label=f"{NETWORK} (the network)")
    ax.set_ylim(bottom=0)
    _whole_ticks(ax)
    ax.set_xlabel(r"index $k$")
    ax.set_ylabel(r"singular value $\sigma_k$ (units of $T$)")
    plotting.legend_below(ax)
    return ax


def likelihood(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the log-likelihood of the layer's patterns under the free dual against T."""
    ax = plotting.axes(ax)
    fit = comparison.temperature
    best = "highest" if fit.at_edge else f"best $T$ = {fit.best:.3g}"
    plotting.line(ax, fit.temperatures, fit.log_likelihood, color=BLUE, width=0.7)
    plotting.points(
        ax, fit.temperatures, fit.log_likelihood, color=BLUE, label="free dual, all inputs"
    )
    ax.axvspan(*fit.interval, color=BLUE, alpha=0.25, lw=0, label=f"{best}, 95 % interval")
    if not fit.at_edge:
        ax.axvline(fit.best, color=BLUE, lw=0.9)
    for name, color, dashes in (
        ("independent units", VERMILLION, "--"),
        ("dual at best T", BLUE, ":"),
    ):
        if name in fit.held_out:
            text = name.replace(" T", " $T$")
            plotting.level(
                ax, fit.held_out[name], color=color, dashes=dashes, label=f"{text}, held out"
            )
    ax.set_xscale("log")
    plotting.plain_log_ticks(ax)
    top = max(fit.log_likelihood.max(), *fit.held_out.values())
    low = np.quantile(fit.log_likelihood, 0.25)
    ax.set_ylim(min(low, *fit.held_out.values()) - 0.1 * (top - low), top + 0.15 * (top - low))
    ax.set_xlabel(T_LABEL)
    ax.set_ylabel(f"log-{fit.kind}\n(nats per pattern)")
    plotting.legend_below(ax)
    _mark_temperatures(comparison, ax)
    return ax


def _mark_temperatures(comparison: Comparison, ax: Axes) -> None:
    marks = {NETWORK: 1.0}
    for item in comparison.criticality.temperatures:
        if item.method.startswith("saddle point"):
            marks["saddle $T_c$"] = item.value
        elif item.method.startswith("Onsager"):
            marks["Onsager $T_c$"] = item.value
        elif "chi_top" in item.method:
            marks[r"$\chi_\mathrm{top}$ peak"] = item.value
    plotting.mark_abscissae(ax, marks, emphasised=(NETWORK,))


def _with_onset(T: Array, power: Array, T_c: float) -> tuple[Array, Array]:
    """Return a fine grid and `power`, which vanishes linearly at T_c, interpolated on it.

    Near T_c, m^2 and 1/chi are linear in T: a curve through a few points of m or chi would
    hide how it starts or diverges.
    """
    fine = np.union1d(np.append(T, T_c), np.linspace(T.min(), T.max(), 300))
    known = np.isfinite(power) & (np.abs(T - T_c) > 1e-9 * T_c)
    known_T, known_power = np.append(T[known], T_c), np.append(power[known], 0.0)
    order = np.argsort(known_T)
    return fine, np.interp(fine, known_T[order], known_power[order])


def _log_limits(values: Array) -> tuple[float, float]:
    positive = values[values > 0]
    if not positive.size:
        return 1e-3, 1.0
    return float(positive.min()) / 2, float(positive.max()) * 4


def _whole_ticks(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
