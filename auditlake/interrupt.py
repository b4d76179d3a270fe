"""Ctrl-C that ends a long work between two steps, so that nothing of it is lost."""

import signal
import time
from types import FrameType, TracebackType
from typing import Self


class Interrupt:
    """While entered, the first Ctrl-C asks to stop after the batch in flight; the second one stops at once."""

    _SLICE_S = 0.1

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than until Ctrl-C."""
        end = time.monotonic() + seconds
        while not self.requested and (rest := end - time.monotonic()) > 0:
            time.sleep(min(self._SLICE_S, rest))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            signal.default_int_handler(number, frame)
        self.requested = True
