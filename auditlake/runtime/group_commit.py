"""Group commit: requests that arrive together share one sync of the disk."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from auditlake.errors import StoreError
from auditlake.runtime.journal_format import Put

MAX_SHARED_JOBS = 1_000
MAX_SHARED_BYTES = 8 * 1024 * 1024
"""How many waiting requests and bytes share one sync at most, so that the first of them does not wait without end."""

Commit = Callable[[Sequence[tuple[int, Put]]], Sequence[int]]
"""Puts records with their arrival (epoch ms) on the disk, returns their numbers; each request gets what it raises."""


@dataclass(frozen=True)
class _Job:
    arrival_ms: int
    records: Sequence[Put]
    done: "Future[list[int]]"


class GroupCommit:
    """Commits what was asked for in a thread of its own, in the order of arrival, many requests at once."""

    def __init__(self, commit: Commit, name: str) -> None:
        """Start the thread, which is called `name`."""
        self._commit = commit
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def add(self, arrival_ms: int, records: Sequence[Put]) -> "Future[list[int]]":
        """Commit records; the future holds their sequence numbers once they are on the disk, or the error."""
        job = _Job(arrival_ms, records, Future())
        # From now on nobody can cancel it: a client that hangs up must not make the writer's answer an error.
        job.done.set_running_or_notify_cancel()
        if self._closed:
            job.done.set_exception(StoreError("The buffer is closed; send the request again after the next start."))
        else:
            self._jobs.put(job)
        return job.done

    def close(self, timeout_s: float) -> bool:
        """Finish what was asked for, within `timeout_s` seconds; returns whether nothing is under way any more."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs, size = [first], sum(map(len, first.records))
            stop = False
            while len(jobs) < MAX_SHARED_JOBS and size < MAX_SHARED_BYTES and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    stop = True
                    break
                jobs.append(job)
                size += sum(map(len, job.records))
            self._share(jobs)
            if stop:
                return

    def _share(self, jobs: Sequence[_Job]) -> None:
        try:
            accepted = self._commit([(job.arrival_ms, put) for job in jobs for put in job.records])
        except Exception as error:  # noqa: BLE001 - whatever failed, every waiting request must hear of it
            for job in jobs:
                job.done.set_exception(error)
            return
        sequence = iter(accepted)
        for job in jobs:
            job.done.set_result([next(sequence) for _ in job.records])
