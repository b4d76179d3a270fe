"""One trial of a fault: where it may write, what is drawn for it, and what came of it."""

import itertools
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

MOST_CASES = 200
"""How many cases of a fault a whole run has, where not all of them: an hour would be too long."""
ALL_CASES = sys.maxsize
"""For a fault that has every case in a whole run."""


@dataclass(frozen=True)
class Outcome:
    """How often a fault was injected, how many events were acknowledged, and where they were afterwards.

    `found` counts acknowledged events, `duplicated` their copies beyond the first; `problems` says what else was wrong;
    `missed` counts the cases that did not come to pass: a run made a call less than the one that listed them.
    """

    injected: int = 0
    acknowledged: int = 0
    found: int = 0
    duplicated: int = 0
    lost: int = 0
    problems: tuple[str, ...] = ()
    missed: int = 0

    def __add__(self, other: "Outcome") -> "Outcome":
        """Add up two trials of one fault."""
        return Outcome(
            self.injected + other.injected,
            self.acknowledged + other.acknowledged,
            self.found + other.found,
            self.duplicated + other.duplicated,
            self.lost + other.lost,
            self.problems + other.problems,
            self.missed + other.missed,
        )

    def named(self, case: object) -> "Outcome":
        """Begin each problem with the case that it is of."""
        return replace(self, problems=tuple(f"{case}: {one}" for one in self.problems))

    def with_problems(self, *problems: str) -> "Outcome":
        """Add what else was wrong."""
        return self + Outcome(problems=problems)


@dataclass
class Trial:
    """What a fault's trial works with; what is drawn from `random` is the same for the same seed and fault."""

    scratch: Path
    random: random.Random
    whole: bool
    step: Callable[[int, int], None] = lambda _done, _of: None
    """Told how many cases of how many are done."""
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def directory(self) -> Path:
        """Make a new directory."""
        path = self.scratch / f"{next(self._numbers):04d}"
        path.mkdir(parents=True)
        return path

    def sample(self, cases: Sequence[T], bounded: int, at_most: int = MOST_CASES) -> list[T]:
        """Return the cases of a whole run, all of them unless they are more than `at_most`, or of a bounded one."""
        count = at_most if self.whole else bounded
        return list(cases) if len(cases) <= count else self.random.sample(list(cases), count)

    def each(self, cases: Sequence[T], run: Callable[[T], Outcome]) -> Outcome:
        """Run cases one after the other and add up what came of them."""
        total = Outcome()
        for number, case in enumerate(cases):
            self.step(number, len(cases))
            total += run(case)
        self.step(len(cases), len(cases))
        return total
