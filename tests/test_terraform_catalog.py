"""The module catalog: its own tests, and that each view's columns are those of its SQL."""

import base64
import json
from importlib import resources
from pathlib import Path

import pytest
import sqlglot

from tests.terraform_runs import MODULES, assert_every_rule_has_a_failing_run, assert_own_tests_pass, initialised


def test_own_tests_pass(tmp_path: Path) -> None:
    """The runs in the module's tests pass with a mocked provider."""
    assert_own_tests_pass(initialised(tmp_path, "catalog"))


def test_every_rule_has_a_failing_run() -> None:
    """Each validation and precondition of the module is broken by a run of its tests."""
    assert_every_rule_has_a_failing_run(MODULES / "catalog")


@pytest.mark.parametrize("name", ["conflicting_events", "events_deduplicated"])
def test_a_view_selects_the_columns_that_it_declares(name: str) -> None:
    """Athena calls a view stale when its SQL gives other columns, or another order, than the catalog says."""
    plan = json.loads(resources.files("auditlake.runtime").joinpath("default_plan.json").read_text())
    (module,) = [m for m in plan["planned_values"]["root_module"]["child_modules"] if m["address"] == "module.catalog"]
    (view,) = [
        r["values"] for r in module["resources"] if r["values"].get("name") == name and "table_type" in r["values"]
    ]
    text = base64.b64decode(view["view_original_text"].removeprefix("/* Presto View: ").removesuffix(" */"))
    declared = [column["name"] for column in json.loads(text)["columns"]]
    query = sqlglot.parse_one(json.loads(text)["originalSql"], dialect="athena")
    assert isinstance(query, sqlglot.exp.Select)
    assert query.named_selects == declared
    assert [column["name"] for column in view["storage_descriptor"][0]["columns"]] == declared
