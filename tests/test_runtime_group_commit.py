"""Group commit: who shares a sync, and what each hears of it."""

import threading
from collections.abc import Sequence
from itertools import count

import pytest

from auditlake.errors import StoreError
from auditlake.runtime import group_commit
from auditlake.runtime.group_commit import GroupCommit
from auditlake.runtime.journal_format import Put


class SlowDisk:
    """A disk that syncs when it is let, and numbers what it was given."""

    def __init__(self) -> None:
        """Begin with a disk that does not answer."""
        self.syncs: list[list[tuple[int, Put]]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._numbers = count(1)

    def commit(self, records: Sequence[tuple[int, Put]]) -> list[int]:
        """Put records on the disk."""
        self.syncs.append(list(records))
        self.begun.set()
        assert self.go_on.wait(10)
        return [next(self._numbers) for _ in records]


@pytest.fixture
def disk() -> SlowDisk:
    """A disk that does not answer yet."""
    return SlowDisk()


def test_requests_that_wait_together_share_a_sync(disk: SlowDisk) -> None:
    """While one sync runs, what arrives is gathered and synced at once; each request hears its own numbers."""
    commits = GroupCommit(disk.commit, "test")
    futures = [commits.add(0, [b"first"])]
    assert disk.begun.wait(10)
    futures += [commits.add(at_ms, [b"a", b"b"]) for at_ms in range(1, 20)]
    disk.go_on.set()

    assert [future.result(timeout=10) for future in futures] == [[1], *([at, at + 1] for at in range(2, 40, 2))]
    assert [len(sync) for sync in disk.syncs] == [1, 38]
    assert disk.syncs[1][:3] == [(1, b"a"), (1, b"b"), (2, b"a")]
    assert commits.close(10)


@pytest.mark.parametrize(("limit", "value"), [("MAX_SHARED_JOBS", 2), ("MAX_SHARED_BYTES", 2)])
def test_a_sync_takes_no_more_than_its_limits(
    disk: SlowDisk, limit: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the first of those who wait is not held by all who come after it."""
    monkeypatch.setattr(group_commit, limit, value)
    commits = GroupCommit(disk.commit, "test")
    futures = [commits.add(0, [b"x"])]
    assert disk.begun.wait(10)
    futures += [commits.add(0, [b"x"]) for _ in range(4)]
    disk.go_on.set()
    assert [future.result(timeout=10) for future in futures] == [[1], [2], [3], [4], [5]]
    assert [len(sync) for sync in disk.syncs] == [1, 2, 2]
    assert commits.close(10)


def test_each_hears_what_failed_and_the_next_is_taken() -> None:
    """An error acknowledges nothing, whatever it is, and ends nothing."""
    errors = iter([StoreError("The disk is full."), ValueError("a mistake of ours")])

    def commit(records: Sequence[tuple[int, Put]]) -> list[int]:
        error = next(errors, None)
        if error is not None:
            raise error
        return [7 for _ in records]

    commits = GroupCommit(commit, "test")
    with pytest.raises(StoreError, match="disk is full"):
        commits.add(0, [b"x"]).result(timeout=10)
    with pytest.raises(ValueError, match="a mistake of ours"):
        commits.add(0, [b"x"]).result(timeout=10)
    assert commits.add(0, [b"x"]).result(timeout=10) == [7]
    assert commits.close(10)


def test_a_close_finishes_what_was_asked_for_and_takes_no_more(disk: SlowDisk) -> None:
    """A disk that does not answer is not waited for beyond the time given."""
    commits = GroupCommit(disk.commit, "test")
    asked = commits.add(0, [b"x"])
    assert not commits.close(0)
    with pytest.raises(StoreError, match="The buffer is closed; send the request again"):
        commits.add(0, [b"y"]).result(timeout=10)
    disk.go_on.set()
    assert asked.result(timeout=10) == [1]
    assert commits.close(10)


def test_who_hangs_up_does_not_make_the_answer_an_error(disk: SlowDisk) -> None:
    """A future cannot be cancelled once its records are on their way to the disk."""
    commits = GroupCommit(disk.commit, "test")
    future = commits.add(0, [b"x"])
    assert not future.cancel()
    disk.go_on.set()
    assert future.result(timeout=10) == [1]
    assert commits.close(10)
