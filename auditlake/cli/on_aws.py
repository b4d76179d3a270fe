"""`auditlake status --aws` and `auditlake doctor --aws`: the options that say which stack, and what is printed.

Exit 1 says that something is wrong or differs, and nothing else does: what cannot be asked is 2, a user's mistake too.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from auditlake.cli.shared import err, out, print_json
from auditlake.errors import AuditlakeError

if TYPE_CHECKING:
    from auditlake.aws_status import Part
    from auditlake.doctor_aws import Outcome

CANNOT_ASK = 2
"""The exit code when AWS cannot be asked."""

AwsOption = Annotated[bool, typer.Option("--aws", help="Look at the stack deployed on AWS instead.")]
OutputsOption = Annotated[
    Path | None,
    typer.Option(
        "--outputs",
        help="With --aws: the stack's names as `terraform output -json` prints them, - is standard input.",
        dir_okay=False,
    ),
]
HoursOption = Annotated[
    int, typer.Option("--hours", help="With --aws: hours of metrics and errors.", min=1, max=24 * 7)
]
DaysOption = Annotated[
    int,
    typer.Option(
        "--days", help="With --aws: days of partitions in which the newest object is looked for.", min=1, max=31
    ),
]
OlderOption = Annotated[
    int, typer.Option("--older-than", help="With --aws: error objects older than so many days are told.", min=0)
]

_STYLES = {"ok": "green", "wrong": "bold red", "differs": "bold red", "could not look": "yellow"}


def answered(look: Callable[[], int]) -> int:
    """Return the exit code of `look`; what it cannot ask is one sentence and CANNOT_ASK."""
    try:
        return look()
    except AuditlakeError as error:
        err.print(f"auditlake: {error}", markup=False, soft_wrap=True)
        return CANNOT_ASK


def show_status(
    plan: Path | None,
    outputs: Path | None,
    endpoint: str | None,
    region: str | None,
    hours: int,
    days: int,
    *,
    as_json: bool,
) -> int:
    """Print what the deployed stack is doing; returns the exit code."""
    from auditlake.aws_ask import Aws
    from auditlake.aws_stack import load_promise, names_of_plan, plan_region, read_outputs, read_plan_file
    from auditlake.aws_status import Window, content, exit_code, look

    if plan and outputs:
        raise AuditlakeError("--plan and --outputs both say which stack: give one of them.")
    if outputs:
        names = read_outputs(outputs)
        aws = Aws(endpoint, region or names.region)
        aws.account_id()
    else:
        read = read_plan_file(plan)
        aws = Aws(endpoint, region or plan_region(read))
        names = names_of_plan(load_promise(read, aws), aws)
    with err.status("asking AWS"):
        parts = look(aws, names, Window(datetime.now(UTC), hours, days))
    if as_json:
        print_json(content(names, parts))
    else:
        _print_status(f"{names.stream} in {names.region}, account {names.account_id}", parts)
    return exit_code(parts)


def show_doctor(
    plan: Path | None, endpoint: str | None, region: str | None, older_than_days: int, *, as_json: bool
) -> int:
    """Print how the deployed stack differs from its plan; returns the exit code."""
    from auditlake.aws_ask import Aws
    from auditlake.aws_stack import load_promise, names_of_plan, plan_region, read_plan_file
    from auditlake.doctor_aws import content, examine, exit_code, summary

    read = read_plan_file(plan)
    aws = Aws(endpoint, region or plan_region(read))
    promise = load_promise(read, aws)
    with err.status("asking AWS"):
        outcomes = list(examine(promise, aws, names_of_plan(promise, aws), datetime.now(UTC), older_than_days))
    if as_json:
        print_json(content(outcomes))
    else:
        for outcome in outcomes:
            _print_outcome(outcome)
        out.print(summary(outcomes), highlight=False)
    return exit_code(outcomes)


def _print_status(title: str, parts: "list[Part]") -> None:
    from auditlake.terminal import visible

    table = Table("part", "state", title=Text(visible(title)), title_justify="left")
    table.add_column("what is known", overflow="fold")
    for part in parts:
        table.add_row(visible(part.name), Text(part.state, _STYLES[part.state]), Text(visible(part.says)))
    out.print(table)


def _print_outcome(outcome: "Outcome") -> None:
    """Print one line: ok; what is promised, what is deployed and what to do; or which permission is missing."""
    from auditlake.terminal import visible

    line = Text.assemble(
        (f"{outcome.state:14} ", _STYLES[outcome.state]), (visible(outcome.subject), "cyan"), f" {outcome.check}"
    )
    if outcome.state == "differs":
        deployed = f"deployed is {_shown(outcome.deployed)} -> {outcome.advice}"
        line.append(f": the plan promises {_shown(outcome.promised)}, {deployed}")
    elif outcome.state == "could not look":
        line.append(f": {outcome.why}")
    out.print(Text(visible(line.plain)) if "\x1b" in line.plain else line, soft_wrap=True)


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "nothing"
