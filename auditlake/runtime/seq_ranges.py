"""A set of sequence numbers that is nearly one stretch, kept as its stretches."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class SeqRanges:
    """Sequence numbers as disjoint ranges in order, each with its first and last number."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """Begin with these ranges."""
        self._ranges: list[tuple[int, int]] = []
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges in order."""
        return iter(self._ranges)

    def __contains__(self, seq: int) -> bool:
        """Return whether a number is in the set."""
        return self.covers(seq, seq)

    def covers(self, first: int, last: int) -> bool:
        """Return whether every number from `first` to `last` is in the set."""
        if last < first:
            return True
        place = bisect_right(self._ranges, (first, float("inf"))) - 1
        return place >= 0 and self._ranges[place][1] >= last

    def missing(self, first: int, last: int) -> int:
        """Return how many numbers from `first` to `last` are not in the set."""
        held = (min(high, last) - max(low, first) + 1 for low, high in self._ranges)
        return max(0, last - first + 1) - sum(max(0, count) for count in held)

    def add(self, first: int, last: int) -> None:
        """Put the numbers from `first` to `last` into the set."""
        if last < first:
            return
        apart = [one for one in self._ranges if one[1] < first - 1 or one[0] > last + 1]
        joined = [one for one in self._ranges if not (one[1] < first - 1 or one[0] > last + 1)]
        apart.append((min([first, *(a for a, _ in joined)]), max([last, *(b for _, b in joined)])))
        self._ranges = sorted(apart)

    def add_all(self, seqs: Iterable[int]) -> None:
        """Put numbers, which come in order, into the set."""
        first = last = None
        for seq in seqs:
            if last is None or first is None or seq != last + 1:
                if first is not None and last is not None:
                    self.add(first, last)
                first = seq
            last = seq
        if first is not None and last is not None:
            self.add(first, last)

    def forget_below(self, seq: int) -> None:
        """Drop the numbers below `seq`, about which nobody will ask again."""
        self._ranges = [(max(first, seq), last) for first, last in self._ranges if last >= seq]
