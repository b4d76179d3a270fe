"""One process a data directory, and who that is."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditlake.errors import StoreError
from auditlake.runtime.data_directory import LOCK_FILE, only_process

URL = "http://127.0.0.1:7070"


@pytest.fixture
def held(tmp_path: Path) -> Iterator[int]:
    """Have another process hold the directory; gives its process id."""
    program = (
        "import sys; from pathlib import Path; from auditlake.runtime.data_directory import only_process\n"
        f"with only_process(Path({str(tmp_path)!r}), {URL!r}): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, "up", "--token", "s3cret"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process.pid
        process.kill()


def test_the_holder_is_named(tmp_path: Path, held: int) -> None:
    """Process, since when, where it answers, and its command without the token."""
    with pytest.raises(StoreError) as refused, only_process(tmp_path, URL):
        pass

    told = str(refused.value)
    assert f"Another process runs on the data directory {tmp_path}: process {held} since 20" in told
    assert f"at {URL} (-c up --token ...): stop it, or choose another with --data." in told
    assert "s3cret" not in (tmp_path / LOCK_FILE).read_text()


def test_a_holder_that_died_holds_nothing(tmp_path: Path, held: int) -> None:
    """The lock goes with its process, however that ended, and the next holder says who it is."""
    os.kill(held, 9)
    os.waitpid(held, 0)

    with only_process(tmp_path, URL):
        assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid()


def test_who_has_not_said_who_it_is_is_not_taken_for_the_last(tmp_path: Path) -> None:
    """A holder that could not write its name is not told to be the one before, which has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with only_process(tmp_path, URL):
        pass
    content = json.loads((tmp_path / LOCK_FILE).read_text()) | {"pid": ended.pid}
    with (tmp_path / LOCK_FILE).open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for written, words in ((json.dumps(content), f"process {ended.pid} since"), ("", "has not said who it is:")):
            lock.truncate(0)
            lock.seek(0)
            lock.write(written)
            lock.flush()
            with pytest.raises(StoreError, match=r"has not said who it is") as refused, only_process(tmp_path, URL):
                pass
            assert words in str(refused.value)
            assert ("has ended" in str(refused.value)) == bool(written)


def test_a_holder_on_another_machine_is_only_quoted(tmp_path: Path) -> None:
    """Whether a process of another machine runs cannot be known here."""
    with only_process(tmp_path, URL):
        content = json.loads((tmp_path / LOCK_FILE).read_text()) | {"host": "elsewhere"}
        (tmp_path / LOCK_FILE).write_text(json.dumps(content))
        with pytest.raises(StoreError, match=r"by what it says process .* on the machine elsewhere"):
            only_process(tmp_path, URL).__enter__()


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing pretends that another process is there."""

    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(StoreError, match=r"cannot be locked \(No locks available\).*choose --data on a file system"):
        only_process(tmp_path, URL).__enter__()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "permission is denied"),
        (errno.EIO, "Input/output"),
    ],
    ids=["read-only", "not allowed", "broken"],
)
def test_a_directory_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """The sentence says what is in the way."""

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match=rf"The data directory .* cannot be used: .*{words}"):
        only_process(tmp_path, URL).__enter__()


def test_the_directory_is_its_owners(tmp_path: Path) -> None:
    """Nobody else may look into it."""
    with only_process(tmp_path / "data", URL):
        assert (tmp_path / "data").stat().st_mode & 0o077 == 0
        assert (tmp_path / "data" / LOCK_FILE).stat().st_mode & 0o077 == 0
