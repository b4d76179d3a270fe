"""The command line. Each module holds a group of commands; `main` runs them."""

import os
import signal
import sys
from types import FrameType
from typing import Never

INTERRUPTED = 130
"""The exit code after Ctrl-C."""


def main() -> Never:
    """Run the command line; a user's mistake ends with one sentence and exit code 1, Ctrl-C with 130.

    Nothing is imported at the top that takes time: Ctrl-C must end the imports without a traceback, too.
    """
    signal.signal(signal.SIGINT, _leave)
    code = run()
    signal.signal(signal.SIGINT, _leave)
    sys.exit(code)


def _leave(_signal: int, _frame: FrameType | None) -> Never:
    """End at once: an exception might be raised inside an import, or in what Python does at the end."""
    os._exit(INTERRUPTED)


def run() -> int:
    """Run the command line of `sys.argv` and return the exit code; a user's mistake is one sentence."""
    from auditlake.cli.commands import app, err
    from auditlake.errors import AuditlakeError

    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        app()
    except AuditlakeError as error:
        err.print(f"auditlake: {error}", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    return 0
