"""`auditlake send`: a file of events to the API."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from auditlake import control
from auditlake.cli.shared import JsonOption, MapOption, TokenOption, UrlOption, app, err
from auditlake.errors import SendError
from auditlake.send import SendOptions, send_file

if TYPE_CHECKING:
    from auditlake.sigv4 import SigV4


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
    mapping: MapOption = None,
    rejected: Annotated[
        Path | None, typer.Option(help="Where rejected events go; FILE.rejected.ndjson by default.")
    ] = None,
    receipt: Annotated[
        Path | None,
        typer.Option(
            help="Add the id and SHA-256 of each accepted event to this file, for: auditlake reconcile --sent."
        ),
    ] = None,
    skip: Annotated[int, typer.Option(help="Begin after this many events, to go on with an earlier run.", min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Send a file of events in batches; exit 0 only if every event was accepted."""
    from auditlake.mapping import load_mapping

    options = SendOptions(url, token=token, skip=skip, auth=_signer(auth, url, region, token))
    summary = send_file(file, options, load_mapping(mapping) if mapping else None, rejected, err, receipt)
    if as_json:
        print(summary.to_json())  # noqa: T201 - JSON goes out as it is, never wrapped
    else:
        for line in summary.lines():
            err.print(line, markup=False)
    raise typer.Exit(summary.exit_code)
