"""Why the events of a spool wait."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditlake.batch_endpoint import Answer
from auditlake.client.problem import SendProblem, forget_problem, note_problem, read_problem
from auditlake.client.spool import PROBLEM, segments
from auditlake.client.status import spool_status
from auditlake.errors import SendError
from tests.test_client_sender import Scripted, again, recorded, sender

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Looking(Scripted):
    """An endpoint that looks at the spool's problem when it is asked."""

    def __init__(self, directory: Path, *answers: Answer | Exception) -> None:
        super().__init__(*answers)
        self.directory = directory
        self.seen: list[SendProblem | None] = []

    def post(self, events: object, now: datetime) -> Answer:
        """Look, then answer."""
        self.seen.append(spool_status(self.directory, now).problem)
        return super().post(events, now)  # type: ignore[arg-type]  # the same


def test_the_spool_says_why_its_events_wait_until_they_are_accepted(tmp_path: Path) -> None:
    """Each failure is told with its number and the time of the first; the file goes when one is accepted."""
    recorded(tmp_path, 1)
    endpoint = Looking(tmp_path, again(1), SendError("No route to host."))
    sender(tmp_path, endpoint).drain()

    assert endpoint.seen[0] is None
    first, second = endpoint.seen[1], endpoint.seen[2]
    assert first is not None
    assert second is not None
    assert (first.reason, first.failures) == ("503 full", 1)
    assert (second.reason, second.failures, second.since) == ("No route to host.", 2, first.since)
    assert second.last_try > first.last_try
    assert not (tmp_path / PROBLEM).exists()
    assert list(tmp_path.glob(f"{PROBLEM}*")) == []


def test_what_an_earlier_process_left_goes_with_the_first_success(tmp_path: Path) -> None:
    """A sender that gets through at once takes the old reason away."""
    note_problem(tmp_path, SendProblem("old", NOW, NOW, 3))
    (tmp_path / f"{PROBLEM}.new").write_bytes(b"what a killed process had begun")
    recorded(tmp_path, 1)
    sender(tmp_path, Scripted()).drain()
    assert read_problem(tmp_path) is None
    assert list(tmp_path.glob(f"{PROBLEM}*")) == []
    assert segments(tmp_path) == []


def test_a_spool_in_which_nothing_waits_has_no_problem(tmp_path: Path) -> None:
    """A reason that is left over is not told where there is nothing to send."""
    note_problem(tmp_path, SendProblem("old", NOW, NOW, 3))
    assert spool_status(tmp_path, NOW).problem is None
    forget_problem(tmp_path)
    forget_problem(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no json", b'{"reason":1}'])
def test_what_cannot_be_read_is_no_problem(tmp_path: Path, content: bytes) -> None:
    """Whatever stands in the file, the status of a spool is told."""
    (tmp_path / PROBLEM).write_bytes(content)
    recorded(tmp_path, 1)
    assert spool_status(tmp_path, NOW).problem is None


def test_a_disk_that_refuses_the_file_costs_no_event(tmp_path: Path) -> None:
    """Where it cannot be written, the events are sent all the same."""
    (tmp_path / PROBLEM).mkdir()
    (tmp_path / PROBLEM / "in the way").touch()
    recorded(tmp_path, 1)
    endpoint = Scripted(again(1))
    sender(tmp_path, endpoint).drain()
    assert len(endpoint.requests) == 2
    assert segments(tmp_path) == []
