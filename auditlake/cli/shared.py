"""What the commands share: the application that they belong to, the options that several take, and how they print."""

import functools
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer
from rich.console import Console

from auditlake.errors import AuditlakeError

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
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


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"auditlake {version('auditlake')}", markup=False, highlight=False)
        raise typer.Exit


@app.callback()
def auditlake(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """auditlake: an audit log that you own. POST events, keep them as Parquet, ask with SQL."""


def _mapping_names(incomplete: str) -> list[str]:
    """Complete the name of a shipped mapping."""
    from auditlake.mapping import shipped_mappings

    return [name for name in shipped_mappings() if name.startswith(incomplete)]


MapOption = Annotated[
    str | None,
    typer.Option(
        "--map",
        help="Turn another product's events into ours: a shipped mapping or a YAML file.",
        autocompletion=_mapping_names,
    ),
]


def local(command: Callable[P, R]) -> Callable[P, R]:
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


def print_json(content: object) -> None:
    """Print a value as one line of JSON."""
    print(json.dumps(content, ensure_ascii=False))  # noqa: T201 - JSON goes out as it is, never wrapped
