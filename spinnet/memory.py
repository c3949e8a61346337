"""Refusing work that the machine's memory cannot hold."""

from __future__ import annotations

import os

from spinnet.errors import InputError


def machine_memory() -> float:
    """Return the machine's memory in bytes, infinity where the system does not tell."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return float("inf")
    return memory if memory > 0 else float("inf")


def refuse_beyond_memory(n_bytes: float, what: str, advice: str) -> None:
    """Raise InputError if `n_bytes` are more than this machine's memory."""
    memory = machine_memory()
    if n_bytes > memory:
        raise InputError(
            f"{what} would take {n_bytes / 1e9:.4g} GB, more than the machine's "
            f"{memory / 1e9:.4g} GB; {advice}"
        )
