"""`auditlake redrive`: what failed comes into the table after all."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from auditlake import control
from auditlake.cli import INTERRUPTED
from auditlake.cli.failures import (
    OPEN,
    BucketOption,
    CodeOption,
    EndpointOption,
    EventIdOption,
    EventTypeOption,
    LedgerOption,
    Place,
    RegionOption,
    SampleOption,
    SinceOption,
    TypeOption,
    UntilOption,
    open_place,
    progress,
)
from auditlake.cli.shared import (
    DataOption,
    JsonOption,
    MapOption,
    PlanOption,
    TokenOption,
    UrlOption,
    app,
    err,
    local,
    out,
    print_json,
)
from auditlake.errors import RedriveError

if TYPE_CHECKING:
    from auditlake.interrupt import Interrupt
    from auditlake.redrive import Summary, Target
    from auditlake.repair import Repair

WAIT_NOTE_S = 5
"""How often it is said that a command of --through is waited for."""


@app.command(epilog="Example: auditlake redrive --type processing-failed --since 2026-11-24 --yes")
@local
def redrive(
    types: TypeOption = None,
    codes: CodeOption = None,
    event_types: EventTypeOption = None,
    event_ids: EventIdOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Put them; without it this only looks.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look, which is what happens without --yes.")] = False,
    through: Annotated[
        str | None,
        typer.Option(help="Pipe the events through this shell command, NDJSON in and out, e.g. \"jq -c '.v = 2'\"."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds that the command of --through may take for a batch of 500.", min=0.1)
    ] = 60.0,
    mapping: MapOption = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Put also what this version's transform would refuse again.")
    ] = False,
    sample: SampleOption = 0,
    url: UrlOption = control.DEFAULT_URL,
    token: TokenOption = None,
    data: DataOption = Path("data"),
    plan: PlanOption = None,
    bucket: BucketOption = None,
    stream: Annotated[
        str | None,
        typer.Option(help="With --bucket: the delivery stream to put into, or what it reads; the plan's by default."),
    ] = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    ledger: LedgerOption = None,
    other_runtime: Annotated[
        bool, typer.Option("--other-runtime", help="Put into the runtime at --url though it runs another directory.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put failed events into the delivery stream again, with their ids; only looks without --yes.

    Exit 0 if all that was selected is put or could be, 3 if some stays, 1 if the stream or the store refuses.
    """
    from auditlake.interrupt import Interrupt
    from auditlake.ledger import open_ledger, read_ledger
    from auditlake.redrive import Doing
    from auditlake.redrive import redrive as put_again
    from auditlake.selection import selection

    if yes and dry_run:
        raise RedriveError("--yes and --dry-run exclude each other; give one of them.")
    interrupt = Interrupt()
    repair = _repair(mapping, through, timeout, interrupt)
    selected = selection(types, codes, event_types, event_ids, since, until)
    place = open_place(data, plan, bucket, endpoint, region, ledger)
    target = None
    if yes and bucket is not None:
        target = _on_aws(place, stream, endpoint, region)
    elif yes:
        target = _runtime(place, None if other_runtime else data, stream, url, token)
    with err.status("listing error objects"):
        objects = [found for found in place.store.objects() if selected.takes_object(found)]
    what = "putting again" if yes else "looking"
    with (
        interrupt,
        open_ledger(place.ledger) if yes else read_ledger(place.ledger) as opened,
        progress(err, objects, what) as advance,
    ):
        doing = Doing(
            target,
            repair,
            checked=not unchecked,
            sample=sample,
            sleep=interrupt.sleep,
            jitter=lambda most: random.uniform(0, most),  # noqa: S311 - no secret
            stop=lambda: interrupt.requested,
            advance=advance,
        )
        summary = put_again(place.store, objects, selected, opened, doing)
    if as_json:
        print_json(_summary_content(summary, yes))
    else:
        _print_summary(summary, yes, place.ledger)
    raise typer.Exit(INTERRUPTED if summary.interrupted else OPEN if summary.staying else 0)


def _repair(mapping: str | None, through: str | None, timeout: float, interrupt: "Interrupt") -> "Repair | None":
    from auditlake.mapping import load_mapping
    from auditlake.repair import by_command, by_mapping

    if mapping and through:
        raise RedriveError("--map and --through exclude each other; give one of them.")
    if mapping:
        return by_mapping(load_mapping(mapping))
    if through is None:
        return None
    return by_command(through, timeout, lambda: interrupt.requested, lambda seconds: _tell_wait(seconds, timeout))


def _tell_wait(seconds: float, timeout: float) -> None:
    """Say that the command of --through is waited for, now and then."""
    if round(seconds) % WAIT_NOTE_S == 0:
        err.print(
            f"Waiting for the command of --through: {seconds:.0f} s of {timeout:g} s for this batch.", soft_wrap=True
        )


def _on_aws(place: Place, stream: str | None, endpoint: str | None, region: str | None) -> "Target":
    """Return the stream on AWS, where what lies in a bucket goes."""
    from auditlake.redrive import Target
    from auditlake.stream_client import stream_on_aws

    planned = place.plan.stream
    source = planned.source.name if planned.source is not None and stream in (None, planned.name) else None
    return Target(*stream_on_aws(stream or planned.name, source, endpoint, region))


def _runtime(place: Place, data: Path | None, stream: str | None, url: str, token: str | None) -> "Target":
    """Return the stream of the running runtime, where what lies in its data directory goes; None lets any run there."""
    from auditlake.redrive import Target
    from auditlake.stream_client import runtime_client
    from auditlake.waiting import buffer_id
    from lambda_src.receiver.kinesis import KinesisAsFirehose

    if stream is not None:
        raise RedriveError("--stream is for --bucket; the events of a data directory go to the runtime at --url.")
    status = control.get_status(url, token)
    running = status["stream"]
    if running != place.plan.stream.name:
        raise RedriveError(
            f"The runtime at {url} runs the stream {running}, and these events are of {place.plan.stream.name}: give "
            "its address with --url, or its plan with --plan."
        )
    if data is not None and status.get("buffer") != buffer_id(data):
        raise RedriveError(
            f"The runtime at {url} runs on another data directory than {data}, so the events would come into another "
            "table: give the address of this directory's runtime with --url, or --other-runtime if that is meant."
        )
    if (source := place.plan.stream.source) is not None:
        return Target(source.name, KinesisAsFirehose(runtime_client(url, token, place.plan.region, "kinesis")))
    return Target(running, runtime_client(url, token, place.plan.region))


def _summary_content(summary: "Summary", put: bool) -> dict[str, Any]:
    by_failure = [
        {"error_type": kind, "error_code": code, "outcome": outcome, "events": count}
        for (kind, code, outcome), count in sorted(summary.by_failure.items())
    ]
    stays = [{"reason": reason, **vars(one)} for reason, one in summary.stays.items()]
    samples = [
        {"from": place, "event_id": event.event_id, "event": event.body.decode("utf-8", "replace")}
        for place, event in summary.samples
    ]
    known = {name: value for name, value in vars(summary).items() if name not in ("stays", "by_failure", "samples")}
    return {
        "put": put,
        **known,
        "staying": summary.staying,
        "by_failure": by_failure,
        "stays": stays,
        "samples": samples,
    }


def _print_summary(summary: "Summary", put: bool, ledger: Path) -> None:
    from auditlake.terminal import visible

    kinds = sorted({(kind, code) for kind, code, _ in summary.by_failure})
    done = "sent" if put else "ready"
    if kinds:
        table = Table("type", "code", title="Put again" if put else "Would be put again", title_justify="left")
        for name in (done, "already", "stays"):
            table.add_column(name, justify="right")
        for kind, code in kinds:
            counts = [f"{summary.by_failure[kind, code, outcome]:,}" for outcome in (done, "already", "stays")]
            table.add_row(Text(visible(kind)), Text(visible(code)), *counts)
        out.print(table)
    for where, event in summary.samples:
        shown = visible(event.body.decode("utf-8", "replace"))
        out.print(Text(f"  {visible(event.event_id)} from {visible(where)}\n  {shown}\n"), soft_wrap=True)
    for reason, one in summary.stays.items():
        sentence = f"{one.events:,} stay, the first in {one.first}: {reason}"
        err.print(visible(sentence), markup=False, soft_wrap=True)
    for sentence in _closing(summary, put, ledger):
        err.print(sentence, markup=False, soft_wrap=True)


def _closing(summary: "Summary", put: bool, ledger: Path) -> Iterator[str]:
    repaired = f", {summary.repaired:,} of them repaired" if summary.repaired else ""
    already = f" {summary.already:,} were put before." if summary.already else ""
    if not put:
        if summary.interrupted:
            yield "Interrupted: not all was looked at."
        yield f"{summary.ready:,} of {summary.events:,} events would be put{repaired}.{already} Nothing was put."
        if summary.ready:
            yield "To put them: the same command with --yes."
        return
    of = f"{summary.sent:,} of {summary.events:,} events"
    yield f"{of} were put, in {summary.sent_records:,} records{repaired}.{already} The ledger is {ledger}."
    if summary.sent:
        yield "What fails again appears as a new error object, once the stream has delivered: auditlake errors tells."
    if summary.interrupted:
        yield "Interrupted: the same command goes on where this stopped."
