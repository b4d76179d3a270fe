"""The saved queries and the view of glue/queries: their form, and the rows they return."""

import base64
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from auditlake.runtime.plan import SavedQuery
from auditlake.runtime.query import Scan, parameter_names, run_query, saved_query
from lambda_src.common.partition import rule
from tests.lake import VIEW, glue_plan, glue_queries, row, write_rows

PLAN = glue_plan()
QUERIES = glue_queries()
RANGE = {"from": "2024-03-05", "to": "2024-03-06 12:00:00"}


def ask(data: Path, name: str, **values: str) -> tuple[list[dict[str, Any]], Scan]:
    """Run a saved query; return its rows by column, and what it read."""
    sql, ordered = saved_query(PLAN, name, values)
    with run_query(data, PLAN, sql, ordered) as result:
        rows = [dict(zip([column.name for column in result.columns], one, strict=True)) for one in result.rows()]
        return rows, result.scan()


def ids(data: Path, name: str, **values: str) -> list[str]:
    """Return the event ids of a saved query's rows, in their order."""
    return [one["event_id"] for one in ask(data, name, **values)[0]]


def time(text: str) -> datetime:
    """Return a time as the table holds it, UTC without a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=None)


@pytest.mark.parametrize("name", QUERIES)
def test_a_file_starts_with_its_question(name: str) -> None:
    """The first line is a comment of one sentence, which the CLI and the console show."""
    first = QUERIES[name].splitlines()[0]
    assert first.startswith("-- ")
    assert first.endswith(".")


@pytest.mark.parametrize("name", QUERIES)
def test_parameters_are_named_in_the_second_line(name: str) -> None:
    """The second line names each `?`; no comment holds a `?`, because some drivers count those too."""
    sql = QUERIES[name]
    names = parameter_names(SavedQuery(name, "", sql))
    assert len(names) == sql.count("?")
    assert not names or sql.splitlines()[1].startswith("-- parameters: ")


@pytest.mark.parametrize("dialect", ["athena", "trino"])
@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_one_select_of_athenas_dialect(name: str, dialect: str) -> None:
    """Every file is one query in Athena's and in Trino's dialect, and ends without a semicolon."""
    (tree,) = sqlglot.parse(QUERIES[name], read=dialect)
    assert isinstance(tree, exp.Query)
    assert not QUERIES[name].rstrip().endswith(";")


@pytest.mark.parametrize("name", QUERIES)
def test_the_table_is_not_qualified(name: str) -> None:
    """No query names a database, so that a stack with another one can use it."""
    assert {table.db for table in sqlglot.parse_one(QUERIES[name], read="athena").find_all(exp.Table)} == {""}


@pytest.mark.parametrize("name", [query.name for query in PLAN.saved_queries])
def test_every_query_runs_before_the_first_delivery(tmp_path: Path, name: str) -> None:
    """Over no file at all, every saved query returns no rows."""
    values = dict.fromkeys(parameter_names(SavedQuery(name, "", QUERIES[name])), "2024-03-05")
    assert ask(tmp_path, name, **values)[0] == []


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake in which each event has a place that a careless query misses or repeats."""
    write_rows(
        tmp_path,
        [
            row("before", "2024-03-04T23:59:59.999999Z"),
            row("first", "2024-03-05T00:00:00Z"),
            row("inside", "2024-03-06T11:59:59Z", event_type="document.read"),
            row("end", "2024-03-06T12:00:00Z"),
            row("in time", "2024-03-05T01:00:00Z", "2024-03-12T23:00:00Z"),
            row("late", "2024-03-05T02:00:00Z", "2024-03-13T00:00:00Z"),
            row("late within", "2024-03-05T03:00:00Z", "2024-06-01T00:00:00Z"),
            row("early", "2024-03-05T04:00:00Z", "2024-03-03T23:00:00Z"),
            row("late elsewhere", "2023-01-01T00:00:00Z", "2024-03-05T05:00:00Z"),
            row("without time", None, "2024-03-05T06:00:00Z"),
        ],
    )
    # The same events once more, as a retry by the client makes them: received later, in a file of its own.
    write_rows(
        tmp_path,
        [
            row("first", "2024-03-05T00:00:00Z", "2024-03-05T00:00:09Z"),
            row("late", "2024-03-05T02:00:00Z", "2024-03-14T00:00:00Z"),
        ],
        name="2",
    )
    return tmp_path


def test_who_did_what_finds_each_event_of_the_range_once(lake: Path) -> None:
    """The range includes its start and not its end; late, early and timeless events are in it, retries once."""
    rows, _ = ask(lake, "who_did_what", **RANGE)
    assert [one["event_id"] for one in rows] == [
        "first",
        "in time",
        "late",
        "late within",
        "early",
        "without time",
        "inside",
    ]
    assert rows[0] == {
        "happened_at": time("2024-03-05T00:00:00"),
        "actor_user_id": "alice",
        "principal": None,
        "event_type": "login",
        "action_operation": None,
        "action_status": None,
        "entity_type": None,
        "entity_id": None,
        "ip_address": None,
        "source": None,
        "event_id": "first",
    }
    assert rows[5]["happened_at"] == time("2024-03-05T06:00:00")


def test_a_range_reads_its_partitions_and_only_the_footers_of_the_others(tmp_path: Path) -> None:
    """Files of other days, none of whose rows is late, are opened for their footer alone."""
    for day in range(1, 11):
        rows = [row(f"{day}-{n}", f"2024-03-{day:02}T10:00:00Z", source=f"{n}" * 100) for n in range(3000)]
        write_rows(tmp_path, rows)
    found, scan = ask(tmp_path, "who_did_what", **{"from": "2024-03-05", "to": "2024-03-06"})
    assert len(found) == 3000
    assert (scan.files_read, scan.files_total) == (10, 10)
    sql = "SELECT DISTINCT event_id, source FROM events WHERE concat(year, '-', month, '-', day) BETWEEN ? AND ?"
    with run_query(tmp_path, PLAN, sql, ["2024-03-05", "2024-03-06"]) as result:
        assert len(list(result.rows())) == 6000
        own = result.scan()
    assert own.files_read == 2
    footers = 8 * 16384
    assert scan.bytes_read < own.bytes_read * 4 + footers < scan.bytes_total


def test_failed_actions_are_all_but_known_successes(tmp_path: Path) -> None:
    """Any status that is no known word of success is found, and an event type that says so; a missing status is not."""
    statuses = ["success", "SUCCESS", "ok", "200", "failure", "FAILED", "AccessDenied", "404", "odd", None]
    rows = [row(f"{status}", "2024-03-05T10:00:00Z", action_status=status) for status in statuses]
    typed = row("type", "2024-03-05T10:00:00Z", event_type="login.failed", action_status=None)
    late = row("late", "2024-03-05T10:00:00Z", "2024-05-05T10:00:00Z", action_status="denied")
    outside = row("outside", "2024-03-07T10:00:00Z", action_status="denied")
    write_rows(tmp_path, [*rows, typed, late, outside])
    assert ids(tmp_path, "failed_actions", **RANGE) == sorted(
        ["failure", "FAILED", "AccessDenied", "404", "odd", "type", "late"]
    )


def test_entity_history_has_a_row_a_change_and_one_for_an_event_without(tmp_path: Path) -> None:
    """Changes keep their order; the entity is found at the top level and in the details; a repeat adds nothing."""
    changes = [
        {"field": "title", "old_value": "a", "new_value": "b"},
        {"field": "owner", "old_value": None, "new_value": "bob"},
    ]
    nested = {"entity_type": "doc", "entity_id": "7", "change_type": "update", "changes": changes}
    rows = [
        row("read", "2024-03-06T10:00:00Z", entity_type="doc", entity_id="7"),
        row("update", "2024-03-05T10:00:00Z", details=nested),
        row(
            "late",
            "2024-03-01T10:00:00Z",
            "2024-05-01T10:00:00Z",
            entity_type="doc",
            entity_id="7",
            details={"changes": []},
        ),
        row("other", "2024-03-05T10:00:00Z", entity_type="doc", entity_id="8"),
        row("mixed", "2024-03-05T10:00:00Z", entity_type="doc", entity_id="8", details={"entity_id": "7"}),
    ]
    write_rows(tmp_path, rows)
    write_rows(tmp_path, rows, name="2")
    found, _ = ask(tmp_path, "entity_history", entity_type="doc", entity_id="7")
    names = ("event_id", "change_type", "field", "old_value", "new_value", "change_number")
    assert [tuple(one[name] for name in names) for one in found] == [
        ("late", None, None, None, None, None),
        ("update", "update", "title", "a", "b", 1),
        ("update", "update", "owner", None, "bob", 2),
        ("read", None, None, None, None, None),
    ]


def test_logins_are_found_in_their_own_partition_and_in_other(tmp_path: Path) -> None:
    """Logins of one user are found whether or not `login` was listed when they came, and nothing else is read."""
    context = {"user_agent": "curl"}
    write_rows(tmp_path, [row("listed", "2024-03-06T10:00:00Z", context=context, ip_address="192.0.2.1")])
    write_rows(tmp_path, [row("dotted", "2024-03-07T10:00:00Z", event_type="login.failed")])
    write_rows(tmp_path, [row("late", "2023-03-07T10:00:00Z", "2024-03-07T10:00:00Z")], name="2")
    write_rows(tmp_path, [row("unlisted", "2024-03-05T10:00:00Z")], rule([], 7, 1))
    write_rows(tmp_path, [row("own", "2024-03-08T10:00:00Z", event_type="login.sso")], rule(["login.sso"], 7, 1))
    others = [
        row("bob", "2024-03-06T10:00:00Z", actor_user_id="bob"),
        row("not", "2024-03-06T10:00:00Z", event_type="logins"),
    ]
    write_rows(tmp_path, [*others, row("doc", "2024-03-06T10:00:00Z", event_type="document.read")], name="3")
    found, scan = ask(tmp_path, "logins_of_user", user="alice")
    assert [one["event_id"] for one in found] == ["late", "unlisted", "listed", "dotted", "own"]
    assert (found[2]["user_agent"], found[2]["ip_address"]) == ("curl", "192.0.2.1")
    assert scan.files_read == scan.files_total - 1


def test_activity_per_day_counts_each_event_once_on_its_own_day(lake: Path) -> None:
    """Late events count on the day they happened, timeless ones on that of receipt, and retries once."""
    found, _ = ask(lake, "activity_per_day", **RANGE)
    assert [tuple(one.values()) for one in found] == [
        (date(2024, 3, 5), "login", 6),
        (date(2024, 3, 6), "document.read", 1),
    ]


def test_first_and_last_seen_has_a_row_a_principal(tmp_path: Path) -> None:
    """A principal is seen by the server's clock and by the clients'; events put to the stream have none."""
    write_rows(
        tmp_path,
        [
            row("a", "2024-03-05T10:00:00Z", "2024-03-05T10:00:01Z", principal="app"),
            row("b", "2020-01-01T00:00:00Z", "2024-03-06T10:00:00Z", principal="app", actor_user_id="bob"),
            row("b", "2020-01-01T00:00:00Z", "2024-03-06T10:00:00Z", principal="app", actor_user_id="bob"),
            row("c", "2024-03-04T10:00:00Z"),
        ],
    )
    found, _ = ask(tmp_path, "first_and_last_seen")
    c = time("2024-03-04T10:00:00")
    assert [tuple(one.values()) for one in found] == [
        (
            "app",
            time("2024-03-05T10:00:01"),
            time("2024-03-06T10:00:00"),
            time("2020-01-01T00:00:00"),
            time("2024-03-05T10:00:00"),
            2,
            2,
        ),
        (None, c, c, c, c, 1, 1),
    ]
    found, _ = ask(tmp_path, "first_and_last_seen_by_actor")
    assert [(one["actor_user_id"], one["principal"], one["events"]) for one in found] == [
        ("alice", "app", 1),
        ("alice", None, 1),
        ("bob", "app", 1),
    ]


def test_everything_is_every_row(lake: Path) -> None:
    """Every row is there, the repeated ones too, with the columns and partition keys of the table."""
    rows, scan = ask(lake, "everything")
    assert len(rows) == 12
    assert list(rows[0]) == [column.name for column in (*PLAN.table.columns, *PLAN.table.partition_keys)]
    assert scan.files_read == scan.files_total


def test_one_type_on_one_day_includes_its_late_events(lake: Path) -> None:
    """The events of the type that happened on the day are found, in whatever partition they lie, with all columns."""
    found = ids(lake, "one_type_on_one_day", audit_type="login", date="2024-03-05")
    assert found == ["first", "first", "in time", "late", "late", "late within", "early", "without time"]
    assert ids(lake, "one_type_on_one_day", audit_type="document", date="2024-03-06") == ["inside"]
    assert ids(lake, "one_type_on_one_day", audit_type="document", date="2024-03-05") == []


def test_late_events_lists_them_with_their_delay(lake: Path) -> None:
    """Late and early events and those without a time are listed with whole days between event and receipt."""
    found, _ = ask(lake, "late_events")
    assert [(one["event_id"], one["days_late"]) for one in found] == [
        ("early", -1),
        ("late elsewhere", 429),
        ("without time", None),
        ("late", 7),
        ("late", 8),
        ("late within", 87),
    ]


def test_problems_have_a_row_each(tmp_path: Path) -> None:
    """Each problem of an event is a row, and an event without problems is none."""
    write_rows(tmp_path, [row("a", "2024-03-05T10:00:00Z", problems=["x", "y"]), row("b", "2024-03-05T10:00:00Z")])
    found, _ = ask(tmp_path, "events_with_problems")
    assert [(one["event_id"], one["problem"]) for one in found] == [("a", "x"), ("a", "y")]


def test_types_in_other_are_counted(tmp_path: Path) -> None:
    """The event types that land in `other` come with how many events each has, the most frequent first."""
    write_rows(tmp_path, [row(f"{n}", "2024-03-05T10:00:00Z", event_type="b" if n else "a") for n in range(3)])
    write_rows(tmp_path, [row("listed", "2024-03-05T10:00:00Z")])
    found, _ = ask(tmp_path, "types_in_other")
    assert [(one["event_type"], one["events"]) for one in found] == [("b", 2), ("a", 1)]


def seen(data: Path, view: str) -> list[dict[str, Any]]:
    """Return the rows of a view by column."""
    with run_query(data, PLAN, f"SELECT * FROM {view} ORDER BY event_id, received_at, raw_sha256") as result:
        names = [column.name for column in result.columns]
        return [dict(zip(names, one, strict=True)) for one in result.rows()]


def test_events_with_one_id_and_other_bytes_conflict(tmp_path: Path) -> None:
    """Every event of an id under which other bytes came is shown, first received first; a repeated delivery is none."""
    write_rows(
        tmp_path,
        [
            row("a", "2024-03-05T10:00:00Z", "2024-03-05T10:00:02Z", raw='{"id":"a","n":2}'),
            row("a", "2024-03-05T10:00:00Z", "2024-03-05T10:00:01Z", raw='{"id":"a","n":1}'),
            row("b", "2024-03-05T10:00:00Z"),
            row("b", "2024-03-05T10:00:00Z"),
        ],
    )
    again = row("a", "2024-03-05T10:00:00Z", "2024-03-06T10:00:00Z", raw='{"id":"a","n":1}')
    write_rows(tmp_path, [again, row("b", "2024-03-05T10:00:00Z", event_type="document.read")], name="2")
    found, _ = ask(tmp_path, "conflicts")
    first, second = time("2024-03-05T10:00:01"), time("2024-03-05T10:00:02")
    assert [(one["event_id"], one["versions"], one["received_at"], one["raw"]) for one in found] == [
        ("a", 2, first, '{"id":"a","n":1}'),
        ("a", 2, second, '{"id":"a","n":2}'),
    ]
    assert [(one["event_id"], one["versions"]) for one in seen(tmp_path, VIEW)] == [("a", 2), ("a", 2), ("b", 1)]
    assert [one["received_at"] for one in seen(tmp_path, "conflicting_events")] == [first, second]


def test_rows_from_before_the_hash_are_told_apart_by_their_bytes(tmp_path: Path) -> None:
    """A row without raw_sha256 gets that of its raw, base64 undone, so that it is one event with a newer row of it."""
    text, other = '{"id":"a"}', ' \n{"id":"a"}'
    broken = b'{"id":"b","name":"\xff"}'
    encoded = base64.b64encode(broken).decode()
    old = [
        row("a", "2024-03-05T10:00:00Z", raw=text, raw_sha256=None),
        row("a", "2024-03-05T10:00:01Z", raw=other, raw_sha256=None),
        row("b", "2024-03-05T10:00:02Z", raw=encoded, raw_sha256=None),
        row("c", "2024-03-05T10:00:03Z", raw="\ufeff{}", raw_sha256=None),
    ]
    new = [
        row("a", "2024-03-05T10:00:00Z", "2024-03-05T10:00:09Z", raw=text),
        row("b", "2024-03-05T10:00:02Z", "2024-03-05T10:00:09Z", raw=encoded, raw_sha256=sha256(broken).hexdigest()),
    ]
    write_rows(tmp_path, old)
    write_rows(tmp_path, new, name="2")
    hashes = [sha256(part).hexdigest() for part in (text.encode(), other.encode(), broken, b"\xef\xbb\xbf{}")]
    assert [(one["event_id"], one["versions"], one["raw_sha256"]) for one in seen(tmp_path, VIEW)] == list(
        zip("aabc", (2, 2, 1, 1), hashes, strict=True)
    )


def test_a_file_without_the_column_of_the_hash_still_counts(tmp_path: Path) -> None:
    """A Parquet file that was written before the column was added to the table loses no event in the view."""
    (file,) = write_rows(tmp_path, [row("a", "2024-03-05T10:00:00Z"), row("b", "2024-03-05T10:00:00Z")])
    pq.write_table(pq.ParquetFile(file).read().drop_columns(["raw_sha256"]), file)
    write_rows(tmp_path, [row("a", "2024-03-05T10:00:00Z", "2024-03-06T10:00:00Z")], name="2")
    assert [(one["event_id"], one["versions"]) for one in seen(tmp_path, VIEW)] == [("a", 1), ("b", 1)]


def test_the_view_reads_raw_of_no_row_that_has_its_hash(tmp_path: Path) -> None:
    """Telling events apart costs the hashes; raw, most of every file, is read where it is asked for."""
    chance = random.Random(1)  # noqa: S311  # test data that does not compress
    for day in range(1, 4):
        rows = [row(f"{day}-{n}", f"2024-03-0{day}T10:00:00Z", raw=chance.randbytes(400).hex()) for n in range(2000)]
        write_rows(tmp_path, rows)
    with run_query(tmp_path, PLAN, f"SELECT event_id, versions FROM {VIEW}") as result:
        assert sum(1 for _ in result.rows()) == 6000
        without = result.scan()
    with run_query(tmp_path, PLAN, f"SELECT raw FROM {VIEW}") as result:
        assert sum(1 for _ in result.rows()) == 6000
        whole = result.scan()
    assert without.bytes_read < whole.bytes_read / 3


@given(
    copies=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["{}", " {}", '{"a":1}']), st.booleans()), min_size=1
    )
)
@settings(max_examples=25, deadline=None)
def test_the_view_has_one_row_for_each_id_and_bytes(copies: list[tuple[str, str, bool]]) -> None:
    """Whatever is repeated, with its hash or from before there was one, the view has each id and bytes exactly once."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        rows = [
            row(name, f"2024-03-05T10:00:00.{number:06}Z", raw=raw, **({} if hashed else {"raw_sha256": None}))
            for number, (name, raw, hashed) in enumerate(copies)
        ]
        write_rows(data, rows)
        firsts = {(name, raw): number for number, (name, raw, _) in reversed(list(enumerate(copies)))}
        versions = Counter(name for name, _ in firsts)
        expected = sorted((name, raw, number, versions[name]) for (name, raw), number in firsts.items())
        for view, wanted in ((VIEW, expected), ("conflicting_events", [one for one in expected if one[3] > 1])):
            found = [
                (one["event_id"], one["raw"], one["received_at"].microsecond, one["versions"])
                for one in seen(data, view)
            ]
            assert sorted(found) == wanted


def test_the_view_shows_the_first_received_row_of_each_event(lake: Path) -> None:
    """Each event has one row, the first that was received, wherever the others lie; its columns are the table's."""
    rows = seen(lake, VIEW)
    assert list(rows[0]) == [column.name for column in (*PLAN.table.columns, *PLAN.table.partition_keys)] + ["versions"]
    assert len(rows) == len({one["event_id"] for one in rows}) == 10
    received = {one["event_id"]: one["received_at"] for one in rows}
    assert received["first"] == time("2024-03-05T00:00:00")
    assert received["late"] == time("2024-03-13T00:00:00")


@given(st.permutations(["alice", "bob", "carol"]))
@settings(max_examples=6, deadline=None)
def test_the_view_chooses_alike_in_whatever_order_rows_lie(principals: Sequence[str]) -> None:
    """Of rows with one event that were received at the same moment, the view always shows the same."""
    with tempfile.TemporaryDirectory() as data:
        rows = [row("a", "2024-03-05T10:00:00Z", principal=principal) for principal in principals]
        for number, one in enumerate(rows):
            write_rows(Path(data), [one], name=str(number))
        with run_query(Path(data), PLAN, f"SELECT principal FROM {VIEW}") as result:
            assert list(result.rows()) == [("alice",)]


@dataclass(frozen=True)
class Arrival:
    """When an event happened, None for a time that no row can hold, and when it was received."""

    happened_at: datetime | None
    received_at: datetime

    @property
    def placed_at(self) -> datetime:
        """The time at which queries over a range of time find the event."""
        return self.happened_at or self.received_at


START = datetime(2024, 1, 1, tzinfo=UTC)
HOURS = 24 * 60
MOMENTS = st.integers(0, HOURS).map(lambda hours: START + timedelta(hours=hours))
NEAR = st.tuples(MOMENTS, st.integers(-48, 24 * 10)).map(lambda one: Arrival(one[0], one[0] + timedelta(hours=one[1])))
ARRIVALS = st.lists(NEAR | st.builds(Arrival, st.none() | MOMENTS, MOMENTS), max_size=25)


@given(ARRIVALS, MOMENTS, st.integers(0, 24 * 12), st.integers(0, 8), st.integers(0, 2))
@settings(max_examples=25, deadline=None)
def test_a_range_misses_no_event_because_of_its_partition(
    arrivals: Sequence[Arrival], start: datetime, hours: int, days_back: int, days_ahead: int
) -> None:
    """Whenever events happen and come, and whatever the window, a range returns exactly the events within it."""
    end = start + timedelta(hours=hours)
    placed = {f"{number:02}": arrival.placed_at for number, arrival in enumerate(arrivals)}
    within = {name: moment for name, moment in placed.items() if start <= moment < end}
    bounds = {"from": f"{start:%Y-%m-%d %H:%M:%S}", "to": f"{end:%Y-%m-%d %H:%M:%S}"}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        rows = [
            row(
                name,
                _text(arrival.happened_at) if arrival.happened_at else None,
                _text(arrival.received_at),
                action_status="denied",
            )
            for name, arrival in zip(placed, arrivals, strict=True)
        ]
        write_rows(data, rows, rule(["login"], days_back, days_ahead))
        for name in ("who_did_what", "failed_actions"):
            assert ids(data, name, **bounds) == sorted(within, key=lambda one: (within[one], one))
        counted = {one["happened_on"]: one["events"] for one in ask(data, "activity_per_day", **bounds)[0]}
        days = [moment.date() for moment in within.values()]
        assert counted == {day: days.count(day) for day in days}
        day = ids(data, "one_type_on_one_day", audit_type="login", date=f"{start:%Y-%m-%d}")
        assert set(day) == {name for name, moment in placed.items() if moment.date() == start.date()}
        assert len(day) == len(set(day))


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
