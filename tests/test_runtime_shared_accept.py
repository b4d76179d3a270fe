"""Requests that share a job of the buffer."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, cast

import pytest

from auditlake.errors import StoreError
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.shared_accept import MAX_SHARED_BYTES, Accept, SharedAccept


class ScriptedBuffer:
    """A buffer that keeps its jobs until it is told to finish them."""

    def __init__(self) -> None:
        self.jobs: list[tuple[int, list[bytes], Future[list[int]]]] = []

    def accept(self, arrival_ms: int, records: Sequence[bytes]) -> "Future[list[int]]":
        """Take a job."""
        self.jobs.append((arrival_ms, list(records), Future()))
        return self.jobs[-1][2]


async def turns() -> None:
    """Let everything that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


def run(test: Any) -> None:  # noqa: ANN401 - a coroutine function
    """Run a test in a loop, with a buffer and what accepts for it at 12.5 s."""

    async def main() -> None:
        buffer = ScriptedBuffer()
        await test(buffer, SharedAccept(cast("Buffer", buffer), lambda: 12.5))

    asyncio.run(main())


def test_what_comes_while_a_job_runs_goes_together_as_the_next() -> None:
    """The first requests are one job; all that come before it is done are one more; each gets its own numbers."""

    async def test(buffer: ScriptedBuffer, shared: SharedAccept) -> None:
        first = [asyncio.ensure_future(shared.accept([b"a"])), asyncio.ensure_future(shared.accept([b"b", b"c"]))]
        await turns()
        later = [asyncio.ensure_future(shared.accept([b"%d" % number])) for number in range(5)]
        await turns()
        assert [(at, records) for at, records, _ in buffer.jobs] == [(12_500, [b"a", b"b", b"c"])]

        buffer.jobs[0][2].set_result([1, 2, 3])
        assert await asyncio.gather(*first) == [[1], [2, 3]]
        assert [records for _, records, _ in buffer.jobs[1:]] == [[b"0", b"1", b"2", b"3", b"4"]]
        buffer.jobs[1][2].set_result([4, 5, 6, 7, 8])
        assert await asyncio.gather(*later) == [[4], [5], [6], [7], [8]]

    run(test)


def test_a_job_that_fails_fails_each_of_its_requests_and_no_other() -> None:
    """None of them is acknowledged; the next job is its own."""

    async def test(buffer: ScriptedBuffer, shared: SharedAccept) -> None:
        failing = [asyncio.ensure_future(shared.accept([b"a"])) for _ in range(2)]
        await turns()
        good = asyncio.ensure_future(shared.accept([b"b"]))
        await turns()
        buffer.jobs[0][2].set_exception(StoreError("No space left on device."))
        for one in failing:
            with pytest.raises(StoreError, match="No space left"):
                await one
        buffer.jobs[1][2].set_result([1])
        assert await good == [1]

    run(test)


def test_a_request_that_gives_up_takes_nobody_with_it() -> None:
    """Its record may be stored; the others still get their own numbers."""

    async def test(buffer: ScriptedBuffer, shared: SharedAccept) -> None:
        tasks = [asyncio.ensure_future(shared.accept([b"%d" % number])) for number in range(3)]
        await turns()
        tasks[1].cancel()
        await turns()
        buffer.jobs[0][2].set_result([1, 2, 3])
        assert (await tasks[0], await tasks[2], tasks[1].cancelled()) == ([1], [3], True)

    run(test)


def test_a_job_has_a_size() -> None:
    """What is too much for one job is several, in order."""

    async def test(buffer: ScriptedBuffer, shared: SharedAccept) -> None:
        half = bytes(MAX_SHARED_BYTES // 2)
        tasks = [asyncio.ensure_future(shared.accept([half])) for _ in range(3)]
        await turns()
        buffer.jobs[0][2].set_result([1, 2])
        await turns()
        buffer.jobs[1][2].set_result([3])
        assert await asyncio.gather(*tasks) == [[1], [2], [3]]

    run(test)


def test_a_request_whose_time_is_up_hears_so_and_takes_nobody_with_it() -> None:
    """TimeoutError for the one with a limit; the other, of the same job, has its number when the job is done."""

    async def test(buffer: ScriptedBuffer, shared: SharedAccept) -> None:
        hurried = asyncio.ensure_future(shared.accept([b"a"], limit_s=0.001))
        patient = asyncio.ensure_future(shared.accept([b"b"]))
        with pytest.raises(TimeoutError):
            await hurried
        buffer.jobs[0][2].set_result([1, 2])
        assert await patient == [2]

    run(test)


def test_an_api_accepts_in_whichever_loop_calls_it() -> None:
    """Requests of one loop share a job, and after that loop has ended those of the next are accepted as well."""
    buffer = ScriptedBuffer()
    accept = Accept(cast("Buffer", buffer), lambda: 12.5)

    async def two(*numbers: int) -> list[list[int]]:
        asked = [asyncio.ensure_future(accept([b"%d" % number])) for number in numbers]
        await turns()
        buffer.jobs[-1][2].set_result(list(numbers))
        return await asyncio.gather(*asked)

    assert asyncio.run(two(1, 2)) == [[1], [2]]
    assert asyncio.run(two(3, 4)) == [[3], [4]]
    assert [(at, records) for at, records, _ in buffer.jobs] == [(12_500, [b"1", b"2"]), (12_500, [b"3", b"4"])]
