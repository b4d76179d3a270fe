"""A user's command: what it is given, what it prints, and every way in which it does not end by itself."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from auditlake.errors import RedriveError
from auditlake.piped import Bounds, StoppedError, run_piped

LONG = Bounds(timeout_s=60, max_bytes=1 << 22)


def is_alive(process: int) -> bool:
    """Tell whether a process runs; one that ended and is not waited for does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


def ended(process: int) -> bool:
    """Wait until a process is gone, ten seconds at most."""
    until = time.monotonic() + 10
    while is_alive(process) and time.monotonic() < until:
        os.sched_yield()
    return not is_alive(process)


def test_it_prints_what_it_is_given_and_says_why() -> None:
    """With the shell's pipes, its exit code and what it says on standard error."""
    done = run_piped("tr a-z A-Z | rev; echo why >&2; exit 3", b"abc\n", LONG)
    assert (done.output, done.said, done.exit_code) == (b"CBA\n", b"why\n", 3)


@pytest.mark.parametrize("size", [0, 1, 1 << 21], ids=["nothing", "a byte", "more than any pipe holds"])
def test_every_byte_comes_back(size: int) -> None:
    """Writing and reading go on side by side, so that neither waits for the other for ever."""
    given = os.urandom(size)
    assert run_piped("cat", given, LONG).output == given


@pytest.mark.parametrize("command", ["true", "exec 0<&-; echo done", "head -c 1"])
def test_a_command_need_not_read_what_it_is_given(command: str) -> None:
    """It ends when it likes; that its input is closed is no error."""
    assert run_piped(command, b"x" * (1 << 21), LONG).exit_code == 0


def test_a_command_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    """It works on after it said all it had to say."""
    done = tmp_path / "done"
    code = run_piped(f"exec 1>&- 2>&-; cat > {done}; exit 4", b"read to its end", LONG).exit_code
    assert (code, done.read_bytes()) == (4, b"read to its end")


def test_much_on_standard_error_is_read_and_forgotten() -> None:
    """A command that says a lot is not held up, and takes no memory."""
    done = run_piped("head -c 1000000 /dev/zero >&2; echo out", b"", LONG)
    assert (done.output, len(done.said)) == (b"out\n", 64 * 1024)


def test_a_command_that_takes_too_long_is_ended_with_all_of_its_pipe(tmp_path: Path) -> None:
    """Also what it started in the background."""
    pids = tmp_path / "pids"
    command = f"sleep 600 & echo $! >> {pids}; echo $$ >> {pids}; sleep 600 | sleep 600"
    with pytest.raises(RedriveError, match=r"did not end within 0\.5 s.*--timeout"):
        run_piped(command, b"", Bounds(timeout_s=0.5, max_bytes=10))
    assert all(ended(int(process)) for process in pids.read_text().split())


def test_what_a_command_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    """It holds nobody up when it has no output of the command open."""
    pid = tmp_path / "pid"
    assert run_piped(f"sleep 600 >/dev/null 2>&1 </dev/null & echo $! > {pid}", b"", LONG).exit_code == 0
    assert ended(int(pid.read_text()))


def test_a_command_that_prints_without_end_is_ended() -> None:
    """At the bound, not when the memory is full."""
    with pytest.raises(RedriveError, match="printed more than 1,000 bytes"):
        run_piped("yes", b"", Bounds(timeout_s=60, max_bytes=1000))


def test_a_user_who_stops_ends_it() -> None:
    """And it is told as that, not as a failure of the command."""
    with pytest.raises(StoppedError, match="you asked to stop"):
        run_piped("sleep 600", b"", Bounds(timeout_s=60, max_bytes=10, stop=lambda: True))


def test_waiting_is_told_each_second() -> None:
    """Until the command ends, here as it is told the second time."""
    told: list[float] = []
    enough = threading.Event()

    def waits(seconds: float) -> None:
        told.append(seconds)
        if len(told) == 2:
            enough.set()

    with pytest.raises(StoppedError):
        run_piped("sleep 600", b"", Bounds(timeout_s=60, max_bytes=10, stop=enough.is_set, waits=waits))
    assert 1 <= told[0] < told[1]


def test_a_command_that_a_signal_ended_says_so() -> None:
    """Its exit code is the signal's, negative."""
    assert run_piped("kill -TERM $$", b"", LONG).exit_code == -signal.SIGTERM
