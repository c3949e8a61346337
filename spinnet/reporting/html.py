"""Pieces of HTML: every text that goes in is escaped here."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence


def text(value: object) -> str:
    """Return a value as escaped text."""
    return html.escape(str(value), quote=True)


def paragraph(value: object, kind: str = "") -> str:
    """Return an escaped paragraph, with a class where given."""
    return f"<p{_class(kind)}>{text(value)}</p>"


def bullets(items: Iterable[object]) -> str:
    """Return an unordered list of escaped items."""
    return "<ul>\n" + "\n".join(f"<li>{text(item)}</li>" for item in items) + "\n</ul>"


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: Sequence[int] = (),
    marked: Sequence[int] = (),
) -> str:
    """Return a table that scrolls sideways where the page is narrow.

    Parameters
    ----------
    caption : str
    head : sequence of str
    rows : iterable of sequences
        The first cell of each row names it.
    numbers : sequence of int
        Columns that hold numbers: they are not broken over lines.
    marked : sequence of int
        Rows to highlight.
    """
    lines = ["<tr>" + "".join(f'<th scope="col">{text(cell)}</th>' for cell in head) + "</tr>"]
    body = []
    for k, row in enumerate(rows):
        cells = [f'<th scope="row">{text(row[0])}</th>']
        for column, cell in enumerate(row[1:], start=1):
            cells.append(f"<td{_class('number' if column in numbers else '')}>{text(cell)}</td>")
        body.append(f"<tr{_class('marked' if k in marked else '')}>{''.join(cells)}</tr>")
    lines += body
    # focusable, so that it scrolls by keyboard too
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}">\n'
        f"<table>\n<caption>{text(caption)}</caption>\n<thead>\n{lines[0]}\n</thead>\n<tbody>\n"
        + "\n".join(lines[1:])
        + "\n</tbody>\n</table>\n</div>"
    )


def figure(svg: str, caption: str, name: str) -> str:
    """Return a figure: `svg` is trusted markup, the caption is escaped."""
    title, _, rest = caption.partition(". ")
    words = f"<figcaption><strong>{text(title)}.</strong> {text(rest)}</figcaption>"
    return f'<figure id="{text(name)}">\n{svg}\n{words}\n</figure>'


def code(value: str) -> str:
    """Return a block of code."""
    return f'<pre tabindex="0"><code>{text(value)}</code></pre>'


def number(value: float, digits: int = 3) -> str:
    """Return a number for a table, or a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def interval(pair: Sequence[float], digits: int = 3, missing: str = "–") -> str:
    """Return an interval for a table, or `missing` for NaN."""
    if math.isnan(pair[0]) or math.isnan(pair[1]):
        return missing
    return f"[{number(pair[0], digits)}, {number(pair[1], digits)}]"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1rem 1rem 3rem; max-width: 66rem; background: #fff; color: #1a1a1a;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: break-word;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0; }
h2 { font-size: 1.3rem; line-height: 1.25; margin: 2.5rem 0 0.5rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 0.25rem; }
p, ul, figcaption { max-width: 46rem; }
a { color: #00568a; }
.lead, .origin { color: #444; }
.verdict { margin: 1rem 0; padding: 0.75rem 1rem; border-left: 0.4rem solid #0072b2;
  background: #eaf3f9; max-width: none; }
.verdict p { margin: 0.25rem 0; }
.verdict .sentence { font-size: 1.2rem; font-weight: 650; }
.warning { border-left: 0.4rem solid #d55e00; background: #fcefe6; padding: 0.5rem 1rem; }
.scroll { overflow-x: auto; margin: 0.75rem 0 1.25rem; }
table { border-collapse: collapse; font-size: 0.875rem; line-height: 1.35; }
caption { text-align: left; font-weight: 600; padding: 0.25rem 0; }
th, td { padding: 0.3rem 0.7rem 0.3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #ddd; }
thead th { border-bottom: 2px solid #666; vertical-align: bottom; }
tbody th { font-weight: 500; min-width: 7.5rem; }
.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
td:not(.number) { min-width: 7rem; }
.marked { background: #f4f4f4; }
.figures { display: grid; gap: 1.5rem 2rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; max-width: 34rem; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { font-size: 0.875rem; line-height: 1.4; color: #333; margin-top: 0.4rem; }
pre { overflow-x: auto; padding: 0.75rem 1rem; background: #f4f4f4; font-size: 0.8125rem; }
code { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; }
@media print {
  @page { margin: 15mm; }
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  .figures { grid-template-columns: 1fr 1fr; gap: 5mm; }
  figure, .verdict, tr, pre { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
  section + section { break-before: page; }
  .scroll { overflow: visible; break-inside: avoid; }
  tbody th { min-width: 0; }
  table { font-size: 7.5pt; width: 100%; }
  figcaption { font-size: 7.5pt; }
  .number { white-space: normal; }
  td:not(.number) { min-width: 0; }
  pre { white-space: pre-wrap; }
  a { color: inherit; text-decoration: none; }
}
"""
