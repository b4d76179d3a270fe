"""What README and docs show is run: every command and every query."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditlake.runtime.path import STAGES
from auditlake.runtime.plan import Plan
from auditlake.runtime.query import run_query
from auditlake.sample import sample_events
from tests.conftest import ROOT, Running

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DEFAULT_URL = "http://127.0.0.1:7070"
_WHOLE_DOCUMENT = re.compile(r"<!-- every command run by: ([^ ]+) -->")
_BLOCK = re.compile(r"(?:<!-- run by: (?P<by>[^ ]+) -->\n *)?```(?P<language>[a-z]*)\n(?P<text>.*?)```", re.DOTALL)


def blocks(language: str) -> list[tuple[str, str | None, str]]:
    """Return the fenced blocks of a language in all documents: where, the file that runs it instead, the text."""
    found = []
    for path in DOCUMENTS:
        document = path.read_text(encoding="utf-8")
        whole = _WHOLE_DOCUMENT.search(document)
        found += [
            (str(path.relative_to(ROOT)), match["by"] or (whole and whole[1]), match["text"])
            for match in _BLOCK.finditer(document)
            if match["language"] == language
        ]
    return found


@pytest.fixture(scope="module")
def stored(running: Running) -> Running:
    """A runtime that holds sample events."""
    events = sample_events(100, seed=3, now=datetime.now(UTC))
    done = running.auditlake("send", "-", stdin="\n".join(map(json.dumps, events)))
    assert done.returncode == 0, done.stderr
    running.flush()
    return running


def shell(running: Running, text: str) -> "subprocess.CompletedProcess[str]":
    """Run a block as a reader would, in the project's folder, against a running runtime."""
    environment = {
        **os.environ,
        "AUDITLAKE_URL": running.url,
        "AUDITLAKE_DATA": str(running.data),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = ["bash", "-euo", "pipefail", "-c", text.replace(DEFAULT_URL, running.url)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(("where", "by", "text"), blocks("sh"))
def test_every_command_works(stored: Running, where: str, by: str | None, text: str) -> None:
    """A shell block succeeds as it stands, or names the file that runs it."""
    if by is not None:
        assert (ROOT / by).is_file(), f"{where} says that {by} runs this, and it is not there:\n{text}"
        return
    done = shell(stored, text)
    assert done.returncode == 0, f"{where}:\n{text}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize(("where", "by", "text"), blocks("sql"))
def test_every_query_runs(stored: Running, plan: Plan, where: str, by: str | None, text: str) -> None:
    """An SQL block is valid in Athena's dialect and runs over the table."""
    assert by is None, where
    with run_query(stored.data, plan, text) as result:
        result.fetch()


def normalised(text: str) -> list[str]:
    """Replace what differs from run to run: ids, times, ports, sizes."""
    text = re.sub(r"data/\S+|/\S*auditlake-demo-\S+|\S+/bin/auditlake", "PATH", text)
    text = re.sub(r'"(requestId|recordId)": ?"[^"]*"', r'"\1": ID', text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID", text)
    text = re.sub(r"\d[\d,.:T-]*\d|\d", "N", text)
    return [line.rstrip() for line in text.splitlines()]


def test_the_readme_shows_what_the_demo_prints(running: Running) -> None:
    """The first screen's output is the demo's own, but for ids, times and sizes."""
    shown = next(text for where, _, text in blocks("text") if where == "README.md")
    done = shell(running, "make --no-print-directory demo")

    assert done.returncode == 0, done.stdout + done.stderr
    assert normalised(shown) == normalised(done.stdout)


def test_the_readme_shows_the_path() -> None:
    """The README's table holds the eight stages in order, each with its file and its resource."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if re.match(r"\| [a-z]+ \| `auditlake/", line)]

    assert [row.split("|")[1].strip() for row in rows] == [stage.name for stage in STAGES]
    for row, stage in zip(rows, STAGES, strict=True):
        assert f"`auditlake/{stage.file}`" in row


def test_every_link_leads_somewhere() -> None:
    """A relative link of a document names a file that is there."""
    for path in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.relative_to(ROOT)} links to {target}"


def test_every_decision_has_a_status() -> None:
    """A decision record says what holds, why, and what follows."""
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert records
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert re.match(r"# \d{4} ", text), record.name
        for heading in ("Status:", "## Context", "## Decision", "## Consequences"):
            assert heading in text, f"{record.name} lacks {heading}"
