"""Whether somebody would hear of it: alarms, topic, canary, logs, and error objects that nobody has looked after."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from auditlake.aws_ask import Aws
from auditlake.aws_stack import Names, Promise
from auditlake.doctor_aws.outcome import Outcome, compared, judged, looked
from auditlake.error_store import ErrorPrefix
from auditlake.runtime.planned import block

MAX_PAGES = 10
"""Of 1,000 error objects each."""


def check(promise: Promise, aws: Aws, names: Names) -> Iterator[Outcome]:
    """Yield the outcomes of alarms, topic, canary and logs."""
    planned = {str(one["alarm_name"]): one for one in promise.of("aws_cloudwatch_metric_alarm")}
    if planned:
        yield from looked("alarms", "alarms", lambda: _alarms(aws, planned))
    if names.topic:
        yield from looked(f"topic {names.topic}", "subscriptions", lambda: _subscriptions(aws, names.topic))
    for group in promise.of("aws_cloudwatch_log_group"):
        # The name of the execution log holds the API's id, which a plan does not know: api.py looks at it.
        if name := group.get("name"):
            yield from looked(f"log {name}", "retention", partial(log_outcomes, aws, name, group))
    for rule in promise.of("aws_cloudwatch_event_rule"):
        yield from looked(f"schedule {rule['name']}", "schedule", partial(_schedule, aws, rule))
    for function in promise.of("aws_lambda_function"):
        yield from looked(f"function {function['function_name']}", "function", partial(_function, aws, function))


def check_errors(promise: Promise, aws: Aws, names: Names, now: datetime, older_than_days: int) -> Iterator[Outcome]:
    """Yield whether error objects lie there that are older than so many days."""
    destination = block(promise.one("aws_kinesis_firehose_delivery_stream"), "extended_s3_configuration")
    prefix = ErrorPrefix(str(destination.get("error_output_prefix", "")))
    yield from looked(
        f"bucket {names.bucket}", "old error objects", lambda: _errors(aws, names, prefix, now, older_than_days)
    )


def alarm_outcomes(
    planned: Mapping[str, Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]]
) -> Iterator[Outcome]:
    """Compare each alarm: there, its actions enabled and going where the plan says, its threshold."""
    for name, values in sorted(planned.items()):
        if (alarm := found.get(name)) is None:
            yield judged(f"alarm {name}", "there", well=False, promised=True, deployed=False)
            continue
        promised = {
            "actions enabled": values.get("actions_enabled"),
            "goes to": sorted(values.get("alarm_actions") or ()) if "alarm_actions" in values else None,
            "threshold": values.get("threshold"),
        }
        deployed = {
            "actions enabled": alarm.get("ActionsEnabled", False),
            "goes to": sorted(alarm.get("AlarmActions", ())),
            "threshold": alarm.get("Threshold"),
        }
        yield from compared(f"alarm {name}", promised, deployed)


def _alarms(aws: Aws, planned: Mapping[str, Mapping[str, Any]]) -> Iterator[Outcome]:
    found: dict[str, Mapping[str, Any]] = {}
    rest = iter(planned)
    while batch := list(islice(rest, 100)):
        answer = aws.ask("cloudwatch", "describe_alarms", AlarmNames=batch, MaxRecords=100)
        found |= {alarm["AlarmName"]: alarm for alarm in answer["MetricAlarms"]}
    yield from alarm_outcomes(planned, found)


def _subscriptions(aws: Aws, topic: str) -> Iterator[Outcome]:
    """Yield whether anybody confirmed a subscription: an alarm that nobody gets is none."""
    found = aws.ask("sns", "list_subscriptions_by_topic", TopicArn=topic)["Subscriptions"]
    confirmed = [one for one in found if str(one.get("SubscriptionArn", "")).startswith("arn:")]
    waiting = len(found) - len(confirmed)
    says = f"{len(confirmed)} confirmed" + (f", {waiting} not confirmed yet" if waiting else "")
    advice = f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint YOU, and confirm the mail"
    yield judged(
        f"topic {topic}", "subscriptions", well=bool(confirmed), promised="at least 1", deployed=says, advice=advice
    )


def _schedule(aws: Aws, planned: Mapping[str, Any]) -> Iterator[Outcome]:
    """Compare what runs the canary: that it is switched on, how often, and that it runs the function of its name."""
    name = str(planned["name"])
    rule = aws.ask("events", "describe_rule", Name=name)
    promised = {"state": "ENABLED", "schedule": planned.get("schedule_expression")}
    deployed = {"state": rule.get("State"), "schedule": rule.get("ScheduleExpression")}
    yield from compared(f"schedule {name}", promised, deployed)
    yield from looked(f"schedule {name}", "runs", partial(_targets, aws, name))


def _targets(aws: Aws, rule: str) -> Iterator[Outcome]:
    found = aws.ask("events", "list_targets_by_rule", Rule=rule)["Targets"]
    runs = [str(target["Arn"]).rpartition(":function:")[2] for target in found]
    yield from compared(f"schedule {rule}", {"runs": rule}, {"runs": ", ".join(runs) or "nothing"})


def _function(aws: Aws, planned: Mapping[str, Any]) -> Iterator[Outcome]:
    """Compare a function: who changes the transform's code by hand changes every event that comes."""
    name = planned["function_name"]
    found = aws.ask("lambda", "get_function_configuration", FunctionName=name)
    promised = {"handler": planned.get("handler"), "code (SHA-256)": planned.get("source_code_hash")}
    deployed = {"handler": found.get("Handler"), "code (SHA-256)": found.get("CodeSha256")}
    yield from compared(f"function {name}", promised, deployed)


def log_outcomes(aws: Aws, name: str, group: Mapping[str, Any]) -> Iterator[Outcome]:
    """Compare how long a log is kept."""
    groups = aws.ask("logs", "describe_log_groups", logGroupNamePrefix=name, limit=50)["logGroups"]
    found = {one["logGroupName"]: one.get("retentionInDays", "for ever") for one in groups}
    promised = {"retention (days)": group.get("retention_in_days") or "for ever"}
    yield from compared(f"log {name}", promised, {"retention (days)": found.get(name, "no such log group")})


def _errors(aws: Aws, names: Names, prefix: ErrorPrefix, now: datetime, older_than_days: int) -> Iterator[Outcome]:
    before, old, complete = now - timedelta(days=older_than_days), 0, True
    for page in aws.pages("s3", "list_objects_v2", MAX_PAGES, Bucket=names.bucket, Prefix=prefix.literal):
        old += sum(one["LastModified"] < before for one in page.get("Contents", ()))
        complete = not page.get("IsTruncated")
    more = "" if complete else f" of the first {MAX_PAGES * 1000:,}"
    advice = f"auditlake errors --bucket {names.bucket} says which are open, auditlake redrive puts them again"
    check = f"error objects older than {older_than_days} days"
    yield judged(
        f"bucket {names.bucket}",
        check,
        well=not old,
        promised=0,
        deployed=f"{old:,}{more}" if old else 0,
        advice=advice,
    )
