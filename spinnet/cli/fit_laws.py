"""The laws that ``spinnet fit`` fits: what each prints, stores and draws."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError, SpinnetError, SpinnetWarning, StatisticsError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinnet.tails.dependence import Independence
    from spinnet.tails.powerlaw import PowerLawFit
    from spinnet.tails.tail_index import TailIndex

Floats = NDArray[np.float64]
Draw = Callable[["Axes"], object]

_LARGEST_SCAN = 30_000  # different values: the scan over xmin takes 0.5 s
_LARGEST_CHOICE = 300_000  # values: the double bootstrap takes 10 s
_RULED_OUT = 0.1  # Clauset, Shalizi and Newman, section 4.1
_LEVEL = 0.05
_LARGEST_BLOCKS = 200_000  # values: 200 resamples take 10 s
_LEAST_BLOCKS = 20  # resamples that block_bootstrap takes
_RESAMPLES = 200  # of the choice of k


@dataclass
class Report:
    """What one law says about a sample.

    Attributes
    ----------
    sections : list of str
        Paragraphs to print.
    record : dict
        For the JSON file.
    panels : list of functions of axes
        Figures, in order.
    cautions : list of str
        What a reader must know before quoting a number.
    """

    sections: list[str] = field(default_factory=list)
    record: dict[str, object] = field(default_factory=dict)
    panels: list[Draw] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)


def analyse(values: NDArray[Any], options: argparse.Namespace) -> Report:
    """Fit the law that `options` name."""
    report = Report()
    with _collecting(report.cautions):
        _LAWS[options.law](values, options, report)
    return report


@contextmanager
def _collecting(cautions: list[str]) -> Iterator[None]:
    """Turn spinnet's warnings into cautions, and let others pass."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SpinnetWarning)
        yield
    for entry in caught:
        if issubclass(entry.category, SpinnetWarning):
            if str(entry.message) not in cautions:
                cautions.append(str(entry.message))
        else:
            warnings.warn_explicit(entry.message, entry.category, entry.filename, entry.lineno)


def _power_law(values: NDArray[Any], options: argparse.Namespace, report: Report) -> None:
    from spinnet.tails.powerlaw import fit_power_law

    if options.absolute:
        values = _sizes(values)
    if values.dtype.kind in "if" and (values < 0).any():
        raise InputError(
            f"{int(np.count_nonzero(values < 0))} of {values.size} values are negative, and a "
            "power law has no mass there; --absolute fits their sizes"
        )
    if options.zeros == "refuse" and not values.all():
        raise InputError(
            f"{int(values.size - np.count_nonzero(values))} of {values.size} values are zero, and "
            "a power law has no mass there; --zeros drop leaves them out"
        )
    fit = fit_power_law(
        values,
        options.discrete,
        options.xmin,
        xmax=options.xmax,
        min_tail=options.min_tail,
        convention=options.convention,
        zeros=options.zeros,
        n_bootstrap=options.bootstrap,
        workers=options.workers,
        rng=options.seed,
        progress=_shows_progress(options),
    )
    report.record["fit"] = fit.to_dict()
    meaning = "\n  p tests the law above this xmin only, and other laws may pass too"
    report.sections.append(fit.summary() + (meaning if options.bootstrap else ""))
    report.panels.append(fit.plot)
    if options.bootstrap and fit.p_value < _RULED_OUT:
        report.cautions.append(
            f"p = {fit.p_value:.3f} < {_RULED_OUT}: the tail above xmin is no power law, or its "
            "values are not independent"
        )
    if not options.bootstrap:
        report.cautions.append("no p-value and no error of xmin: --bootstrap 200 makes them")
    if fit.decades < 1.0:
        report.cautions.append(f"the tail spans only {fit.decades:.2f} decades")
    _scan(fit, values, options, report)
    _alternatives(fit, report)
    positive = np.asarray(values[values > 0], dtype=np.float64)
    _tail_indices(positive, options, report)
    _independence(positive, options, report)


def _sizes(values: NDArray[Any]) -> NDArray[Any]:
    """Return |x|, that of the least integer too, for which only the unsigned type has room."""
    sizes: NDArray[Any] = np.abs(values)
    return sizes.view(sizes.dtype.str.replace("i", "u")) if sizes.dtype.kind == "i" else sizes


def _scan(
    fit: PowerLawFit, values: NDArray[Any], options: argparse.Namespace, report: Report
) -> None:
    distinct = np.unique(values).size
    if distinct > _LARGEST_SCAN:
        report.record["scan"] = None
        report.cautions.append(
            f"the scan over xmin is left out: {distinct} different values are more than "
            f"{_LARGEST_SCAN}"
        )
        return
    scan = fit.scan(progress=_shows_progress(options))
    report.record["scan"] = scan.to_dict()
    if scan.xmin.size > 1:  # a single candidate spans no axis
        report.panels.append(scan.plot)
    report.sections.append(scan.summary())


def _alternatives(fit: PowerLawFit, report: Report) -> None:
    from spinnet.tails.powerlaw.alternatives import ALTERNATIVE_NAMES, LikelihoodRatio
    from spinnet.tails.powerlaw.alternatives.comparison import tabulate

    report.record["alternatives"] = None
    if fit.xmax is not None:
        report.cautions.append("alternatives are not compared below an upper cut-off --xmax")
        return
    found: list[LikelihoodRatio] = []
    skipped: dict[str, str] = {}
    for name in ALTERNATIVE_NAMES:
        try:
            found.append(fit.compare(name))
        except SpinnetError as error:  # one law without a fit leaves the others
            skipped[name] = str(error)
    report.record["alternatives_skipped"] = skipped
    lines = [f"  {name}: not fitted ({reason})" for name, reason in skipped.items()]
    if found:
        table = tabulate(found)
        report.record["alternatives"] = table.to_dict()
        report.panels.append(table.plot)
        lines = [
            "laws of the same tail (R > 0 favours the power law):",
            *(f"  {line}" for line in table.summary().splitlines()),
            *lines,
        ]
    report.sections.append("\n".join(lines))
    for ratio in found:
        p = ratio.nested_p_value if ratio.nested else ratio.p_value
        if ratio.ratio < 0 and p < _LEVEL:
            report.cautions.append(
                f"the law {ratio.alternative!r} fits the tail better (p = {p:.2g})"
            )


def _tail_indices(x: Floats, options: argparse.Namespace, report: Report) -> None:
    """Add the three tail indices, which assume no power law below the tail."""
    from spinnet.tails.tail_index import tail_index

    whole = bool(np.all(x == np.rint(x)))
    k = None if x.size <= _LARGEST_CHOICE else max(2, round(x.size**0.5))
    found: list[TailIndex] = []
    for method in ("hill", "moments", "kernel"):
        try:
            result = tail_index(
                x,
                method,
                k,
                n_bootstrap=_RESAMPLES,
                noise=whole,
                rng=options.seed,
                progress=_shows_progress(options),
            )
        except StatisticsError as error:
            report.cautions.append(f"no {method} tail index: {error}")
            continue
        found.append(result)
    report.record["tail_index"] = [result.to_dict() for result in found]
    if not found:
        return
    lines = ["tail indices (xi = 1/(alpha - 1), no law assumed below the tail):"]
    for result in found:
        lines.append(
            f"  {result.method:8s} xi = {result.xi:.3f} +- {result.error:.3f}, {_exponent(result)} "
            f"(k = {result.k})"
        )
    if whole:
        lines.append("  with uniform noise on (-1/2, 1/2), which breaks the ties of whole numbers")
    if k is not None:
        lines.append(f"  k = sqrt(n): its choice by resamples is left out for {x.size} values")
    report.sections.append("\n".join(lines))
    report.cautions += _tail_cautions(found)
    report.panels.append(found[0].plot)


def _exponent(result: TailIndex) -> str:
    """Return alpha as far as it is known: an interval of xi that reaches 0 bounds it from below."""
    if result.ci[0] > 0.0:
        return f"alpha = {result.alpha:.3f} +- {result.alpha_error:.3f}"
    return "no power-law tail" if result.ci[1] <= 0.0 else f"alpha > {1 + 1 / result.ci[1]:.2f}"


def _tail_cautions(found: list[TailIndex]) -> list[str]:
    by_note: dict[str, list[str]] = {}
    for result in found:
        for note in result.notes:
            by_note.setdefault(note, []).append(result.method)
    cautions = [f"tail index ({', '.join(names)}): {note}" for note, names in by_note.items()]
    # the Hill estimate is above zero whatever the sample
    light = [r.method for r in found if r.method != "hill" and r.ci[0] <= 0.0]
    if light:
        cautions.append(
            f"tail index ({', '.join(light)}): not above zero by its error, so that the largest "
            "values do not tell a power law from a lighter tail"
        )
    return cautions


def _independence(x: Floats, options: argparse.Namespace, report: Report) -> None:
    from spinnet.tails.dependence import check_independence

    report.record["independence"] = None
    steps = np.diff(x)
    if (steps >= 0).all() or (steps <= 0).all():
        report.sections.append(
            "independence: not checked, the values are sorted and their order says nothing"
        )
        return
    try:
        check = check_independence(x, rng=options.seed)
    except StatisticsError as error:
        report.sections.append(f"independence: not checked ({error})")
        return
    report.record["independence"] = check.to_dict()
    report.sections.append(check.summary())
    if check.independent:
        return
    instead = (
        "take the errors of the block bootstrap and the p-value of the thinned series"
        if options.bootstrap
        else "--bootstrap 200 makes errors from blocks and the p-value of a thinned series"
    )
    report.cautions.append(
        "successive values depend on each other, if their order means anything: errors and "
        f"p-values, of other laws too, are too small; {instead}"
    )
    report.panels.append(check.plot)
    if options.bootstrap:
        _dependent(x, check, options, report)


def _dependent(x: Floats, check: Independence, options: argparse.Namespace, report: Report) -> None:
    """Add what stands for dependent values: errors from blocks, p from the thinned series."""
    from spinnet.tails.dependence import block_bootstrap
    from spinnet.tails.powerlaw import fit_power_law

    report.record["block_bootstrap"] = report.record["thinned_fit"] = None
    if x.size > _LARGEST_BLOCKS:
        report.sections.append(f"block bootstrap: left out for {x.size} values")
    else:
        try:
            blocks = block_bootstrap(
                x,
                n_bootstrap=max(options.bootstrap, _LEAST_BLOCKS),
                discrete=options.discrete,
                xmin=options.xmin,
                xmax=options.xmax,
                min_tail=options.min_tail,
                convention=options.convention,
                rng=options.seed,
                progress=_shows_progress(options),
            )
        except StatisticsError as error:
            report.sections.append(f"block bootstrap: no errors ({error})")
        else:
            report.record["block_bootstrap"] = blocks.to_dict()
            report.sections.append(blocks.summary())
    try:
        thinned = fit_power_law(
            check.thinned(x),
            options.discrete,
            options.xmin,
            xmax=options.xmax,
            min_tail=options.min_tail,
            convention=options.convention,
            n_bootstrap=options.bootstrap,
            workers=options.workers,
            rng=options.seed,
        )
    except StatisticsError as error:
        report.sections.append(f"thinned series: not fitted ({error})")
        return
    report.record["thinned_fit"] = thinned.to_dict()
    report.sections.append(f"thinned series, {thinned.summary()}")


def _zipf(values: NDArray[Any], options: argparse.Namespace, report: Report) -> None:
    from spinnet.tails.rank import diagnose_counts, fit_zipf, rank_exponents

    fit = fit_zipf(
        values,
        options.model,
        k_min=options.k_min,
        n_bootstrap=options.bootstrap,
        rng=options.seed,
        force=options.force,
        progress=_shows_progress(options),
    )
    report.record["fit"] = fit.to_dict()
    report.record["diagnostics"] = diagnose_counts(values, k_min=options.k_min).to_dict()
    report.sections.append(_without_cautions(fit.summary()))
    report.panels.append(fit.plot)
    if not options.bootstrap:
        report.cautions.append(
            "no p-value, and an error as for known ranks, too small: --bootstrap 200 makes both"
        )
    elif fit.p_value < _RULED_OUT:
        report.cautions.append(
            f"p = {fit.p_value:.3f} < {_RULED_OUT}: counts drawn from this law lie nearer to it"
        )
    table = fit.compare_all(n_bootstrap=min(options.bootstrap, 99), rng=options.seed)
    report.record["alternatives"] = table.to_dict()
    report.sections.append(table.summary())
    report.panels.append(table.plot)
    # under the law itself another often has the smaller AIC, for ranks come in order of count
    if table.best != table.model and not table[table.best].bootstrap_p_value >= _RULED_OUT:
        report.cautions.append(
            f"the law {table.best!r} fits the ranks better (AIC less by "
            f"{-table[table.best].delta_aic:.3g}); with many inputs every small misfit counts: "
            "compare the column KL"
        )
    exponents = rank_exponents(
        values, k_min=options.k_min, rng=options.seed, force=bool(options.force)
    )
    report.record["exponents"] = exponents.to_dict()
    report.sections.append(_without_cautions(exponents.summary()))


def _without_cautions(summary: str) -> str:
    """Return a summary without the cautions that end the report, said once."""
    return "\n".join(line for line in summary.splitlines() if "caution:" not in line)


def _stable(values: NDArray[Any], options: argparse.Namespace, report: Report) -> None:
    from spinnet.tails.stable.fitting import fit

    found = fit(values, parametrization=options.parametrization)
    report.record["fit"] = found.to_dict()
    report.sections.append(found.summary())
    for kind in ("density", "log-density", "tails"):
        report.panels.append(partial(found.plot, kind=kind))


def _families(values: NDArray[Any], options: argparse.Namespace, report: Report) -> None:
    from spinnet.tails.families import compare_families

    found = compare_families(
        _sizes(values) if options.absolute else values,
        n_bootstrap=options.bootstrap,
        rng=options.seed,
        progress=_shows_progress(options),
    )
    report.record["fit"] = found.to_dict()
    report.sections.append(found.summary())
    for kind in ("density", "tails", "qq"):
        report.panels.append(partial(found.plot, kind=kind))


_LAWS: Mapping[str, Callable[[NDArray[Any], argparse.Namespace, Report], None]] = {
    "power-law": _power_law,
    "zipf": _zipf,
    "stable": _stable,
    "families": _families,
}


def _shows_progress(options: argparse.Namespace) -> bool:
    return not options.quiet and sys.stderr.isatty()
