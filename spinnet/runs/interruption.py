"""Ctrl-C and SIGTERM that wait for a moment at which the work can be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Raised inside :func:`deferred_interrupts` by work that was asked to stop, and has saved."""


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], bool]]:
    """Note SIGINT and SIGTERM instead of acting on them; act when the block has ended.

    Gives a function that says whether the work is asked to stop.  Work that sees it saves,
    and raises :class:`Interrupted`.  The signal is then passed on to whoever handled it before:
    Ctrl-C is a KeyboardInterrupt, and SIGTERM ends the process unless it is handled.  A second
    signal does not wait.  A signal that was ignored stays ignored.  Outside of the main thread,
    which alone can handle signals, nothing is deferred.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: old for number, old in before.items() if old != signal.SIG_IGN}

    def restore() -> None:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            restore()
            signal.raise_signal(number)

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: bool(received)
    except Interrupted:
        pass
    finally:
        restore()
    if received:
        signal.raise_signal(received[0])
        raise KeyboardInterrupt  # where the old handler let it pass
