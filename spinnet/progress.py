"""Progress bars on standard error, loaded only when a long task starts."""

from __future__ import annotations

from typing import Any


def progress_bar(total: int, show: bool, unit: str = "step") -> Any:
    """Return a tqdm bar, also as a context manager; silent unless `show`."""
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, disable=not show, leave=False)
