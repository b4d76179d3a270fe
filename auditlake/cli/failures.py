"""`auditlake errors`: what failed; and the options and the place that `redrive` and `reconcile` share with it."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from auditlake.cli.shared import (
    DataOption,
    JsonOption,
    PlanOption,
    app,
    err,
    local,
    out,
    print_json,
)
from auditlake.errors import RedriveError

if TYPE_CHECKING:
    from auditlake.error_store import ErrorObject, ErrorStore
    from auditlake.runtime.plan import Plan
    from auditlake.survey import Survey

OPEN = 3
"""The exit code when events lie under the error prefix that were not put again."""

BucketOption = Annotated[
    str | None, typer.Option("--bucket", help="Look into this S3 bucket instead of the data directory's store.")
]
EndpointOption = Annotated[
    str | None, typer.Option("--endpoint-url", help="Another endpoint than AWS's, e.g. http://127.0.0.1:5000.")
]
RegionOption = Annotated[
    str | None, typer.Option("--region", help="The AWS region; else AWS_REGION or that of your profile.")
]
LedgerOption = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        help="The file that holds what was put again: redrive.sqlite in the data directory, or, with --bucket, "
        "auditlake-redrive-BUCKET.sqlite here.",
        dir_okay=False,
    ),
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only this type of error, e.g. processing-failed; may be repeated."),
]
CodeOption = Annotated[
    list[str] | None, typer.Option("--code", help="Only this error code, e.g. Lambda.FunctionError; may be repeated.")
]
EventTypeOption = Annotated[
    list[str] | None, typer.Option("--event-type", help="Only events of this eventType; may be repeated.")
]
EventIdOption = Annotated[
    list[str] | None, typer.Option("--event-id", help="Only the event with this id; may be repeated.")
]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="Only records that arrived at or after this UTC date or time.")
]
UntilOption = Annotated[
    str | None, typer.Option("--until", help="Only records that arrived before this UTC date or time.")
]
SampleOption = Annotated[int, typer.Option("--sample", help="Show this many events whole.", min=0)]


@dataclass(frozen=True)
class Place:
    """Where failed records lie, the plan that says how, and where the ledger of their redrives is."""

    store: "ErrorStore"
    plan: "Plan"
    ledger: Path


def open_place(
    data: Path, plan: Path | None, bucket: str | None, endpoint: str | None, region: str | None, ledger: Path | None
) -> Place:
    """Find the error objects of a bucket, or of a data directory; raises StoreError."""
    from auditlake.error_store import DirectoryErrors, ErrorPrefix, S3Errors, aws_client
    from auditlake.runtime.plan_reader import load_plan
    from auditlake.runtime.store_location import S3Location, location_of

    if bucket is None and (endpoint or region):
        raise RedriveError("--endpoint-url and --region say where the bucket is: name it with --bucket.")
    loaded = load_plan(plan)
    prefix = ErrorPrefix(loaded.stream.error_output_prefix)
    if bucket is not None:
        client = aws_client("s3", endpoint, region)
        return Place(S3Errors(client, bucket, prefix), loaded, ledger or Path(f"auditlake-redrive-{bucket}.sqlite"))
    location = location_of(data)
    ledger = ledger or data / "redrive.sqlite"
    if isinstance(location, S3Location):
        client = aws_client("s3", location.endpoint, None)
        return Place(S3Errors(client, location.bucket, prefix, location.prefix), loaded, ledger)
    return Place(DirectoryErrors(location / loaded.bucket.name, prefix), loaded, ledger)


@contextlib.contextmanager
def progress(console: Console, objects: "list[ErrorObject]", what: str) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many bytes of the objects are read."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task(what, total=sum(found.size for found in objects))
        yield lambda size: bar.advance(task, size)


@app.command(epilog="Example: auditlake errors --since 2026-11-24 --type processing-failed --sample 3")
@local
def errors(
    types: TypeOption = None,
    codes: CodeOption = None,
    event_types: EventTypeOption = None,
    event_ids: EventIdOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    sample: SampleOption = 0,
    data: DataOption = Path("data"),
    plan: PlanOption = None,
    bucket: BucketOption = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what failed, by type, code and day; exit 0 if nothing is open, 3 if something is, 1 if it cannot look.

    Open is what `auditlake redrive` has not put again. The objects themselves stay, as immutable as the table's.
    """
    from auditlake.ledger import read_ledger
    from auditlake.selection import selection
    from auditlake.survey import survey

    selected = selection(types, codes, event_types, event_ids, since, until)
    place = open_place(data, plan, bucket, endpoint, region, ledger)
    with err.status("listing error objects"):
        objects = [found for found in place.store.objects() if selected.takes_object(found)]
    with read_ledger(place.ledger) as opened, progress(err, objects, "reading error objects") as advance:
        found = survey(place.store, objects, selected, opened, sample, advance)
        there = None
        if not found.kinds and (types or codes):
            there = survey(place.store, list(place.store.objects()), selection(), opened, 0)
    if as_json:
        print_json(_survey_content(found))
    else:
        _print_survey(found)
    if there is not None:
        err.print(Text(_what_is_there(there)), soft_wrap=True)
    raise typer.Exit(OPEN if found.open else 0)


def _what_is_there(found: "Survey") -> str:
    """Say which types and codes there are, to whoever selected others."""
    from auditlake.terminal import visible

    if not found.kinds:
        return "Nothing failed at all."
    types = ", ".join(sorted({visible(kind.error_type) for kind in found.kinds}))
    codes = ", ".join(sorted({visible(kind.error_code) for kind in found.kinds}))
    return f"What failed is of the types {types}, with the codes {codes}."


def _survey_content(found: "Survey") -> dict[str, Any]:
    kinds = [{**vars(kind), **vars(tally)} for kind, tally in sorted(found.kinds.items(), key=_by_kind)]
    samples = [one.content() for one in found.samples]
    return {"objects": found.objects, "open": found.open, "kinds": kinds, "samples": samples}


def _by_kind(item: tuple[Any, Any]) -> tuple[str, str, str]:
    kind = item[0]
    return kind.day, kind.error_type, kind.error_code


def _print_survey(found: "Survey") -> None:
    from auditlake.terminal import visible

    if not found.kinds:
        out.print("Nothing failed that is selected.")
        return
    table = Table("day", title="Failed records", title_justify="left")
    for name in ("type", "code"):
        table.add_column(name, overflow="fold")  # cut off, a code cannot be given to --code
    for name in ("records", "events", "open", "refused"):
        table.add_column(name, justify="right")
    table.add_column("the first: what was said; its event")
    for kind, tally in sorted(found.kinds.items(), key=_by_kind):
        names = [Text(visible(name)) for name in (kind.day, kind.error_type, kind.error_code)]
        counts = [f"{count:,}" for count in (tally.records, tally.events, tally.open, tally.refused)]
        first = f"{tally.message}; {tally.event_id}" if tally.event_id else tally.message
        table.add_row(*names, *counts, Text(visible(first)))
    out.print(table)
    for one in found.samples:
        for name, value in one.content().items():
            if value is not None:
                out.print(Text(f"  {name:14} {visible(str(value))}"), soft_wrap=True)
        out.print()
    if found.open:
        err.print(
            "Open events are put again by: auditlake redrive. Refused ones would fail again: mend them with --map or "
            "--through."
        )
