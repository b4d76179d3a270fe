"""`auditlake up`, `flush`, `status` and `explain`: a runtime, and what it holds."""

import contextlib
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from auditlake import control
from auditlake.cli.failures import EndpointOption, RegionOption
from auditlake.cli.on_aws import CANNOT_ASK, AwsOption, DaysOption, HoursOption, OutputsOption, answered, show_status
from auditlake.cli.shared import (
    DataOption,
    JsonOption,
    PlanOption,
    TokenOption,
    UrlOption,
    app,
    err,
    local,
    out,
    print_json,
)
from auditlake.errors import ControlError, PlanError

if TYPE_CHECKING:
    from auditlake.runtime.plan import Plan
    from auditlake.runtime.wiring import Runtime

WATCH_INTERVAL_S = 1
"""Seconds between two looks of `status --watch`."""


@app.command(epilog="Example: auditlake up --data ./data --port 7070")
@local
def up(
    plan: PlanOption = None,
    data: DataOption = Path("data"),
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)] = 7070,
    host: Annotated[str, typer.Option(help="The address to listen on; any but loopback needs --token.")] = "127.0.0.1",
    auth: Annotated[
        Literal["plan", "token", "none"] | None,
        typer.Option(help="Who may POST: as the plan says, who has --token (the default with it), or anybody here."),
    ] = None,
    token: TokenOption = None,
    credentials: Annotated[
        Path | None,
        typer.Option(help="For --auth plan with IAM: access keys as in ~/.aws/credentials, each with a principal_arn."),
    ] = None,
    jwks: Annotated[
        Path | None, typer.Option(help="For --auth plan with Cognito: the user pools' public keys (a JWKS file).")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(help="Where objects go: a directory, or s3://BUCKET[/PREFIX]; the data directory by default."),
    ] = None,
    store_endpoint: Annotated[
        str | None, typer.Option(help="The S3 endpoint of --store, e.g. http://127.0.0.1:9000; AWS by default.")
    ] = None,
    allow_refused: Annotated[
        bool, typer.Option("--allow-refused", help="Run a plan that AWS would refuse too, e.g. with small buffers.")
    ] = False,
) -> None:
    """Run the pipeline of a Terraform plan on this machine, until Ctrl-C."""
    from auditlake.runtime.authenticate import Mode
    from auditlake.runtime.server import serve
    from auditlake.runtime.settings import Settings
    from auditlake.runtime.store_location import parse_location

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    loaded = _checked_plan(plan, allow_refused=allow_refused)
    location = None if store is None and store_endpoint is None else parse_location(store or str(data), store_endpoint)
    mode = Mode(auth) if auth else None
    settings = Settings(data, host, port, token, location, mode, credentials, jwks)

    def started(runtime: "Runtime", url: str) -> None:
        _announce(runtime, url, data, plan)

    def stopping() -> None:
        err.print(
            "Stopping: what is buffered is delivered now; Ctrl-C again leaves it in the buffer for the next start."
        )

    serve(loaded, settings, started, stopping)


def _checked_plan(path: Path | None, *, allow_refused: bool) -> "Plan":
    """Return the plan to run; raises PlanError with AWS's messages for one that AWS would refuse."""
    from auditlake.checks import check_creation
    from auditlake.runtime.plan_reader import parse_plan
    from auditlake.runtime.planned import plan_text, read_resources

    text, source = plan_text(path)
    try:
        check_creation(read_resources(text, source))
    except PlanError as refused:
        if not allow_refused:
            raise
        err.print(f"auditlake: {refused}\nIt runs here all the same, because of --allow-refused.", markup=False)
    return parse_plan(text, source)


def _announce(runtime: "Runtime", url: str, data: Path, plan_path: Path | None) -> None:
    plan, location = runtime.plan, runtime.location
    in_directory = isinstance(location, Path)
    place = location / plan.bucket.name if isinstance(location, Path) else location
    lines = [
        f"auditlake runs the plan of the stream {plan.stream.name} at {url}",
        f"  POST {url}/events        one event; 202 once it is on the disk",
        f"  POST {url}/events/batch  many events; an answer for each",
        f"  Stored in {place} after {plan.stream.buffer_interval_s} s, or at once by: auditlake flush",
        f"  Asked by: auditlake query --data {data}{f' --plan {plan_path}' if plan_path else ''} --saved everything"
        if in_directory
        else "  Asked where it is stored: auditlake query reads directories only",
    ]
    lines.append(f"  {runtime.authentication.notice()}")
    lines += [f"  {sentence}" for sentence in (runtime.buffer.recovery.sentence(), *runtime.buffer.recovery.problems)]
    lines += [f"  {notice}" for notice in (*runtime.store.notices(), *plan.bucket.notices(), *plan.api.notices())]
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command(epilog="Example: auditlake flush && auditlake query 'SELECT count(*) FROM events'")
def flush(url: UrlOption = control.DEFAULT_URL, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Deliver all that the running pipeline has accepted, without waiting for its buffers to fill."""
    with err.status("delivering what is buffered"):
        flushed = control.flush(url, token)
    if as_json:
        print_json(flushed)
    else:
        out.print(f"{flushed['rows']:,} rows stored, in {flushed['objects']:,} objects.", highlight=False)
        if flushed["failed"]:
            err.print(f"{flushed['failed']:,} records failed and lie under errors/; auditlake errors lists them.")


@app.command(epilog="Example: auditlake status --watch; auditlake status --aws --plan plan.json")
def status(
    ctx: typer.Context,
    url: UrlOption = control.DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it, until Ctrl-C.")] = False,
    aws: AwsOption = False,
    plan: PlanOption = None,
    outputs: OutputsOption = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    hours: HoursOption = 3,
    days: DaysOption = 3,
) -> None:
    """Show what the running pipeline holds, what it delivered and what failed.

    With --aws what the deployed stack is doing: exit 0 if all is well, 1 if something is wrong, 2 if it cannot look.
    """
    if aws:
        if watch:
            raise ControlError("--watch is for one machine; on AWS the alarms watch, and each look costs requests.")
        given = [name for name in ("url", "token") if str(ctx.get_parameter_source(name)).endswith("COMMANDLINE")]
        if given:
            named = " and ".join(f"--{name}" for name in given)
            err.print(f"auditlake: {named}: for a runtime on one machine; leave out, or leave out --aws.", markup=False)
            raise typer.Exit(CANNOT_ASK)
        raise typer.Exit(answered(lambda: show_status(plan, outputs, endpoint, region, hours, days, as_json=as_json)))
    if plan or outputs or endpoint or region:
        raise ControlError("--plan, --outputs, --endpoint-url and --region say which stack on AWS: give --aws too.")
    current = control.get_status(url, token)
    if watch:
        # Ctrl-C is how a watch ends: what was shown last stays on the screen.
        with contextlib.suppress(KeyboardInterrupt):
            _watch_status(current, url, token, as_json)
    elif as_json:
        print_json(current)
    else:
        out.print(_status_view(current))


def _watch_status(current: dict[str, Any], url: str, token: str | None, as_json: bool) -> None:
    """Show the status every second: on the terminal in place, as JSON a line each time."""
    with contextlib.nullcontext() if as_json else Live(_status_view(current), console=out, auto_refresh=False) as live:
        while True:
            if live is None:
                print_json(current)
            else:
                live.update(_status_view(current), refresh=True)
            time.sleep(WATCH_INTERVAL_S)
            current = control.get_status(url, token)


def _ago(epoch_ms: int) -> str:
    from auditlake.runtime.recovery import age

    return age(int(time.time() * 1000) - epoch_ms)


def _status_view(current: dict[str, Any]) -> Group:
    stored, waiting = current["stored"], current["waiting"]
    totals = Table(title=f"Delivery stream {current['stream']}", show_header=False, title_justify="left")
    totals.add_row("accepted", f"{current['accepted']['records']:,} records", f"{current['accepted']['bytes']:,} bytes")
    totals.add_row("waiting for transform", f"{waiting['records']:,} records", f"{waiting['bytes']:,} bytes")
    for buffer in current["buffers"]:
        totals.add_row(
            f"buffered: {buffer['destination']}", f"{buffer['records']:,} records", f"{buffer['bytes']:,} bytes"
        )
    totals.add_row("stored", f"{stored['rows']:,} rows", f"{stored['objects']:,} objects, {stored['bytes']:,} bytes")
    if backup := current["backup"]:
        totals.add_row(
            "stored in the source backup",
            f"{backup['records']:,} records",
            f"{backup['objects']:,} objects, {backup['bytes']:,} bytes",
        )
        if backup["damaged"]:
            totals.add_row("damaged before the backup", f"{backup['damaged']:,} records", "the log says where")
    for kind, count in current["failed"].items():
        totals.add_row(f"failed: {kind}", f"{count:,} records", "under errors/")
    if current["dropped"]:
        totals.add_row("dropped by the transform", f"{current['dropped']:,} records", "")
    if current["damaged"]:
        totals.add_row("damaged on the disk", f"{current['damaged']:,} records", "the log of the start says where")
    journal = current["journal"]
    totals.add_row("journal on the disk", f"{journal['files']:,} files", f"{journal['bytes']:,} bytes")
    if current["oldest_undelivered_ms"] is not None:
        totals.add_row("oldest undelivered record", _ago(current["oldest_undelivered_ms"]), "")
    totals.add_row(
        "share of audit type other",
        f"{current['other_share']:.1%}",
        "its event types: auditlake query --saved types_in_other",
    )
    problem = current["problem"]
    troubles = [Text(f"{problem['sentence']} It is so for {_ago(problem['since_ms'])}.", "bold red")] if problem else []
    views: list[Table | Text] = [*troubles, totals, *(Text(sentence) for sentence in current["recovered"])]
    if current["partitions"]:
        partitions = Table(title="Stored rows by partition", title_justify="left")
        names = list(current["partitions"][0])
        for name in names:
            partitions.add_column(name, justify="right" if name == "rows" else "left")
        for partition in current["partitions"]:
            partitions.add_row(*(f"{partition[name]:,}" if name == "rows" else str(partition[name]) for name in names))
        views.append(partitions)
    return Group(*views)


@app.command(epilog="Example: auditlake explain 0192f0c1-7c5e-7cc3-9d2b-000000000001")
@local
def explain(
    event_id: Annotated[str, typer.Argument(help="The event's id.")],
    url: UrlOption = control.DEFAULT_URL,
    token: TokenOption = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Look into this data directory instead of asking --url.", file_okay=False),
    ] = None,
    plan: PlanOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where one event is and was, stage by stage; exit 1 if it is nowhere."""
    if data is None:
        found = control.get_explanation(url, token, event_id)
    else:
        from auditlake.runtime.explain import explain as look
        from auditlake.runtime.plan_reader import load_plan

        found = look(data, load_plan(plan), event_id).content()
    if as_json:
        print_json(found)
    else:
        _print_explanation(found)
    raise typer.Exit(0 if found["found"] else 1)


def _print_explanation(explanation: dict[str, Any]) -> None:
    from auditlake.terminal import visible

    for number, copy in enumerate(explanation["found"], 1):
        title = f"Event {visible(explanation['event_id'])}, copy {number} of {len(explanation['found'])}"
        table = Table("stage", title=Text(title), title_justify="left")
        table.add_column("what is known", overflow="fold")  # a key that is cut off cannot be looked for
        for step in copy["stages"]:
            table.add_row(step["stage"], Text(visible(step["what"])))
        out.print(table)
    scanned = explanation["scanned"]
    if not explanation["found"]:
        where = "nowhere" if scanned["objects_read"] else "not in the data directory"
        out.print(f"The event {visible(explanation['event_id'])} is {where}.", markup=False, highlight=False)
    if not scanned["objects_read"]:
        err.print(
            f"The objects in {scanned['objects_in']} were not looked through: ask there for its event_id.", markup=False
        )
    err.print(
        f"Looked through {scanned['waiting_records']:,} records that wait for the transform, "
        f"{scanned['buffered_records']:,} in buffers, {scanned['error_objects']:,} error objects, and the ids in "
        f"{scanned['table_objects']:,} objects of the table ({scanned['table_bytes_read']:,} bytes read).",
        soft_wrap=True,
    )
    if scanned["damaged_records"]:
        err.print(
            f"{scanned['damaged_records']:,} accepted records are damaged on the disk; this may be in one of them "
            f"(files {', '.join(scanned['damaged_files']) or 'that are gone'}).",
            soft_wrap=True,
            markup=False,
        )
    if not explanation["found"] and scanned["dropped_records"]:
        err.print(
            f"The transform has dropped {scanned['dropped_records']:,} records, of which nothing is kept: it may have "
            "been in one of them.",
            soft_wrap=True,
        )
