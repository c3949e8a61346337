"""Compilation by Numba, cached on disk where a folder can be written.

Numba looks for a newer cache only when the file of the function itself changes.  A function
that calls compiled functions of another file keeps their old code: after editing these, touch
its file, or delete ``__pycache__``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function; `options` are those of ``numba.njit``."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # a read-only installation and no home: compiled in each process
            return njit(**options)(function)

    return decorate
