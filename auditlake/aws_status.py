"""What a deployed stack is doing, for who was woken by it: stream, freshness, errors, newest objects, alarms.

Every part says ok, wrong, or that nobody could look; none hides another. All listings are bounded.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any

from auditlake.aws_ask import Absent, Aws, CouldNotLook
from auditlake.aws_stack import Names
from auditlake.error_store import ErrorPrefix

MAX_PAGES = 10
"""Of 1,000 keys each, for one listing; where they do not suffice, it is said."""
NEWEST_ERRORS = 5
_DAY_PREFIX = "!{timestamp:yyyy/MM/dd}/"
_LEAST_FRESHNESS_S = 900
_METRICS = {
    "freshness_s": ("DeliveryToS3.DataFreshness", "Maximum"),
    "success": ("DeliveryToS3.Success", "Minimum"),
    "throttled": ("ThrottledRecords", "Sum"),
}


class State(StrEnum):
    """How one part is."""

    OK = "ok"
    WRONG = "wrong"
    BLIND = "could not look"


@dataclass(frozen=True)
class Part:
    """One line of the status: what, its state, a sentence; `permission` is the missing IAM action of a blind one."""

    name: str
    state: State
    says: str
    permission: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """The delivery stream as Firehose describes it."""

    status: str
    encryption: str
    bucket: str
    prefix: str
    error_prefix: str
    buffer_mib: int
    buffer_interval_s: int


@dataclass(frozen=True)
class Window:
    """How far back is looked: hours for metrics and errors, days for newest objects, from `now`."""

    now: datetime
    hours: int = 3
    days: int = 3


def read_stream(answer: Mapping[str, Any]) -> Stream:
    """Return what DescribeDeliveryStream says."""
    described = answer["DeliveryStreamDescription"]
    destination = described["Destinations"][0].get("ExtendedS3DestinationDescription", {})
    hints = destination.get("BufferingHints", {})
    return Stream(
        status=described["DeliveryStreamStatus"],
        encryption=described.get("DeliveryStreamEncryptionConfiguration", {}).get("Status", "DISABLED"),
        bucket=str(destination.get("BucketARN", "")).rpartition(":")[2],
        prefix=destination.get("Prefix", ""),
        error_prefix=destination.get("ErrorOutputPrefix", ""),
        buffer_mib=hints.get("SizeInMBs", 0),
        buffer_interval_s=hints.get("IntervalInSeconds", 0),
    )


def look(aws: Aws, names: Names, window: Window) -> list[Part]:
    """Return all parts of the status; raises CannotAsk when nothing can be asked."""
    parts, stream = list(_endpoint(aws, names)), None
    try:
        stream = read_stream(aws.ask("firehose", "describe_delivery_stream", DeliveryStreamName=names.stream))
        parts.append(stream_part(names, stream))
    except (Absent, CouldNotLook) as error:
        parts.append(_unanswered("delivery stream", names.stream, error))
    interval_s = stream.buffer_interval_s if stream else 0
    parts += _asked("delivery", lambda: metric_parts(_metrics(aws, names, window), interval_s, window))
    if stream:
        parts += _asked("error prefix", lambda: [_errors(aws, names, stream, window)])
        parts += _asked("newest objects", lambda: _newest(aws, names, stream, window))
    else:
        parts.append(Part("objects", State.BLIND, "The stream's prefixes are not known, so nothing was listed."))
    parts += _asked("alarms", lambda: [_alarms(aws, names)])
    if names.canary:
        parts += _asked("canary", lambda: [_canary(aws, names)])
    return parts


def exit_code(parts: Iterable[Part]) -> int:
    """Return 1 when something is wrong, else 2 when nobody could look at something, else 0."""
    states = {part.state for part in parts}
    return 1 if State.WRONG in states else 2 if State.BLIND in states else 0


def content(names: Names, parts: Iterable[Part]) -> dict[str, Any]:
    """Return the status for JSON."""
    parts = list(parts)
    return {"exit_code": exit_code(parts), "names": asdict(names), "parts": [asdict(part) for part in parts]}


def stream_part(names: Names, stream: Stream) -> Part:
    """Say whether the stream takes records, encrypted, into the stack's bucket."""
    wrong = []
    if stream.status != "ACTIVE":
        wrong.append(f"it is {stream.status}, not ACTIVE")
    if stream.encryption != "ENABLED":
        wrong.append(f"its encryption at rest is {stream.encryption}")
    if stream.bucket != names.bucket:
        wrong.append(f"it writes to the bucket {stream.bucket}, not {names.bucket}")
    says = (
        f"{names.stream}: {stream.status}, SSE {stream.encryption}, to s3://{stream.bucket}/{stream.prefix}, buffers "
        f"{stream.buffer_mib} MiB or {stream.buffer_interval_s} s"
    )
    state = State.WRONG if wrong else State.OK
    return Part("delivery stream", state, f"{says}{'; ' + '; '.join(wrong) if wrong else ''}", facts=asdict(stream))


def metric_parts(values: Mapping[str, list[float]], interval_s: int, window: Window) -> list[Part]:
    """Say how old the oldest undelivered event is, whether S3 takes objects, and what was throttled."""
    limit_s = max(2 * interval_s, _LEAST_FRESHNESS_S)
    since = f"in {window.hours} h"

    def part(name: str, wrong: Callable[[float], bool], words: Callable[[float], str], chosen: float | None) -> Part:
        if chosen is None:
            return Part(
                name, State.OK, f"no data {since}: nothing came, or nothing was delivered", facts={"value": None}
            )
        return Part(name, State.WRONG if wrong(chosen) else State.OK, words(chosen), facts={"value": chosen})

    freshness, success, throttled = (values.get(name, []) for name in _METRICS)
    return [
        part(
            "freshness",
            lambda value: value > limit_s,
            lambda value: f"the oldest undelivered event is {value:,.0f} s old; more than {limit_s:,} s is late",
            freshness[0] if freshness else None,
        ),
        part(
            "delivery success",
            lambda value: value < 1,
            lambda value: f"{value:.1%} of deliveries to S3 succeeded in the newest 5 minutes with any",
            success[0] if success else None,
        ),
        part(
            "throttled records",
            lambda value: value > 0,
            lambda value: f"{value:,.0f} {since}",
            sum(throttled) if throttled else None,
        ),
    ]


def type_prefixes(prefix: str, kind: str, day: datetime) -> str | None:
    """Return the stream's prefix with its partition keys for a type and day; None where it has others."""
    keys = {"audit_type": kind, "year": f"{day:%Y}", "month": f"{day:%m}", "day": f"{day:%d}"}
    for name, value in keys.items():
        prefix = prefix.replace(f"!{{partitionKeyFromLambda:{name}}}", value)
    return None if "!{" in prefix else prefix


def _metrics(aws: Aws, names: Names, window: Window) -> dict[str, list[float]]:
    """Return the values of each metric, the newest first."""
    dimensions = [{"Name": "DeliveryStreamName", "Value": names.stream}]
    queries = [
        {
            "Id": key,
            "MetricStat": {
                "Metric": {"Namespace": "AWS/Firehose", "MetricName": metric, "Dimensions": dimensions},
                "Period": 300,
                "Stat": statistic,
            },
        }
        for key, (metric, statistic) in _METRICS.items()
    ]
    answer = aws.ask(
        "cloudwatch",
        "get_metric_data",
        MetricDataQueries=queries,
        StartTime=window.now - timedelta(hours=window.hours),
        EndTime=window.now + timedelta(minutes=1),
        ScanBy="TimestampDescending",
    )
    return {result["Id"]: list(result["Values"]) for result in answer["MetricDataResults"]}


def _endpoint(aws: Aws, names: Names) -> Iterator[Part]:
    """Say where events are POSTed; a plan knows only the API's name."""
    if names.endpoint:
        yield Part("endpoint", State.OK, names.endpoint, facts={"url": names.endpoint})
        return
    try:
        items = aws.ask("apigateway", "get_rest_apis", limit=500)["items"]
    except (Absent, CouldNotLook) as error:
        yield _unanswered("endpoint", names.api, error)
        return
    found = [item["id"] for item in items if item["name"] == names.api]
    if not found:
        yield Part("endpoint", State.WRONG, f"There is no REST API named {names.api} in {names.region}.")
    for one in found:
        url = f"https://{one}.execute-api.{names.region}.amazonaws.com/{names.stage}"
        yield Part("endpoint", State.OK, url, facts={"url": url})


def _errors(aws: Aws, names: Names, stream: Stream, window: Window) -> Part:
    """Count what came under the error prefix within the window, by type, and name the newest."""
    start, prefix = window.now - timedelta(hours=window.hours), ErrorPrefix(stream.error_prefix)
    found: list[dict[str, Any]] = []
    complete = True
    for listed in _error_listings(aws, names.bucket, stream.error_prefix, prefix, start):
        objects, whole = _listed(aws, names.bucket, **listed)
        found += [one for one in objects if one["LastModified"] >= start]
        complete = complete and whole
    counts: dict[str, int] = {}
    for one in found:
        kind = prefix.error_type(one["Key"])
        counts[kind] = counts.get(kind, 0) + 1
    newest = [one["Key"] for one in sorted(found, key=lambda one: one["LastModified"], reverse=True)[:NEWEST_ERRORS]]
    facts = {"objects": len(found), "types": counts, "newest": newest, "complete": complete}
    more = "" if complete else f"; more than {MAX_PAGES * 1000:,} keys, not all were listed"
    if not found:
        return Part(
            "error prefix", State.OK, f"nothing new under {prefix.literal} in {window.hours} h{more}", facts=facts
        )
    by_type = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
    says = f"{len(found):,} objects in {window.hours} h: {by_type}; the newest: {newest[0]}{more}"
    advice = f"Look: auditlake errors --bucket {names.bucket}"
    return Part("error prefix", State.WRONG, f"{says}. {advice}", facts=facts)


def _error_listings(aws: Aws, bucket: str, text: str, prefix: ErrorPrefix, start: datetime) -> Iterator[dict[str, Any]]:
    """Yield what to list: each type from the day on, where the prefix is `.../TYPE/yyyy/MM/dd/`; else all of it."""
    if not text.endswith(f"!{{firehose:error-output-type}}/{_DAY_PREFIX}"):
        yield {"Prefix": prefix.literal}
        return
    answer = aws.ask("s3", "list_objects_v2", Bucket=bucket, Prefix=prefix.literal, Delimiter="/")
    for one in answer.get("CommonPrefixes", ()):
        # The day in the key is the arrival's: what failed late lies under the day before.
        yield {"Prefix": one["Prefix"], "StartAfter": f"{one['Prefix']}{start - timedelta(days=1):%Y/%m/%d}/"}


def _listed(aws: Aws, bucket: str, **parameters: str) -> tuple[list[dict[str, Any]], bool]:
    """Return at most MAX_PAGES pages of objects, and whether these are all."""
    objects: list[dict[str, Any]] = []
    truncated = False
    for page in aws.pages("s3", "list_objects_v2", MAX_PAGES, Bucket=bucket, **parameters):
        objects += page.get("Contents", ())
        truncated = bool(page.get("IsTruncated"))
    return objects, not truncated


def _newest(aws: Aws, names: Names, stream: Stream, window: Window) -> list[Part]:
    """Name the newest object of each audit type, of the newest of the last days that has any."""
    head, _, rest = stream.prefix.partition("!{partitionKeyFromLambda:audit_type}")
    if not rest or type_prefixes(stream.prefix, "any", window.now) is None:
        says = f"The prefix {stream.prefix} is not by audit_type, year, month and day: nothing was listed."
        return [Part("newest objects", State.OK, says)]
    answer = aws.ask("s3", "list_objects_v2", Bucket=names.bucket, Prefix=head, Delimiter="/")
    kinds = [one["Prefix"][len(head) :].rstrip("/") for one in answer.get("CommonPrefixes", ())]
    if not kinds:
        return [Part("newest objects", State.OK, f"nothing was stored under s3://{names.bucket}/{head} yet")]
    return [_newest_of(aws, names, stream, window, kind) for kind in kinds]


def _newest_of(aws: Aws, names: Names, stream: Stream, window: Window, kind: str) -> Part:
    # From tomorrow on: an event may be ahead of its receipt, and its partition is its own date.
    for back in range(-1, window.days):
        prefix = type_prefixes(stream.prefix, kind, window.now - timedelta(days=back))
        objects, complete = _listed(aws, names.bucket, Prefix=prefix or "")
        if objects:
            one = max(objects, key=lambda found: found["LastModified"])
            facts = {"type": kind, "key": one["Key"], "modified": one["LastModified"].astimezone(UTC).isoformat()}
            note = "" if complete else f" (of the first {len(objects):,})"
            says = f"{one['LastModified'].astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC {one['Key']}{note}"
            return Part(f"newest {kind}", State.OK, says, facts=facts)
    return Part(f"newest {kind}", State.OK, f"nothing in the partitions of {window.days} days", facts={"type": kind})


def _alarms(aws: Aws, names: Names) -> Part:
    """Name the stack's alarms that ring."""
    if not names.alarms:
        return Part("alarms", State.OK, "the stack has none (alarms.enabled = false)", facts={"ringing": []})
    ringing: list[str] = []
    found = 0
    rest = iter(names.alarms)
    while batch := list(islice(rest, 100)):
        answer = aws.ask("cloudwatch", "describe_alarms", AlarmNames=batch, MaxRecords=100)
        found += len(answer["MetricAlarms"])
        ringing += [alarm["AlarmName"] for alarm in answer["MetricAlarms"] if alarm["StateValue"] == "ALARM"]
    facts = {"ringing": sorted(ringing), "found": found}
    if ringing:
        says = f"{len(ringing)} of {found} ring: {', '.join(sorted(ringing))}; docs/runbook.md has a section for each"
        return Part("alarms", State.WRONG, says, facts=facts)
    if found < len(names.alarms):
        says = f"{len(names.alarms) - found} of {len(names.alarms)} are not there: auditlake doctor --aws names them"
        return Part("alarms", State.WRONG, says, facts=facts)
    return Part("alarms", State.OK, f"none of {found} rings", facts=facts)


def _canary(aws: Aws, names: Names) -> Part:
    """Say whether the canary's function is there and its schedule runs it."""
    aws.ask("lambda", "get_function_configuration", FunctionName=names.canary)
    rule = aws.ask("events", "describe_rule", Name=names.canary)
    runs, schedule = rule.get("State") == "ENABLED", rule.get("ScheduleExpression", "")
    says = f"{names.canary}: {schedule}" if runs else f"the schedule {names.canary} is {rule.get('State')}"
    return Part("canary", State.OK if runs else State.WRONG, says, facts={"name": names.canary, "schedule": schedule})


def _asked(name: str, parts: Callable[[], Iterable[Part]]) -> list[Part]:
    try:
        return list(parts())
    except (Absent, CouldNotLook) as error:
        return [_unanswered(name, "", error)]


def _unanswered(name: str, what: str, error: Absent | CouldNotLook) -> Part:
    if isinstance(error, Absent):
        return Part(name, State.WRONG, f"{what or 'it'} is not there: {error}")
    return Part(name, State.BLIND, str(error), error.action)
