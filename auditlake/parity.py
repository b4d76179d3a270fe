"""Makes docs/parity.md: each fact about the AWS services, how well it is known, what implements it, what shows it.

Run it as `python -m auditlake.parity` (`make parity`) in a checkout; docs/parity.yaml holds the facts. Ids are those
that docstrings and comments cite: a section, or a section and a fact of it (`B4`, `B4.3`).
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from auditlake.checks import REFUSALS, WARNINGS
from auditlake.errors import AuditlakeError

ROOT = Path(__file__).parent.parent
DATA = ROOT / "docs" / "parity.yaml"
DOCUMENT = ROOT / "docs" / "parity.md"

UNVERIFIED = "unverified"
KNOWN = {
    "AWS doc": "AWS's documentation, or the service model that botocore ships",
    "probed": "somebody measured it on AWS and published what came back",
    "observed": "a real error object or a real deployment shows it",
    "third party": "other people's code or text says so",
    "judgement": "a conclusion of ours from other facts",
    UNVERIFIED: "nobody says so: an assumption, which a probe of a real account would settle",
}
"""How well a fact can be known, best first."""

_THREAD = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)#(?P<number>\d+)")
_FIELDS = {"fact", "known", "source", "where", "not_applicable", "not_implemented", "test", "probe", "experiments"}

_INTRODUCTION = """# Parity with AWS

<!-- Generated from docs/parity.yaml by `make parity`: change that file, not this one. -->

What is known of the services that this project builds on, fact by fact. An id such as `B4.3` is the third fact of
section B4; docstrings and comments cite facts by these ids. Each row tells:

- **fact**: what the service does, in one sentence;
- **known**: how well that is known, and from where;
- **where**: the code that does the same, or the Terraform that relies on it; else why one machine has no use for it, or
  what happens instead where it is *not implemented*;
- **shown by**: the test that fails when it no longer holds.

`doctor` names the checks of `auditlake doctor` that tell a plan by a fact; those about a whole section stand above its
table.
"""


@dataclass(frozen=True)
class Source:
    """Where a fact was read: a page, or a text that has no address (`url` is None)."""

    title: str
    url: str | None


@dataclass(frozen=True)
class Fact:
    """One fact, as docs/parity.yaml tells it.

    `where` holds `file:name`, `tests` holds `file::test`; both name things of this repository. `probe` says what a
    probe of a real account has to show, `experiments` are those of bench/probe_aws.py that do.
    """

    id: str
    sentence: str
    known: tuple[str, ...]
    sources: tuple[str, ...]
    where: tuple[str, ...]
    tests: tuple[str, ...]
    not_applicable: str | None
    not_implemented: str | None
    probe: str | None
    experiments: tuple[str, ...]

    @property
    def checks(self) -> tuple[str, ...]:
        """The checks of `auditlake doctor` that rest on this fact."""
        return checks_of(self.id)

    @property
    def section(self) -> str:
        """The section of the fact: `B4` of `B4.3`."""
        return self.id.rpartition(".")[0]


@dataclass(frozen=True)
class Parity:
    """All facts in order, with the titles of their sections and the sources that they name."""

    sections: Mapping[str, str]
    sources: Mapping[str, Source]
    facts: tuple[Fact, ...]


def checks_of(name: str) -> tuple[str, ...]:
    """Return the names of the checks of `auditlake doctor` that cite this fact or section."""
    return tuple(check.name for check in (*REFUSALS, *WARNINGS) if check.fact == name)


def load(path: Path = DATA) -> Parity:
    """Read the facts.

    Raises:
        AuditlakeError: the file is not there (no checkout), or facts break its rules; the message says which.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AuditlakeError(f"{path} cannot be read: {error.strerror}; make the table in a checkout.") from None
    sources = {key: Source(value["title"], value.get("url")) for key, value in data["sources"].items()}
    parity = Parity(data["sections"], sources, tuple(_fact(name, value) for name, value in data["facts"].items()))
    problems = [f"{fact.id}: {problem}" for fact in parity.facts for problem in _problems(fact, parity)]
    if problems:
        raise AuditlakeError(f"{path.name} breaks its own rules:\n  " + "\n  ".join(problems))
    return parity


def _fact(name: str, value: Mapping[str, Any]) -> Fact:
    if unknown := value.keys() - _FIELDS:
        raise AuditlakeError(f"{name} has the fields {sorted(unknown)}; known are {sorted(_FIELDS)}.")
    return Fact(
        id=name,
        sentence=value["fact"],
        known=tuple(value["known"]),
        sources=tuple(value.get("source", ())),
        where=tuple(value.get("where", ())),
        tests=tuple(value.get("test", ())),
        not_applicable=value.get("not_applicable"),
        not_implemented=value.get("not_implemented"),
        probe=value.get("probe"),
        experiments=tuple(value.get("experiments", ())),
    )


def _problems(fact: Fact, parity: Parity) -> Iterator[str]:
    if fact.section not in parity.sections:
        yield f"the section {fact.section} has no title"
    for known in fact.known:
        if known not in KNOWN:
            yield f"known is {known!r}; allowed are {', '.join(KNOWN)}"
    for source in fact.sources:
        if source not in parity.sources and not _THREAD.fullmatch(source):
            yield f"the source {source!r} is neither listed nor a thread like owner/repo#1"
    if not fact.sources and fact.known != (UNVERIFIED,):
        yield "a fact that is known needs a source"
    if not (fact.where or fact.checks or fact.not_applicable or fact.not_implemented):
        yield "say where it is implemented, why it is not applicable, or that it is not_implemented and what happens"
    if (UNVERIFIED in fact.known) != (fact.probe is not None):
        yield "what is unverified, and only that, says in `probe` what a probe has to show"


def render(parity: Parity) -> str:
    """Return the document."""
    parts = [_INTRODUCTION, *_how_known(parity), *_unverified(parity), *_not_shown(parity)]
    for section, facts in groupby(parity.facts, key=lambda fact: fact.section):
        parts.append(f"\n## {section}. {parity.sections[section]}\n")
        if checks := checks_of(section):
            parts.append(f"`doctor`: {_codes(checks)}\n")
        parts += _table(("id", "fact", "known", "where", "shown by"), (_row(fact, parity) for fact in facts))
    parts.append("\n## Sources without an address\n")
    parts += [f"- {source.title}" for source in parity.sources.values() if source.url is None]
    return "\n".join(parts) + "\n"


def _how_known(parity: Parity) -> Iterator[str]:
    yield f"There are {len(parity.facts)} facts. A fact whose parts are known differently counts once for each:\n"
    counts = {known: sum(known in fact.known for fact in parity.facts) for known in KNOWN}
    yield from _table(("known", "facts", "means"), ((known, str(counts[known]), text) for known, text in KNOWN.items()))


def _unverified(parity: Parity) -> Iterator[str]:
    yield "\n## Unverified\n"
    yield (
        "What this project assumes and nobody confirms. [`bench/probe_aws.py`](../bench/probe_aws.py) asks a real\n"
        "account where the table names an experiment: it tells its cost first, cleans up, and writes the answers to a\n"
        "file. What is assumed is the part of the sentence that says so.\n"
    )
    rows = (
        (f"[{fact.id}](#{_anchor(fact)})", fact.sentence, fact.probe or "", _codes(fact.experiments))
        for fact in parity.facts
        if UNVERIFIED in fact.known
    )
    yield from _table(("id", "assumed", "a probe of a real account has to show", "experiment"), rows)


def _not_shown(parity: Parity) -> Iterator[str]:
    unshown = [fact for fact in parity.facts if not fact.tests and any(map(_is_ours, fact.where))]
    if unshown:
        yield "\n## Implemented, and shown by no test\n"
        yield ", ".join(f"[{fact.id}](#{_anchor(fact)})" for fact in unshown) + "\n"


def _is_ours(place: str) -> bool:
    return place.startswith(("auditlake/", "lambda_src/"))


def _row(fact: Fact, parity: Parity) -> tuple[str, ...]:
    anchor = f'<a id="{_anchor(fact)}"></a>{fact.id}'
    known = ", ".join(fact.known)
    sources = ", ".join(_source(source, parity) for source in fact.sources)
    where = [_place(place, ":") for place in fact.where]
    if fact.checks:
        where.append(f"`doctor`: {_codes(fact.checks)}")
    if fact.not_applicable:
        where.append(f"not applicable on one machine: {fact.not_applicable}")
    if fact.not_implemented:
        where.append(f"**not implemented**: {fact.not_implemented}")
    tests = [_place(test, "::") for test in fact.tests]
    return anchor, fact.sentence, f"{known}: {sources}" if sources else known, "; ".join(where), "; ".join(tests) or "-"


def _source(source: str, parity: Parity) -> str:
    if thread := _THREAD.fullmatch(source):
        return f"[{source}](https://github.com/{thread['repo']}/issues/{thread['number']})"
    listed = parity.sources[source]
    return f"[{listed.title}]({listed.url})" if listed.url else source


def _place(place: str, mark: str) -> str:
    file, _, name = place.partition(mark)
    return f"[{Path(file).name}](../{file}) `{name}`" if name else f"[{Path(file).name}](../{file})"


def _anchor(fact: Fact) -> str:
    return fact.id.lower().replace(".", "-")


def _codes(texts: Iterable[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts) or "-"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = list(header)
    yield f"| {' | '.join(names)} |"
    yield f"|{' --- |' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def main() -> int:
    """Write the document; returns the exit status."""
    try:
        text = render(load())
    except AuditlakeError as error:
        print(error, file=sys.stderr)  # noqa: T201  # this module is a command
        return 1
    DOCUMENT.write_text(text, encoding="utf-8")
    print(f"{DOCUMENT.relative_to(ROOT)}: {len(text):,} characters")  # noqa: T201  # this module is a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
