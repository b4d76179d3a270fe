"""`auditlake spool`: what a service's spool holds, and sending it without the service."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from auditlake import control
from auditlake.cli.shared import JsonOption, TokenOption, UrlOption, app, err, out, print_json
from auditlake.errors import SpoolError
from auditlake.send_summary import counted
from auditlake.terminal import visible

if TYPE_CHECKING:
    from auditlake.client.status import SpoolStatus

spool_app = typer.Typer(help="What a service's spool holds, and sending it without the service.", no_args_is_help=True)
app.add_typer(spool_app, name="spool")

SpoolArgument = Annotated[Path, typer.Argument(help="The spool's directory, as the service names it to AuditClient.")]


@spool_app.command("status", epilog="Example: auditlake spool status /var/spool/shop-audit --strict")
def spool_status(
    spool: SpoolArgument,
    as_json: JsonOption = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 2 if events were refused or bytes are damaged.")
    ] = False,
) -> None:
    """Show what waits, since when, and what is put aside."""
    from auditlake.client.status import spool_status as look

    status = look(spool, datetime.now(UTC))
    if as_json:
        print_json(_json(status))
    else:
        out.print(_view(status))
    put_aside = status.dead_lettered or status.damaged or status.unread_damage
    raise typer.Exit(2 if strict and put_aside else 0)


@spool_app.command("settle", epilog='Example: auditlake spool settle SPOOL EVENT_ID --how "mended and sent again"')
def spool_settle(
    spool: SpoolArgument,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[EVENT_ID]...", help="Which dead letters.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are listed now.")] = False,
    how: Annotated[str, typer.Option(help="What was done with them, for who asks later.")] = "",
) -> None:
    """Say that dead letters are dealt with; they leave the list and stay in the spool's file.

    `auditlake reconcile` goes on to tell of those that never came into the table.
    """
    from auditlake.client.put_aside import dead_letters, settle
    from auditlake.client.spool import check_spool

    check_spool(spool)
    asked = set(ids or ())
    if everything == bool(asked):
        raise SpoolError("Say which dead letters are settled: the ids of their events, or --all.")
    letters = dead_letters(spool)
    if unknown := sorted(asked - {letter.id for letter in letters}):
        raise SpoolError(
            f"No dead letter of {spool} has the id {unknown[0]}; `auditlake spool dead-letters` lists them. Nothing "
            "was settled."
        )
    chosen = [letter for letter in letters if everything or letter.id in asked]
    try:
        settle(spool, chosen, how, datetime.now(UTC))
    except OSError as error:
        raise SpoolError(f"The spool {spool} cannot be written ({error.strerror}); nothing was settled.") from error
    err.print(f"{counted(len(chosen), 'dead letter')} settled, {len(letters) - len(chosen):,} left.", markup=False)


def _json(status: "SpoolStatus") -> dict[str, object]:
    problem = status.problem
    return asdict(status) | {
        "oldest": status.oldest.isoformat() if status.oldest else None,
        "problem": problem
        and {
            "reason": problem.reason,
            "since": problem.since.isoformat(),
            "last_try": problem.last_try.isoformat(),
            "failures": problem.failures,
        },
    }


def _view(status: "SpoolStatus") -> Table:
    table = Table(title=f"Spool {status.spool}", show_header=False, title_justify="left")
    table.add_row("waiting", f"{status.pending:,} events", f"{status.pending_bytes:,} bytes")
    if status.oldest is not None:
        table.add_row("the oldest", f"{status.oldest:%Y-%m-%d %H:%M:%S} UTC", f"{status.oldest_age_s:,.0f} s ago")
    if status.problem is not None:
        problem = status.problem
        tries = "1 try" if problem.failures == 1 else f"{problem.failures:,} tries"
        table.add_row("why they wait", Text(visible(problem.reason)), f"{tries}, the last {problem.last_try:%H:%M:%S}")
        table.add_row("since", f"{problem.since:%Y-%m-%d %H:%M:%S} UTC", "")
    table.add_row("dead letters", f"{status.dead_lettered:,} events", "auditlake spool dead-letters")
    table.add_row("damaged", f"{status.damaged:,} places", "damaged.ndjson in the spool")
    if status.unread_damage:
        table.add_row("damaged, still to be put aside", f"{status.unread_damage:,} places", "")
    return table


@spool_app.command("dead-letters", epilog="Example: auditlake spool dead-letters SPOOL --events > mend.ndjson")
def spool_dead_letters(
    spool: SpoolArgument,
    events: Annotated[
        bool, typer.Option("--events", help="Print the events only, one a line, to mend them and send them.")
    ] = False,
    settled: Annotated[bool, typer.Option("--settled", help="Those too that were settled.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the events that the endpoint refused and nobody has settled, each with its reason."""
    from auditlake.client.put_aside import dead_letters
    from auditlake.client.spool import check_spool

    check_spool(spool)
    letters = dead_letters(spool, settled=settled)
    if events:
        for letter in letters:
            print(bytes(letter.event).decode())  # noqa: T201 - JSON goes out as it is, never wrapped
    elif as_json:
        print_json([{"id": one.id, "reason": one.reason, "refused_at": one.refused_at.isoformat()} for one in letters])
    else:
        table = Table("event", "refused at", "reason")
        for letter in letters:
            at = f"{letter.refused_at:%Y-%m-%d %H:%M:%S}"
            table.add_row(Text(visible(letter.id or "without an id")), at, Text(visible(letter.reason)))
        out.print(table)


@spool_app.command("send", epilog="Example: auditlake spool send /var/spool/shop-audit --url https://audit.example.com")
def spool_send(
    spool: SpoolArgument,
    url: UrlOption = control.DEFAULT_URL,
    token: TokenOption = None,
    auth: Annotated[Literal["sigv4"] | None, typer.Option(help="sigv4 signs with your AWS credentials.")] = None,
    region: Annotated[
        str | None, typer.Option(help="For --auth sigv4: the API's region; else that of its host name or your profile.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Stop after so many seconds; without it, it goes on until all is sent.", min=0)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Send what a spool holds, when the service that wrote it does not run; exit 0 only if every event was accepted."""
    from auditlake.client.drain import drain_spool
    from auditlake.client.post import Connection, authentication
    from auditlake.client.status import spool_status as look

    waiting = look(spool, datetime.now(UTC)).pending
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Connection(url, authentication(url, token, auth, region), timeout_s=60.0) as connection,
        Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress,
    ):
        task = progress.add_task("sending", total=waiting)
        drained = drain_spool(
            spool, connection, timeout_s=timeout, advance=lambda count: progress.update(task, completed=count)
        )
    if as_json:
        print_json(asdict(drained))
    else:
        err.print(f"{drained.accepted:,} events accepted, {drained.refused:,} refused.", markup=False)
        if drained.left_bytes:
            err.print(f"{drained.left_bytes:,} bytes wait still: {drained.problem or 'the time is over'}", markup=False)
    raise typer.Exit(1 if drained.refused or drained.left_bytes else 0)
