"""The module catalog: its own tests, and that the view's columns are those of its SQL."""

import json
from pathlib import Path

import sqlglot

from tests.terraform_runs import MODULES, assert_every_rule_has_a_failing_run, assert_own_tests_pass, initialised

GLUE = MODULES.parent.parent / "glue"


def test_own_tests_pass(tmp_path: Path) -> None:
    """The runs in the module's tests pass with a mocked provider."""
    assert_own_tests_pass(initialised(tmp_path, "catalog"))


def test_every_rule_has_a_failing_run() -> None:
    """Each validation and precondition of the module is broken by a run of its tests."""
    assert_every_rule_has_a_failing_run(MODULES / "catalog")


def test_the_view_selects_the_columns_that_it_declares() -> None:
    """Athena calls a view stale when its SQL gives other columns, or another order, than the catalog says."""
    schema = json.loads((GLUE / "events.schema.json").read_text())
    query = sqlglot.parse_one((GLUE / "queries" / "events_deduplicated.sql").read_text(), dialect="athena")
    assert isinstance(query, sqlglot.exp.Select)
    declared = [column["name"] for column in (*schema["columns"], *schema["partition_keys"])]
    assert query.named_selects == declared
