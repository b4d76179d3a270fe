"""Sends a file of events to `POST /events/batch` until each is accepted or rejected with a reason.

read -> map -> identify -> batch -> POST -> sort the answer. An event that the endpoint asks for again (or whose answer
was lost) is sent again with the same bytes, and so with the same id: at-least-once, duplicates share `event_id`.
Therefore an event that has neither `id` nor `_id` gets an `id` before the first try, as its first member; the rest of
its bytes stays as it came. An event spread over several lines is joined by spaces, as NDJSON wants one line an event.
"""

import contextlib
import io
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from auditlake.batch_endpoint import Answer, batch_url, encode_body, post_batch, wait_before
from auditlake.bearer import bearer
from auditlake.errors import SendError
from auditlake.events_input import DOCUMENT_KEY, read_events
from auditlake.interrupt import Interrupt
from auditlake.loopback import is_loopback
from auditlake.mapping import Mapping
from auditlake.outgoing import Outgoing, RejectedFile, identified, mapped
from auditlake.receipt import ReceiptFile
from auditlake.send_summary import Summary, counted

STDIN = "-"


@dataclass(frozen=True)
class SendOptions:
    """Where events go and within which limits; bytes are of the body before gzip, `auth` signs each request.

    A Lambda's request holds 6 MB with the body escaped inside it: 4 MB of JSON fit as base64 too.
    """

    url: str
    token: str | None = None
    skip: int = 0
    max_events: int = 1000
    max_bytes: int = 4_000_000
    tries: int = 10
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 30.0
    retry_after_limit_s: float = 300.0
    timeout_s: float = 60.0
    auth: httpx.Auth | None = None


@dataclass(frozen=True)
class Clock:
    """Time and chance, passed in so that a test decides them."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random


@dataclass(frozen=True)
class Source:
    """An opened input: its stream, its name for messages, and the time by which its events had surely happened."""

    stream: io.BufferedReader
    name: str
    received: datetime
    size: int | None


def send_file(
    name: str,
    options: SendOptions,
    mapping: Mapping | None,
    rejected: Path | None,
    console: Console,
    receipt: Path | None = None,
) -> Summary:
    """Send a file (`-` is standard input) with a progress bar on a terminal; rejected events go to `rejected`.

    `receipt` gets a line for each accepted event, on the disk before the event counts as accepted.

    The file of rejected events is `<input>.rejected.ndjson` by default, numbered when it exists. Raises SendError when
    the file cannot be read or the URL is none; whatever goes wrong later is told by the summary.
    """
    rejected_path = rejected or Path(f"{'stdin' if name == STDIN else name}.rejected.ndjson")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with Interrupt() as interrupt, open_source(name, datetime.now(UTC)) as source, progress:
        task = progress.add_task("sending", total=source.size)

        def advance(summary: Summary) -> None:
            position = source.stream.tell() if source.size is not None else summary.body_bytes
            progress.update(task, completed=position, description=f"{summary.accepted:,} accepted")

        return send(
            source,
            options,
            mapping=mapping,
            rejected_path=rejected_path,
            receipt_path=receipt,
            clock=Clock(sleep=interrupt.sleep),
            stop=lambda: interrupt.requested,
            notice=lambda sentence: console.print(sentence, markup=False, highlight=False),
            advance=advance,
        )


@contextlib.contextmanager
def open_source(name: str, now: datetime) -> Iterator[Source]:
    """Open a file, or standard input for `-`; raises SendError when it cannot be read.

    A file's events had happened when it was last written; that time is the same however often the file is sent.
    """
    if name == STDIN:
        yield Source(cast("io.BufferedReader", sys.stdin.buffer), name, now, None)
        return
    path = Path(name)
    try:
        stream = path.open("rb")
        stream.peek(1)
    except OSError as error:
        raise SendError(
            f"{name} cannot be read ({error.strerror}); give the path of a file, or - for standard input."
        ) from error
    with stream:
        status = path.stat()
        yield Source(stream, name, datetime.fromtimestamp(status.st_mtime, UTC), status.st_size)


def send(
    source: Source,
    options: SendOptions,
    *,
    mapping: Mapping | None = None,
    rejected_path: Path,
    receipt_path: Path | None = None,
    clock: Clock | None = None,
    stop: Callable[[], bool] = lambda: False,
    notice: Callable[[str], None] = lambda _: None,
    advance: Callable[[Summary], None] = lambda _: None,
) -> Summary:
    """Send the events of a source, batch after batch in their order, and return what became of them.

    Raises SendError for a URL that is none, before anything is sent; later faults end the run and are the summary's
    `failure`.
    """
    url = batch_url(options.url)
    clock = clock or Clock()
    summary = Summary()
    began = clock.monotonic()
    headers = {"Authorization": bearer(options.token)} if options.token else {}
    with (
        httpx.Client(
            headers=headers,
            timeout=options.timeout_s,
            auth=options.auth,
            trust_env=not is_loopback(url),  # a proxy cannot reach this machine's loopback
        ) as client,
        RejectedFile(rejected_path) as rejects,
        ReceiptFile(receipt_path) as receipts,
    ):
        run = _Run(client, url, options, clock, stop, notice, rejects, receipts, summary)
        outgoing = _outgoing(source, options.skip, mapping, summary)
        try:
            for batch in batches(outgoing, options.max_events, options.max_bytes):
                _deliver(run, batch)
                summary.settled = batch[-1].index + 1
                advance(summary)
                _check_stop(run)
        except KeyboardInterrupt:
            summary.interrupted = True
        except SendError as error:
            summary.failure = str(error)
    summary.rejected_file = str(rejects.path) if rejects.path else None
    summary.elapsed_s = round(clock.monotonic() - began, 3)
    return summary


def batches(events: Iterable[Outgoing], max_events: int, max_bytes: int) -> Iterator[list[Outgoing]]:
    """Group events in their order: at most `max_events` and `max_bytes` (a line end counted to each) a batch.

    An event that is larger by itself is a batch by itself: the endpoint, not the sender, knows what is too large.
    """
    batch: list[Outgoing] = []
    size = 0
    for event in events:
        length = len(event.body) + 1
        if batch and (len(batch) == max_events or size + length > max_bytes):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += length
    if batch:
        yield batch


@dataclass(frozen=True)
class _Run:
    """What one run of `send` works with."""

    client: httpx.Client
    url: str
    options: SendOptions
    clock: Clock
    stop: Callable[[], bool]
    notice: Callable[[str], None]
    rejects: RejectedFile
    receipts: ReceiptFile
    summary: Summary


def _outgoing(source: Source, skip: int, mapping: Mapping | None, summary: Summary) -> Iterator[Outgoing]:
    """Read, map and identify the events after the first `skip`."""
    document_key = (mapping.records if mapping else None) or DOCUMENT_KEY
    for event in read_events(source.stream, document_key):
        if event.index < skip:
            summary.skipped += 1
            summary.settled = event.index + 1
            continue
        summary.read += 1
        outgoing = mapped(event, mapping, source.received) if mapping else identified(event)
        summary.ids_given += outgoing.id_given
        yield outgoing


def _deliver(run: _Run, batch: list[Outgoing]) -> None:
    """Send a batch until each of its events is accepted or rejected; raises SendError when the endpoint takes no more.

    A body that is refused as a whole is halved, so that only the event at fault is rejected.
    """
    for event in batch:
        if event.problem:
            _reject(run, event, event.problem)
    whole = [event for event in batch if not event.problem]
    run.summary.sent += len(whole)
    parts = deque([whole] if whole else [])
    while parts:
        refused, reason = _post_until_answered(run, parts.popleft())
        if len(refused) == 1:
            _reject(run, refused[0], reason)
        elif refused:
            half = len(refused) // 2
            parts.extendleft([refused[half:], refused[:half]])


def _post_until_answered(run: _Run, part: list[Outgoing]) -> tuple[list[Outgoing], str]:
    """POST events, again those that the answer asks for; return those that were refused as one body, and why."""
    tries = run.options.tries
    for attempt in range(1, tries + 1):
        run.summary.retried += len(part) if attempt > 1 else 0
        answer = _post(run, part)
        if answer.divide:
            return part, answer.reason
        run.receipts.add([part[index] for index in answer.accepted], run.clock.now())
        run.summary.accepted += len(answer.accepted)
        for index, reason in answer.rejected:
            _reject(run, part[index], reason)
        part = [part[index] for index in answer.again]
        if not part:
            break
        if attempt == tries:
            raise SendError(
                f"The endpoint did not take {counted(len(part), 'event')} in {tries} tries; "
                f"it last said: {answer.reason}"
            )
        _wait(run, answer, attempt, len(part))
    return [], ""


def _post(run: _Run, part: list[Outgoing]) -> Answer:
    bodies = [event.body for event in part]
    body = encode_body(bodies)
    run.summary.requests += 1
    run.summary.body_bytes += sum(map(len, bodies)) + len(bodies)
    run.summary.gzip_bytes += len(body)
    return post_batch(run.client, run.url, body, len(part), run.clock.now())


def _wait(run: _Run, answer: Answer, attempt: int, count: int) -> None:
    """Wait as long as Retry-After says and, on top, a random part of an exponential back-off (full jitter)."""
    options = run.options
    if answer.retry_after_s > options.retry_after_limit_s:
        raise SendError(
            f"The endpoint wants no request for {answer.retry_after_s:.0f} s, longer than the "
            f"{options.retry_after_limit_s:.0f} s that are waited; it said: {answer.reason}"
        )
    backoff_s = wait_before(attempt, options.backoff_base_s, options.backoff_cap_s, run.clock.random())
    wait_s = answer.retry_after_s + backoff_s
    run.notice(
        f"{answer.reason} Sending {counted(count, 'event')} again in {wait_s:.1f} s "
        f"(try {attempt + 1} of {options.tries})."
    )
    run.clock.sleep(wait_s)
    _check_stop(run)


def _check_stop(run: _Run) -> None:
    """Raise KeyboardInterrupt when Ctrl-C asked to stop: one way out for the first and for the second one."""
    if run.stop():
        raise KeyboardInterrupt


def _reject(run: _Run, event: Outgoing, reason: str) -> None:
    run.rejects.write(event, reason)
    run.summary.rejected += 1
