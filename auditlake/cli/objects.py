"""`auditlake objects` and `object`: the local bucket, as S3's API shows and changes one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditlake.cli.shared import DataOption, JsonOption, PlanOption, app, local, out, print_json

if TYPE_CHECKING:
    from auditlake.runtime.bucket import LocalBucket


@app.command(epilog="Example: auditlake objects events/audit_type=login/ --versions")
@local
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
            print_json(problems)
        for problem in () if as_json else problems or ["Every version is as it was put, and nothing else is there."]:
            out.print(problem, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1 if problems else 0)
    entries = listing(bucket, prefix, versions=versions)
    if as_json:
        print_json(entries)
    else:
        out.print(table(entries))


def _bucket(data: Path, plan: Path | None) -> "LocalBucket":
    from auditlake.runtime.bucket import LocalBucket
    from auditlake.runtime.plan_reader import load_plan
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
@local
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
@local
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
@local
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
