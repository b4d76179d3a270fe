"""The sample events."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from auditlake.sample import sample_events
from lambda_src.common.event import read_event

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LISTED = {"login", "logout", "user", "role", "order", "payment", "document", "config", "export"}


def test_same_arguments_give_the_same_events() -> None:
    """The seed decides everything; another seed gives other events."""
    assert sample_events(300, 7, NOW) == sample_events(300, 7, NOW)
    assert sample_events(300, 7, NOW) != sample_events(300, 8, NOW)


def test_time_must_be_aware() -> None:
    """A naive time is refused: it would mean another day elsewhere."""
    with pytest.raises(ValueError, match="aware"):
        sample_events(1, 1, NOW.replace(tzinfo=None))


@pytest.mark.parametrize("seed", range(5))
def test_every_event_is_accepted_and_some_have_problems(seed: int) -> None:
    """The code of the Lambdas reads each of them; about four in a hundred have one problem."""
    events = sample_events(300, seed, NOW)
    read = [read_event(json.dumps(event, ensure_ascii=False).encode()) for event in events]
    assert len({event.id for event in read}) == 300
    assert sum(bool(event.problems) for event in read) == 12


@pytest.mark.parametrize("seed", range(5))
def test_events_are_varied(seed: int) -> None:
    """All the default audit types occur, some unlisted ones, several days, one late event, field changes, Unicode."""
    events = sample_events(300, seed, NOW)
    types = Counter(event["eventType"].split(".")[0] for event in events)
    assert set(types) >= LISTED
    assert 0 < sum(count for name, count in types.items() if name not in LISTED) < 30
    times = [datetime.fromisoformat(event["timestamp"]) for event in events]
    assert times == sorted(times)
    assert sum(NOW - time > timedelta(days=7) for time in times) == 1
    assert all(time <= NOW for time in times)
    assert len({time.date() for time in times[1:]}) >= 6
    assert any(event.get("details", {}).get("changes") for event in events)
    assert any(not event["actor"]["userId"].isascii() for event in events)
