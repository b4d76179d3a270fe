"""Rows as a table, as JSON and as CSV: whole for programs, safe for terminals and spreadsheets."""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from auditlake import render
from auditlake.errors import QueryError
from auditlake.runtime.query import Scan, run_query
from tests.lake import glue_plan, row, write_rows

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202egnp.exe \x9b2J\r\n"


def table(columns: list[str], rows: list[tuple[Any, ...]], width: int | None = None) -> str:
    """Print a table to a file, or, with a width, to a terminal without colours."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=width is not None, width=width, color_system=None)
    render.print_table(columns, rows, console)
    return out.getvalue()


def as_csv(*rows: tuple[Any, ...]) -> list[list[str]]:
    """Write rows as CSV and read them back, without the header."""
    out = io.StringIO()
    assert render.write_csv([f"c{n}" for n in range(len(rows[0]))], rows, out) == len(rows)
    return list(csv.reader(io.StringIO(out.getvalue(), newline="")))[1:]


@given(st.lists(st.tuples(JSON_VALUES, TEXT), max_size=4))
def test_json_gives_back_every_value(rows: list[tuple[Any, str]]) -> None:
    """Every value is read back from the one JSON document, and no character of it acts on a terminal."""
    out = io.StringIO()
    assert render.write_json(["a", "b"], rows, out) == len(rows)
    assert json.loads(out.getvalue()) == [{"a": a, "b": b} for a, b in rows]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out.getvalue())


def test_json_of_values_that_json_has_not() -> None:
    """Times are text as in Athena, decimals numbers in full, bytes hexadecimal, NaN null; maps have text keys."""
    values = (
        datetime(2024, 3, 5, 10, 0, 0, 69),  # noqa: DTZ001 - Glue's timestamp has no zone
        datetime(2024, 3, 5, 10, tzinfo=UTC),
        date(2024, 3, 5),
        time(10, 30),
        timedelta(days=1),
        Decimal("12345678901234567890.10"),
        b"\x00\xff",
        float("nan"),
        UUID(int=1),
        {date(2024, 3, 5): [{"x": Decimal(1)}], 7: None},
    )
    out = io.StringIO()
    render.write_json([str(n) for n in range(len(values))], [values], out)
    assert list(json.loads(out.getvalue(), parse_float=Decimal)[0].values()) == [
        "2024-03-05 10:00:00.000069",
        "2024-03-05 10:00:00+00:00",
        "2024-03-05",
        "10:30:00",
        "1 day, 0:00:00",
        Decimal("12345678901234567890.10"),
        "00ff",
        None,
        "00000000-0000-0000-0000-000000000001",
        {"2024-03-05": [{"x": 1}], "7": None},
    ]


def test_json_refuses_two_columns_of_one_name() -> None:
    """Two columns of one name cannot both be kept, and the sentence says what to do."""
    with pytest.raises(QueryError, match=r"Two columns are named a, .* AS"):
        render.write_json(["a", "b", "a"], [], io.StringIO())


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r\n=1", " =1", "\uff1d1", "\tx"])
def test_csv_text_is_never_a_formula(text: str) -> None:
    """Text that a spreadsheet would run gets a quote in front, in cells and in column names."""
    assert as_csv((text, "x"))[0][0] == f"'{text}"
    out = io.StringIO()
    render.write_csv([text, "x"], [], out)
    assert next(csv.reader(io.StringIO(out.getvalue(), newline="")))[0] == f"'{text}"


def test_csv_keeps_what_is_harmless() -> None:
    """Negative numbers, commas, quotes and line ends are kept; null is empty and a nested value JSON."""
    assert as_csv((-5, Decimal("-1.5"), True, None, 'a,"b"\nc', ["x", {"y": None}])) == [
        ["-5", "-1.5", "true", "", 'a,"b"\nc', '["x", {"y": null}]']
    ]


def test_no_output_acts_on_a_terminal() -> None:
    """Escape sequences, bells, C1 and bidi controls of an event are written as escapes in every output."""
    hostile = [(HOSTILE, {"k" + HOSTILE: [HOSTILE]})]
    outputs = [
        table(["a", "b" + HOSTILE], hostile),
        table(["a", "b"], hostile, 100),
        table(["a", "b"] * 9, [hostile[0] * 9], 50),
    ]
    for write in (render.write_json, render.write_csv):
        out = io.StringIO()
        write(["a", "b"], hostile, out)
        outputs.append(out.getvalue())
    for text in outputs:
        assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", text)
        assert "\\" in text


def test_a_table_shows_markup_as_text() -> None:
    """What looks like Rich's markup is only text."""
    assert "[red]x[/red] :smile:" in table(["a"], [("[red]x[/red] :smile:",)])


def test_a_table_that_is_no_terminal_is_whole() -> None:
    """In a file or a pipe every row and every value is whole, one row a line, however wide."""
    rows = [(n, "x" * 500, None, {"k": [1]}) for n in range(render.TERMINAL_ROWS + 50)]
    lines = table(["number", "text", "none", "nested"], rows).splitlines()
    assert len(lines) == 2 + len(rows)
    assert lines[2].split() == ["0", "x" * 500, "null", '{"k":', "[1]}"]


def test_one_wide_value_makes_no_other_line_wide() -> None:
    """A value of a megabyte among many rows is whole, and pads nothing: the output is about as large as its values."""
    rows = [(n, "x" * 1_000_000 if n == 7 else "y", "end") for n in range(3000)]

    assert len(table(["number", "text", "last"], rows)) < 1_300_000


def test_rows_are_written_as_they_come() -> None:
    """A pipe's reader sees the first rows before the last are fetched, and nothing keeps them."""
    out = io.StringIO()

    def rows() -> Iterator[tuple[int]]:
        for number in range(10 * render.TERMINAL_ROWS):
            if number == 5 * render.TERMINAL_ROWS:
                assert out.getvalue().count("\n") > 2 * render.TERMINAL_ROWS
            yield (number,)

    render.print_table(["n"], rows(), Console(file=out))
    assert out.getvalue().count("\n") == 2 + 10 * render.TERMINAL_ROWS


def test_a_terminal_gets_shortened_values_and_is_told() -> None:
    """The widest columns are cut to fit, narrow ones stay whole, no line is wider than the terminal, and it is said."""
    shown = table(["id", "text"], [("a" * 20, "x" * 500), ("b" * 20, "y")], 60)
    *lines, note = shown.splitlines()
    assert max(len(line) for line in lines) == 60
    assert "a" * 20 in shown
    assert "x…" in shown
    assert note == "Values were shortened to fit; --json and --csv show them whole."
    assert "shortened" not in table(["id", "text"], [("a" * 20, "y")], 60)


def test_a_terminal_gets_records_where_columns_do_not_fit() -> None:
    """More columns than fit side by side are printed as a record for each row, long values cut, which is said."""
    columns = [f"column_{n}" for n in range(10)]
    shown = table(columns, [tuple(range(10)), ("z" * 9999, *range(1, 10))], 80)
    assert re.search(r"row 1 ─+\n(column_\d +\d\s*\n){10}row 2 ─+\n", shown)
    assert shown.count("z") == render.RECORD_VALUE_CHARACTERS - 1
    assert "Values were shortened" in shown
    assert "shortened" not in table(columns, [tuple(range(10))], 80)


def test_a_terminal_gets_the_first_rows_and_is_told() -> None:
    """Rows beyond the limit are left out and not fetched, and a sentence says so."""
    fetched = []

    def rows() -> Any:  # noqa: ANN401 - a generator of rows
        for n in range(10_000):
            fetched.append(n)
            yield (f"row{n}.",)

    out = io.StringIO()
    render.print_table(["a"], rows(), Console(file=out, force_terminal=True, width=90, color_system=None))
    last = render.TERMINAL_ROWS - 1
    assert f"row{last}." in out.getvalue()
    assert f"row{last + 1}." not in out.getvalue()
    assert f"These are the first {render.TERMINAL_ROWS} rows; --json and --csv show all." in out.getvalue()
    assert len(fetched) == render.TERMINAL_ROWS + 1


@given(st.lists(st.tuples(TEXT, TEXT, JSON_VALUES), min_size=1, max_size=3), st.integers(20, 120))
def test_any_value_can_be_printed(rows: list[tuple[Any, ...]], width: int) -> None:
    """No value makes a table fail, on a terminal of any width or off it."""
    assert table(["a", "b", "c"], rows, width)
    assert len(table(["a", "b", "c"], rows).splitlines()) == 2 + len(rows)


def test_scan_line() -> None:
    """The line names files and bytes read of how many, in units of 1,000."""
    assert render.scan_line(Scan(1, 1200, 999, 150_033_366, 0.123)) == (
        "Read 1 of 1,200 files, 999 bytes of 150.0 MB, in 0.12 s."
    )
    assert "1.0 MB of 1.0 GB" in render.scan_line(Scan(0, 0, 999_960, 999_999_999, 0))


def test_write_chooses_the_form(tmp_path: Path) -> None:
    """A result is written as a table, as JSON or as CSV, and not as two of them."""
    write_rows(tmp_path, [row("a", "2024-03-05T10:00:00Z")])
    written = {}
    for form in ("table", "json", "csv"):
        out = io.StringIO()
        with run_query(tmp_path, glue_plan(), "SELECT event_id, late FROM events") as result:
            render.write(result, out, as_json=form == "json", as_csv=form == "csv")
        written[form] = out.getvalue()
    assert written["json"] == '[\n{"event_id": "a", "late": false}\n]\n'
    assert written["csv"] == "event_id,late\na,false\n"
    assert written["table"].split() == ["event_id", "late", "─" * 8, "─" * 5, "a", "false"]
    with run_query(tmp_path, glue_plan(), "SELECT 1") as result, pytest.raises(QueryError, match="exclude each other"):
        render.write(result, io.StringIO(), as_json=True, as_csv=True)
