"""The inside of a function's process: reads events from standard input, answers on what was standard output."""

import importlib
import json
import os
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

# What the function prints must not mix with its answers, and simplejson must be loaded before the function is, as in
# Lambda: the function looks there for the encoder that will write its answer.
import simplejson

from auditlake.runtime.function import ERROR, HEADER, OK, REQUEST
from auditlake.runtime.function_log import FunctionLog


class Encoder(simplejson.JSONEncoder):
    """Encodes an answer as the Lambda runtime client does for Python 3.12 and later."""

    def __init__(self) -> None:
        super().__init__(use_decimal=False, ensure_ascii=False, allow_nan=True)


@dataclass
class Context:
    """The context object of an invocation, as far as Lambda documents it."""

    deadline: float
    function_name: str = field(default_factory=lambda: os.environ["AWS_LAMBDA_FUNCTION_NAME"])
    function_version: str = "$LATEST"
    invoked_function_arn: str = field(default_factory=lambda: os.environ["AUDITLAKE_FUNCTION_ARN"])
    memory_limit_in_mb: str = "0"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    log_group_name: str = ""
    log_stream_name: str = ""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation times out."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


def main(handler: str, log: Path) -> None:
    """Serve invocations of `handler` (`module.function`) until standard input ends; `log` is where its output goes."""
    events = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr = FunctionLog(log)  # a log must not wait in a buffer, nor fail
    module, _, name = handler.rpartition(".")
    function: Callable[[Any, Context], Any] | Exception
    try:
        function = getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001 - Lambda reports whatever a module raises as an initialisation error
        traceback.print_exc()
        function = error
    encode = Encoder().encode
    while head := events.read(REQUEST.size):
        limit, length = REQUEST.unpack(head)
        _answer(answers, function, events.read(length), Context(time.monotonic() + limit), encode)


def _answer(
    answers: IO[bytes],
    function: Callable[[Any, Context], Any] | Exception,
    event: bytes,
    context: Context,
    encode: Callable[[Any], str],
) -> None:
    try:
        if isinstance(function, Exception):
            raise function
        kind, answer = OK, encode(function(json.loads(event), context)).encode("utf-8", "surrogatepass")
    except Exception as error:  # noqa: BLE001 - whatever a function raises is its error, not the worker's
        traceback.print_exc()
        kind, answer = ERROR, f"{type(error).__name__}: {error}".encode("utf-8", "replace")
    answers.write(HEADER.pack(kind, len(answer)) + answer)
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
