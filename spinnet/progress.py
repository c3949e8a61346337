"""Progress on standard error: a bar with the time left on a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

_TENTHS = 10
_shown: list[Any] = []  # the bars that people see now
_noticed: set[str] = set()


class ProgressBar:
    """Counts steps and says nothing."""

    def update(self, n: int = 1) -> None:
        """Count `n` steps that were done just now."""

    def skip(self, n: int) -> None:
        """Count `n` steps that were done before, and took no time now."""

    def note(self, text: str) -> None:
        """Show a line of text beside the bar."""

    def close(self) -> None:
        """End."""

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _TerminalBar(ProgressBar):
    """A bar of tqdm, with the speed and the time left."""

    def __init__(self, total: int, unit: str) -> None:
        from tqdm import tqdm

        self._bar: Any = tqdm(total=total, unit=unit, leave=False, dynamic_ncols=True)

    def update(self, n: int = 1) -> None:
        self._bar.update(n)

    def skip(self, n: int) -> None:
        self._bar.initial += n
        self._bar.n += n
        self._bar.refresh()

    def note(self, text: str) -> None:
        self._bar.write(text, file=sys.stderr)

    def close(self) -> None:
        self._bar.close()
        _forget(self)


class _LogLines(ProgressBar):
    """One line for each tenth of the work: what a log file can take."""

    def __init__(self, total: int, unit: str) -> None:
        self._total, self._unit = total, unit
        self._done = self._skipped = self._shown = 0
        self._start = time.monotonic()

    def update(self, n: int = 1) -> None:
        self._done += n
        tenth = _TENTHS * self._done // self._total if self._total else 0
        if tenth > self._shown:
            self._shown = tenth
            self._print()

    def skip(self, n: int) -> None:
        self._done += n
        self._skipped += n
        self._shown = _TENTHS * self._done // self._total if self._total else 0

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        _forget(self)

    def _print(self) -> None:
        spent = time.monotonic() - self._start
        left = spent * (self._total - self._done) / max(1, self._done - self._skipped)
        print(
            f"{100 * self._done // self._total:3d} %  {self._done} of {self._total} "
            f"{self._unit}s, {duration(spent)} so far, {duration(left)} left",
            file=sys.stderr,
            flush=True,
        )


def progress_bar(total: int, show: bool, unit: str = "step") -> ProgressBar:
    """Return a progress bar, also as a context manager; silent unless `show`.

    On a terminal it is a bar with the time left; else it prints one line for each 10 %.
    """
    if not show:
        return ProgressBar()
    bar = _TerminalBar(total, unit) if sys.stderr.isatty() else _LogLines(total, unit)
    _shown.append(bar)
    return bar


def _forget(bar: ProgressBar) -> None:
    if bar in _shown:
        _shown.remove(bar)


def notice(text: str) -> None:
    """Tell of something that takes time, once in a process, where a progress bar is shown."""
    if _shown and text not in _noticed:
        _noticed.add(text)
        _shown[-1].note(text)


def duration(seconds: float) -> str:
    """Return for example ``"0:07"``, ``"1:02:03"`` or ``"2 days 3:04:05"``; "?" for NaN."""
    if not seconds < float("inf"):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours}:{minutes:02d}:{rest:02d}" if days or hours else f"{minutes}:{rest:02d}"
    return f"{days} day{'s' * (days > 1)} {clock}" if days else clock
