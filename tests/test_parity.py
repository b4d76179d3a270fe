"""docs/parity.md says what is true of this repository: its files, functions, tests, and the facts that they cite."""

import ast
import io
import os
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from auditlake import parity
from auditlake.checks import REFUSALS, WARNINGS
from auditlake.errors import AuditlakeError
from auditlake.parity import DOCUMENT, Fact, load, render
from tests.conftest import ROOT

FACTS = load().facts
SECTIONS = {fact.section for fact in FACTS}
IDS = {fact.id for fact in FACTS}


def test_the_document_is_what_its_data_makes() -> None:
    """docs/parity.md is generated, and up to date."""
    assert DOCUMENT.read_text(encoding="utf-8") == render(load()), "run `make parity`"


# --- every fact of the reference has a row ---------------------------------------------------------------------------

_HEADING = re.compile(r"#{2,3} (?:(1|[A-I]\d?)\.|([A-I]\d)) ")
_RULE = re.compile(r"\|[ |-]+\|")


def numbered(text: str) -> dict[str, list[str]]:
    """Number the facts of a reference: by section, first its table rows and list items, then its paragraphs.

    An example without a paragraph or item before it counts as a paragraph. A line that only announces what follows,
    the prices (H), and what is derived (J, K) are no facts.
    """
    listed: dict[str, list[str]] = {}
    told: dict[str, list[str]] = {}
    section, before, fenced = "", "", False
    lines = text.splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            if fenced and section and not before:
                told[section].append(line)
            before = "example"
        elif fenced or line.startswith("  "):
            continue
        elif line.startswith("#"):
            heading = _HEADING.match(line)
            section, before = (heading[1] or heading[2]) if heading else "", ""
            section = "" if section == "H" else section
            if section:
                listed[section], told[section] = [], []
        elif section and line.strip() not in ("", "---"):
            before = _take(line, after, listed[section], told[section])
    return {name: listed[name] + told[name] for name in listed}


def _take(line: str, after: str, listed: list[str], told: list[str]) -> str:
    """File one line of a section under its kind, and name the kind; nothing for what is no fact."""
    if line.startswith("|"):
        if not _RULE.fullmatch(line) and not _RULE.fullmatch(after):
            listed.append(line)
        return "row"
    if re.match(r"\* |\d+\. ", line):
        listed.append(line)
        return "item"
    if line.endswith(":") and "[" not in line:
        return ""
    told.append(line)
    return "paragraph"


def test_numbering() -> None:
    """Rows and items come before paragraphs, headers and announcements count for nothing, examples join their text."""
    text = """# T

## 1. Order

first [DOC]

## A. Title

### A1. Limits

| Item | Value |
| --- | --- |
| a | b-c |

Said below. [DOC]
* an item
  goes on
* another:
```json
{"no": "fact"}
```
Other rules:
* a last item

### A2 Example

```json
{}
```

## H. Prices

* no fact
"""
    assert numbered(text) == {
        "1": ["first [DOC]"],
        "A": [],
        "A1": ["| a | b-c |", "* an item", "* another:", "* a last item", "Said below. [DOC]"],
        "A2": ["```json"],
    }


def test_every_fact_of_the_reference_has_a_row() -> None:
    """The table knows each fact of the reference beside the project, by the same number."""
    reference = ROOT.parent / "shared" / "reference" / "firehose.md"
    if not reference.is_file():
        reason = "the reference ../shared/reference/firehose.md is not beside the project"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    found = numbered(reference.read_text(encoding="utf-8"))
    wanted = {f"{section}.{place}" for section, lines in found.items() for place in range(1, len(lines) + 1)}

    assert len(wanted) > 200
    assert wanted - IDS == set()


# --- every place and test is there -----------------------------------------------------------------------------------


@cache
def defined_in(path: Path) -> frozenset[str]:
    """Return what a file defines: names of Python, addresses and runs of Terraform, keys of YAML and JSON."""
    text = path.read_text(encoding="utf-8")
    match path.suffix:
        case ".py":
            return frozenset(_python_names(ast.parse(text).body, ""))
        case ".tf":
            resources = re.findall(r'^resource "(\w+)" "(\w+)"', text, re.MULTILINE)
            return frozenset(
                [f"{kind}.{name}" for kind, name in resources]
                + [f"var.{name}" for name in re.findall(r'^variable "(\w+)"', text, re.MULTILINE)]
                + [f"local.{name}" for name in re.findall(r"^  (\w+) +=", text, re.MULTILINE)]
            )
        case ".yaml":
            return frozenset(re.findall(r"^\s*(?:operationId: )?([\w./-]+)", text, re.MULTILINE))
        case ".hcl":
            return frozenset(re.findall(r'^run "(\w+)"', text, re.MULTILINE))
        case ".json":
            return frozenset(re.findall(r'"(\w+)"', text))
        case _:
            return frozenset()


def _python_names(body: list[ast.stmt], before: str) -> Iterator[str]:
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield before + name
            case ast.ClassDef(name=name, body=inner):
                yield before + name
                yield from _python_names(inner, f"{name}.")
            case ast.Assign(targets=targets):
                yield from (before + target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield before + name
            case _:
                pass


def names(fact: Fact, mark: str) -> Iterator[tuple[str, str]]:
    """Return the files and names that a fact refers to, as code (`:`) or as test (`::`)."""
    for place in fact.where if mark == ":" else fact.tests:
        file, _, name = place.partition(mark)
        yield file, name


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.id)
def test_what_a_fact_names_is_there(fact: Fact) -> None:
    """Where a fact is implemented, and what shows it, exists under that name in that file."""
    for file, name in [*names(fact, ":"), *names(fact, "::")]:
        path = ROOT / file
        assert path.is_file(), f"{fact.id} names {file}"
        assert name in defined_in(path), f"{fact.id} names {name!r}, which {file} does not define"
    for file, name in names(fact, "::"):
        terraform, python = file.endswith(".tftest.hcl"), Path(file).name.startswith("test_")
        # A state machine of hypothesis is a class of tests.
        assert terraform or (python and name.startswith(("test_", "Test"))), f"{fact.id}: {name} is no test"


def test_what_no_test_shows_is_listed_on_top(tmp_path: Path) -> None:
    """A fact that our code implements and no test shows is named before the tables, and no other."""
    shown = GOOD.replace("a.py:b", "auditlake/a.py:b").replace("A1.1", "A1.2") + "    test: [tests/test_a.py::test_b]\n"
    unshown = GOOD.replace("a.py:b", "auditlake/a.py:b")
    heading = "## Implemented, and shown by no test"

    assert f"{heading}\n\n[A1.1](#a1-1)\n" in render(load(written(tmp_path, unshown)))
    assert heading not in render(load(written(tmp_path, shown)))


# --- what the code cites exists --------------------------------------------------------------------------------------

_CITED = re.compile(r"\b(?:[A-F][1-9]\d?(?:\.\d+)?|I2(?:\.\d+)?|[GI]\.\d+)\b")


def prose_of(path: Path) -> str:
    """Return comments and texts of a source file, where facts are cited."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return "\n".join(re.findall(r"#(.*)", text))
    kinds = {tokenize.COMMENT, tokenize.STRING}
    return "\n".join(
        token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type in kinds
    )


def sources() -> list[Path]:
    """Return every file that may cite a fact."""
    found = [path for folder in ("auditlake", "lambda_src") for path in (ROOT / folder).rglob("*.py")]
    found += [path for suffix in ("tf", "yaml") for path in (ROOT / "terraform").rglob(f"*.{suffix}")]
    return sorted(path for path in found if ".terraform" not in path.parts)


def test_every_fact_that_the_code_cites_is_in_the_table() -> None:
    """An id in a docstring or comment is a section or a fact of the table."""
    cited = {(str(path.relative_to(ROOT)), name) for path in sources() for name in _CITED.findall(prose_of(path))}

    assert len({name for _, name in cited}) > 20
    assert {(path, name) for path, name in cited if name not in SECTIONS | IDS} == set()


def test_every_fact_that_a_check_cites_is_in_the_table() -> None:
    """A finding of `auditlake doctor` leads to a row, or to the section that it is about."""
    cited = {check.name: check.fact for check in (*REFUSALS, *WARNINGS) if check.fact}

    assert {name: fact for name, fact in cited.items() if fact not in SECTIONS | IDS} == {}
    assert "`doctor`: `stream-name`" in render(load())


# --- the rules of the data -------------------------------------------------------------------------------------------

GOOD = """
sections: {A1: Limits}
sources: {page: {title: A page, url: "https://example.org"}}
facts:
  A1.1:
    fact: It holds.
    known: [AWS doc]
    source: [page]
    where: ["a.py:b"]
"""


def written(folder: Path, text: str) -> Path:
    """Write a file of facts."""
    path = folder / "parity.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("AWS doc", "hearsay", "known is 'hearsay'"),
        ("[page]", "[book]", "the source 'book'"),
        ("[page]", "[]", "needs a source"),
        ('where: ["a.py:b"]', "where: []", "say where it is implemented"),
        ("[AWS doc]", "[AWS doc, unverified]", "what a probe has to show"),
        ("A1.1", "A2.1", "the section A2 has no title"),
        ("fact: It", "because: {}\n    fact: It", "has the fields"),
    ],
)
def test_a_fact_that_breaks_the_rules_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    """Data that says too little, or what it may not, makes no document."""
    assert load(written(tmp_path, GOOD)).facts[0].id == "A1.1"
    with pytest.raises(AuditlakeError, match=said):
        load(written(tmp_path, GOOD.replace(old, new)))


def test_a_row_links_its_source_and_says_what_is_missing(tmp_path: Path) -> None:
    """Pages and threads are links, a pipe in a sentence does not break the table, what is unverified stands on top."""
    changed = GOOD.replace("[page]", "[page, a/b#7]").replace("It holds.", "Either | or.")
    changed += "  A1.2: {fact: Who knows., known: [unverified], not_implemented: it stops, probe: That it stops.}\n"
    text = render(load(written(tmp_path, changed)))

    assert "[A page](https://example.org), [a/b#7](https://github.com/a/b/issues/7)" in text
    assert "Either \\| or." in text
    assert "**not implemented**: it stops" in text
    assert text.index("That it stops.") < text.index("## A1. Limits")


def test_outside_of_a_checkout_there_is_a_sentence(tmp_path: Path) -> None:
    """Without the file of facts the command says that it needs a checkout."""
    with pytest.raises(AuditlakeError, match="checkout"):
        load(tmp_path / "parity.yaml")


def test_every_way_of_knowing_is_used() -> None:
    """The legend explains nothing that the table does not have."""
    assert {known for fact in FACTS for known in fact.known} == set(parity.KNOWN)
