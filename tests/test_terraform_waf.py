"""The module waf: its own tests."""

from pathlib import Path

from tests.terraform_runs import MODULES, assert_every_rule_has_a_failing_run, assert_own_tests_pass, initialised


def test_own_tests_pass(tmp_path: Path) -> None:
    """The runs in the module's tests pass with a mocked provider."""
    assert_own_tests_pass(initialised(tmp_path, "waf"))


def test_every_rule_has_a_failing_run() -> None:
    """Each validation of the module is broken by a run of its tests."""
    assert_every_rule_has_a_failing_run(MODULES / "waf")
