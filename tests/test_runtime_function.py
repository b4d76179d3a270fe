"""Functions in processes of their own."""

import json
import os
import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from auditlake.runtime.function import MAX_PAYLOAD_BYTES, FunctionError, FunctionPool, FunctionProcess
from auditlake.runtime.function_log import MAX_LOG_BYTES
from auditlake.runtime.plan import Function

Start = Callable[..., FunctionProcess]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start functions of tests/functions.py, and end them."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    processes: list[FunctionProcess] = []

    def make(
        handler: str, timeout_s: int = 20, environment: dict[str, str] | None = None, niceness: int = 0
    ) -> FunctionProcess:
        function = Function(
            "f", "arn:aws:lambda:us-east-1:1:function:f", f"functions.{handler}", environment or {}, timeout_s
        )
        given = {"AUDITLAKE_FUNCTION_ARN": function.arn}
        process = FunctionProcess(function, tmp_path / "f.log", given, niceness=niceness)
        processes.append(process)
        return process

    yield make
    for process in processes:
        process.close()


def test_a_function_gets_the_event_its_environment_and_a_context(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event and the plan's environment reach the function; the server's own environment does not."""
    monkeypatch.setenv("HOME_SECRET", "s")
    answer = start("echo", environment={"GREETING": "hi"}).invoke(json.dumps({"a": "é\ud800"}).encode())

    assert isinstance(answer, bytes)
    content = json.loads(answer.decode("utf-8", "surrogatepass"))
    assert content == {"event": {"a": "é\ud800"}, "name": "f", "remaining": True, "greeting": "hi", "home_secret": None}


def test_a_function_that_nobody_waits_for_stands_back(start: Start) -> None:
    """Its process has the niceness that was asked for, on top of the server's own."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert [start("niceness").invoke(b"{}"), start("niceness", niceness=3).invoke(b"{}")] == [
        str(own).encode(),
        str(own + 3).encode(),
    ]


def test_a_thrown_error_is_the_invocations_error_and_the_next_one_works(start: Start) -> None:
    """An exception answers with its type and words, and its traceback is in the log."""
    process = start("throw")

    for _ in range(2):
        assert process.invoke(b'"it"') == FunctionError("error", "ValueError: cannot do it")


def test_a_function_that_hangs_is_replaced(start: Start) -> None:
    """After its time limit the process is killed, and the next event is answered by a new one."""
    process = start("hang", timeout_s=2)

    answer = process.invoke(b'"hang"')

    assert isinstance(answer, FunctionError)
    assert answer.kind == "timeout"
    assert process.invoke(b'"x"') == b'"x"'


def test_the_callers_limit_counts_too(start: Start) -> None:
    """A caller that waits less than the function may take gives up at its own limit."""
    answer = start("hang", timeout_s=60).invoke(b'"hang"', timeout_s=1)

    assert answer == FunctionError("timeout", "Task timed out after 1.00 seconds")


def test_a_function_that_kills_its_process_is_replaced(start: Start) -> None:
    """A dead process is an error of that event alone."""
    process = start("die")

    answer = process.invoke(b'"die"')

    assert isinstance(answer, FunctionError)
    assert "ended while it ran" in answer.message
    assert process.invoke(b'"x"') == b'"x"'


def test_what_a_function_prints_goes_to_its_log(start: Start, tmp_path: Path) -> None:
    """Printing does not mix with the answer."""
    assert start("chatter").invoke(b"1") == b"1"
    assert "a line of the function's log" in (tmp_path / "f.log").read_text()


@pytest.mark.parametrize("make", [Path.mkdir, lambda log: log.symlink_to("/dev/full")], ids=["no file", "full disk"])
def test_a_log_that_cannot_be_written_costs_no_invocation(
    start: Start, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """What the function prints is dropped, and its answer counts."""
    make(tmp_path / "f.log")

    assert start("chatter").invoke(b"1") == b"1"


def test_a_log_is_bounded(start: Start, tmp_path: Path) -> None:
    """A full log is kept once as `.1`, by whichever process of the function writes next, and the others follow."""
    with (tmp_path / "f.log").open("wb") as log:
        log.truncate(MAX_LOG_BYTES)
    processes = [start("chatter"), start("chatter")]
    for process in [*processes, *processes]:
        assert process.invoke(b"1") == b"1"

    assert (tmp_path / "f.log").read_text() == "a line of the function's log\n" * 4
    assert (tmp_path / "f.log.1").stat().st_size == MAX_LOG_BYTES
    assert (tmp_path / "f.log").stat().st_mode & 0o077 == 0


def test_a_handler_that_cannot_be_imported_is_an_error_that_names_it(start: Start) -> None:
    """An initialisation error answers every invocation."""
    answer = start("absent").invoke(b"1")

    assert isinstance(answer, FunctionError)
    assert "absent" in answer.message


def test_an_answer_over_lambdas_limit_is_an_error(start: Start) -> None:
    """An answer that Lambda would not hand on is not handed on here, and large ones below it are."""
    process = start("large")

    assert len(process.invoke(b"3000000")) == 3_000_002  # type: ignore[arg-type]  # bytes, or the test fails
    answer = process.invoke(str(MAX_PAYLOAD_BYTES).encode())
    assert isinstance(answer, FunctionError)
    assert "6291556" in answer.message


def test_a_pool_answers_while_one_of_its_members_hangs(start: Start) -> None:
    """An event on which one process hangs holds up no other event."""
    members = [start("hang", timeout_s=60) for _ in range(2)]
    pool = FunctionPool(members)
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(pool.invoke, b'"hang"')
        assert [pool.invoke(b'"x"') for _ in range(3)] == [b'"x"'] * 3
        assert not hanging.done()
        for member in members:
            member.close()
        assert isinstance(hanging.result(timeout=20), FunctionError)


class Member:
    """A function that notes that it was used."""

    def __init__(self) -> None:
        self.used = 0

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:  # noqa: ARG002 - the seam
        """Return the event."""
        self.used += 1
        return event


def test_a_pool_uses_no_more_members_than_it_needs() -> None:
    """One event after the other is answered by one member, so that the others never start."""
    members = [Member(), Member()]
    pool = FunctionPool(members)
    for _ in range(5):
        pool.invoke(b"1")

    assert [member.used for member in members] == [5, 0]


def test_closing_ends_an_invocation_that_runs(start: Start) -> None:
    """Nobody waits for a function that hangs when all ends, and none starts again afterwards."""
    process = start("hang", timeout_s=60)
    answers: list[bytes | FunctionError] = []
    invoking = threading.Thread(target=lambda: answers.append(process.invoke(b'"hang"')))
    assert process.invoke(b'"x"') == b'"x"'
    invoking.start()
    process.close()
    invoking.join(timeout=20)

    assert [answer.kind for answer in answers if isinstance(answer, FunctionError)] == ["error"]
    assert process.invoke(b'"x"') == FunctionError("error", "The process of f is closed.")


def test_a_function_is_invoked_however_many_files_are_open(start: Start) -> None:
    """Descriptors beyond 1023, as many idle connections make them, change nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert start("chatter").invoke(b"1") == b"1"
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
