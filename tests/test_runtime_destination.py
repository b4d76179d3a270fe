"""Destinations of the buffer."""

from hypothesis import given
from hypothesis import strategies as st

from auditlake.runtime.destination import Destination, errors_of, parse_destination, rows_of


@given(st.sampled_from(["rows", "errors"]), st.lists(st.text()))
def test_what_is_written_is_read(kind: str, values: list[str]) -> None:
    """Whatever the values hold, the text says which destination it is, and no two share one."""
    destination = Destination(kind, tuple(values))

    assert parse_destination(destination.text) == destination


def test_destinations_are_told_apart_and_shown() -> None:
    """Rows are rows, errors are not; for people the parts are separated."""
    rows, errors = rows_of("login", "2026"), errors_of("processing-failed")

    assert (rows.is_rows, errors.is_rows) == (True, False)
    assert [str(rows), str(errors)] == ["rows / login / 2026", "errors / processing-failed"]
    assert rows.text == '["rows","login","2026"]'
