"""The page on compliance, and that on security: everything that they name is there."""

import json
import re
from collections.abc import Callable

import pytest

from tests.conftest import ROOT

DOCUMENTS = {name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("compliance", "security")}
TERRAFORM = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "terraform").rglob("*.tf")))
TESTS = "\n".join(
    path.read_text(encoding="utf-8")
    for folder, kind in (("tests", "*.py"), ("terraform", "*.hcl"))
    for path in sorted((ROOT / folder).rglob(kind))
)
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
SCHEMA = json.loads((ROOT / "glue" / "events.schema.json").read_text(encoding="utf-8"))
COLUMNS = {column["name"] for column in (*SCHEMA["columns"], *SCHEMA["partition_keys"])}
CLI = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "auditlake").rglob("*.py") if "cli" in str(path))
COMMANDS = set(re.findall(r"^def (\w+)\(", CLI, re.MULTILINE))
IGNORED = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
REGIMES = ("SEC 17a-4(f)", "PCI DSS 4.0.1", "HIPAA", "SOC 2", "ISO/IEC 27001:2022", "GDPR")
BELOW = {"events/", "errors/"}
"""Prefixes of the bucket."""


def is_resource(name: str) -> bool:
    """Return whether Terraform declares a resource, e.g. `aws_kms_key.events`."""
    kind, _, of = name.partition(".")
    return f'resource "{kind}" "{of}" ' in TERRAFORM


def is_setting(name: str) -> bool:
    """Return whether the root module has a variable, and the variable such a member."""
    variable, _, member = name.partition(".")
    found = re.search(
        rf'^variable "{variable}" {{\n(.*?)^}}',
        (ROOT / "terraform" / "variables.tf").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    return found is not None and (not member or re.search(rf"^\s+{member} += ", found[1], re.MULTILINE) is not None)


def is_test(name: str) -> bool:
    """Return whether a test, or a run of a module's tests, has the name."""
    return re.search(rf'^(def {name}\(|run "{name}" )', TESTS, re.MULTILINE) is not None


def is_file(name: str) -> bool:
    """Return whether the project has such a file or folder."""
    return "/" in name and (name in BELOW or (ROOT / name).exists())


def is_command(name: str) -> bool:
    """Return whether it is a command of ours, or `terraform` with one that tests run."""
    tool, _, rest = name.partition(" ")
    return tool == "terraform" or (tool == "auditlake" and rest.split(" ")[0] in COMMANDS)


def is_statement(name: str) -> bool:
    """Return whether a policy has a statement with the Sid."""
    return re.search(rf'Sid += "{name}"', TERRAFORM) is not None


def is_saved_query(name: str) -> bool:
    """Return whether the workgroup has the question."""
    return (ROOT / "glue" / "queries" / f"{name}.sql").is_file()


KINDS: tuple[Callable[[str], bool], ...] = (
    is_resource,
    is_setting,
    is_test,
    is_file,
    is_command,
    is_statement,
    is_saved_query,
    lambda name: name in COLUMNS,
    lambda name: f"\n## {name}\n" in RUNBOOK,
    lambda name: (
        re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", name) is not None and name in TERRAFORM
    ),  # actions, condition keys
    lambda name: name in IGNORED or name == ".gitignore",
    lambda name: name == "auditlake-api-gateway-logs",  # a role, made of the stack's name
    lambda name: name in {"data_trace_enabled = false", "#checkov:skip"} and name.partition(" =")[0] in TERRAFORM,
)


def names(document: str) -> list[str]:
    """Return what stands in backticks outside of code blocks and of the generated tables."""
    prose = re.sub(r"<!-- permissions.*?<!-- end of permissions -->|```.*?```", "", document, flags=re.DOTALL)
    return sorted(set(re.findall(r"`([^`]+)`", prose)))


@pytest.mark.parametrize(
    ("document", "name"), [(document, name) for document, text in DOCUMENTS.items() for name in names(text)]
)
def test_everything_that_is_named_is_there(document: str, name: str) -> None:
    """A resource, setting, test, file, command, statement, question, column or alarm; nothing that only sounds so."""
    assert any(is_there(name) for is_there in KINDS), f"docs/{document}.md names {name}, which is nowhere"


def rows(section: str) -> list[list[str]]:
    """Return the cells of each row of a section's table, without its head."""
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize("regime", REGIMES)
def test_each_regime_says_what_meets_it_and_what_stays(regime: str) -> None:
    """A row is a requirement, what here meets it, and what stays the operator's; each cell says something."""
    (section,) = re.findall(
        rf"^## {re.escape(regime)}.*?\n(.*?)(?=^## |\Z)", DOCUMENTS["compliance"], re.MULTILINE | re.DOTALL
    )
    table = rows(section)
    assert len(table) >= 5
    for row in table:
        assert len(row) == 3, row
        assert all(row), row


def test_nothing_is_claimed_that_nobody_gave() -> None:
    """The page says that it certifies nothing, and what is not built."""
    page = DOCUMENTS["compliance"]
    assert "This certifies nothing" in page
    assert not re.search(r"\b(is|are|fully|100 ?%) (compliant|certified)\b(?! only)", page)
    for missing in ("digests", "second copy", "MFA delete", "designated executive officer"):
        assert missing.lower() in page.lower()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_anchor_is_a_heading(document: str) -> None:
    """A link into a page of ours leads to a heading of it."""
    for target, anchor in re.findall(r"\]\(([a-z]+\.md)#([^)]+)\)", DOCUMENTS[document]):
        headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / target).read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
