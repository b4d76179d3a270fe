"""A Lambda function in a process of its own, invoked by the contract of AWS Lambda.

The event goes in as JSON text and the answer comes out as JSON text, encoded as the Lambda runtime client encodes it.
A function that throws, hangs or kills its process is contained: its process is replaced at the next invocation.
"""

import contextlib
import os
import queue
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from auditlake.runtime.plan import Function

REQUEST = struct.Struct(">dI")
"""Before an event: the time limit in seconds and the event's length in bytes."""
HEADER = struct.Struct(">cI")
"""Before an answer: OK or ERROR, and the answer's length in bytes."""
MAX_PAYLOAD_BYTES = 6_291_556
"""The largest answer of a synchronous invocation, as Lambda's own message words it (B3)."""
PIPE_BYTES = 1024 * 1024
"""How much a pipe to or from a process holds (Linux): most events pass at once, not in turns of 64 KiB."""
OK, ERROR = b"O", b"E"
CLOSE_S = 5
"""How long a close waits for an invocation whose process was killed."""


@dataclass(frozen=True)
class FunctionError:
    """The invocation failed; `kind` is `error` (it threw or died) or `timeout`."""

    kind: str
    message: str


class Invocable(Protocol):
    """Something that answers invocations."""

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:
        """Return the answer (JSON) to an event (JSON), or how the invocation failed."""


class FunctionProcess:
    """One execution environment of a function: it answers one invocation at a time."""

    def __init__(
        self,
        function: Function,
        log: Path,
        environment: Mapping[str, str],
        *,
        niceness: int = 0,
    ) -> None:
        """Prepare to run `function`; its output is appended to the file `log`; `environment` adds to the plan's.

        Where requests do not wait for it, `niceness` (0 to 19) lets them go first when the cores are not enough.
        """
        self.function = function
        self._niceness = niceness
        self._log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:
        """Hand the function an event (JSON) and return its answer (JSON) or how it failed.

        `timeout_s` is the caller's own limit in seconds; the function's timeout always holds.
        """
        limit = min(self.function.timeout_s, timeout_s or self.function.timeout_s)
        with self._lock:
            if self._closed:
                return FunctionError("error", f"The process of {self.function.name} is closed.")
            deadline = time.monotonic() + limit
            events, answers = self._pipes()
            try:
                _write(events, REQUEST.pack(limit, len(event)) + event, deadline)
                kind, length = HEADER.unpack(_read(answers, HEADER.size, deadline))
                answer = _read(answers, length, deadline)
            except TimeoutError:
                self._kill()
                return FunctionError("timeout", f"Task timed out after {limit:.2f} seconds")
            except (OSError, EOFError):
                self._kill()
                return FunctionError(
                    "error", f"The process of {self.function.name} ended while it ran; see {self._log}."
                )
            except BaseException:
                self._kill()  # or its answer to this event would be taken for the next one's
                raise
        if kind == OK and len(answer) > MAX_PAYLOAD_BYTES:
            return FunctionError(
                "error", f"Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes)."
            )
        if kind == OK:
            return answer
        return FunctionError("error", answer.decode("utf-8", "replace"))

    def close(self) -> None:
        """End the process at once: an invocation that runs fails."""
        self._closed = True
        # Only who holds the lock may touch the process; killing it makes an invocation let go of the lock.
        until = time.monotonic() + CLOSE_S
        while not self._lock.acquire(timeout=0.1):
            process = self._process
            if process is not None:
                process.kill()
            if time.monotonic() > until:
                return  # whoever starts a process on a disk that does not answer; it ends with its standard input
        self._kill()
        self._lock.release()

    def _pipes(self) -> tuple[int, int]:
        """Return the descriptors to write events to and read answers from, starting the process if it does not run."""
        if self._process is None or self._process.poll() is not None:
            with self._opened_log() as log:
                self._process = subprocess.Popen(  # noqa: S603 - our own worker with the plan's handler
                    [sys.executable, "-m", "auditlake.runtime.function_worker", self.function.handler, str(self._log)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    bufsize=0,
                    pipesize=PIPE_BYTES,
                    env=self.environment(),
                    start_new_session=True,  # ctrl-C goes to the server, which drains; not to its functions
                )
            if self._niceness:
                with contextlib.suppress(OSError):  # it may have ended already, which the pipes will tell
                    own = os.getpriority(os.PRIO_PROCESS, 0)
                    os.setpriority(os.PRIO_PROCESS, self._process.pid, min(own + self._niceness, 19))
            if self._process.stdin is not None:
                os.set_blocking(self._process.stdin.fileno(), False)
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("The process of a function has pipes.")
        return self._process.stdin.fileno(), self._process.stdout.fileno()

    def _opened_log(self) -> IO[bytes]:
        """Open the log, or nothing instead: that a function cannot say something must not keep it from working."""
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return os.fdopen(os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
        except OSError:
            return open(os.devnull, "ab")  # noqa: PTH123 - no file

    def environment(self) -> dict[str, str]:
        """Return the environment variables of the function's process."""
        kept = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV")
            if name in os.environ
        }
        return {
            **kept,
            **self.function.environment,
            "AWS_LAMBDA_FUNCTION_NAME": self.function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            **self._environment,
        }

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    # What was still to be written concerns a process that is gone.
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()
            self._process = None


class FunctionPool:
    """Several execution environments of one function: as many invocations run side by side."""

    def __init__(self, members: Sequence[Invocable]) -> None:
        """Take the environments; the one used last is used first, so that the others start only when needed."""
        self._free: queue.LifoQueue[Invocable] = queue.LifoQueue()
        for member in reversed(members):
            self._free.put(member)

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:
        """Invoke a free environment, waiting for one if need be."""
        member = self._free.get()
        try:
            return member.invoke(event, timeout_s)
        finally:
            self._free.put(member)


def _wait_for(descriptor: int, event: int, seconds: float) -> None:
    """Wait until a pipe is ready; raises TimeoutError. Not by select(), which knows no descriptor beyond 1023."""
    poll = select.poll()
    poll.register(descriptor, event)
    if seconds <= 0 or not poll.poll(seconds * 1000):
        raise TimeoutError


def _write(descriptor: int, data: bytes, deadline: float) -> None:
    """Write all of `data` to a pipe; raises TimeoutError at the deadline, so that a hung reader holds nobody."""
    rest = memoryview(data)
    while rest:
        left = deadline - time.monotonic()
        _wait_for(descriptor, select.POLLOUT, left)
        rest = rest[os.write(descriptor, rest) :]


def _read(descriptor: int, length: int, deadline: float) -> bytes:
    """Read exactly `length` bytes from a pipe; raises TimeoutError at the deadline and EOFError at its end."""
    parts = bytearray()
    while len(parts) < length:
        left = deadline - time.monotonic()
        _wait_for(descriptor, select.POLLIN, left)
        part = os.read(descriptor, length - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
