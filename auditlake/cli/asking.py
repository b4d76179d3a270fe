"""`auditlake query`, `queries`, `path` and `doctor`: SQL, and what a plan holds."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from auditlake.cli.failures import EndpointOption, RegionOption
from auditlake.cli.on_aws import AwsOption, OlderOption, answered, show_doctor
from auditlake.cli.shared import DataOption, JsonOption, PlanOption, app, err, local, out, print_json
from auditlake.errors import AuditlakeError, PlanError, QueryError


def _saved_names(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a saved query of the plan, with the question that it answers."""
    from auditlake.runtime.plan_reader import load_plan

    given = ctx.params.get("plan")
    try:
        found = load_plan(Path(given) if given else None).saved_queries
    except AuditlakeError:
        return []
    return [(query.name, query.description) for query in found if query.name.startswith(incomplete)]


@app.command(epilog="Example: auditlake query --saved failed_actions --param from=2026-11-01 --param to=2026-12-01")
@local
def query(
    sql: Annotated[str | None, typer.Argument(help="One SELECT in Athena's dialect over the table `events`.")] = None,
    saved: Annotated[
        str | None,
        typer.Option(help="A saved query; `auditlake queries` lists them.", autocompletion=_saved_names),
    ] = None,
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
    from auditlake.runtime.plan_reader import load_plan
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
@local
def queries(plan: PlanOption = None, as_json: JsonOption = False) -> None:
    """List the saved queries and the question that each answers."""
    from auditlake.runtime.plan_reader import load_plan
    from auditlake.runtime.query import parameter_names

    found = [
        {"name": q.name, "question": q.description, "parameters": list(dict.fromkeys(parameter_names(q)))}
        for q in load_plan(plan).saved_queries
    ]
    if as_json:
        print_json(found)
        return
    table = Table("query", "question", "parameters")
    for one in found:
        table.add_row(str(one["name"]), str(one["question"]), " ".join(one["parameters"]))
    out.print(table)


@app.command(epilog="Example: auditlake path --plan plan.json")
@local
def path(plan: PlanOption = None, as_json: JsonOption = False) -> None:
    """Show the eight stages from POST to SELECT, with what the plan sets for each."""
    from auditlake.runtime.path import STAGES
    from auditlake.runtime.plan_reader import parse_plan
    from auditlake.runtime.planned import plan_text, read_resources

    text, source = plan_text(plan)
    loaded, resources = parse_plan(text, source), read_resources(text, source)
    rows = [
        {"stage": s.name, "file": s.file, "aws": s.resource(loaded, resources), "settings": s.settings(loaded)}
        for s in STAGES
    ]
    if as_json:
        print_json(rows)
        return
    table = Table("stage", "on one machine")
    for name in ("on AWS, by the plan's addresses", "settings"):
        table.add_column(name, overflow="fold")  # a prefix or an ARN is one long word
    for row in rows:
        table.add_row(*map(Text, row.values()))  # as text: [0] of an address is no markup
    out.print(table)


@app.command(
    epilog="Example: terraform show -json tfplan | auditlake doctor - --strict; auditlake doctor plan.json --aws"
)
@local
def doctor(
    plan: Annotated[
        Path | None,
        typer.Argument(
            help="A plan as `terraform show -json` prints it, - is standard input; without it the plan of the defaults."
        ),
    ] = None,
    as_json: JsonOption = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 2 for what would do harm.")] = False,
    aws: AwsOption = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    older_than: OlderOption = 7,
) -> None:
    """Say what AWS would refuse of a plan (exit 1), what would do harm, and what does not run on one machine.

    With --aws how the deployed stack differs from the plan: exit 0 if nothing does, 1 if something does, 2 if it cannot
    look.
    """
    if aws:
        if strict:
            raise PlanError("--strict is for a plan alone; with --aws every difference exits with 1.")
        raise typer.Exit(answered(lambda: show_doctor(plan, endpoint, region, older_than, as_json=as_json)))
    if endpoint or region:
        raise PlanError("--endpoint-url and --region say where the stack is deployed: give --aws too.")
    from auditlake import doctor as examination

    findings = examination.examine(plan)
    if as_json:
        print(examination.to_json(findings))  # noqa: T201 - JSON goes out as it is, never wrapped
    else:
        examination.print_findings(findings, out)
    raise typer.Exit(examination.exit_code(findings, strict=strict))
