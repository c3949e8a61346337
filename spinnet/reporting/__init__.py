"""One self-contained HTML page for one or several comparisons.

Figures are embedded as SVG, the style sheet is inline, and there is no script: the page opens
without a network, on a telephone, and prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spinnet.comparison import Comparison
from spinnet.errors import InputError
from spinnet.files import check_writable, write_atomically

__all__ = ["report"]


def report(comparisons: Comparison | Sequence[Comparison], path: str | Path) -> Path:
    """Write an HTML page with the verdict, tables, figures and provenance.

    Parameters
    ----------
    comparisons : Comparison, or sequence of Comparison
        Of ``spinnet.compare``.  Several get a table of contents and a section each.
    path : str or Path
        The file to write; an existing one is replaced once the page is complete.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    InputError
        If something else than comparisons is given, or the file cannot be written; nothing is
        left half-written.

    Examples
    --------
    >>> import spinnet as sn
    >>> sn.report(3, "report.html")
    Traceback (most recent call last):
    spinnet.errors.InputError: comparisons must be a Comparison or a list of them, got int
    """
    checked = _checked(comparisons)
    if not isinstance(path, (str, Path)):
        raise InputError(f"path must be a str or Path, got {type(path).__name__}")
    target = check_writable(path, "path")
    from spinnet.reporting.page import page

    text = page(checked).encode("utf-8")
    return write_atomically(target, lambda stream: stream.write(text))


def _checked(comparisons: object) -> list[Comparison]:
    allowed = "comparisons must be a Comparison or a list of them"
    if isinstance(comparisons, Comparison):
        return [comparisons]
    if isinstance(comparisons, (str, bytes)) or not isinstance(comparisons, Sequence):
        raise InputError(f"{allowed}, got {type(comparisons).__name__}")
    if not comparisons:
        raise InputError(f"{allowed}, got an empty {type(comparisons).__name__}")
    for k, item in enumerate(comparisons):
        if not isinstance(item, Comparison):
            raise InputError(f"{allowed}, got {type(item).__name__} at index {k}")
    return list(comparisons)
