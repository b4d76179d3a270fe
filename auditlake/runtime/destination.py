"""Where a record goes: to the rows of one partition, under the error prefix, or as it came to the source backup."""

import json
from dataclasses import dataclass

ROWS, ERRORS, BACKUP = "rows", "errors", "backup"


@dataclass(frozen=True, order=True)
class Destination:
    """A buffer of the stream: `rows` with the values of its partition keys, `errors` with its type, or `backup`."""

    kind: str
    values: tuple[str, ...]

    @property
    def is_rows(self) -> bool:
        """Whether it is a partition of the table."""
        return self.kind == ROWS

    @property
    def text(self) -> str:
        """How it is written into a file: a JSON array."""
        return json.dumps([self.kind, *self.values], separators=(",", ":"), ensure_ascii=False)

    def __str__(self) -> str:
        """Return it for people, e.g. `rows / login / 2026 / 11 / 24`."""
        return " / ".join((self.kind, *self.values))


SOURCE_BACKUP = Destination(BACKUP, ())
"""The destination of every record as it came, where the plan has a source backup."""


def rows_of(*values: str) -> Destination:
    """Return the destination of a partition by the values of its partition keys."""
    return Destination(ROWS, values)


def errors_of(error_output_type: str) -> Destination:
    """Return the destination of a kind of failure, by its `!{firehose:error-output-type}`."""
    return Destination(ERRORS, (error_output_type,))


def parse_destination(text: str) -> Destination:
    """Read what `text` of a destination wrote; raises ValueError."""
    kind, *values = json.loads(text)
    return Destination(kind, tuple(values))
