"""A shell command that is given bytes and whose answer is read, within bounds of time and size.

The command is somebody's one-liner: it may print without end, or never end. It runs in a process group of its own, so
that all of its pipe ends with it, and Ctrl-C reaches it only through this process, which then knows that it was that.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from auditlake.errors import RedriveError

_SLICE_S = 0.1
_CHUNK_BYTES = 64 * 1024
_MAX_SAID_BYTES = 64 * 1024
"""Of what the command says on standard error; what goes beyond is read and forgotten."""


class StoppedError(RedriveError):
    """The command was ended because the user asked to stop."""


@dataclass(frozen=True)
class Bounds:
    """How long a command may run (seconds), how many bytes it may print, and what is asked and told meanwhile.

    `stop` says that the user wants to stop; `waits` is told each second of waiting, in seconds since the start.
    """

    timeout_s: float
    max_bytes: int
    stop: Callable[[], bool] = lambda: False
    waits: Callable[[float], None] = lambda _: None


@dataclass(frozen=True)
class Printed:
    """What a command that ended printed, and its exit code."""

    exit_code: int
    output: bytes
    said: bytes


def run_piped(command: str, given: bytes, bounds: Bounds) -> Printed:
    """Run a shell command on bytes; nothing of its process group is left when this returns or raises.

    Raises RedriveError when it takes or prints too much, StoppedError when the user stops it.
    """
    with subprocess.Popen(  # noqa: S602 - the user's own command, with the pipes that a shell has
        command,
        shell=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    ) as process:
        try:
            output, said = _exchange(process, given, bounds)
        finally:
            # Also after its own end: what it left running in the background holds nobody up any more.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    return Printed(process.returncode, output, said)


def _exchange(process: subprocess.Popen[bytes], given: bytes, bounds: Bounds) -> tuple[bytes, bytes]:
    """Write and read side by side until both outputs and the command end; either alone could block the other."""
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    assert stdin is not None  # noqa: S101 - asked for above
    assert stdout is not None  # noqa: S101
    assert stderr is not None  # noqa: S101
    output, said = bytearray(), bytearray()
    rest = memoryview(given)
    started = told = time.monotonic()
    with selectors.DefaultSelector() as selector:
        os.set_blocking(stdin.fileno(), False)
        selector.register(stdin, selectors.EVENT_WRITE)
        for stream in (stdout, stderr):
            selector.register(stream, selectors.EVENT_READ)
        while stdout in selector.get_map() or stderr in selector.get_map() or process.poll() is None:
            for key, _ in selector.select(_SLICE_S):
                if key.fileobj is stdin:
                    rest = _write(selector, stdin, rest)
                elif not (chunk := os.read(key.fd, _CHUNK_BYTES)):
                    selector.unregister(key.fileobj)
                elif key.fileobj is stdout:
                    output += chunk
                else:
                    said += chunk[: _MAX_SAID_BYTES - len(said)]
            now = time.monotonic()
            _check(now - started, len(output), bounds)
            if now - told >= 1:
                told = now
                bounds.waits(now - started)
    return bytes(output), bytes(said)


def _write(selector: selectors.BaseSelector, stdin: IO[bytes], rest: memoryview) -> memoryview:
    """Write what the command takes now; a command need not read all, or anything."""
    try:
        rest = rest[os.write(stdin.fileno(), rest[:_CHUNK_BYTES]) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        rest = rest[:0]
    if not rest:
        selector.unregister(stdin)
        with contextlib.suppress(BrokenPipeError):
            stdin.close()
    return rest


def _check(seconds: float, printed: int, bounds: Bounds) -> None:
    if bounds.stop():
        raise StoppedError("The command of --through was ended, because you asked to stop.")
    if printed > bounds.max_bytes:
        raise RedriveError(
            f"The command of --through printed more than {bounds.max_bytes:,} bytes for one batch and was ended: it is "
            "to print each event that it is given once. Nothing of what it was given was put."
        )
    if seconds > bounds.timeout_s:
        raise RedriveError(
            f"The command of --through did not end within {bounds.timeout_s:g} s for one batch and was ended; if it "
            "needs longer, give it more with --timeout. Nothing of what it was given was put."
        )
