"""The page: its sections, in the order in which a reader needs them."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import spinnet
from spinnet import plotting
from spinnet.comparison.figures import FIGURES, caption
from spinnet.reporting import html, words
from spinnet.reporting.html import interval, number
from spinnet.spins.statistics import format_with_error

if TYPE_CHECKING:
    from spinnet.comparison import Comparison
    from spinnet.comparison.predictions import Prediction

_KEYS = ("patterns.alpha", "patterns.zipf", "nodes.zipf", "layer.alpha")


def page(comparisons: Sequence[Comparison]) -> str:
    """Return the whole page."""
    several = len(comparisons) > 1
    first = comparisons[0]
    title = f"Layer {first.layer} and its dual spin system"
    if several:
        title = f"{len(comparisons)} layers and their dual spin systems"
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    parts = [
        f"<h1>{html.text(title)}</h1>",
        html.paragraph(
            f"Measured power laws of a trained network against those of the spin system dual to "
            f"it, and against null models. Written by spinnet {spinnet.__version__} on {written}.",
            "lead",
        ),
    ]
    if several:
        parts.append(_contents(comparisons))
    for k, item in enumerate(comparisons, start=1):
        parts.append(_section(item, f"c{k}", heading=several))
    parts.append(_versions(written))
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.text(title)}</title>\n<style>{html.STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _contents(comparisons: Sequence[Comparison]) -> str:
    items = [
        f'<li><a href="#c{k}">{html.text(_name(c))}</a>: {html.text(c.verdict.text)}</li>'
        for k, c in enumerate(comparisons, start=1)
    ]
    return '<nav aria-label="Contents">\n<ol>\n' + "\n".join(items) + "\n</ol>\n</nav>"


def _name(c: Comparison) -> str:
    return f"Layer {c.layer} ({c.shape[0]} inputs, {c.shape[1]} nodes)"


def _section(c: Comparison, prefix: str, *, heading: bool) -> str:
    parts = [
        f"<h2>{html.text(_name(c))}</h2>" if heading else "",
        _verdict(c),
        _figures(c, prefix, ("forest", "rank_frequency")),
        _subject(c),
        "<h3>Is the dual a model of this layer?</h3>",
        _gate(c),
        "<h3>Measured exponents</h3>",
        _measured(c),
        _figures(c, prefix, ("ccdf", "p_of_m", "nodes", "weights_ccdf")),
        "<h3>What the models predict for the same estimators</h3>",
        _predictions(c),
        "<h3>Temperatures</h3>",
        _temperatures(c),
        _figures(c, prefix, ("likelihood", "magnetisation", "susceptibility", "specific_heat")),
        "<h3>Critical exponents of the dual</h3>",
        _dual_exponents(c),
        _figures(c, prefix, ("binder", "spectrum")),
        "<h3>How this was made</h3>",
        _provenance(c),
    ]
    body = "\n".join(part for part in parts if part)
    return f'<section id="{prefix}">\n{body}\n</section>'


def _verdict(c: Comparison) -> str:
    says, not_says = words.meaning(c.verdict.text)
    return (
        '<div class="verdict">\n'
        + html.paragraph(f"Verdict: {c.verdict.text}", "sentence")
        + html.paragraph(says)
        + (html.paragraph(not_says) if not_says else "")
        + "\n</div>\n"
        + html.paragraph("It rests on:")
        + html.bullets(reason.replace("+-", "±").replace(">=", "≥") for reason in c.verdict.reasons)
    )


def _subject(c: Comparison) -> str:
    patterns, layer = c.observables.pattern_frequencies, c.observables.layer_activation
    text = (
        f"{_name(c)}, {c.n_inputs} distinct inputs. {patterns.whole.distinct} distinct patterns "
        f"of active nodes occur; the chance that one more image shows a known pattern is "
        f"{patterns.whole.coverage:.3f}. Magnetisation m = 2 (fraction of active nodes) − 1: "
        f"mean {number(float(layer.magnetization.mean()))}, N var(m) = "
        f"{number(layer.n_var_m)} ± {number(layer.n_var_m_error)}, Binder cumulant "
        f"{number(layer.binder)} ± {number(layer.binder_error)}. "
        f"Dual: {c.dual}, in natural units: k_B = 1, and T = 1 is the network as it is."
    )
    if not c.studied.is_whole:
        text += (
            f" The layer has too many nodes for this many inputs: patterns are those of "
            f"{len(c.studied.subsets[0])} nodes, averaged over {len(c.studied.subsets)} random "
            "subsets."
        )
    return html.paragraph(text)


def _gate(c: Comparison) -> str:
    gate = c.gate
    words_ = (
        "The gate is passed: with the layer's true inputs held fixed, the dual does what the "
        "layer did."
        if gate.passed
        else "The gate FAILED: with the layer's true inputs held fixed, the dual does not do what "
        "the layer did. What follows about the dual is not about this layer."
    )
    rows = (
        ("bits right at T → 0", number(gate.accuracy), number(gate.baseline_accuracy)),
        (
            "log-loss at T = 1 (nats per node)",
            number(gate.log_loss),
            number(gate.baseline_log_loss),
        ),
        ("bits right, worst node", number(gate.worst_node_accuracy), "–"),
        ("bits right, weights without gain", number(gate.accuracy_unit_gain), "–"),
    )
    return html.paragraph(words_, "" if gate.passed else "warning") + html.table(
        f"Validity gate, inputs clamped, gain rule {gate.gain_rule}",
        ("quantity", "dual", "independent nodes"),
        rows,
        numbers=(1, 2),
    )


def _measured(c: Comparison) -> str:
    rows = [
        (
            row.label,
            row.key,
            "–" if math.isnan(row.value) else format_with_error(row.value, row.error),
            interval(row.interval),
            number(row.p_value, 2),
            number(row.decades, 2),
            row.n_points,
            f"{number(row.halves[0])}; {number(row.halves[1])}",
            row.status,
            row.note,
        )
        for row in c.measured
    ]
    head = (
        "observable", "key", "exponent", "95 % interval", "p", "decades", "points",
        "on 1/2; 1/4 of the data", "result", "error and limits",
    )  # fmt: skip
    note = (
        "Digits in brackets are one standard error in the last digits. p is the goodness of fit: "
        "below 0.1 a power law is ruled out. Density exponents (alpha) and exponents of frequency "
        "by rank (zipf) of ideal data obey alpha = 1 + 1/zipf. None of these is to be compared "
        "with the critical exponents of the dual, which are of other quantities."
    )
    table = html.table("Exponents measured on the network", head, rows, numbers=(2, 3, 4, 5, 6, 7))
    return table + html.paragraph(note)


def _predictions(c: Comparison) -> str:
    data = [("DATA", "", *(number(c.exponent(key).value) for key in _KEYS), "", "")]
    on_bits = [item for item in c.predictions if "patterns.alpha" in item.values]
    rows = data + [_prediction_row(c, item) for item in on_bits]
    head = ("model", "replicates made from", *_KEYS, "Holm p (patterns.alpha)", "p (rank curve)")
    tested = [k for k, row in enumerate(rows) if row[-2] not in ("", "–")]
    note = (
        f"95 % predictive intervals of {c.parameters['n_replicates']} replicates, each of the size "
        "of the data. Highlighted models are tested, with p-values adjusted for their number by "
        "Holm's method; the other temperatures show how the dual's exponents move."
    )
    for item in c.predictions:
        if "weights.alpha" in item.values:
            note += (
                f" Tail of the weights: data {number(c.exponent('weights.alpha').value)}, "
                f"{item.model} ({item.detail}) {interval(item.interval('weights.alpha'))}, "
                f"p = {number(item.p_values['weights.alpha'])}."
            )
    numbers = tuple(range(2, 8))
    caption_ = "Predicted exponents"
    return html.table(caption_, head, rows, numbers=numbers, marked=tested) + html.paragraph(note)


def _prediction_row(c: Comparison, item: Prediction) -> tuple[str, ...]:
    cells = [
        interval(item.interval(key), missing=f"too few ({item.n_failed(key)} failed)")
        for key in _KEYS
    ]
    adjusted = c.verdict.adjusted.get(item.model, math.nan)
    return (item.model, item.detail, *cells, number(adjusted), number(item.curve_p_value))


def _temperatures(c: Comparison) -> str:
    fit = c.temperature
    text = (
        f"The free dual is nearest to the data at T = {fit.best:.3f} {interval(fit.interval)} "
        f"(95 %, maximum of the {fit.kind})"
    )
    if fit.at_edge:
        text = (
            f"The {fit.kind} of the data is largest at the end of the grid, T = {fit.best:.3f}: "
            "there is no best temperature"
        )
    held = "; ".join(f"{name} {number(value)}" for name, value in fit.held_out.items())
    reduced = list(c.reduced_temperatures().values())
    rows = [
        (
            item.method,
            item.value_text,
            item.label,
            "–" if math.isnan(t) else f"{t:+.3f} {interval((low, high))}".replace("-", "−"),
            item.note or "–",
        )
        for item, (t, low, high) in zip(c.criticality.temperatures, reduced, strict=True)
    ]
    head = ("method", "T_c", "dual and its fields", "t = (T of the data − T_c)/T_c", "note")
    table = html.table("Critical temperature of the dual", head, rows, numbers=(1, 3))
    distance = ", ".join(
        f"fields {name} {number(value)}"
        for name, value in c.criticality.distance_to_instability.items()
    )
    return (
        html.paragraph(f"{text}. On held-out inputs, nats per pattern: {held}.")
        + table
        + html.paragraph(
            f"Distance of the saddle point at T = 1 from instability (0 is critical): {distance}. "
            f"Mean field: {c.criticality.diagnosis}."
        )
    )


def _dual_exponents(c: Comparison) -> str:
    rows = [
        (
            item.name,
            "not resolved" if math.isnan(item.value) else _value(item.value, item.error),
            f"{item.theory:g}",
            item.method,
        )
        for item in c.criticality.exponents
    ]
    return html.table(
        "Critical exponents, fields dropped, against mean-field theory",
        ("exponent", "value", "theory", "method"),
        rows,
        numbers=(1, 2),
    )


def _value(value: float, error: float) -> str:
    return f"{value:.6f}" if error < 1e-6 else format_with_error(value, error)


def _figures(c: Comparison, prefix: str, names: Sequence[str]) -> str:
    entries = {entry.name: entry for entry in FIGURES}
    drawn = []
    for entry in (entries[name] for name in names):
        name = f"{prefix}-{entry.name.replace('_', '-')}"
        with plotting.style():
            canvas, ax = plotting.new_figure(*entry.size)
            entry.draw(c, ax)
            words_ = caption(c, entry.name)
            title = f"{entry.title}, layer {c.layer}: described in the caption"
            svg = plotting.svg(canvas, f"{name}-svg", title=title)
        drawn.append(html.figure(svg, words_, name))
    return '<div class="figures">\n' + "\n".join(drawn) + "\n</div>"


def _provenance(c: Comparison) -> str:
    rows = [(key, value) for key, value in c.parameters.items()]
    rows += [
        ("seed", c.seed["entropy"]),
        ("seed spawn key", c.seed["spawn_key"] or "none"),
        ("distinct inputs", c.n_inputs),
        ("spinnet", c.version),
        ("computing time", f"{c.seconds:.0f} s"),
    ]
    line = words.command(c)
    parts = [html.table("Parameters of the comparison", ("parameter", "value"), rows)]
    if line:
        parts += [html.paragraph("To make it again on a command line:"), html.code(line)]
    parts += [html.paragraph("In Python:" if line else "To make it again:")]
    parts += [html.code(words.script(c))]
    return "\n".join(parts)


def _versions(written: str) -> str:
    import matplotlib
    import numpy
    import scipy

    rows = (
        ("spinnet", spinnet.__version__),
        ("Python", platform.python_version()),
        ("NumPy", numpy.__version__),
        ("SciPy", scipy.__version__),
        ("Matplotlib", matplotlib.__version__),
        ("written", written),
    )
    table = html.table("Software that wrote this page", ("what", "version"), rows)
    return f"<h2>Versions</h2>\n{table}"
