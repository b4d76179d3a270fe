"""A sample of the fault suite: no acknowledged event is lost; `make faults` has all of it."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import trace
from tests.faults.events import Sent
from tests.faults.narrow import MAIN, Narrow
from tests.faults.registry import FAULTS, NOT_APPLICABLE, Fault, NotApplicable
from tests.faults.report import DOCUMENT, Line, document, run_fault
from tests.faults.trial import Outcome

SEED = os.environ.get("AUDITLAKE_FAULTS_SEED", "1")
QUICK = [fault for fault in FAULTS if fault.quick]


@pytest.mark.parametrize("fault", QUICK, ids=[fault.id for fault in QUICK])
def test_no_acknowledged_event_is_lost(fault: Fault) -> None:
    """The fault happens, and afterwards every acknowledged event is found with the bytes that were sent."""
    line = run_fault(fault, SEED, whole=False)
    if line.skipped:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{fault.id} cannot be made to happen, and in CI it must: {line.skipped}")
        pytest.skip(line.skipped)

    assert line.outcome.lost == 0, f"seed {SEED}: {line}"
    assert line.failures() == [], f"seed {SEED}"
    assert line.outcome.found == line.outcome.acknowledged > 0


def test_the_document_lists_exactly_these_faults() -> None:
    """docs/reliability.md has a line for each fault of the registry, and for each that does not apply."""
    known: list[Fault | NotApplicable] = [*FAULTS, *NOT_APPLICABLE]
    listed = re.findall(r"^\| (\d+[a-z]?) \| ([^|]*) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)

    assert listed == [(fault.id, fault.name) for fault in known]


def test_each_fault_of_the_list_is_there_once() -> None:
    """Every number of the list of faults has a trial or a reason, and no two have one id."""
    ids = [fault.id for fault in FAULTS] + [one.id for one in NOT_APPLICABLE]
    numbers = {int(re.match(r"\d+", one)[0]) for one in ids}  # type: ignore[index]  # every id begins with one

    assert len(set(ids)) == len(ids)
    assert numbers == set(range(1, 44)) - {34, 35}, "34 and 35 are cases of 31"


def test_a_fault_that_never_fired_and_a_lost_event_are_failures() -> None:
    """The suite can fail: by an event that is lost, and by a fault that did not happen."""
    fault = FAULTS[0]

    assert Line(fault, Outcome(acknowledged=1, found=1), 0).failures() == ["1a kill -9 at each call: it never fired"]
    assert Line(fault, Outcome(1, 1, 0, 0, 1, ("lost: fault-000000",)), 0).failures() == [
        "1a kill -9 at each call: lost: fault-000000"
    ]
    assert "| 1a | kill -9 at each call | buffer, stream, store | 1 | 1 | 0 | 0 | 1 |" in document(
        [Line(fault, Outcome(1, 1, 0, 0, 1), 0)], "7", whole=True
    )


def test_a_trial_that_breaks_costs_no_other() -> None:
    """What goes wrong with a trial itself is a failure of its line, and the run goes on."""

    def breaks(_trial: object) -> Outcome:
        raise IndexError("nothing was settled")

    line = run_fault(replace(FAULTS[0], run=breaks, unavailable=lambda: None), "1", whole=False)
    assert "IndexError: nothing was settled" in " ".join(line.failures())


@pytest.mark.skipif(trace.unavailable() is not None, reason=str(trace.unavailable()))
@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_a_sync_that_is_left_out_is_noticed(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a sync of the runtime to do nothing, the modelled loss of power would lose what was acknowledged."""
    # Python loads this module by itself, so that the driver's own calls become nothing.
    (tmp_path / "sitecustomize.py").write_text(f"import os\nos.{call} = lambda descriptor: None\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    power = next(fault for fault in FAULTS if fault.id == "14b")

    assert run_fault(power, "1", whole=False).outcome.lost > 0


def test_a_run_that_cannot_be_traced_costs_no_other(tmp_path: Path) -> None:
    """Where strace cannot attach the run is ended, and the next one is told of its own end, not of that one's."""

    @contextmanager
    def refused(_thread: int) -> Iterator[None]:
        raise RuntimeError("strace cannot attach")
        yield

    with Narrow(tmp_path) as narrow:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        with pytest.raises(RuntimeError, match="cannot attach"):
            narrow.run(tmp_path / "a", Sent(), [], (MAIN, refused))
        sent = Sent()
        told = narrow.run(tmp_path / "b", sent, [[sent.make()]])
        assert told.exit == 0
        assert len(sent.acknowledged) == 1
