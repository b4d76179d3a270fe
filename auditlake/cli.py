"""The command line: `auditlake up`, `send`, `flush`, `status`, `query`, `queries`, `path`."""

import functools
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Never, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from auditlake import control
from auditlake.errors import AuditlakeError, QueryError
from auditlake.send import SendOptions, send_file

if TYPE_CHECKING:
    from auditlake.runtime.plan import Plan
    from auditlake.runtime.server import Runtime

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
    help="auditlake: an audit log that you own. POST events, keep them as Parquet, ask with SQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
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
    token: TokenOption = None,
) -> None:
    """Run the pipeline of a Terraform plan on this machine, until Ctrl-C."""
    from auditlake.runtime.plan import load_plan
    from auditlake.runtime.server import Settings, serve

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    loaded = load_plan(plan)
    settings = Settings(data, host, port, token)

    def started(runtime: "Runtime", url: str) -> None:
        _announce(runtime.plan, url, data, token)

    def stopping() -> None:
        err.print(
            "Stopping: what is buffered is delivered now; Ctrl-C again leaves it in the buffer for the next start."
        )

    serve(loaded, settings, started, stopping)


def _announce(plan: "Plan", url: str, data: Path, token: str | None) -> None:
    from auditlake.runtime.store import object_lock_notice

    place = data / plan.bucket.name
    lines = [
        f"auditlake runs the plan of the stream {plan.stream.name} at {url}",
        f"  POST {url}/events        one event; 202 once it is on the disk",
        f"  POST {url}/events/batch  many events; an answer for each",
        f"  Stored in {place} after {plan.stream.buffer_interval_s} s, or at once by: auditlake flush",
        f"  Asked by: auditlake query --data {data} --saved everything",
    ]
    if token is None:
        lines.append(
            "  Authentication: none; only this machine can connect. The plan's own holds on AWS, --token here."
        )
    if notice := object_lock_notice(plan.bucket.object_lock):
        lines.append(f"  {notice}")
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command(epilog="Example: auditlake send --map cloudtrail trail.ndjson")
def send(
    file: Annotated[str, typer.Argument(help="NDJSON or a JSON array, plain or gzip; - is standard input.")],
    url: UrlOption = control.DEFAULT_URL,
    token: TokenOption = None,
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

    options = SendOptions(url, token=token, skip=skip)
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


@app.command(epilog="Example: auditlake status --json")
def status(url: UrlOption = control.DEFAULT_URL, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Show what the running pipeline holds, what it delivered and what failed."""
    current = control.get_status(url, token)
    if as_json:
        _print_json(current)
    else:
        _print_status(current)


def _print_status(current: dict[str, Any]) -> None:
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
    out.print(totals)
    if current["partitions"]:
        partitions = Table(title="Stored rows by partition", title_justify="left")
        names = list(current["partitions"][0])
        for name in names:
            partitions.add_column(name, justify="right" if name == "rows" else "left")
        for partition in current["partitions"]:
            partitions.add_row(*(f"{partition[name]:,}" if name == "rows" else str(partition[name]) for name in names))
        out.print(partitions)


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
