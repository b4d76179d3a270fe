"""Every event that was sent is in exactly one state."""

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlake.errors import ReconcileError
from auditlake.reconcile import CHUNK_ROWS, Evidence, Place, Reconciliation, Report, State
from auditlake.runtime.query import find_lake, table_sql
from auditlake.sent import NotSent, Sent
from tests import lake

TABLE, FAILED, REDRIVEN, PENDING = Place.TABLE, Place.FAILED, Place.REDRIVEN, Place.PENDING


def reconciled(
    sent: Iterable[Sent | NotSent],
    evidence: Iterable[Evidence] = (),
    repaired: Iterable[tuple[str, str, str]] = (),
    found_after_ms: int | None = None,
) -> tuple[Report, dict[str, State]]:
    """Compare, and return the report with the state of each id."""
    with Reconciliation() as both:
        both.tell(sent)
        both.repaired(repaired)
        both.find(evidence)
        report = both.compare(found_after_ms)
        return report, {found.id: state for state in State for found in both.events(state)}


@pytest.mark.parametrize(
    ("sent", "evidence", "state"),
    [
        ([Sent("e", "a")], [], State.MISSING),
        ([Sent("e", "a")], [Evidence("f", "a", TABLE)], State.MISSING),
        ([Sent("e", "a")], [Evidence("e", "a", TABLE)], State.IN_TABLE),
        ([Sent("e")], [Evidence("e", "a", TABLE)], State.IN_TABLE),
        ([Sent("e", "a")], [Evidence("e", None, TABLE)], State.IN_TABLE),
        ([Sent("e", "a")], [Evidence("e", "a", TABLE, 2)], State.DUPLICATED),
        ([Sent("e", "a"), Sent("e", "a")], [Evidence("e", "a", TABLE)], State.IN_TABLE),
        ([Sent("e", "a")], [Evidence("e", "b", TABLE)], State.CONFLICTING),
        ([Sent("e", "a")], [Evidence("e", "a", TABLE), Evidence("e", "b", TABLE)], State.CONFLICTING),
        ([Sent("e")], [Evidence("e", "a", TABLE), Evidence("e", "b", TABLE)], State.CONFLICTING),
        ([Sent("e", "a"), Sent("e", "b")], [Evidence("e", "a", TABLE)], State.CONFLICTING),
        ([Sent("e", "a")], [Evidence("e", "a", FAILED)], State.FAILED),
        ([Sent("e", "a")], [Evidence("e", "b", FAILED)], State.CONFLICTING),
        ([Sent("e", "a")], [Evidence("e", "a", FAILED), Evidence("e", "a", TABLE)], State.IN_TABLE),
        ([Sent("e", "a")], [Evidence("e", "a", REDRIVEN)], State.FAILED),
        ([Sent("e", "a")], [Evidence("e", "a", REDRIVEN), Evidence("e", "a", PENDING)], State.PENDING),
        ([Sent("e", "a")], [Evidence("e", "a", PENDING)], State.PENDING),
        ([Sent("e", "a")], [Evidence("e", "a", PENDING), Evidence("e", "a", TABLE)], State.IN_TABLE),
        ([Sent("e", "a", refused="no")], [], State.REFUSED),
        ([Sent("e", "a", refused="no")], [Evidence("e", "a", TABLE)], State.IN_TABLE),
        ([Sent("e", "a", refused="no")], [Evidence("e", "mended", TABLE)], State.IN_TABLE),
        ([Sent("e", "a", refused="no"), Sent("e", "mended")], [Evidence("e", "mended", TABLE)], State.IN_TABLE),
        ([Sent("e", "a", refused="no"), Sent("e", "b")], [Evidence("e", "c", TABLE)], State.CONFLICTING),
        ([Sent("e", "a", None, waits=True)], [], State.PENDING),
        ([Sent("e", "a", None, waits=True)], [Evidence("e", "a", TABLE)], State.IN_TABLE),
    ],
)
def test_an_event_has_one_state(sent: list[Sent], evidence: list[Evidence], state: State) -> None:
    """By where it is, and by whether its bytes are those that were sent."""
    report, states = reconciled(sent, evidence)
    assert states == {"e": state}
    assert (report.sent, report.states[state]) == (1, 1)
    assert report.is_complete is (state not in (State.MISSING, State.REFUSED, State.CONFLICTING))


def test_a_repaired_event_is_the_one_that_was_sent() -> None:
    """By the ledger; another change of the same event is a conflict."""
    failed = Evidence("e", "a", REDRIVEN)
    repaired = [("e", "a", "a2")]
    assert reconciled([Sent("e", "a")], [failed, Evidence("e", "a2", TABLE)], repaired)[1] == {"e": State.IN_TABLE}
    assert reconciled([Sent("e", "a")], [failed, Evidence("e", "a3", TABLE)], repaired)[1] == {"e": State.CONFLICTING}
    assert reconciled([Sent("e", "a")], [failed, Evidence("e", "a2", TABLE)])[1] == {"e": State.CONFLICTING}


@pytest.mark.parametrize("place", [TABLE, PENDING, FAILED])
def test_white_space_around_an_event_makes_no_other_event(place: Place) -> None:
    """Whichever side it stands on; other bytes within stay a conflict."""
    states = {TABLE: State.IN_TABLE, PENDING: State.PENDING, FAILED: State.FAILED}
    around = Evidence("e", "a+", place, stripped="a")
    assert reconciled([Sent("e", "a")], [around])[1] == {"e": states[place]}
    assert reconciled([Sent("e", "a+")], [around])[1] == {"e": states[place]}
    assert reconciled([Sent("e", "b")], [around])[1] == {"e": State.CONFLICTING}
    mended = [Evidence("e", "a+", REDRIVEN, stripped="a"), Evidence("e", "a2", TABLE)]
    assert reconciled([Sent("e", "a")], mended, [("e", "a+", "a2")])[1] == {"e": State.IN_TABLE}


def test_rows_with_white_space_around_raw_are_the_events_that_were_sent(tmp_path: Path) -> None:
    """Such as earlier versions stored of records that end in a newline."""
    rows = [
        lake.row(name, "2026-11-24T03:00:00Z", raw=raw, raw_sha256=sha256(raw.encode()).hexdigest())
        for name, raw in (("ended", "{}\n"), ("around", " \t{}\r\n"), ("other", "{ }\n"))
    ]
    lake.write_rows(tmp_path, rows)
    plan = lake.glue_plan()
    with Reconciliation() as both:
        both.tell(Sent(name, sha256(b"{}").hexdigest()) for name in ("ended", "around", "other"))
        both.find_rows(table_sql(plan.table, find_lake(tmp_path, plan)))
        both.compare()
        states = {found.id: state for state in State for found in both.events(state)}
    assert states == {"ended": State.IN_TABLE, "around": State.IN_TABLE, "other": State.CONFLICTING}


def test_redriven_events_that_did_not_arrive_are_counted() -> None:
    """They are failed still; one that failed again is not among them, its new error object is open."""
    again = [Evidence("e", "a", REDRIVEN), Evidence("f", "a", REDRIVEN), Evidence("f", "a", FAILED)]
    report, _ = reconciled([Sent("e", "a"), Sent("f", "a")], again)
    assert (report.states[State.FAILED], report.redriven) == (2, 1)


def test_what_was_accepted_just_now_may_be_on_its_way() -> None:
    """Where nobody can look into the stream's buffer; without a time of acceptance it is missing."""
    sent = [Sent("old", "a", 999), Sent("new", "a", 1000), Sent("unknown", "a")]
    _, states = reconciled(sent, found_after_ms=1000)
    assert states == {"old": State.MISSING, "new": State.PENDING, "unknown": State.MISSING}


def test_nothing_sent_is_an_error_and_not_a_success() -> None:
    """Of nothing nothing can be said."""
    with pytest.raises(ReconcileError, match="holds no event"):
        reconciled([])


def test_a_line_that_cannot_be_read_is_never_complete() -> None:
    """It may stand for an event that was accepted."""
    report, _ = reconciled([Sent("e", "a"), NotSent("Line 2 is no id.")], [Evidence("e", "a", TABLE)])
    assert (report.is_complete, report.problem_count, report.problems) == (False, 1, ["Line 2 is no id."])


def test_more_than_one_chunk_is_compared() -> None:
    """Ids are taken in chunks, whose borders do not matter."""
    count = CHUNK_ROWS * 2 + 7
    report, _ = reconciled(
        (Sent(f"e{n}", "a") for n in range(count)), (Evidence(f"e{n}", "a", TABLE) for n in range(1, count))
    )
    assert (report.states[State.IN_TABLE], report.states[State.MISSING]) == (count - 1, 1)


_IDS = st.sampled_from(["a", "b", "c", "it's", "\u00e9\n"])
_DIGESTS = st.sampled_from(["1", "2"])


@settings(deadline=None)
@given(
    st.lists(st.tuples(_IDS, _DIGESTS), min_size=1, max_size=8),
    st.lists(st.tuples(_IDS, _DIGESTS, st.sampled_from(Place)), max_size=12),
)
def test_the_states_are_those_of_a_plain_model(
    sent: list[tuple[str, str]], evidence: list[tuple[str, str, Place]]
) -> None:
    """The SQL says what a loop over dictionaries says."""
    _, states = reconciled([Sent(*one) for one in sent], [Evidence(*one) for one in evidence])
    for id_ in {id_ for id_, _ in sent}:
        digests = {digest for one, digest in sent if one == id_} | {digest for one, digest, _ in evidence if one == id_}
        places = Counter(place for one, _, place in evidence if one == id_)
        if len(digests) > 1:
            expected = State.CONFLICTING
        elif places[TABLE]:
            expected = State.DUPLICATED if places[TABLE] > 1 else State.IN_TABLE
        elif places[PENDING]:
            expected = State.PENDING
        else:
            expected = State.FAILED if places[FAILED] or places[REDRIVEN] else State.MISSING
        assert states.pop(id_) is expected
    assert not states


def test_the_table_is_read_with_and_without_its_hash_column(tmp_path: Path) -> None:
    """Rows from before the column are hashed here, base64 that problems tell of as the bytes that it stands for."""
    body = b'{"x":"\xff"}'
    rows = [
        lake.row("new", "2026-11-24T03:00:00Z", raw="{}", raw_sha256=sha256(b"{}").hexdigest()),
        lake.row("old", "2026-11-24T03:00:00Z", raw="{}", raw_sha256=None),
        lake.row(
            "base64",
            "2026-11-24T03:00:00Z",
            raw="eyJ4Ijoi/yJ9",
            raw_sha256=None,
            problems=["the event: expected UTF-8, got another byte at 6; raw holds the bytes as base64"],
        ),
        lake.row("changed", "2026-11-24T03:00:00Z", raw="{}", raw_sha256=sha256(b"[]").hexdigest()),
    ]
    lake.write_rows(tmp_path, rows)
    lake.write_rows(tmp_path, rows[:1], name="2")
    plan = lake.glue_plan()
    with Reconciliation() as both:
        empty = sha256(b"{}").hexdigest()
        both.tell([Sent(n, empty) for n in ("new", "old", "changed")] + [Sent("base64", sha256(body).hexdigest())])
        both.find_rows(table_sql(plan.table, find_lake(tmp_path, plan)))
        report = both.compare()
        states = {found.id: (state, found.rows) for state in State for found in both.events(state)}

    assert states == {
        "new": (State.DUPLICATED, 2),
        "old": (State.IN_TABLE, 1),
        "base64": (State.IN_TABLE, 1),
        "changed": (State.CONFLICTING, 1),
    }
    assert report.copies == 1
