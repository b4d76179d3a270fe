"""Whether the functions of a plan can run here, found out before the first event rather than at it."""

import contextlib
import subprocess
import sys
from collections.abc import Iterable, Iterator

from auditlake.errors import PlanError
from auditlake.runtime.function import FunctionProcess

INIT_S = 10
"""How long a function may take to load: Lambda's own limit for it (documented)."""
_IMPORT = """
import importlib, sys
import simplejson  # as the worker does
module, _, name = sys.argv[1].rpartition(".")
if not callable(getattr(importlib.import_module(module), name)):
    raise TypeError(f"{name} is no function")
"""


def check_handlers(processes: Iterable[FunctionProcess]) -> None:
    """Load each function once, in a process and an environment as its own; raises PlanError naming what fails."""
    distinct = {process.function.name: process for process in processes}
    with contextlib.ExitStack() as opened:
        loading = [(process, opened.enter_context(_load(process))) for process in distinct.values()]
        for process, loader in loading:
            _check(process, loader)


@contextlib.contextmanager
def _load(process: FunctionProcess) -> Iterator["subprocess.Popen[str]"]:
    loader = subprocess.Popen(  # noqa: S603 - our own interpreter with the plan's handler
        [sys.executable, "-c", _IMPORT, process.function.handler],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=process.environment(),
        start_new_session=True,
    )
    with loader:
        try:
            yield loader
        finally:
            loader.kill()


def _check(process: FunctionProcess, loader: "subprocess.Popen[str]") -> None:
    try:
        _, said = loader.communicate(timeout=INIT_S)
    except subprocess.TimeoutExpired:
        said = f"it took longer than {INIT_S} s"
    else:
        if loader.returncode == 0:
            return
    function = process.function
    reason = (said.strip().splitlines() or [f"its process ended with {loader.returncode}"])[-1].rstrip(".")
    raise PlanError(
        f"The function {function.name} has the handler {function.handler}, which cannot be loaded here: {reason}. The "
        "local runtime runs the functions of lambda_src, and others that this Python can import."
    )
