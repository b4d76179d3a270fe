"""The times an event may carry, as the row writes them, and the days that partitions are made of."""

import re
from datetime import date
from functools import lru_cache

import msgspec

DAY_S = 86_400
EPOCH = date(1970, 1, 1).toordinal()
# The whole years 1678..2261: what int64 nanoseconds hold (D6, probed); a time beyond wraps silently in Parquet readers.
FIRST_DAY = date(1678, 1, 1).toordinal() - EPOCH
LAST_DAY = date(2261, 12, 31).toordinal() - EPOCH
LAST_MS = (LAST_DAY + 1) * DAY_S * 1000 - 1

FORMS = "RFC 3339 such as 2026-01-31T09:30:00Z, or 2026-01-31:09:30:00Z"
_NO_SUCH_DAY = "a day that no calendar has"
_OUT_OF_RANGE = "a time outside the years 1678 to 2261"

_DATE = r"([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))"
_ROW_FORM = re.compile(_DATE + r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z")
# Of these two the text is kept: re compiles and keeps them at their first use, which few cold starts see.
_RFC_3339 = (
    _DATE + r"[Tt ]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)(\.[0-9]+)?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_PREDECESSOR = _DATE + r":([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])Z"


class Moment(msgspec.Struct, frozen=True, gc=False):
    """A point in time as a row holds it; one that a row cannot hold has only a problem."""

    text: str | None
    """`YYYY-MM-DDTHH:MM:SS[.f{1,6}]Z`, UTC."""
    day: int | None
    """Days since 1970-01-01, UTC."""
    problem: str | None = None
    """What the row cannot hold, as the end of a sentence."""


def parse(text: str) -> Moment | None:
    """Read a time in one of the two forms; None when it has neither.

    RFC 3339 with any offset and any fraction (cut to microseconds); a leap second is the next second. A day that does
    not exist or a year outside 1678..2261 has the form, so it gives a `Moment` with a problem: the API's model, which
    knows only the form, has accepted such an event, and it must not be lost later.
    """
    if match := _ROW_FORM.fullmatch(text):
        day = _day_number(match[1])
        if day is not None and FIRST_DAY <= day <= LAST_DAY:
            return Moment(text, day)
    if match := re.fullmatch(_RFC_3339, text):
        day_text, hour, minute, second, fraction, sign, offset_hour, offset_minute = match.groups()
        offset = 0 if sign is None else int(sign + "1") * (int(offset_hour) * 3600 + int(offset_minute) * 60)
        return _moment(day_text, int(hour) * 3600 + int(minute) * 60 + int(second) - offset, (fraction or "")[:7])
    if match := re.fullmatch(_PREDECESSOR, text):
        day_text, hour, minute, second = match.groups()
        return _moment(day_text, int(hour) * 3600 + int(minute) * 60 + int(second), "")
    return None


def _moment(day_text: str, seconds: int, fraction: str) -> Moment:
    """Add seconds (perhaps negative, perhaps beyond midnight) to a day."""
    day = _day_number(day_text)
    if day is None:
        # Year 0 is in the proleptic calendar but not in Python's; either way the row cannot hold it.
        return Moment(None, None, _OUT_OF_RANGE if day_text.startswith("0000") else _NO_SUCH_DAY)
    carry, seconds = divmod(seconds, DAY_S)
    day += carry
    if not FIRST_DAY <= day <= LAST_DAY:
        return Moment(None, None, _OUT_OF_RANGE)
    return Moment(f"{date_text(day)}T{_clock(seconds)}{fraction}Z", day)


def from_epoch_ms(milliseconds: int) -> str:
    """Write a time of the server, in milliseconds since 1970 (0..`LAST_MS`), as the row does."""
    return f"{_second_text(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


@lru_cache(maxsize=4096)
def _second_text(seconds: int) -> str:
    """Events arrive many to a second, so the text of a second is made once."""
    day, seconds = divmod(seconds, DAY_S)
    return f"{date_text(day)}T{_clock(seconds)}"


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


@lru_cache(maxsize=4096)
def _day_number(day_text: str) -> int | None:
    """`YYYY-MM-DD` as days since 1970; None when there is no such day."""
    try:
        return date.fromisoformat(day_text).toordinal() - EPOCH
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def date_text(day: int) -> str:
    """Days since 1970 as `YYYY-MM-DD`."""
    return date.fromordinal(day + EPOCH).isoformat()
