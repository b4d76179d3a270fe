"""Finds out which rules (`validation`, `precondition`) of a Terraform module its own negative runs really break.

That a run expects a variable to fail proves little where the variable has several rules: another may have failed. So
each negative run is run alone and without `expect_failures`, and Terraform says at which line the rule is that broke.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# `terraform fmt`, which a test holds every file to, puts a block's head on a line of its own and its end under it.
_RULE = re.compile(r"^(?P<indent> *)(?:validation|precondition) \{\n.*?^(?P=indent)\}$", re.DOTALL | re.MULTILINE)
_RUN = re.compile(r'^run "(?P<name>\w+)" \{\n.*?^\}$', re.DOTALL | re.MULTILINE)
_EXPECTED = re.compile(r"^  expect_failures = \[.*?\]$", re.DOTALL | re.MULTILINE)
_CHECKED_AT = re.compile(r"by the validation rule at (?P<file>\S+):(?P<line>\d+),")


@dataclass(frozen=True)
class Rule:
    """A block `validation` or `precondition`: the module's file that holds it, its first line and its last."""

    file: str
    first: int
    last: int

    def __str__(self) -> str:
        """Return where the rule is, as an editor takes it."""
        return f"{self.file}:{self.first}"


def rules(module: Path) -> list[Rule]:
    """Return the rules that stand in the files of a module's folder, not those of modules below it."""
    return [rule for file in sorted(module.glob("*.tf")) for rule in _rules(file)]


def unbroken(folder: Path) -> list[Rule]:
    """Return the rules of an initialised copy of a module that no run of its tests breaks; empties its tests folder."""
    places = list(_broken(folder))
    return [
        rule
        for rule in rules(folder)
        if not any(file == rule.file and rule.first <= line <= rule.last for file, line in places)
    ]


def told_by_tests(folder: Path) -> list[str]:
    """Run the tests of an initialised module; returns failed assertions' messages, and runs that missed a failure."""
    failed = []
    for said in _test(folder):
        diagnostic = said.get("diagnostic", {"severity": "none"})
        if diagnostic["severity"] == "error":
            missing = diagnostic["summary"] == "Missing expected failure"
            failed.append(said["@testrun"] if missing else diagnostic["detail"])
    return failed


def _rules(file: Path) -> Iterator[Rule]:
    text = file.read_text()
    for match in _RULE.finditer(text):
        yield Rule(file.name, text.count("\n", 0, match.start()) + 1, text.count("\n", 0, match.end()) + 1)


def _broken(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield file and line of each rule that a negative run breaks."""
    _part_negative_runs(folder / "tests")
    for said in _test(folder):
        diagnostic = said.get("diagnostic", {"severity": "none"})
        if diagnostic["severity"] != "error":
            continue
        checked = _CHECKED_AT.search(diagnostic["detail"])
        if checked:  # the diagnostic's own range is the value's
            yield checked["file"], int(checked["line"])
        elif "range" in diagnostic:
            yield diagnostic["range"]["filename"], diagnostic["range"]["start"]["line"]


def _part_negative_runs(tests: Path) -> None:
    """Leave of a tests folder the negative runs, a file each: Terraform skips what stands after a run that fails."""
    for file in sorted(tests.glob("*.tftest.hcl")):
        text = file.read_text()
        runs = list(_RUN.finditer(text))
        head = text[: runs[0].start()] if runs else ""
        for run in runs:
            if _EXPECTED.search(run[0]):
                part = file.with_name(f"{file.name.partition('.')[0]}-{run['name']}.tftest.hcl")
                part.write_text(head + _EXPECTED.sub("", run[0]) + "\n")
        file.unlink()


def _test(folder: Path) -> list[dict[str, Any]]:
    """Run `terraform test` and return what it says, message by message; that runs fail is meant."""
    command = ["terraform", "test", "-json"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
