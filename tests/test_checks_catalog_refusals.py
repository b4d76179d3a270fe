"""What Glue and Athena refuse: each fault, planted alone, is found once by its name."""

from typing import Any

import pytest

from auditlake.checks.catalog_refusals import REFUSALS
from tests.broken_plans import Draft, Edit, names, put

TEMPLATE = "storage.location.template"


def _parameters(draft: Draft, **members: str) -> None:
    """Set parameters; `projection_day_type` stands for `projection.day.type`."""
    draft.table["parameters"].update({name.replace("_", "."): value for name, value in members.items()})


def _without(draft: Draft, name: str) -> None:
    del draft.table["parameters"][name]


def _template(draft: Draft, old: str, new: str) -> None:
    parameters = draft.table["parameters"]
    parameters[TEMPLATE] = parameters[TEMPLATE].replace(old, new)


def _workgroup(draft: Draft) -> dict[str, Any]:
    found: dict[str, Any] = draft.values("aws_athena_workgroup")["configuration"][0]
    return found


def _injected(draft: Draft, kind: str) -> None:
    draft.table["partition_keys"][2]["type"] = kind
    _parameters(draft, projection_month_type="injected")


FAULTS: list[tuple[str, Edit]] = [
    ("projection-missing", lambda d: _without(d, "projection.day.type")),
    ("projection-type", lambda d: _parameters(d, projection_day_type="number")),
    ("projection-settings", lambda d: _without(d, "projection.audit_type.values")),
    ("projection-settings", lambda d: _without(d, "projection.year.format")),
    ("projection-settings", lambda d: _without(d, "projection.day.range")),
    ("projection-range", lambda d: _parameters(d, projection_day_range="31,1")),
    ("projection-range", lambda d: _parameters(d, projection_year_range="2024")),
    ("projection-injected-type", lambda d: _injected(d, "int")),
    ("location-template-keys", lambda d: _template(d, "/day=${day}", "")),
    ("location-template-slash", lambda d: _template(d, "${day}/", "${day}")),
    ("table-parameter-size", lambda d: _parameters(d, comment="x" * 512001)),
    ("scan-cutoff", lambda d: put(_workgroup(d), bytes_scanned_cutoff_per_query=9_999_999)),
    (
        "result-key-missing",
        lambda d: put(
            _workgroup(d)["result_configuration"][0]["encryption_configuration"][0], encryption_option="SSE_KMS"
        ),
    ),
    ("result-location", lambda d: put(_workgroup(d)["result_configuration"][0], output_location="results/")),
]

FINE: list[tuple[str, Edit]] = [
    ("the least cutoff", lambda d: put(_workgroup(d), bytes_scanned_cutoff_per_query=10_000_000)),
    ("an injected string", lambda d: _injected(d, "string")),
    ("types in capitals", lambda d: _parameters(d, projection_day_type="INTEGER")),
    ("a range with a moving end", lambda d: _parameters(d, projection_year_range="NOW-3YEARS,NOW")),
    (
        "no projection at all",
        lambda d: put(d.table, parameters={"classification": "parquet"}),
    ),
    ("parameters that are not known yet", lambda d: d.table.pop("parameters")),
]


@pytest.mark.parametrize(("name", "edit"), FAULTS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(FAULTS)])
def test_a_planted_fault_is_found_once_by_its_name(name: str, edit: Edit) -> None:
    """The default plan with one fault has one finding, the fault."""
    assert names(edit) == [name]


@pytest.mark.parametrize("edit", [edit for _, edit in FINE], ids=[what for what, _ in FINE])
def test_what_aws_takes_is_not_found(edit: Edit) -> None:
    """Values at the edge of what AWS takes, and values that are not known before the apply, have no finding."""
    assert names(edit) == []


def test_every_check_has_a_planted_fault() -> None:
    """No check is without a plan that it finds something in."""
    assert {check.name for check in REFUSALS} == {name for name, _ in FAULTS}


def test_the_missing_keys_of_a_template_are_named() -> None:
    """The finding says which partition keys the template lacks."""
    draft = Draft()
    _template(draft, "/year=${year}/month=${month}", "")
    assert [finding.came for finding in draft.findings()] == ["without ${year}, ${month}"]
