"""Rows for people and for programs: a table on the terminal, one JSON document, or CSV.

What is in an event was written by someone else: no control character of it reaches a terminal, and no cell of it is a
formula in a spreadsheet.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain, islice
from typing import IO, Any, TextIO
from uuid import UUID

import simplejson
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditlake.errors import QueryError
from auditlake.runtime.query import QueryResult, Scan
from auditlake.terminal import CONTROL, INVISIBLE, UNSAFE, escape, visible

Row = Sequence[Any]

TERMINAL_ROWS = 200
# What a column needs on a terminal to say something; with less, each row becomes a record of its own.
COLUMN_WIDTH = 14
COLUMN_GAP = 3  # of box.SIMPLE_HEAD
# Of one value in a record on a terminal: enough for a whole event of common size.
RECORD_VALUE_CHARACTERS = 2000
PADDED_CHARACTERS = 40

_UNSAFE_IN_CSV = re.compile(rf"(?![\t\n\r])[{CONTROL}{INVISIBLE}]")
# A cell that starts so is run as a formula by spreadsheets, some of which skip the white space before it.
_FORMULA = re.compile(r"[\t\r\n ]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


def write(result: QueryResult, out: TextIO, *, as_json: bool, as_csv: bool) -> None:
    """Write all rows of a result as JSON or CSV, or else as a table; raises QueryError, also for both at once."""
    if as_json and as_csv:
        raise QueryError("--json and --csv exclude each other; give one of them.")
    columns = [column.name for column in result.columns]
    if as_json:
        write_json(columns, result.rows(), out)
    elif as_csv:
        write_csv(columns, result.rows(), out)
    else:
        print_table(columns, result.rows(), Console(file=out))


def write_json(columns: Sequence[str], rows: Iterable[Row], out: TextIO) -> int:
    """Write the rows as one JSON array of objects, a line each, as they come, and return how many they are.

    Times are `2024-03-05 10:00:00` as Athena prints them, NaN and infinity null, bytes hexadecimal. Raises QueryError
    when two columns have one name, because an object would lose one of them.
    """
    for name in columns:
        if list(columns).count(name) > 1:
            raise QueryError(f"Two columns are named {name}, and JSON can keep only one; name them with AS.")
    count = 0
    for row in rows:
        out.write(",\n" if count else "[\n")
        out.write(_json(dict(zip(columns, row, strict=True))))
        count += 1
    out.write("\n]\n" if count else "[]\n")
    return count


def write_csv(columns: Sequence[str], rows: Iterable[Row], out: TextIO) -> int:
    """Write the rows as CSV with a header, as they come, and return how many they are.

    Null is an empty cell and a nested value JSON. Text that a spreadsheet would run as a formula gets a `'` in front;
    control characters except tab and line ends are written as escapes.
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_csv_text(name) for name in columns])
    count = 0
    for row in rows:
        writer.writerow([_csv_cell(value) for value in row])
        count += 1
    return count


def print_table(columns: Sequence[str], rows: Iterable[Row], console: Console) -> None:
    """Print the rows as a table, all of them and whole unless the console is a terminal.

    A terminal gets at most TERMINAL_ROWS rows, and a record for each row where the columns do not fit side by side; a
    sentence says what was left out.
    """
    if not console.is_terminal:
        _write_whole(columns, iter(rows), console.file)
        return
    shown = list(islice(rows, TERMINAL_ROWS + 1))
    more = len(shown) > TERMINAL_ROWS
    del shown[TERMINAL_ROWS:]
    if COLUMN_WIDTH * len(columns) <= console.width:
        shortened = _print_fitted(columns, shown, console)
    else:
        shortened = _print_records(columns, shown, console)
    if shortened:
        console.print("Values were shortened to fit; --json and --csv show them whole.", style="dim", soft_wrap=True)
    if more:
        console.print(
            f"These are the first {TERMINAL_ROWS} rows; --json and --csv show all.", style="dim", soft_wrap=True
        )


def scan_line(scan: Scan) -> str:
    """Say what a query read, for people."""
    return (
        f"Read {scan.files_read:,} of {scan.files_total:,} files, "
        f"{_size(scan.bytes_read)} of {_size(scan.bytes_total)}, in {scan.elapsed_s:.2f} s."
    )


def _size(count: int) -> str:
    """Give bytes in the unit that leaves at most three digits before the point; a KB is 1,000 bytes, as AWS bills."""
    size, units = float(count), ["bytes", "KB", "MB", "GB", "TB", "PB"]
    while size >= 999.5 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{count} bytes" if units[0] == "bytes" else f"{size:.1f} {units[0]}"


def _write_whole(columns: Sequence[str], rows: Iterator[Row], out: IO[str]) -> None:
    """Write every value whole, a line a row, without keeping the rows.

    The first rows say how wide a column is, and none is padded beyond PADDED_CHARACTERS: one event of a megabyte must
    not make every line as long.
    """
    names = [visible(name) for name in columns]
    first = [_plain_cells(row) for row in islice(rows, TERMINAL_ROWS)]
    widths = [
        min(PADDED_CHARACTERS, max(cell_len(line[position]) for line in [names, *first]))
        for position in range(len(names))
    ]
    for line in chain([names, ["─" * width for width in widths]], first, map(_plain_cells, rows)):
        padded = (text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True))
        out.write("  ".join(padded).rstrip() + "\n")


def _plain_cells(row: Row) -> list[str]:
    return [_cell(value).plain for value in row]


def _print_fitted(columns: Sequence[str], rows: Sequence[Row], console: Console) -> bool:
    """Print a table no wider than the terminal, the widest columns shortened; return whether any was."""
    table = _table(columns, rows)
    widths = [
        max(cell_len(visible(name)), *(_cell(row[position]).cell_len for row in rows), 0)
        for position, name in enumerate(columns)
    ]
    available = console.width - COLUMN_GAP * (len(columns) - 1)
    if sum(widths) <= available:
        console.print(table)
        return False
    limit = max(bound for bound in range(console.width) if sum(min(width, bound) for width in widths) <= available)
    for column in table.columns:
        column.max_width = limit
    console.print(table)
    return True


def _table(columns: Sequence[str], rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for position, name in enumerate(columns):
        right = any(_is_number(row[position]) for row in rows)
        table.add_column(Text(visible(name)), no_wrap=True, overflow="ellipsis", justify="right" if right else "left")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return table


def _print_records(columns: Sequence[str], rows: Sequence[Row], console: Console) -> bool:
    """Print each row as a list of its columns; return whether a value was shortened."""
    shortened = False
    for number, row in enumerate(rows, start=1):
        console.rule(Text(f"row {number}"), align="left", style="dim")
        record = Table(box=None, show_header=False, pad_edge=False)
        record.add_column(no_wrap=True, style="bold")
        record.add_column(overflow="fold")
        for name, value in zip(columns, row, strict=True):
            cell = _cell(value)
            shortened = shortened or len(cell) > RECORD_VALUE_CHARACTERS
            cell.truncate(RECORD_VALUE_CHARACTERS, overflow="ellipsis")
            record.add_row(Text(visible(name)), cell)
        console.print(record)
    return shortened


def _cell(value: object) -> Text:
    """Make a cell of text, never of markup: an event may hold `[red]`."""
    if value is None:
        return Text("null", style="dim")
    return Text(visible(_text(value)))


def _csv_cell(value: object) -> str:
    if value is None:
        return ""
    # A negative number starts with a minus and is no formula.
    return str(value) if _is_number(value) else _csv_text(_text(value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _csv_text(text: str) -> str:
    safe = _UNSAFE_IN_CSV.sub(escape, text)
    return f"'{safe}" if _FORMULA.match(safe) else safe


def _text(value: object) -> str:
    """Return a value as text; a nested one as JSON."""
    plain = _plain(value)
    return plain if isinstance(plain, str) else _json(plain)


def _json(value: object) -> str:
    text: str = simplejson.dumps(_plain(value), ensure_ascii=False, use_decimal=True, ignore_nan=True)
    # Outside a string JSON has no such character, so that each is still the same string when read.
    return UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _plain(value: object) -> object:
    """Return the value made of what JSON has."""
    match value:
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case timedelta() | UUID():
            return str(value)
        case bytes():
            return value.hex()
        case Mapping():
            return {key if isinstance(key, str) else _text(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return value
