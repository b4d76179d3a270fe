"""What goes wrong now and since when, for the status and the metrics: a log line alone reaches no monitoring."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """What goes wrong, in a sentence, and since when (epoch ms, UTC)."""

    sentence: str
    since_ms: int


class Problems:
    """The problems that last, each of one thing; any thread may call."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin without any; `clock` gives the epoch time in seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._lasting: dict[Hashable, Problem] = {}

    def begin(self, of: Hashable, sentence: str) -> bool:
        """Note what goes wrong with `of`, since the first time that it did; returns whether this is the first."""
        with self._lock:
            before = self._lasting.get(of)
            since_ms = int(self._clock() * 1000) if before is None else before.since_ms
            self._lasting[of] = Problem(sentence, since_ms)
        return before is None

    def end(self, of: Hashable) -> bool:
        """Note that all is well with `of`; returns whether it was not."""
        with self._lock:
            return self._lasting.pop(of, None) is not None

    def joined(self) -> Problem | None:
        """Return all of them as one, None when there is none."""
        with self._lock:
            return join(*self._lasting.values())


def join(*problems: Problem | None) -> Problem | None:
    """Return problems as one: each sentence once, since the first of them."""
    found = [problem for problem in problems if problem is not None]
    if not found:
        return None
    sentences = dict.fromkeys(problem.sentence for problem in found)
    return Problem(" ".join(sentences), min(problem.since_ms for problem in found))
