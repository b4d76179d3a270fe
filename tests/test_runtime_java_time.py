"""Java's date patterns."""

from datetime import UTC, datetime

import pytest

from auditlake.runtime.java_time import parse_pattern

MOMENT = datetime(2026, 3, 5, 0, 7, 9, 12_345, tzinfo=UTC)  # a Thursday, day 64 of the year
AFTERNOON = datetime(2026, 11, 24, 15, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("yyyy/MM/dd/HH/", "2026/03/05/00/"),
        ("y-yy-yyyyy-uuuu", "2026-26-02026-2026"),
        ("M MM MMM MMMM MMMMM L", "3 03 Mar March M 3"),
        ("d D DD DDD", "5 64 64 064"),
        ("E EEE EEEE EEEEE", "Thu Thu Thursday T"),
        ("H HH k kk K KK h hh a", "0 00 24 24 0 00 12 12 AM"),
        ("m mm s ss", "7 07 9 09"),
        ("S SSS SSSSSS SSSSSSSSS", "0 012 012345 012345000"),
        ("'year='yyyy'/T'HH", "year=2026/T00"),
        ("hh 'o''clock'", "12 o'clock"),
        ("yyyy''MM", "2026'03"),
        ("yyyy=MM_dd.HH:mm", "2026=03_05.00:07"),
    ],
)
def test_a_pattern_is_written_as_java_writes_it(pattern: str, expected: str) -> None:
    """Letters, their counts and quotes mean what they mean to Java's DateTimeFormatter."""
    assert parse_pattern(pattern).format(MOMENT) == expected


def test_hours_of_the_afternoon_have_their_twelve_hour_forms() -> None:
    """15:00 is 3 PM in the letters h, K and a, and 15 in H and k."""
    assert parse_pattern("H k h K a").format(AFTERNOON) == "15 15 3 3 PM"


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "the pattern is empty"),
        ("YYYY/MM", "the pattern letter Y is not implemented (the week-based year; yyyy is the calendar year)"),
        ("yyyy-MM-ddTHH", "the pattern letter T is not implemented"),
        ("HHX", "the pattern letter X is not implemented"),
        ("[yyyy]", "the symbol [ is not implemented"),
        ("yyyy'T", "a single quote is not closed"),
        ("MMMMMM", "the pattern letter M stands 6 times; Java allows it 5 times"),
        ("HHH", "the pattern letter H stands 3 times; Java allows it 2 times"),
    ],
)
def test_a_pattern_that_is_wrong_or_not_implemented_says_which_letter(pattern: str, reason: str) -> None:
    """The error names the letter or symbol, so that the prefix can be mended."""
    with pytest.raises(ValueError, match=r".") as caught:
        parse_pattern(pattern)

    assert str(caught.value).startswith(reason)
