"""Create-time checks: what AWS would refuse of a plan, and what it takes to the user's harm.

They read any plan, also one that the local runtime cannot run, and know nothing of what that runtime implements.
"""

from collections.abc import Iterable

from auditlake.checks import (
    api_refusals,
    api_warnings,
    catalog_refusals,
    catalog_warnings,
    conversion_refusals,
    prefix_refusals,
    processor_refusals,
    storage_refusals,
    storage_warnings,
    stream_refusals,
    stream_warnings,
)
from auditlake.checks.finding import Check, Finding, Planned, Severity, shown
from auditlake.errors import PlanError
from auditlake.runtime.planned import Resource

REFUSALS: tuple[Check, ...] = (
    *api_refusals.REFUSALS,
    *stream_refusals.REFUSALS,
    *processor_refusals.REFUSALS,
    *prefix_refusals.REFUSALS,
    *conversion_refusals.REFUSALS,
    *storage_refusals.REFUSALS,
    *catalog_refusals.REFUSALS,
)
"""What AWS refuses, in the order of the path."""

WARNINGS: tuple[Check, ...] = (
    *api_warnings.WARNINGS,
    *stream_warnings.WARNINGS,
    *storage_warnings.WARNINGS,
    *catalog_warnings.WARNINGS,
)
"""What AWS takes and what does harm, in the order of the path."""


def refusals(resources: Iterable[Resource]) -> list[Finding]:
    """Return what AWS would refuse of a plan."""
    return _run(REFUSALS, resources, Severity.REFUSE)


def warnings(resources: Iterable[Resource]) -> list[Finding]:
    """Return what AWS would take, and what would do harm."""
    return _run(WARNINGS, resources, Severity.WARN)


def check_creation(resources: Iterable[Resource]) -> None:
    """Raise PlanError with AWS's messages when AWS would refuse the plan."""
    found = refusals(resources)
    if found:
        raise PlanError("AWS would refuse this plan:\n  " + "\n  ".join(map(_line, found)))


def _line(finding: Finding) -> str:
    came = "" if finding.came is None else f" = {shown(finding.came)}"
    words = f'AWS: "{finding.aws}"' if finding.aws else finding.says
    return f"{finding.address}: {finding.attribute}{came}: {words} {finding.advice}"


def _run(checks: Iterable[Check], resources: Iterable[Resource], severity: Severity) -> list[Finding]:
    planned = Planned(tuple(resources))
    return [finding for check in checks for finding in check.run(planned, severity)]
