"""One POST of events to `/events/batch`, and what the answer says about each of them.

The receiver's answer carries `{"accepted": n, "rejected": [{"index", "id", "reason"}], "retry": [{"index", "id"}]}`,
with indexes from 0 in the body that was POSTed: 202 when nothing is to be sent again, 503 or 502 when something is, 400
when every event is refused. Without these members an answer is for the body as a whole: problem+json (RFC 9457).
"""

import email.utils
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import msgspec

from auditlake.errors import SendError

MEDIA_TYPE = "application/x-ndjson"

# Of the whole body: another try may succeed; 504 is API Gateway's limit of 29 s, the events may have been accepted.
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
# Of the whole body: a part of it may be accepted.
_DIVISIBLE = frozenset({400, 413, 422})
_LONGEST_QUOTE = 300  # characters of an answer that is no problem+json


@dataclass(frozen=True)
class Answer:
    """What became of the events of one POST, by their index in it.

    `again` are to be sent again after at least `retry_after_s` seconds; `divide` says that the body as a whole was
    refused and smaller ones may not be. `reason` is the endpoint's sentence, or the connection's fault.
    """

    accepted: tuple[int, ...] = ()
    rejected: tuple[tuple[int, str], ...] = ()
    again: tuple[int, ...] = ()
    divide: bool = False
    retry_after_s: float = 0.0
    reason: str = ""


class _Rejected(msgspec.Struct):
    index: int
    reason: str


class _Again(msgspec.Struct):
    index: int


class _Results(msgspec.Struct):
    accepted: int
    rejected: list[_Rejected] = []  # msgspec copies an empty list for each instance
    retry: list[_Again] = []


_results_decoder = msgspec.json.Decoder(_Results)


def batch_url(url: str) -> str:
    """Return the address of the batch endpoint below a base URL; raises SendError when it is no http(s) URL."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise SendError(f"{url!r} is no URL ({error}); give the endpoint's, e.g. http://127.0.0.1:8080.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SendError(f"{url!r} is no http or https URL; give the endpoint's, e.g. http://127.0.0.1:8080.")
    path = parsed.path.rstrip("/")
    if parsed.query or parsed.fragment or parsed.userinfo or path.endswith(("/events", "/events/batch")):
        raise SendError(
            f"{parsed.copy_with(userinfo=b'')} is not the base URL of an endpoint: leave out /events, a query and a "
            "password, e.g. https://audit.example.com/v1."
        )
    return url.rstrip("/") + "/events/batch"


def encode_body(events: Sequence[bytes], level: int = 6) -> bytes:
    """Return events as NDJSON, gzipped at a level from 1 to 9; the same events give the same bytes."""
    return gzip.compress(b"\n".join(events) + b"\n", compresslevel=level, mtime=0)


def post_batch(client: httpx.Client, url: str, body: bytes, count: int, now: datetime) -> Answer:
    """POST a body made by `encode_body` of `count` events and return what the answer says.

    A connection that fails or an answer that does not come is `again` for all of them. Raises SendError for an answer
    that will not change (wrong address, no authorization, ...) or that does not account for every event.
    """
    headers = {"Content-Type": MEDIA_TYPE, "Content-Encoding": "gzip"}
    every = tuple(range(count))
    try:
        response = client.post(url, content=body, headers=headers)
    except httpx.LocalProtocolError:
        # Its text quotes the header, and a header may be a secret.
        raise SendError(
            f"The request to {url} cannot be sent, because a header would hold what HTTP does not allow: look at the "
            "token or the AWS credentials, whose session token may end in a newline."
        ) from None
    except httpx.TransportError as error:
        return Answer(again=every, reason=f"{url}: {error or type(error).__name__}")
    reason = f"{response.status_code} {sentence(response)}"
    retry_after_s = retry_after(response.headers.get("Retry-After"), now)
    by_event = response.status_code in _TRANSIENT | _DIVISIBLE and _results(response) is not None
    if by_event or response.status_code == httpx.codes.ACCEPTED:
        return _by_event(response, count, reason, retry_after_s)
    if response.status_code in _TRANSIENT:
        return Answer(again=every, retry_after_s=retry_after_s, reason=reason)
    if response.status_code in _DIVISIBLE:
        return Answer(divide=True, reason=reason)
    raise SendError(f"{url} answered {reason} Check the URL and how it authenticates, then send again.")


def sentence(response: httpx.Response) -> str:
    """Return the answer's own words: `detail` or `title` of problem+json, `message` of API Gateway, else its text."""
    try:
        document = msgspec.json.decode(response.content)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        words = next((document[key] for key in ("detail", "title", "message") if document.get(key)), None)
        if words is not None:
            return str(words)
    return " ".join(response.text.split())[:_LONGEST_QUOTE] or f"{response.reason_phrase}."


def retry_after(value: str | None, now: datetime) -> float:
    """Return the seconds that a Retry-After header asks for (a number or an HTTP date); 0 when absent or neither."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    try:
        at = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())


def wait_before(attempt: int, base_s: float, cap_s: float, chance: float) -> float:
    """Return the seconds to wait before another try: a random part of an exponential back-off (full jitter).

    `attempt` is how many tries have failed in a row, from 1; `chance` is from 0 to 1.
    """
    return chance * min(cap_s, base_s * 2.0 ** min(attempt - 1, 1000))


def _results(response: httpx.Response) -> _Results | None:
    try:
        return _results_decoder.decode(response.content)
    except (ValueError, RecursionError):
        return None


def _by_event(response: httpx.Response, count: int, reason: str, retry_after_s: float) -> Answer:
    """Return a per-event answer; raises SendError unless it accounts for every event exactly once."""
    results = _results(response)
    if results is None:
        raise SendError(
            f"{response.url} answered {response.status_code} without saying what became of each event; "
            "is this the endpoint of auditlake? What was sent last may have been accepted."
        )
    named = [entry.index for entry in results.rejected] + [entry.index for entry in results.retry]
    accepted = tuple(sorted(set(range(count)) - set(named)))
    if len(set(named)) != len(named) or not set(named) <= set(range(count)) or len(accepted) != results.accepted:
        raise SendError(
            f"{response.url} was sent {count} events and answered for {results.accepted} accepted, "
            f"{len(results.rejected)} rejected and {len(results.retry)} to be sent again, which does not add up; "
            "what was sent last may have been accepted."
        )
    return Answer(
        accepted=accepted,
        rejected=tuple((entry.index, entry.reason) for entry in results.rejected),
        again=tuple(entry.index for entry in results.retry),
        retry_after_s=retry_after_s,
        reason=reason,
    )
