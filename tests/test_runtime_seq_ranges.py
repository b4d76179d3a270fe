"""Sets of sequence numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from auditlake.runtime.seq_ranges import SeqRanges

Numbers = st.integers(1, 30)


@given(st.lists(st.tuples(st.sampled_from(["add", "add_all", "forget"]), Numbers, Numbers)), Numbers, Numbers)
def test_ranges_hold_what_a_set_holds(steps: list[tuple[str, int, int]], first: int, last: int) -> None:
    """Whatever is put in and forgotten, the ranges are the set's, in order, disjoint and not adjacent."""
    ranges, model = SeqRanges(), set[int]()
    for step, low, high in steps:
        if step == "add":
            ranges.add(low, high)
            model |= set(range(low, high + 1))
        elif step == "add_all":
            ranges.add_all(sorted({low, high}))
            model |= {low, high}
        else:
            ranges.forget_below(low)
            model = {number for number in model if number >= low}

    held = list(ranges)
    assert {number for low, high in held for number in range(low, high + 1)} == model
    assert all(high + 1 < low for (_, high), (low, _) in pairwise(held))
    assert ranges.covers(first, last) == (set(range(first, last + 1)) <= model)
    assert ranges.missing(first, last) == len(set(range(first, last + 1)) - model)
    assert (first in ranges) == (first in model)
    assert list(SeqRanges(held)) == held
