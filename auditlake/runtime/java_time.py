"""Patterns of Java's DateTimeFormatter, as far as Firehose prefixes use them (B7, E1).

Numbers and English names are formatted as Java does in the locale en-US; which locale Firehose uses is not known (UNV).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_RESERVED = "{}[]#"
# Letters that look right in a path and mean something else, with what was probably meant.
_HINTS = {"Y": " (the week-based year; yyyy is the calendar year)"}


@dataclass(frozen=True)
class Field:
    """A run of one pattern letter, such as `yyyy`."""

    letter: str
    count: int


@dataclass(frozen=True)
class JavaPattern:
    """A parsed pattern: fields, and text that stands for itself."""

    parts: tuple[Field | str, ...]

    def format(self, moment: datetime) -> str:
        """Return the moment in this pattern, in the moment's own time zone."""
        return "".join(
            part if isinstance(part, str) else _FIELDS[part.letter].write(moment, part.count) for part in self.parts
        )


def parse_pattern(pattern: str) -> JavaPattern:
    """Parse a pattern; raises ValueError whose text names the letter or symbol and fits after a colon."""
    if not pattern:
        raise ValueError("the pattern is empty; write for example yyyy/MM/dd")
    parts: list[Field | str] = []
    position = 0
    while position < len(pattern):
        symbol = pattern[position]
        if symbol == "'":
            text, position = _quoted(pattern, position)
            parts.append(text)
        elif symbol.isascii() and symbol.isalpha():
            end = position
            while end < len(pattern) and pattern[end] == symbol:
                end += 1
            parts.append(_field(symbol, end - position))
            position = end
        elif symbol in _RESERVED:
            raise ValueError(f"the symbol {symbol} is not implemented; put it in single quotes to write it as it is")
        else:
            parts.append(symbol)
            position += 1
    return JavaPattern(tuple(parts))


def _quoted(pattern: str, start: int) -> tuple[str, int]:
    """Return the text of the quotes that open at `start` and the position after them; `''` is one quote."""
    text: list[str] = []
    position = start + 1
    while position < len(pattern):
        if pattern[position] != "'":
            text.append(pattern[position])
            position += 1
        elif pattern[position + 1 : position + 2] == "'":
            text.append("'")
            position += 2
        else:
            return "".join(text) or "'", position + 1
    raise ValueError("a single quote is not closed")


def _field(letter: str, count: int) -> Field:
    kind = _FIELDS.get(letter)
    if kind is None:
        raise ValueError(
            f"the pattern letter {letter} is not implemented{_HINTS.get(letter, '')}; "
            f"known are {', '.join(_FIELDS)}, and text goes in single quotes"
        )
    if count > kind.longest:
        raise ValueError(f"the pattern letter {letter} stands {count} times; Java allows it {kind.longest} times")
    return Field(letter, count)


@dataclass(frozen=True)
class _Kind:
    """How often a letter may stand, and what a run of that many letters writes."""

    longest: int
    write: Callable[[datetime, int], str]


def _padded(value: Callable[[datetime], int], longest: int = 2) -> _Kind:
    return _Kind(longest, lambda moment, count: str(value(moment)).zfill(count))


def _year(moment: datetime, count: int) -> str:
    return f"{moment.year % 100:02}" if count == 2 else str(moment.year).zfill(count)


def _name(name: str, count: int) -> str:
    """Return the text styles of Java: up to three letters short, four full, five narrow."""
    return {4: name, 5: name[0]}.get(count, name[:3])


def _month(moment: datetime, count: int) -> str:
    return str(moment.month).zfill(count) if count < 3 else _name(_MONTHS[moment.month - 1], count)


def _fraction(moment: datetime, count: int) -> str:
    return f"{moment.microsecond:06}000"[:count]


_FIELDS = {
    "y": _Kind(19, _year),
    "u": _Kind(19, _year),
    "M": _Kind(5, _month),
    "L": _Kind(5, _month),
    "d": _padded(lambda moment: moment.day),
    "D": _padded(lambda moment: moment.timetuple().tm_yday, longest=3),
    "E": _Kind(5, lambda moment, count: _name(_WEEKDAYS[moment.weekday()], count)),
    "a": _Kind(1, lambda moment, _: "AM" if moment.hour < 12 else "PM"),
    "H": _padded(lambda moment: moment.hour),
    "k": _padded(lambda moment: moment.hour or 24),
    "K": _padded(lambda moment: moment.hour % 12),
    "h": _padded(lambda moment: moment.hour % 12 or 12),
    "m": _padded(lambda moment: moment.minute),
    "s": _padded(lambda moment: moment.second),
    "S": _Kind(9, _fraction),
}
