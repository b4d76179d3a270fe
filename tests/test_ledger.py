"""The ledger of a redrive."""

import os
import sqlite3
from pathlib import Path

import pytest

from auditlake.errors import RedriveError
from auditlake.ledger import Entry, open_ledger, read_ledger

ENTRY = Entry("errors/a", "v1", 1, 0, "aa", "e1", "aa", "r1", 5)
REPAIRED = Entry("errors/a", "v1", 2, 0, "bb", "e2", "cc", "r2", 5)


def test_what_was_put_is_known_by_its_place_and_its_bytes(tmp_path: Path) -> None:
    """Another content of the key is another place."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        ledger.add([ENTRY, REPAIRED])
        assert ledger.redriven("errors/a", "v1") == {(1, 0, "aa"), (2, 0, "bb")}
    with read_ledger(path) as ledger:
        assert ledger.redriven("errors/a", "v1") == {(1, 0, "aa"), (2, 0, "bb")}
        assert ledger.redriven("errors/a", "v2") == ledger.redriven("errors/b", "v1") == set()
        assert list(ledger.repaired()) == [("e2", "bb", "cc")]


def test_a_ledger_that_is_not_there_is_empty_and_is_not_made(tmp_path: Path) -> None:
    """Who only looks leaves nothing behind."""
    with read_ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.redriven("errors/a", "v1") == set()
    assert list(tmp_path.iterdir()) == []


def test_one_redrive_at_a_time(tmp_path: Path) -> None:
    """Two would put the same events side by side; who looks is let in."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        ledger.add([ENTRY])
        with pytest.raises(RedriveError, match="Another redrive uses the ledger"), open_ledger(path):
            pass
        with read_ledger(path) as looking:
            assert looking.redriven("errors/a", "v1") == {(1, 0, "aa")}


@pytest.mark.parametrize("name", ["with space.sqlite", "with?mark.sqlite", "with#hash.sqlite", "caf\u00e9%20.sqlite"])
def test_a_ledger_may_have_any_name(tmp_path: Path, name: str) -> None:
    """The name stands in a URI, where some characters mean something."""
    with open_ledger(tmp_path / name) as ledger:
        ledger.add([ENTRY])
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"{name}.lock"]
    with read_ledger(tmp_path / name) as ledger:
        assert ledger.redriven("errors/a", "v1") == {(1, 0, "aa")}


def test_what_is_no_ledger_is_a_sentence(tmp_path: Path) -> None:
    """Neither a file of something else nor a directory that is not there is taken for an empty ledger."""
    other = tmp_path / "other.sqlite"
    other.write_bytes(b"no database" * 100)
    for opening in (open_ledger, read_ledger):
        with pytest.raises(RedriveError, match="ledger"), opening(other):
            pass
    with pytest.raises(RedriveError, match="name another with --ledger"), open_ledger(tmp_path / "no" / "l.sqlite"):
        pass
    empty = tmp_path / "database.sqlite"
    sqlite3.connect(empty).close()
    os.truncate(empty, 0)
    with pytest.raises(RedriveError, match="no such table"), read_ledger(empty):
        pass
