"""Threads that no stop waits for."""

import subprocess
import sys
import threading

import pytest

from auditlake.runtime.threads import Threads


def test_no_more_run_side_by_side_than_allowed() -> None:
    """A third call waits for one of two; what a call raises is its caller's."""
    threads = Threads(2, "test")
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def wait() -> bool:
        begun.release()
        return go_on.wait(10)

    running = [threads.submit(wait) for _ in range(3)]
    assert begun.acquire(timeout=10)
    assert begun.acquire(timeout=10)
    assert not running[2].running()
    go_on.set()
    assert [one.result(timeout=10) for one in running] == [True, True, True]
    with pytest.raises(ZeroDivisionError):
        threads.submit(divmod, 1, 0).result(timeout=10)
    threads.shutdown()


def test_a_process_ends_while_a_call_runs() -> None:
    """The interpreter does not wait for a call that never returns."""
    code = (
        "import threading; from auditlake.runtime.threads import Threads; begun = threading.Event();"
        "Threads(1, 'x').submit(lambda: (begun.set(), threading.Event().wait())); begun.wait(10)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
