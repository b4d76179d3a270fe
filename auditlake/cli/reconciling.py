"""`auditlake reconcile`: whether all that was accepted is there."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from auditlake.cli.failures import (
    BucketOption,
    EndpointOption,
    LedgerOption,
    Place,
    RegionOption,
    open_place,
    progress,
)
from auditlake.cli.shared import DataOption, JsonOption, MapOption, PlanOption, app, err, local, out, print_json
from auditlake.errors import ReconcileError

if TYPE_CHECKING:
    from auditlake.athena import Athena
    from auditlake.reconcile import Reconciliation, Report, State

INCOMPLETE = 3
"""The exit code when an event is missing or conflicting, or a line of what was sent cannot be read."""
MARGIN_S = 300
"""On top of the stream's buffers, how long an event may take before it counts as missing."""

_MEANING = {
    "in_table": "one row",
    "duplicated": "more than one row of the same bytes; events_deduplicated shows one",
    "pending": "not delivered yet",
    "failed": "under the error prefix: auditlake redrive",
    "conflicting": "one id, other bytes than were sent",
    "refused": "refused by the endpoint for good: a dead letter in the spool",
    "missing": "nowhere",
}


@app.command(epilog="Example: auditlake reconcile --sent receipt.ndjson --list missing")
@local
def reconcile(
    sent: Annotated[
        Path,
        typer.Option(help="Receipts of `send --receipt`, the events that were sent, bare ids, or a client's spool."),
    ],
    mapping: MapOption = None,
    listed: Annotated[
        str | None, typer.Option("--list", help="Print the ids in this state, a line each, instead of the table.")
    ] = None,
    data: DataOption = Path("data"),
    plan: PlanOption = None,
    bucket: BucketOption = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    workgroup: Annotated[str, typer.Option(help="With --bucket: the Athena workgroup that is asked.")] = "auditlake",
    output: Annotated[
        str | None,
        typer.Option(
            "--output-location", help="With --bucket: s3://... for Athena's results, if the workgroup has none."
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="With --bucket: only rows received at or after this UTC time, which costs less.")
    ] = None,
    in_flight: Annotated[
        int | None,
        typer.Option(
            help="With --bucket: seconds until an accepted event must be found; by the plan's buffers by default.",
            min=0,
        ),
    ] = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say of every event that was sent in which state it is; exit 0 only if none is missing, refused or conflicting.

    Exit 3 if one is, or if a line of what was sent cannot be read; 1 if it cannot look. Failed, pending and duplicated
    events are not lost, and do not change the exit code.
    """
    from auditlake.mapping import load_mapping
    from auditlake.reconcile import Reconciliation
    from auditlake.sent import read_sent

    state = _state(listed)
    if bucket is None and (output or since or in_flight is not None):
        raise ReconcileError("--output-location, --since and --in-flight are for --bucket.")
    place = open_place(data, plan, bucket, endpoint, region, ledger)
    with Reconciliation() as both:
        with err.status("reading what was sent"):
            both.tell(read_sent(sent, load_mapping(mapping) if mapping else None))
        if bucket is None:
            _look_here(both, place, data)
            report = both.compare()
        else:
            athena = _athena(place, endpoint, region, workgroup, output)
            _look_on_aws(both, place, athena, since)
            report = both.compare(int((time.time() - _in_flight_s(place, in_flight)) * 1000))
        _print(both, report, state, as_json=as_json)
    raise typer.Exit(0 if report.is_complete else INCOMPLETE)


def _state(name: str | None) -> "State | None":
    from auditlake.reconcile import State

    if name is None:
        return None
    try:
        return State(name.replace(" ", "_"))
    except ValueError:
        raise ReconcileError(f"There is no state {name}; there are: {', '.join(State)}.") from None


def _look_here(both: "Reconciliation", place: Place, data: Path) -> None:
    """Look into a data directory: its buffer, its error objects, its table."""
    from auditlake.evidence import waiting_evidence
    from auditlake.runtime.query import find_lake, table_sql

    lacking = {"event_id", "raw", "raw_sha256"} - {column.name for column in place.plan.table.columns}
    if lacking:
        raise ReconcileError(f"The plan's table has no {', '.join(sorted(lacking))}, by which events are compared.")
    with err.status("looking into the buffer"):
        both.find(waiting_evidence(data))
    _look_at_errors(both, place)
    with err.status("looking into the table"):
        lake = find_lake(data, place.plan)
        both.find_rows(table_sql(place.plan.table, lake))


def _look_at_errors(both: "Reconciliation", place: Place) -> None:
    from auditlake.evidence import failed_evidence
    from auditlake.ledger import read_ledger

    with err.status("listing error objects"):
        objects = list(place.store.objects())
    with read_ledger(place.ledger) as ledger:
        both.repaired(ledger.repaired())
        with progress(err, objects, "reading error objects") as advance:
            both.find(failed_evidence(place.store, objects, ledger, advance))


def _look_on_aws(both: "Reconciliation", place: Place, athena: "Athena", since: str | None) -> None:
    """Look into the bucket's error prefix and, by Athena, into the table; what Firehose holds nobody can see."""
    from auditlake.evidence import MAX_LISTED_IDS, stripped_rows, table_evidence
    from auditlake.selection import selection

    since_ms = selection(since=since).since_ms
    _look_at_errors(both, place)
    ids = both.ids(count=MAX_LISTED_IDS) if both.lines <= MAX_LISTED_IDS else None
    with err.status(f"asking Athena's workgroup {athena.workgroup}"):
        both.find(table_evidence(athena, place.plan.table, ids, since_ms))
        if differing := both.differing(MAX_LISTED_IDS + 1):
            listed = differing if len(differing) <= MAX_LISTED_IDS else None
            both.stripped(stripped_rows(athena, place.plan.table, listed))


def _athena(place: Place, endpoint: str | None, region: str | None, workgroup: str, output: str | None) -> "Athena":
    from auditlake.athena import Athena
    from auditlake.error_store import aws_client

    client, s3 = (aws_client(service, endpoint, region) for service in ("athena", "s3"))
    return Athena(client, s3, workgroup, place.plan.table.database, output)


def _in_flight_s(place: Place, given: int | None) -> float:
    """Return how long an event may be on its way: both buffers, the second half as long again (C3), and a margin."""
    stream = place.plan.stream
    return (
        given if given is not None else stream.processor.buffer_interval_s + 1.5 * stream.buffer_interval_s + MARGIN_S
    )


def _print(both: "Reconciliation", report: "Report", listed: "State | None", *, as_json: bool) -> None:
    from auditlake.terminal import visible

    if listed is not None:
        for found in both.events(listed):
            if as_json:
                print_json({"id": found.id, "state": found.state, "rows": found.rows, "redriven": found.redriven})
            else:
                sys.stdout.write(f"{visible(found.id)}\n")
    elif as_json:
        print_json(_content(report))
    else:
        table = Table("state", title=f"{report.sent:,} events were sent", title_justify="left")
        table.add_column("events", justify="right")
        table.add_column("which is")
        for name, meaning in _MEANING.items():
            table.add_row(name, f"{report.states[_known(name)]:,}", meaning)
        out.print(table)
    for problem in report.problems:
        err.print(Text(visible(problem)), soft_wrap=True)
    for sentence in _sentences(report):
        err.print(sentence, markup=False, soft_wrap=True)


def _known(name: str) -> "State":
    from auditlake.reconcile import State

    return State(name)


def _content(report: "Report") -> dict[str, Any]:
    return {
        "complete": report.is_complete,
        "sent": report.sent,
        **{state.value: count for state, count in report.states.items()},
        "copies": report.copies,
        "redriven": report.redriven,
        "problems": report.problem_count,
    }


def _sentences(report: "Report") -> list[str]:
    from auditlake.reconcile import State

    said = []
    if report.problem_count:
        said.append(f"{report.problem_count:,} lines of what was sent name no event that was accepted.")
    if report.copies:
        said.append(f"The duplicated events have {report.copies:,} rows too many in all.")
    if report.redriven:
        said.append(f"{report.redriven:,} of the failed were put again by the ledger, and are not in the table (yet).")
    if report.states[State.CONFLICTING]:
        said.append(
            "Conflicting ids: auditlake reconcile ... --list conflicting; what is there of one: auditlake explain ID. "
            "The view conflicting_events holds those of them that have several rows that differ."
        )
    if report.states[State.MISSING]:
        said.append("Missing ids: auditlake reconcile ... --list missing; send these events again, with the same ids.")
    return said
