"""Where a row belongs."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_src.common.partition import Partition, rule
from lambda_src.common.timestamps import FIRST_DAY, LAST_DAY, LAST_MS

DAY = (date(2026, 1, 31) - date(1970, 1, 1)).days
NOON = DAY * 86_400_000 + 43_200_000
RULE = rule(["login", "order.paid"], days_back=7, days_ahead=1)


@pytest.mark.parametrize(
    ("event_type", "audit_type"),
    [
        ("login", "login"),
        ("login.failed", "login"),
        ("login.failed.twice", "login"),
        ("order.paid", "order.paid"),
        ("order", "other"),
        ("order.sent", "other"),
        ("logins", "other"),
        (".login", "other"),
        ("other", "other"),
        ("../../etc", "other"),
    ],
)
def test_audit_type(event_type: str, audit_type: str) -> None:
    """A type belongs to itself when it is listed, else to its part before the first dot, else to other."""
    assert RULE.audit_type(event_type) == audit_type


@pytest.mark.parametrize(
    ("distance", "late", "day"),
    [(-8, True, "31"), (-7, False, "24"), (0, False, "31"), (1, False, "01"), (2, True, "31")],
)
def test_window(distance: int, late: bool, day: str) -> None:
    """The event's own date counts within the window, both ends in it; outside it receipt's does."""
    partition, is_late = RULE.partition("login", DAY + distance, NOON)

    assert (is_late, partition.day) == (late, day)


def test_keys_are_padded_text() -> None:
    """Year, month and day are text of four, two and two digits."""
    assert RULE.partition("login", 0, 0) == (Partition("login", "1970", "01", "01"), False)


def test_no_time_is_late() -> None:
    """An event whose time no row can hold is partitioned by receipt, and late."""
    assert RULE.partition("login", None, NOON) == (Partition("login", "2026", "01", "31"), True)


@given(st.text(), st.none() | st.integers(FIRST_DAY, LAST_DAY), st.integers(0, LAST_MS))
def test_partitions_are_bounded(event_type: str, event_day: int | None, received_at: int) -> None:
    """Whatever an event says, its type comes from the closed list and its date from the window around receipt."""
    partition, _ = RULE.partition(event_type, event_day, received_at)
    chosen = date(int(partition.year), int(partition.month), int(partition.day))

    assert partition.audit_type in {"login", "order.paid", "other"}
    assert -7 <= (chosen - date(1970, 1, 1)).days - received_at // 86_400_000 <= 1
