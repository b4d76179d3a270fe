"""Which stack on AWS is meant: its names, from a Terraform plan or from `terraform output -json`."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditlake.aws_ask import Aws, CannotAsk
from auditlake.errors import PlanError
from auditlake.runtime.planned import Resource, block, plan_text, read_resources

DEFAULT_ACCOUNT_ID = "123456789012"
DEFAULT_REGION = "us-east-1"
"""What stands in the plan of the defaults; the account and region of the credentials take their places."""

_STREAM = "aws_kinesis_firehose_delivery_stream"


@dataclass(frozen=True)
class Names:
    """What a stack's parts are called; `endpoint` is empty where a plan does not know it yet."""

    region: str
    account_id: str
    bucket: str
    stream: str
    api: str = ""
    stage: str = ""
    endpoint: str = ""
    alarms: tuple[str, ...] = ()
    topic: str = ""
    canary: str = ""
    """What the canary's function and its schedule are called; empty for a stack without one."""


@dataclass(frozen=True)
class Promise:
    """A plan as the account's: its resources."""

    source: str
    resources: tuple[Resource, ...]

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the values of the resources of a type."""
        return [found.values for found in self.resources if found.type == kind]

    def one(self, kind: str, **having: object) -> Mapping[str, Any]:
        """Return the values of the first resource of a type with these attributes, empty where there is none."""
        for values in self.of(kind):
            if all(values.get(name) == value for name, value in having.items()):
                return values
        return {}


@dataclass(frozen=True)
class PlanFile:
    """The text of a plan and what to call it; `is_default` where none was given."""

    text: str
    source: str
    is_default: bool


def read_plan_file(path: Path | None) -> PlanFile:
    """Read the plan at `path` once, `-` is standard input, or that of the defaults; raises PlanError."""
    text, source = plan_text(Path("/dev/stdin") if path == Path("-") else path)
    return PlanFile(text, source, path is None)


def load_promise(plan: PlanFile, aws: Aws) -> Promise:
    """Return a plan's resources; of that of the defaults as if it were made for the account and region that are asked.

    Raises:
        PlanError: it is no plan.
        CannotAsk: the credentials cannot be used, or are another account's than the plan.
    """
    text, account = plan.text, aws.account_id()
    if plan.is_default:
        text = text.replace(DEFAULT_ACCOUNT_ID, account).replace(DEFAULT_REGION, aws.region_name())
    promise = Promise(plan.source, tuple(read_resources(text, plan.source)))
    planned = account_of(promise)
    if planned and planned != account:
        raise CannotAsk(
            f"{plan.source} is of the account {planned}, and these credentials are of {account}: see AWS_PROFILE."
        )
    return promise


def plan_region(plan: PlanFile) -> str | None:
    """Return the region of a plan, None for that of the defaults or where the plan does not say it."""
    if plan.is_default:
        return None
    values = Promise(plan.source, tuple(read_resources(plan.text, plan.source))).one(_STREAM)
    path = ("extended_s3_configuration", "data_format_conversion_configuration", "schema_configuration")
    return block(values, *path).get("region") or None


def account_of(promise: Promise) -> str:
    """Return the account that a plan's transform is in, empty where it does not say it."""
    for parameter in _processor_parameters(promise.one(_STREAM)):
        parts = str(parameter.get("parameter_value")).split(":")
        if parameter.get("parameter_name") == "LambdaArn" and len(parts) > 4:
            return parts[4]
    return ""


def _processor_parameters(stream: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(
        block(stream, "extended_s3_configuration", "processing_configuration", "processors").get("parameters", ())
    )


def names_of_plan(promise: Promise, aws: Aws) -> Names:
    """Return the names that a plan gives; raises PlanError when it has no delivery stream."""
    stream = promise.one(_STREAM)
    if not stream:
        raise PlanError(f"{promise.source} has no aws_kinesis_firehose_delivery_stream: it is no plan of this stack.")
    alarms = promise.of("aws_cloudwatch_metric_alarm")
    # A topic of somebody else's is no resource of the plan; where alarms go is known all the same.
    heard = [str(topic) for alarm in alarms for topic in alarm.get("alarm_actions") or ()]
    region, account = aws.region_name(), account_of(promise)
    return Names(
        region=region,
        account_id=account,
        bucket=str(block(stream, "extended_s3_configuration").get("bucket_arn", "")).rpartition(":")[2],
        stream=str(stream.get("name", "")),
        api=str(promise.one("aws_api_gateway_rest_api").get("name", "")),
        stage=str(promise.one("aws_api_gateway_stage").get("stage_name", "")),
        alarms=tuple(str(alarm["alarm_name"]) for alarm in alarms),
        topic=heard[0] if heard else "",
        canary=str(promise.one("aws_cloudwatch_event_rule").get("name", "")),
    )


def read_outputs(path: Path) -> Names:
    """Read the names from `terraform output -json`, `-` is standard input; raises PlanError for something else."""
    try:
        text = sys.stdin.read() if path == Path("-") else path.read_text(encoding="utf-8")
    except OSError as error:
        raise PlanError(f"The outputs {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise PlanError(_no_outputs(path)) from None
    try:
        outputs = {name: output["value"] for name, output in json.loads(text).items()}
        _, _, _, region, account, _ = outputs["stream"]["arn"].split(":", 5)
        canary = outputs.get("canary") or {}
        return Names(
            region=region,
            account_id=account,
            bucket=outputs["bucket"],
            stream=outputs["stream"]["name"],
            endpoint=outputs["endpoint"],
            alarms=(*(outputs.get("alarms") or {}).values(), *filter(None, [canary.get("alarm")])),
            topic=outputs.get("alarm_topic") or "",
            canary=canary.get("name", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PlanError(_no_outputs(path)) from None


def _no_outputs(path: Path) -> str:
    return (
        f"{path} does not hold the outputs stream, bucket and endpoint of an applied stack; make it with: "
        "terraform -chdir=terraform output -json > outputs.json"
    )
