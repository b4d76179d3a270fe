"""`auditlake doctor`: what AWS would refuse of a plan, what would do harm, and what does not run on one machine."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from auditlake.checks import refusals, warnings
from auditlake.checks.finding import Finding, Severity, shown
from auditlake.errors import PlanError
from auditlake.runtime.partition import parse_backup_prefix, parse_error_prefix, parse_prefix, parse_time_zone
from auditlake.runtime.plan_reader import read_plan
from auditlake.runtime.planned import Resource, plan_text, read_resources
from auditlake.runtime.support import unsupported
from auditlake.terminal import visible

TITLES = {
    Severity.REFUSE: "AWS refuses",
    Severity.WARN: "AWS takes it, and it does harm",
    Severity.LOCAL: "Not on one machine: auditlake up refuses the plan",
}
CAME_CHARACTERS = 60
"""Of a value in the list for people; --json holds it whole."""


def examine(path: Path | None) -> list[Finding]:
    """Return all that is found in the plan at `path`, or in that of the defaults; raises PlanError for no plan.

    As elsewhere `-` is standard input.
    """
    text, source = plan_text(Path("/dev/stdin") if path == Path("-") else path)
    resources = read_resources(text, source)
    refused = refusals(resources)
    # What AWS refuses often stops the runtime too; told once is enough.
    told = {(finding.address, finding.attribute) for finding in refused}
    local = [finding for finding in _not_implemented(resources) if (finding.address, finding.attribute) not in told]
    found = [*refused, *warnings(resources), *local]
    if any(finding.severity is not Severity.WARN for finding in found):
        return found
    return [*found, *_not_readable(resources, source)]


def exit_code(findings: Iterable[Finding], *, strict: bool) -> int:
    """Return 1 when AWS would refuse the plan, 2 for harm when `strict`, else 0."""
    severities = {finding.severity for finding in findings}
    if Severity.REFUSE in severities:
        return 1
    return 2 if strict and Severity.WARN in severities else 0


def to_json(findings: Sequence[Finding]) -> str:
    """Return the findings as one JSON list."""
    return json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, default=str)


def print_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print the findings by severity and resource, and a line that counts them."""
    for severity, title in TITLES.items():
        chosen = [finding for finding in findings if finding.severity is severity]
        if chosen:
            console.print(Text(f"{title} ({len(chosen)})", style="bold"))
            _print_group(chosen, console)
    console.print(Text(summary(findings)))


def summary(findings: Sequence[Finding]) -> str:
    """Return the sentence that counts the findings."""
    if not findings:
        return "Nothing found: AWS takes the plan, no known harm is in it, and it runs on one machine."
    count = {severity: sum(f.severity is severity for f in findings) for severity in TITLES}
    return (
        f"{count[Severity.REFUSE]} refused by AWS, {count[Severity.WARN]} harmful, "
        f"{count[Severity.LOCAL]} not on one machine."
    )


def _print_group(findings: Sequence[Finding], console: Console) -> None:
    ordered = sorted(findings, key=lambda finding: finding.address)
    for address, group in groupby(ordered, key=lambda finding: finding.address):
        _print_indented(2, Text(visible(address), style="cyan", overflow="fold"), console)
        for finding in group:
            for indent, line in _lines(finding):
                _print_indented(indent, Text(visible(line), overflow="fold"), console)
    console.print()


def _print_indented(indent: int, text: Text, console: Console) -> None:
    console.print(Padding(text, (0, 0, 0, indent), expand=False))


def _lines(finding: Finding) -> Iterator[tuple[int, str]]:
    """Yield the lines of a finding, each with its indent: what came, what AWS says or the harm, what to do."""
    if finding.attribute:
        yield 4, finding.attribute + ("" if finding.came is None else f" = {_shortened(shown(finding.came))}")
    words = f'AWS: "{finding.aws}"' if finding.aws else finding.says
    source = ", ".join(part for part in (finding.check, finding.fact, finding.known) if part)
    yield 6, f"{words} ({source})"
    if finding.advice:
        yield 6, f"-> {finding.advice}"


def _shortened(text: str) -> str:
    return text if len(text) <= CAME_CHARACTERS else f"{text[: CAME_CHARACTERS - 3]}..."


def _not_implemented(resources: Iterable[Resource]) -> Iterator[Finding]:
    for found in unsupported(resources):
        # The sentence repeats what the finding says by itself: the attribute and what came.
        words = found.says.removeprefix(found.attribute).removeprefix(f" = {found.came!r}").strip()
        says = f"This {words}." if found.attribute else f"{words[0].upper()}{words[1:]}."
        advice = "Run it on AWS, or leave it out of the plan that you run here."
        yield _local("not-implemented", found.address, found.attribute, found.came, says, advice)


def _not_readable(resources: list[Resource], source: str) -> Iterator[Finding]:
    """Yield why a plan whose every attribute is implemented does not run all the same; the first reason only."""
    try:
        stream = read_plan(resources, source).stream
        parse_prefix(stream.prefix)
        parse_error_prefix(stream.error_output_prefix)
        parse_time_zone(stream.custom_time_zone)
        if stream.backup is not None:
            parse_backup_prefix(stream.backup.prefix)
    except PlanError as error:
        yield _local("not-runnable", source, "", None, str(error), advice="")


def _local(check: str, address: str, attribute: str, came: object, says: str, advice: str) -> Finding:
    return Finding(
        severity=Severity.LOCAL,
        check=check,
        address=address,
        attribute=attribute,
        came=came,
        says=says,
        aws="",
        advice=advice,
        fact="",
        known="",
    )
