"""A limit of time for a call that has none of its own."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """Make a call and give its result, or raise what it raises; raises TimeoutError after `seconds`.

    The client's own time-outs are for each read and none is for finding the address, so that an answer that drips in or
    a name server that hangs would hold the function for ever. What was given up runs on in its thread: its outcome is
    not known.
    """
    results: SimpleQueue[tuple[T] | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            results.put((call(),))
        except BaseException as error:  # noqa: BLE001  # raised again by whom it concerns
            results.put(error)

    Thread(target=run, daemon=True).start()
    try:
        result = results.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"The call took longer than {seconds} seconds.") from None
    if isinstance(result, BaseException):
        raise result
    return result[0]
