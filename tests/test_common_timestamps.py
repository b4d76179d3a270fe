"""The times an event may carry."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_src.common import timestamps
from lambda_src.common.timestamps import Moment

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(
    datetime(1678, 1, 2),  # noqa: DTZ001  # hypothesis wants naive bounds
    datetime(2261, 12, 30),  # noqa: DTZ001  # the same
    timezones=OFFSETS,
)


@given(TIMES, st.sampled_from("Tt "))
def test_any_offset_becomes_utc(moment: datetime, separator: str) -> None:
    """A time of any offset, fraction and separator is the same instant in UTC, to the microsecond, on its UTC day."""
    parsed = timestamps.parse(moment.isoformat(separator))

    assert parsed is not None
    assert parsed.text is not None
    assert datetime.fromisoformat(parsed.text) == moment
    assert parsed.text.endswith("Z")
    assert parsed.day == (moment.astimezone(UTC) - EPOCH).days


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T09:30:00.069Z", "2026-01-31T09:30:00.069Z"),
        ("2026-01-31t09:30:00z", "2026-01-31T09:30:00Z"),
        ("2026-01-31:09:30:00Z", "2026-01-31T09:30:00Z"),
        ("2026-01-31T00:30:00+01:00", "2026-01-30T23:30:00Z"),
        ("2026-01-31T09:30:00.123456789Z", "2026-01-31T09:30:00.123456Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.5Z"),
        ("1678-01-01T00:00:00Z", "1678-01-01T00:00:00Z"),
        ("2261-12-31T23:59:59.999999Z", "2261-12-31T23:59:59.999999Z"),
    ],
)
def test_forms(text: str, expected: str) -> None:
    """Each form is written as the row wants it; what is already so stays as it came."""
    parsed = timestamps.parse(text)

    assert parsed is not None
    assert parsed.text == expected
    assert parsed.problem is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-31",
        "2026-01-31T09:30Z",
        "2026-01-31T09:30:00",
        "2026-01-31T24:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-31T09:30:00.Z",
        "2026-01-31T09:30:00+24:00",
        "2026-01-31:09:30:00+01:00",
        "2026-01-31T09:30:00Z\n",
        "٢٠٢٦-01-31T09:30:00Z",
        "20260131T093000Z",
    ],
)
def test_other_forms_are_none(text: str) -> None:
    """What has neither form is no time at all."""
    assert timestamps.parse(text) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2026-02-30T00:00:00Z", "a day that no calendar has"),
        ("0000-01-01T00:00:00Z", "a time outside the years 1678 to 2261"),
        ("1677-12-31T23:59:59Z", "a time outside the years 1678 to 2261"),
        ("2262-01-01T00:00:00Z", "a time outside the years 1678 to 2261"),
        ("9999-12-31T23:59:60-23:59", "a time outside the years 1678 to 2261"),
        ("0001-01-01T00:00:00+23:59", "a time outside the years 1678 to 2261"),
    ],
)
def test_times_no_row_can_hold(text: str, problem: str) -> None:
    """A well-formed time that int64 nanoseconds cannot hold is a moment with nothing but a problem."""
    assert timestamps.parse(text) == Moment(None, None, problem)


@given(st.integers(0, timestamps.LAST_MS))
def test_server_time(milliseconds: int) -> None:
    """Milliseconds since 1970 are written as the same instant."""
    written = datetime.fromisoformat(timestamps.from_epoch_ms(milliseconds))

    assert written - EPOCH == timedelta(milliseconds=milliseconds)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    """No text whatever raises."""
    timestamps.parse(text)
