"""The command line: `auditlake up`, `send`, `flush`, `status`, `explain`, `query`, `queries`, `path`, `doctor`."""

import contextlib
import functools
import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Never, ParamSpec, TypeVar

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from auditlake import control
from auditlake.errors import AuditlakeError, PlanError, QueryError, SendError
from auditlake.send import SendOptions, send_file

if TYPE_CHECKING:
    from auditlake.runtime.bucket import LocalBucket
    from auditlake.runtime.plan import Plan
    from auditlake.runtime.server import Runtime
    from auditlake.sigv4 import SigV4

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
    help="auditlake: an audit log that you own. POST events, keep them as Parquet, ask with SQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
WATCH_INTERVAL_S = 1
"""Seconds between two looks of `status --watch`."""

out = Console()
err = Console(stderr=True, highlight=False)

DataOption = Annotated[
    Path, typer.Option("--data", envvar="AUDITLAKE_DATA", help="The data directory.", file_okay=False)
]
PlanOption = Annotated[
    Path | None,
    typer.Option("--plan", help="A plan as `terraform show -json` prints it; without it the plan of the defaults."),
]
UrlOption = Annotated[str, typer.Option("--url", envvar="AUDITLAKE_URL", help="Where the API answers.")]
TokenOption = Annotated[
    str | None, typer.Option("--token", envvar="AUDITLAKE_TOKEN", help="The bearer token that the API asks for.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def _local(command: Callable[P, R]) -> Callable[P, R]:
    """Say how to install what `command` needs when it is not installed."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ModuleNotFoundError as error:
            raise AuditlakeError(
                f"The module {error.name} is not installed; this command needs: pip install 'auditlake[local]'"
            ) from error

    return wrapper


@app.command(epilog="Example: auditlake up --data ./data --port 7070")
@_local
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
    from auditlake.runtime.server import Settings, serve
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
    from auditlake.runtime.plan import parse_plan, plan_text, read_resources

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
    lines += [f"  {notice}" for notice in runtime.store.notices()]
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _signer(auth: str | None, url: str, region: str | None, token: str | None) -> "SigV4 | None":
    """Return what signs the requests of `send`; raises SendError for options that do not fit each other."""
    if auth == "sigv4":
        if token:
            raise SendError("--auth sigv4 signs with your AWS credentials, so --token would go unused: leave one out.")
        from auditlake.sigv4 import signer

        return signer(url, region)
    if auth == "token" and not token:
        raise SendError("--auth token needs the token to send: add --token TOKEN.")
    if region:
        raise SendError("--region is for --auth sigv4: add it.")
    return None


@app.command(epilog="Example: auditlake send --map cloudtrail trail.ndjson")
def send(
    file: Annotated[str, typer.Argument(help="NDJSON or a JSON array, plain or gzip; - is standard input.")],
    url: UrlOption = control.DEFAULT_URL,
    token: TokenOption = None,
    auth: Annotated[
        Literal["sigv4", "token"] | None,
        typer.Option(help="How to authenticate: sigv4 signs with your AWS credentials; token is --token's."),
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="For --auth sigv4: the API's region; else that of its host name or your profile.")
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option("--map", help="Turn another product's events into ours: a shipped mapping or a YAML file."),
    ] = None,
    rejected: Annotated[
        Path | None, typer.Option(help="Where rejected events go; FILE.rejected.ndjson by default.")
    ] = None,
    skip: Annotated[int, typer.Option(help="Begin after this many events, to go on with an earlier run.", min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Send a file of events in batches; exit 0 only if every event was accepted."""
    from auditlake.mapping import load_mapping

    options = SendOptions(url, token=token, skip=skip, auth=_signer(auth, url, region, token))
    summary = send_file(file, options, load_mapping(mapping) if mapping else None, rejected, err)
    if as_json:
        print(summary.to_json())  # noqa: T201 - JSON goes out as it is, never wrapped
    else:
        for line in summary.lines():
            err.print(line, markup=False)
    raise typer.Exit(summary.exit_code)


@app.command(epilog="Example: auditlake flush && auditlake query 'SELECT count(*) FROM events'")
def flush(url: UrlOption = control.DEFAULT_URL, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Deliver all that the running pipeline has accepted, without waiting for its buffers to fill."""
    with err.status("delivering what is buffered"):
        flushed = control.flush(url, token)
    if as_json:
        _print_json(flushed)
    else:
        out.print(f"{flushed['rows']:,} rows stored, in {flushed['objects']:,} objects.", highlight=False)
        if flushed["failed"]:
            err.print(
                f"{flushed['failed']:,} records failed and lie under errors/; auditlake status says of what kind."
            )


@app.command(epilog="Example: auditlake status --watch")
def status(
    url: UrlOption = control.DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it, until Ctrl-C.")] = False,
) -> None:
    """Show what the running pipeline holds, what it delivered and what failed."""
    current = control.get_status(url, token)
    if watch:
        # Ctrl-C is how a watch ends: what was shown last stays on the screen.
        with contextlib.suppress(KeyboardInterrupt):
            _watch_status(current, url, token, as_json)
    elif as_json:
        _print_json(current)
    else:
        out.print(_status_view(current))


def _watch_status(current: dict[str, Any], url: str, token: str | None, as_json: bool) -> None:
    """Show the status every second: on the terminal in place, as JSON a line each time."""
    with contextlib.nullcontext() if as_json else Live(_status_view(current), console=out, auto_refresh=False) as live:
        while True:
            if live is None:
                _print_json(current)
            else:
                live.update(_status_view(current), refresh=True)
            time.sleep(WATCH_INTERVAL_S)
            current = control.get_status(url, token)


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
    for kind, count in current["failed"].items():
        totals.add_row(f"failed: {kind}", f"{count:,} records", "under errors/")
    if current["dropped"]:
        totals.add_row("dropped by the transform", f"{current['dropped']:,} records", "")
    totals.add_row(
        "share of audit type other",
        f"{current['other_share']:.1%}",
        "its event types: auditlake query --saved types_in_other",
    )
    views = [totals]
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
@_local
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
        from auditlake.runtime.plan import load_plan

        found = look(data, load_plan(plan), event_id).content()
    if as_json:
        _print_json(found)
    else:
        _print_explanation(found)
    raise typer.Exit(0 if found["found"] else 1)


def _print_explanation(explanation: dict[str, Any]) -> None:
    from auditlake.render import visible

    for number, copy in enumerate(explanation["found"], 1):
        title = f"Event {visible(explanation['event_id'])}, copy {number} of {len(explanation['found'])}"
        table = Table("stage", "what is known", title=Text(title), title_justify="left")
        for step in copy["stages"]:
            table.add_row(step["stage"], Text(visible(step["what"])))
        out.print(table)
    if not explanation["found"]:
        out.print(f"The event {visible(explanation['event_id'])} is nowhere.", markup=False, highlight=False)
    scanned = explanation["scanned"]
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


@app.command(epilog="Example: auditlake query --saved failed_actions --param from=2026-11-01 --param to=2026-12-01")
@_local
def query(
    sql: Annotated[str | None, typer.Argument(help="One SELECT in Athena's dialect over the table `events`.")] = None,
    saved: Annotated[str | None, typer.Option(help="A saved query; `auditlake queries` lists them.")] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="A saved query's parameter as NAME=VALUE; may be repeated.")
    ] = None,
    data: DataOption = Path("data"),
    plan: PlanOption = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Ask with SQL; says what it read of how much."""
    from auditlake import render
    from auditlake.runtime.plan import load_plan
    from auditlake.runtime.query import run_query, saved_query

    loaded = load_plan(plan)
    if (sql is None) == (saved is None):
        raise QueryError('Give either SQL or --saved NAME: auditlake query "SELECT * FROM events LIMIT 10"')
    values: list[str] | tuple[str, ...] = ()
    if saved is not None:
        sql, values = saved_query(loaded, saved, _parameters(param or []))
    with run_query(data, loaded, sql or "", values) as result:
        render.write(result, sys.stdout, as_json=as_json, as_csv=as_csv)
        err.print(render.scan_line(result.scan()), markup=False)


def _parameters(given: list[str]) -> dict[str, str]:
    values = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise QueryError(f"--param {text} is not NAME=VALUE, e.g. --param from=2026-11-01")
        values[name] = value
    return values


@app.command(epilog="Example: auditlake queries --json")
@_local
def queries(plan: PlanOption = None, as_json: JsonOption = False) -> None:
    """List the saved queries and the question that each answers."""
    from auditlake.runtime.plan import load_plan
    from auditlake.runtime.query import parameter_names

    found = [
        {"name": q.name, "question": q.description, "parameters": list(dict.fromkeys(parameter_names(q)))}
        for q in load_plan(plan).saved_queries
    ]
    if as_json:
        _print_json(found)
        return
    table = Table("query", "question", "parameters")
    for one in found:
        table.add_row(str(one["name"]), str(one["question"]), " ".join(one["parameters"]))
    out.print(table)


@app.command(epilog="Example: auditlake objects events/audit_type=login/ --versions")
@_local
def objects(
    prefix: Annotated[str, typer.Argument(help="What the keys start with.")] = "",
    versions: Annotated[bool, typer.Option("--versions", help="Noncurrent versions and delete markers too.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare every version with its checksum, and exit 1 if one differs.")
    ] = False,
    data: DataOption = Path("data"),
    plan: PlanOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the objects of the local bucket: size, version, until when each is retained."""
    from auditlake.objects import listing, table

    bucket = _bucket(data, plan)
    if check:
        problems = list(bucket.check(prefix))
        if as_json:
            _print_json(problems)
        for problem in () if as_json else problems or ["Every version is as it was put, and nothing else is there."]:
            out.print(problem, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1 if problems else 0)
    entries = listing(bucket, prefix, versions=versions)
    if as_json:
        _print_json(entries)
    else:
        out.print(table(entries))


def _bucket(data: Path, plan: Path | None) -> "LocalBucket":
    from auditlake.runtime.bucket import LocalBucket
    from auditlake.runtime.plan import load_plan
    from auditlake.runtime.store_location import bucket_directory

    return LocalBucket(bucket_directory(data, load_plan(plan).bucket.name))


object_app = typer.Typer(
    help="Do to an object of the local bucket what S3's API does: delete, retain, hold.", no_args_is_help=True
)
app.add_typer(object_app, name="object")

KeyArgument = Annotated[str, typer.Argument(help="The object's key.")]
VersionOption = Annotated[str, typer.Option("--version-id", help="The version; `auditlake objects --versions` lists.")]
BypassOption = Annotated[
    bool, typer.Option("--bypass-governance-retention", help="Act as whoever has the permission of that name in S3.")
]


@object_app.command("delete", epilog="Example: auditlake object delete events/a.parquet")
@_local
def object_delete(
    key: KeyArgument,
    version_id: Annotated[str | None, typer.Option(help="Delete this version for ever.")] = None,
    bypass: BypassOption = False,
    data: DataOption = Path("data"),
    plan: PlanOption = None,
) -> None:
    """Hide an object behind a delete marker, or delete one version for ever unless it is locked."""
    done = _bucket(data, plan).delete(key, version_id, bypass_governance=bypass)
    if version_id is None and done is not None:
        said = f"{key} is hidden by the delete marker {done.version_id}; deleting that marker shows it again."
    elif done is None:
        said = f"{key} has no version {version_id}; nothing was deleted, and S3 would not say so."
    else:
        said = f"The version {done.version_id} of {key} is deleted."
    out.print(said, markup=False, highlight=False, soft_wrap=True)


@object_app.command("retain", epilog="Example: auditlake object retain KEY --version-id ID --until 2030-01-01")
@_local
def object_retain(
    key: KeyArgument,
    version_id: VersionOption,
    until: Annotated[str | None, typer.Option(help="Until when, UTC; without it the retention is removed.")] = None,
    mode: Annotated[str, typer.Option(help="GOVERNANCE or COMPLIANCE.")] = "COMPLIANCE",
    bypass: BypassOption = False,
    data: DataOption = Path("data"),
    plan: PlanOption = None,
) -> None:
    """Retain a version longer; in COMPLIANCE mode there is no way back."""
    from auditlake.objects import parse_retention, time_text

    retention = None if until is None else parse_retention(mode, until)
    _bucket(data, plan).put_retention(key, version_id, retention, bypass_governance=bypass)
    kept = f"retained in {retention.mode} mode until {time_text(retention.until)}" if retention else "not retained"
    out.print(f"The version {version_id} of {key} is {kept}.", markup=False, highlight=False, soft_wrap=True)


@object_app.command("legal-hold", epilog="Example: auditlake object legal-hold KEY --version-id ID")
@_local
def object_legal_hold(
    key: KeyArgument,
    version_id: VersionOption,
    off: Annotated[bool, typer.Option("--off", help="Take the hold off.")] = False,
    data: DataOption = Path("data"),
    plan: PlanOption = None,
) -> None:
    """Put a version under legal hold, which has no end and bars every delete, or take it off."""
    _bucket(data, plan).put_legal_hold(key, version_id, on=not off)
    held = "no longer under legal hold" if off else "under legal hold"
    out.print(f"The version {version_id} of {key} is {held}.", markup=False, highlight=False, soft_wrap=True)


@app.command(epilog="Example: auditlake path --plan plan.json")
@_local
def path(plan: PlanOption = None, as_json: JsonOption = False) -> None:
    """Show the eight stages from POST to SELECT, with what the plan sets for each."""
    from auditlake.runtime.path import STAGES
    from auditlake.runtime.plan import load_plan

    loaded = load_plan(plan)
    rows = [{"stage": s.name, "file": s.file, "aws": s.resource, "settings": s.settings(loaded)} for s in STAGES]
    if as_json:
        _print_json(rows)
        return
    table = Table("stage", "on one machine", "on AWS", "settings")
    for row in rows:
        table.add_row(*row.values())
    out.print(table)


@app.command(epilog="Example: auditlake doctor plan.json --strict")
@_local
def doctor(
    plan: Annotated[
        Path | None,
        typer.Argument(help="A plan as `terraform show -json` prints it; without it the plan of the defaults."),
    ] = None,
    as_json: JsonOption = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 2 for what would do harm.")] = False,
) -> None:
    """Say what AWS would refuse of a plan (exit 1), what would do harm, and what does not run on one machine."""
    from auditlake import doctor as examination

    findings = examination.examine(plan)
    if as_json:
        print(examination.to_json(findings))  # noqa: T201 - JSON goes out as it is, never wrapped
    else:
        examination.print_findings(findings, out)
    raise typer.Exit(examination.exit_code(findings, strict=strict))


def _print_json(content: object) -> None:
    print(json.dumps(content, ensure_ascii=False))  # noqa: T201 - JSON goes out as it is, never wrapped


def main() -> Never:
    """Run the command line; a user's mistake ends with one sentence and exit code 1, Ctrl-C with 130."""
    try:
        app()
    except AuditlakeError as error:
        err.print(f"auditlake: {error}", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)
