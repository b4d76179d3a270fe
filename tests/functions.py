"""Lambda functions for tests of the runtime: each does one thing that a real function may do."""

import os
import time
from typing import Any


def echo(event: Any, context: Any) -> Any:  # noqa: ANN401 - a handler takes and gives any JSON
    """Return the event with what the context and the environment say."""
    return {
        "event": event,
        "name": context.function_name,
        "remaining": context.get_remaining_time_in_millis() > 0,
        "greeting": os.environ.get("GREETING"),
        "home_secret": os.environ.get("HOME_SECRET"),
    }


def throw(event: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - a handler's signature
    """Raise."""
    raise ValueError(f"cannot do {event}")


def hang(event: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - a handler's signature
    """Hang when told to."""
    if event == "hang":
        time.sleep(60)
    return event


def die(event: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - a handler's signature
    """Kill the process when told to."""
    if event == "die":
        os._exit(9)
    return event


def chatter(event: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - a handler's signature
    """Print, as functions do, and answer."""
    print("a line of the function's log")  # noqa: T201 - what a function prints goes to its log
    return event


def large(event: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - a handler's signature
    """Answer with a string of the length asked for."""
    return "x" * int(event)
