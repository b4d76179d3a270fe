"""Segments and the writer: what is acknowledged is on the disk, and what failed is not trusted again."""

import errno
import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from auditlake.client.clock import Clock
from auditlake.client.files import sync_file, write_all
from auditlake.client.line import Damage, Line, encode_line
from auditlake.client.segment import Disk, fork_guard
from auditlake.client.spool import pending, segments
from auditlake.client.writer import Limits, Writer, unsettled
from auditlake.errors import SpoolError, SpoolFullError
from tests.conftest import ROOT


def line(number: int, size: int = 0) -> bytes:
    """A line of an event."""
    return encode_line(number, b'{"id":"e-%d","pad":"%s"}' % (number, b"x" * size))


def ids(directory: Path) -> list[str]:
    """The ids of the events that wait; the test fails if anything is damaged."""
    found = [one for _, one in pending(directory)]
    assert not [one for one in found if isinstance(one, Damage)]
    return [json.loads(one.body)["id"] for one in found if isinstance(one, Line)]


def writer(directory: Path, disk: Disk | None = None, clock: Clock | None = None, **limits: Any) -> Writer:  # noqa: ANN401 - the limits of a test
    """A writer with the real clock and disk unless told otherwise."""
    return Writer(directory, Limits(**limits), clock or Clock(), disk)


def test_threads_share_a_sync(tmp_path: Path) -> None:
    """What 15 threads write while the first one syncs is synced by one more sync for all of them."""
    syncs = []
    first_began, all_wrote = threading.Event(), threading.Event()

    def sync(fd: int) -> None:
        syncs.append(fd)
        first_began.set()
        assert all_wrote.wait(30)
        sync_file(fd)

    written = Counter[int]()

    def write(fd: int, data: bytes) -> None:
        write_all(fd, data)
        written["lines"] += 1  # type: ignore[index]  # one counter
        if written["lines"] == 16:  # type: ignore[index]  # as above
            all_wrote.set()

    one = writer(tmp_path, Disk(write, sync))
    with ThreadPoolExecutor(16) as pool:
        first = pool.submit(one.write, line(0))
        assert first_began.wait(30)
        rest = [pool.submit(one.write, line(number)) for number in range(1, 16)]
        for future in [first, *rest]:
            future.result(30)
    one.close()
    assert len(syncs) == 2
    assert sorted(ids(tmp_path)) == sorted(f"e-{number}" for number in range(16))


def test_os_durability_never_syncs(tmp_path: Path) -> None:
    """With durability `os` an event is in the file when write returns, and nothing is synced."""

    def sync(_: int) -> None:
        raise AssertionError("synced")

    one = writer(tmp_path, Disk(sync=sync), durability="os")
    one.write(line(1))
    assert ids(tmp_path) == ["e-1"]
    one.close()


def test_a_failed_sync_is_not_acknowledged_and_never_tried_again(tmp_path: Path) -> None:
    """Record raises a sentence; the file is synced no more, the next event goes to another one, and none is lost."""
    synced = Counter[str]()
    fail = [False]

    def sync(fd: int) -> None:
        synced[str(Path(f"/proc/self/fd/{fd}").readlink())] += 1
        if fail[0]:
            raise OSError(errno.EIO, "Input/output error")
        sync_file(fd)

    one = writer(tmp_path, Disk(sync=sync))
    one.write(line(1))
    (failing,) = segments(tmp_path)
    fail[0] = True
    with pytest.raises(SpoolError, match=r"not recorded: the spool .* could not be written \(Input/output error\)"):
        one.write(line(2))
    fail[0] = False
    one.write(line(3))
    one.close()
    assert synced[str(failing)] == 2
    assert len(segments(tmp_path)) == 2
    assert ids(tmp_path) == ["e-1", "e-3"]


def test_all_who_wait_for_a_failed_sync_are_told(tmp_path: Path) -> None:
    """The thread that syncs and those that wait for it all raise: none believes that its event is safe."""
    may_fail = threading.Event()
    began = threading.Event()
    written = []

    def write(fd: int, data: bytes) -> None:
        write_all(fd, data)
        written.append(data)
        if len(written) == 4:
            may_fail.set()

    def sync(_: int) -> None:
        began.set()
        assert may_fail.wait(30)
        raise OSError(errno.EIO, "Input/output error")

    one = writer(tmp_path, Disk(write, sync))
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(one.write, line(0))]
        assert began.wait(30)
        futures += [pool.submit(one.write, line(number)) for number in range(1, 4)]
        assert all(isinstance(future.exception(30), SpoolError) for future in futures)
    one.close()
    assert segments(tmp_path) == []


def test_a_part_of_a_line_is_no_ghost(tmp_path: Path) -> None:
    """A disk that is full in mid-line costs that event only: it is cut off, and what follows is in a new file."""
    full = [False]

    def write(fd: int, data: bytes) -> None:
        if full[0]:
            write_all(fd, data[:20])
            raise OSError(errno.ENOSPC, "No space left on device")
        write_all(fd, data)

    one = writer(tmp_path, Disk(write=write))
    one.write(line(1))
    full[0] = True
    for number in (2, 3, 4):
        with pytest.raises(SpoolError, match="No space left on device"):
            one.write(line(number))
    full[0] = False
    one.write(line(5))
    one.close()
    assert ids(tmp_path) == ["e-1", "e-5"]
    assert len(segments(tmp_path)) == 2


_LIMITED = """
import resource, sys
from auditlake.client import AuditClient, SpoolError
client = AuditClient("http://127.0.0.1:9", sys.argv[1], durability=sys.argv[2], exit_timeout_s=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
failed = 0
for number in range(60):
    try:
        print(client.record(event_type="login", actor="ana", metadata={"n": number}), flush=True)
    except SpoolError as error:
        failed += 1
print("failed", failed, file=sys.stderr)
"""


@pytest.mark.parametrize("durability", ["sync", "os"])
def test_a_real_limit_of_the_file_size_loses_nothing(tmp_path: Path, durability: str) -> None:
    """Where the system itself cuts a write short, what was acknowledged waits whole and nothing else does."""
    command = [sys.executable, "-c", _LIMITED, str(tmp_path), durability]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    failed = int(next(text for text in done.stderr.splitlines() if text.startswith("failed ")).split()[1])
    assert failed > 0
    assert ids(tmp_path) == done.stdout.split()
    assert len(done.stdout.split()) == 60 - failed


def test_ctrl_c_in_a_sync_costs_that_event_only(tmp_path: Path) -> None:
    """The exception goes on to whoever waits for it, and the next event is recorded in a new file."""
    interrupt = [True]

    def sync(fd: int) -> None:
        if interrupt.pop() if interrupt else False:
            raise KeyboardInterrupt
        sync_file(fd)

    one = writer(tmp_path, Disk(sync=sync))
    with pytest.raises(KeyboardInterrupt):
        one.write(line(1))
    one.write(line(2))
    one.close()
    assert ids(tmp_path)[-1] == "e-2"


def test_record_inside_record_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    """A signal handler that records while its thread records gets a sentence: waiting for itself would never end."""
    caught: list[SpoolError] = []

    def sync(fd: int) -> None:
        signal.raise_signal(signal.SIGUSR1)
        sync_file(fd)

    one = writer(tmp_path, Disk(sync=sync))

    def handler(*_: object) -> None:
        try:
            one.write(line(2))
        except SpoolError as error:
            caught.append(error)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        one.write(line(1))
    finally:
        signal.signal(signal.SIGUSR1, before)
    one.close()
    assert "record was called inside record" in str(caught[0])
    assert ids(tmp_path) == ["e-1"]


def test_a_segment_is_left_when_it_is_large_enough(tmp_path: Path) -> None:
    """Files are left at their size, in order, private to the user, and closed."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    one = writer(tmp_path, segment_bytes=200)
    for number in range(10):
        one.write(line(number, 50))
    one.close()
    assert ids(tmp_path) == [f"e-{number}" for number in range(10)]
    assert len(segments(tmp_path)) == 5
    assert {path.stat().st_mode & 0o777 for path in segments(tmp_path)} == {0o600}
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_writer_robbed_of_its_new_file_makes_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that takes the file away before it is locked costs no event."""
    robbed: list[Path] = []
    rename = Path.rename

    def robbing(self: Path, target: Path) -> Path:
        if not robbed:
            robbed.append(self)
            self.unlink()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", robbing)
    one = writer(tmp_path)
    one.write(line(1))
    one.close()
    assert robbed
    assert ids(tmp_path) == ["e-1"]


def test_a_full_spool_raises_by_choice(tmp_path: Path) -> None:
    """The limit counts what waits, of all writers; what is settled makes room again; nothing is dropped."""
    limits: dict[str, Any] = {"max_spool_bytes": 3 * len(line(1, 100)), "full": "raise"}
    one, other = writer(tmp_path, **limits), writer(tmp_path, **limits)
    one.write(line(1, 100))
    other.write(line(2, 100))
    one.write(line(3, 100))
    for each in (one, other):
        with pytest.raises(SpoolFullError, match=r"do not fit into the spool .* which may hold 453"):
            each.write(line(4, 100))
    for each in (one, other):
        each.close()
    assert sorted(ids(tmp_path)) == ["e-1", "e-2", "e-3"]
    segments(tmp_path)[0].unlink()
    third = writer(tmp_path, **limits)
    third.write(line(5, 100))
    third.close()


def test_an_event_larger_than_the_spool_is_refused_at_once(tmp_path: Path) -> None:
    """Waiting for room that can never be there would be for ever."""
    one = writer(tmp_path, max_spool_bytes=100)
    with pytest.raises(SpoolFullError):
        one.write(line(1, 200))
    one.close()


def waiting_clock(then: Callable[[], None]) -> Clock:
    """A clock that does something at the first wait."""
    waits: list[threading.Event] = []

    def wait(event: threading.Event, _: float) -> bool:
        if not waits:
            waits.append(event)
            then()
        return event.is_set()

    return Clock(wait=wait)


def test_a_full_spool_blocks_until_there_is_room(tmp_path: Path) -> None:
    """Record waits, and goes on when the sender has taken something away."""
    clock = waiting_clock(lambda: segments(tmp_path)[0].unlink())
    one = writer(tmp_path, max_spool_bytes=len(line(1, 100)) + 10, segment_bytes=10, clock=clock)
    one.write(line(1, 100))
    one.write(line(2, 100))
    one.close()
    assert ids(tmp_path) == ["e-2"]


def test_closing_ends_the_wait_for_room(tmp_path: Path) -> None:
    """A call that waits for room when the client is closed raises: its event is not recorded."""
    holder: list[Writer] = []
    one = writer(tmp_path, max_spool_bytes=len(line(1, 100)) + 10, clock=waiting_clock(lambda: holder[0].close()))
    holder.append(one)
    one.write(line(1, 100))
    with pytest.raises(SpoolError, match="closed"):
        one.write(line(2, 100))
    assert ids(tmp_path) == ["e-1"]


def test_a_spool_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """A directory that is gone is told by record, in a sentence."""
    one = writer(tmp_path / "gone", max_spool_bytes=1 << 20)
    with pytest.raises(SpoolError, match="No such file or directory"):
        one.write(line(1))


def test_what_is_unsettled_is_known(tmp_path: Path) -> None:
    """A writer knows its files until they are gone."""
    one = writer(tmp_path)
    one.write(line(1))
    ends = one.unsettled()
    assert list(ends.values()) == [len(line(1))]
    segments(tmp_path)[0].unlink()
    assert unsettled(ends) == {}
    one.close()
    assert fork_guard.acquire(blocking=False)
    fork_guard.release()
