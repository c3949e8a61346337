"""What each figure shows and how it was made, generated from the comparison itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spinnet.comparison.figures import dual, observed
from spinnet.comparison.figures.dual import BINDER_MEAN_FIELD
from spinnet.comparison.layer import MAX_WHOLE
from spinnet.errors import InputError, did_you_mean
from spinnet.spins.statistics import format_with_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinnet.comparison.result import Comparison


@dataclass(frozen=True)
class FigureEntry:
    """One figure of a report.

    Attributes
    ----------
    name : str
        Of the function that draws it.
    title : str
    draw : callable
        (comparison, ax) -> Axes.
    caption : callable
        comparison -> what it shows and how it was made.
    size : (float, float)
        Inches.
    """

    name: str
    title: str
    draw: Callable[[Comparison, Axes | None], Axes]
    caption: Callable[[Comparison], str]
    size: tuple[float, float] = (4.2, 3.6)


def caption(comparison: Comparison, name: str) -> str:
    """Return the caption of a figure: what it shows, methods, replicates, seed and version.

    Parameters
    ----------
    comparison : Comparison
    name : str
        Of the figure's function, for example "rank_frequency".
    """
    entries = {entry.name: entry for entry in FIGURES}
    if name not in entries:
        hint = did_you_mean(str(name), entries)
        raise InputError(f"name must be one of {', '.join(entries)}, got {name!r}{hint}")
    entry = entries[name]
    return f"{entry.title}. {entry.caption(comparison)} {_origin(comparison)}"


def _origin(c: Comparison) -> str:
    return (
        f"Layer {c.layer} ({c.shape[0]} inputs, {c.shape[1]} nodes), {c.n_inputs} inputs; "
        f"{c.parameters['n_replicates']} replicates, seed {c.seed['entropy']}, "
        f"spinnet {c.version}."
    )


def _forest(c: Comparison) -> str:
    value = c.exponent("patterns.alpha")
    data = "The data carry no estimate. "
    if value.value == value.value:
        data = (
            f"Line and grey band: data, {format_with_error(value.value, value.error)} with the "
            f"95 % interval of a {value.note}. "
        )
    return (
        "Density exponent α of the pattern counts. "
        f"{data}Rows: median and 95 % predictive interval of the same estimator on replicates of "
        "each model. Filled: models that are tested, with p-values adjusted by Holm's method; "
        "open: further temperatures of the dual, which show how its exponent moves."
    )


def _subset(c: Comparison) -> str:
    if c.studied.is_whole:
        return ""
    return f" of the first random subset of {len(c.studied.subsets[0])} nodes"


def _rank_frequency(c: Comparison) -> str:
    return (
        f"Frequency of each distinct activation pattern{_subset(c)} by rank; error bars are the "
        "sampling error of each frequency. Line: maximum-likelihood Zipf fit over the ranks with "
        "enough counts. Bands: 95 % of replicates drawn from the free dual. Grey, green and "
        "purple lines: medians of the null models. The bands are no fits to the data beyond the "
        "choice of T."
    )


def _ccdf(c: Comparison) -> str:
    return (
        f"Share of the distinct patterns{_subset(c)} that were seen on at least k inputs. Error "
        "bars √(P(1 − P)/n); neighbouring points are correlated. Line: discrete power law by "
        "maximum likelihood from the x_min of least Kolmogorov-Smirnov distance (Clauset, "
        f"Shalizi and Newman), scaled to its tail. Result: {c.exponent('patterns.alpha').status}."
    )


def _weights_ccdf(c: Comparison) -> str:
    return (
        "Share of the layer's weights at least as large in size, without the gain of the inputs. "
        "Error bars √(P(1 − P)/n). Line: power law by maximum likelihood from x_min. Result: "
        f"{c.exponent('weights.alpha').status}."
    )


def _p_of_m(c: Comparison) -> str:
    how = "exact sum over all states" if c.shape[1] <= MAX_WHOLE else "block Gibbs sampling"
    return (
        "Distribution over the inputs of m = 2φ − 1, φ the fraction of active nodes. Error "
        f"bars: sampling error. Dual: all inputs summed over, exact fields, by {how}. "
        "Independent units: exact convolution of the measured rates."
    )


def _nodes(c: Comparison) -> str:
    return (
        "Frequency with which each node is on, by rank, with its sampling error. A layer of "
        f"{c.shape[1]} nodes is too few points to test a power law."
        if c.shape[1] < 100
        else "Frequency with which each node is on, by rank, with its sampling error."
    )


def _magnetisation(c: Comparison) -> str:
    exact = "" if c.criticality.curves.exact is None else "Dashed: exact sum over all outputs. "
    return (
        "Order parameter of the dual with its fields dropped: projection a = v·s on the top mode v "
        f"of the couplings, per spin. Solid: solution of the mean-field equations. {exact}Points: "
        "block Gibbs sampling with jackknife errors over replicas. A finite system has no sharp "
        "transition, and above T_c its root mean square stays above zero as 1/√N. Marks: "
        "T = 1 is the network; the critical temperature by several methods. " + _outside(c)
    )


def _susceptibility(c: Comparison) -> str:
    return (
        "Fluctuations of the top mode, fields dropped. Points: Monte Carlo with jackknife errors. "
        "Saddle point: v·χ·v about one minimum below T_c; above, multiplied by 1 − 2/π, since "
        "|a| of a normal a has that share of its variance. It diverges at T_c and is clipped at "
        "the upper end of the axis. " + _outside(c)
    )


def _specific_heat(c: Comparison) -> str:
    return (
        "Energy fluctuations β² var(E)/N of the dual, without and with the layer's fields, by "
        "block Gibbs sampling with jackknife errors. Thin lines guide the eye. With fields the "
        "maximum is a crossover, not a transition. " + _outside(c)
    )


def _binder(c: Comparison) -> str:
    return (
        "The family in which each unit of the dual is copied k times and the weights are divided "
        "by k, fields dropped; N spins each. Jackknife errors over replicas. In the limit the "
        f"curves cross at the saddle point's T_c, at the mean-field value {BINDER_MEAN_FIELD:.4f} "
        "(dotted). Grey: error of the crossing of the two largest sizes. "
        "This is about the family; the layer itself is one finite system. " + _outside(c)
    )


def _spectrum(c: Comparison) -> str:
    return (
        "Singular values of the block of couplings between inputs and outputs, beside one "
        "shuffle of the same entries. The largest one is the saddle point's critical temperature "
        "(fields dropped); a gap below it, where the shuffled entries have none, means that one "
        "mode orders first."
    )


def _likelihood(c: Comparison) -> str:
    fit = c.temperature
    edge = "The maximum is at the end of the grid: there is no best T. " if fit.at_edge else ""
    return (
        f"Mean log-{fit.kind} of the layer's patterns under the free dual (inputs summed over, "
        f"exact fields). {edge}Shaded: 95 % interval of the best T, bootstrap over inputs. "
        "Horizontal lines: value on the half of the inputs on which nothing was chosen, for the "
        "dual at its best T and for independent units. The axis is cut below. " + _outside(c)
    )


def _outside(c: Comparison) -> str:
    T = c.criticality.curves.temperatures
    return "" if T.min() <= 1.0 <= T.max() else "T = 1 may lie outside the axis."


_TALL = (4.2, 4.1)

FIGURES = (
    FigureEntry(
        "forest",
        "The measured exponent and what each model predicts",
        lambda c, ax: observed.forest(c, ax=ax),
        _forest,
    ),
    FigureEntry(
        "rank_frequency",
        "Pattern frequency by rank",
        observed.rank_frequency,
        _rank_frequency,
        (4.2, 4.3),
    ),
    FigureEntry("ccdf", "Counts of patterns", observed.ccdf, _ccdf),
    FigureEntry("p_of_m", "Magnetisation of the layer", observed.p_of_m, _p_of_m),
    FigureEntry("likelihood", "Temperature of the data", dual.likelihood, _likelihood, _TALL),
    FigureEntry(
        "magnetisation", "Order parameter of the dual", dual.magnetisation, _magnetisation, _TALL
    ),
    FigureEntry(
        "susceptibility", "Susceptibility of the dual", dual.susceptibility, _susceptibility, _TALL
    ),
    FigureEntry(
        "specific_heat", "Specific heat of the dual", dual.specific_heat, _specific_heat, _TALL
    ),
    FigureEntry("binder", "Binder cumulant of the replicated dual", dual.binder, _binder, _TALL),
    FigureEntry("spectrum", "Spectrum of the couplings", dual.spectrum, _spectrum),
    FigureEntry("nodes", "Frequencies of single nodes", observed.nodes, _nodes),
    FigureEntry("weights_ccdf", "Sizes of the weights", observed.weights_ccdf, _weights_ccdf),
)
