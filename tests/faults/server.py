"""A runtime as a user starts it, with `auditlake up`, and a producer that notes what it acknowledged."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from auditlake.runtime.plan_reader import load_plan
from tests.conftest import ROOT
from tests.faults.events import Sent
from tests.faults.found import find
from tests.faults.trial import Outcome

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
FLUSH_TIMEOUT_S = 120
DELIVERY_TIMEOUT_S = 180
_URL = re.compile(r"runs the plan of the stream \S+ at (http://\S+)")
BUCKET = load_plan().bucket.name


class NotStartedError(Exception):
    """The runtime ended before it listened; the message is what it printed."""


class Server:
    """A running runtime; whoever starts it stops or kills it."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """Start it on a free port, its output in `log`, by default beside the data directory.

        Raises NotStartedError with what it printed when it ends instead.
        """
        self.data = data
        self.log = log or _log_of(data)
        command = [sys.executable, "-m", "auditlake", "up", "--port", "0", "--data", str(data), *arguments]
        # Wide, so that no line is folded.
        variables = {**os.environ, "COLUMNS": "1000", "PYTHONPATH": str(ROOT), **(environment or {})}
        begin = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=ROOT, env=variables, start_new_session=True
            )
        self.url = self._await_url(begin)
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def _await_url(self, begin: int) -> str:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            text = self.log.read_bytes()[begin:].decode("utf-8", "replace")
            if match := _URL.search(text):
                return match[1]
            if self.process.poll() is not None:
                raise NotStartedError(text.strip())
            time.sleep(0.02)
        self.process.kill()
        raise NotStartedError(f"It did not listen in {START_TIMEOUT_S} s.")

    @property
    def pid(self) -> int:
        """The process id of the runtime."""
        return self.process.pid

    def children(self) -> list[int]:
        """Return the process ids of its functions."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="utf-8")
        others = Path(f"/proc/{self.pid}/task").glob("*/children")
        return sorted(
            {int(pid) for path in others for pid in path.read_text(encoding="utf-8").split()}
            | set(map(int, text.split()))
        )

    def post(self, sent: Sent, event_id: str, body: bytes) -> int:
        """POST an event and note whether it was acknowledged; returns the status, 0 when no answer came."""
        try:
            answer = self.client.post("/events", content=body, headers={"content-type": "application/json"})
        except httpx.TransportError:
            return 0
        if answer.status_code == httpx.codes.ACCEPTED:
            sent.acknowledge([event_id])
        return answer.status_code

    def post_batch(self, sent: Sent, events: Sequence[tuple[str, bytes]]) -> int:
        """POST a batch and note which events were acknowledged; returns the status, 0 when no answer came."""
        body = b"\n".join(event for _, event in events)
        try:
            answer = self.client.post("/events/batch", content=body, headers={"content-type": "application/x-ndjson"})
        except httpx.TransportError:
            return 0
        sent.acknowledge(acknowledged_of(answer.status_code, answer.content, [one for one, _ in events]))
        return answer.status_code

    def get_status(self) -> dict[str, Any]:
        """Return what the runtime says of itself."""
        content: dict[str, Any] = self.client.get("/_auditlake/status").json()
        return content

    def flush(self, timeout_s: float = FLUSH_TIMEOUT_S) -> int:
        """Have all delivered; returns the status, 0 when no answer came in time."""
        with suppress(httpx.TransportError):
            return self.client.post("/_auditlake/flush", timeout=timeout_s).status_code
        return 0

    def deliver(self) -> str | None:
        """Flush until nothing waits; returns why it could not."""
        deadline = time.monotonic() + DELIVERY_TIMEOUT_S
        status: dict[str, Any] = {}
        while time.monotonic() < deadline:
            answered = self.flush()
            status = self.get_status()
            if answered == httpx.codes.OK and not status["waiting"]["records"] and not status["buffers"]:
                return None
            time.sleep(0.2)
        return f"not everything was delivered in {DELIVERY_TIMEOUT_S} s: {json.dumps(status)[:500]}"

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Stop it as a user does and return its exit status; it is killed when it does not stop."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return 1000

    def kill(self) -> None:
        """End it at once, and its functions."""
        self.client.close()
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()

    def said(self) -> str:
        """Return all that was printed with this data directory."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def _log_of(data: Path) -> Path:
    """Return a file that is on no small or broken disk, the same for the same directory."""
    folder = data.parent
    while folder.is_mount():
        folder = folder.parent
    return folder / f"{data.parent.name}-{data.name}.log"


def acknowledged_of(status: int, content: bytes, ids: Sequence[str]) -> list[str]:
    """Return which events of a batch an answer acknowledges: those of neither list of an answer that has both."""
    try:
        answer = json.loads(content)
    except ValueError:
        return []
    if not isinstance(answer, dict) or "accepted" not in answer:
        return []
    named = {one["index"] for one in (*answer.get("rejected", ()), *answer.get("retry", ()))}
    taken = [one for index, one in enumerate(ids) if index not in named]
    return taken if status < httpx.codes.INTERNAL_SERVER_ERROR or answer["accepted"] == len(taken) else []


@contextmanager
def running(data: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a runtime while the block runs, and kill what is left of it."""
    server = Server(data, *arguments, environment=environment)
    try:
        yield server
    finally:
        server.kill()


def load(server: Server, sent: Sent, singles: int = 3, batch: int = 5) -> list[int]:
    """POST some events one by one and a batch; returns the statuses."""
    statuses = [server.post(sent, *sent.make()) for _ in range(singles)]
    if batch:
        statuses.append(server.post_batch(sent, [sent.make() for _ in range(batch)]))
    return statuses


def settled(
    data: Path, sent: Sent, injected: int, *arguments: str, environment: Mapping[str, str] | None = None
) -> Outcome:
    """Start again without a fault, deliver all, stop, and compare what is found with what was acknowledged."""
    problems = []
    try:
        with running(data, *arguments, environment=environment) as server:
            problems += [why] if (why := server.deliver()) else []
            exit_code = server.stop()
            problems += [f"the last stop ended with {exit_code}"] if exit_code else []
            problems += ["it printed a traceback"] if "Traceback (most recent call last)" in server.said() else []
    except NotStartedError as error:
        problems.append(f"it does not start again: {error}")
    return sent.compare(find(data), injected).with_problems(*problems)


def plan_file(folder: Path, **changes: Any) -> Path:  # noqa: ANN401 - values of the plan
    """Write the plan of the defaults with changes: `handler` and `timeout` of the transform, `interval` of buffers."""
    plan = json.loads((ROOT / "auditlake" / "runtime" / "default_plan.json").read_text(encoding="utf-8"))
    for resource in _resources(plan["planned_values"]["root_module"]):
        values = resource["values"]
        if resource["address"].endswith("aws_lambda_function.transform"):
            values.update({name: changes[name] for name in ("handler", "timeout") if name in changes})
        if resource["type"] == "aws_kinesis_firehose_delivery_stream" and "interval" in changes:
            values["extended_s3_configuration"][0]["buffering_interval"] = changes["interval"]
    path = folder / "plan.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    return path


def _resources(module: Mapping[str, Any]) -> Iterator[Any]:
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from _resources(child)
