"""Refusing work that the machine's memory cannot hold."""

from __future__ import annotations

import os

from spinnet.errors import InputError


def refuse_beyond_memory(n_bytes: float, what: str, advice: str) -> None:
    """Raise InputError if `n_bytes` are more than this machine's memory."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # not offered by this system
        return
    if n_bytes > memory > 0:
        raise InputError(
            f"{what} would take {n_bytes / 1e9:.4g} GB, more than the machine's "
            f"{memory / 1e9:.4g} GB; {advice}"
        )
