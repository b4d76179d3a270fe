"""A few threads that no stop waits for: what they do only reads, or is ended by who closes what they wait for."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """At most `count` threads, which begin when they are needed.

    The standard library's pool is joined when the interpreter exits and its event loop waits for it; these are not, so
    that the second Ctrl-C ends a process in the middle of a long look.
    """

    def __init__(self, count: int, name: str) -> None:
        """Allow `count` threads called `name`."""
        self._count = count
        self._name = name
        self._lock = threading.Lock()
        self._started = 0
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def submit(self, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> "Future[T]":
        """Call a function when a thread is free; the future holds what it returned or raised."""
        done: Future[T] = Future()

        def call() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                done.set_result(function(*arguments, **named))
            except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
                done.set_exception(error)

        with self._lock:
            if self._started < self._count:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
                self._started += 1
        self._calls.put(call)
        return done

    def shutdown(self) -> None:
        """Let each thread end after what it does now and what was submitted before."""
        with self._lock:
            for _ in range(self._started):
                self._calls.put(None)
            self._count = 0

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # or what it holds would stay until the next one
