"""`make demo`: the whole pipeline on this machine with sample events, and the questions that it is for.

It starts `auditlake up` as a user does, POSTs, stores and asks, and ends by itself: 0 only if every event is found.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from auditlake import control, render
from auditlake.errors import AuditlakeError, ControlError
from auditlake.runtime.plan import Plan
from auditlake.runtime.plan_reader import load_plan
from auditlake.runtime.query import run_query
from auditlake.sample import sample_events

SAMPLE_EVENTS = 400
ROW = "event_id, event_type, event_time, actor_user_id, action_status, ip_address, audit_type, year, month, day"

out = Console(highlight=False)


@contextmanager
def running(data: Path) -> Iterator[str]:
    """Run `auditlake up` on a free port and yield its URL; end it by Ctrl-C's signal. Raises ControlError."""
    command = [sys.executable, "-m", "auditlake", "up", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:  # noqa: S603 - our own command
        try:
            first = process.stdout.readline() if process.stdout else ""
            if " at http" not in first:
                raise ControlError(f"The runtime did not start: {first or 'it said nothing'}")
            yield first.rpartition(" at ")[2].strip()
        finally:
            process.terminate()
            process.communicate()


def main() -> int:
    """Run the demo and return its exit code."""
    data = Path(tempfile.mkdtemp(prefix="auditlake-demo-"))
    plan = load_plan()
    first, *others = reversed(sample_events(SAMPLE_EVENTS, seed=1, now=datetime.now(UTC)))
    with running(data) as url:
        _post(url, first)
        _post_batch(url, others)
        _store(url, data, plan, str(first["id"]))
    _show_row(data, plan, str(first["id"]))
    json_bytes = sum(len(_text(event).encode()) + 1 for event in (first, *others))
    _ask(data, plan, json_bytes)
    return _check(data, plan, {str(event["id"]) for event in (first, *others)})


def _text(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False)


def _say(line: str = "", style: str = "") -> None:
    out.print(line, style=style, markup=False, soft_wrap=True)


def _post(url: str, event: dict[str, Any]) -> None:
    _say("1  POST one event", "bold")
    _say(f"   curl {url}/events -H 'Content-Type: application/json' -d '{_text(event)}'", "cyan")
    answer = httpx.post(f"{url}/events", content=_text(event).encode(), headers={"Content-Type": "application/json"})
    _say(f"   {answer.status_code} {answer.text}")
    if answer.status_code != httpx.codes.ACCEPTED:
        raise AuditlakeError(f"The event was not accepted: {answer.text}")


def _post_batch(url: str, events: list[dict[str, Any]]) -> None:
    body = "\n".join(map(_text, events)).encode()
    answer = httpx.post(
        f"{url}/events/batch", content=body, headers={"Content-Type": "application/x-ndjson"}, timeout=60
    )
    _say(f"   and {len(events)} more in one batch: {answer.status_code} {answer.text}")
    if answer.status_code != httpx.codes.ACCEPTED or answer.json()["rejected"]:
        raise AuditlakeError(f"The batch was not accepted whole: {answer.text}")


def _store(url: str, data: Path, plan: Plan, event_id: str) -> None:
    flushed = control.flush(url, None)
    with run_query(data, plan, 'SELECT "$path" FROM events WHERE event_id = ?', [event_id]) as result:
        found = [Path(str(path)) for (path,) in result.rows()]
    _say(f"\n2  {flushed['objects']} objects appeared, laid out as in the bucket; the event is in", "bold")
    for path in found:
        _say(f"   {path.relative_to(data.resolve())}")


def _show_row(data: Path, plan: Plan, event_id: str) -> None:
    _say("\n3  The row, some of its columns", "bold")
    with run_query(data, plan, f"SELECT {ROW} FROM events WHERE event_id = ?", [event_id]) as result:  # noqa: S608 - our own columns
        names = [column.name for column in result.columns]
        for row in result.rows():
            for name, value in zip(names, row, strict=True):
                _say(f"   {name:<14} {value}")


def _ask(data: Path, plan: Plan, json_bytes: int) -> None:
    _say("\n4  Two questions", "bold")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    day = f"year = '{yesterday:%Y}' AND month = '{yesterday:%m}' AND day = '{yesterday:%d}'"
    for sql in ("SELECT * FROM events", f"SELECT * FROM events WHERE audit_type = 'login' AND {day}"):  # noqa: S608 - our own text
        with run_query(data, plan, sql) as result:
            rows = sum(1 for _ in result.rows())
            _say(f'   auditlake query "{sql}"', "cyan")
            _say(f"   {rows} rows. {render.scan_line(result.scan())}")
    _say(f"   From plain JSON lines either question reads all of them: {json_bytes / 1000:,.1f} KB.")
    _say("   (Each row also keeps the event's exact bytes, and files this small are mostly headings.)")


def _check(data: Path, plan: Plan, sent: set[str]) -> int:
    with run_query(data, plan, "SELECT event_id FROM events_deduplicated") as result:
        found = {row[0] for row in result.rows()}
    complete = found == sent
    _say(f"\n{'✓' if complete else '✗'}  {len(sent & found)} of {len(sent)} events sent were found.", "bold")
    _say(f"   Look around: {Path(sys.executable).parent / 'auditlake'} query --data {data} --saved types_in_other")
    return 0 if complete else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AuditlakeError as error:
        out.print(f"auditlake: {error}", markup=False)
        sys.exit(1)
