"""Reads the runtime's configuration: a Terraform plan, by `terraform show -json PLAN`, into the parts of a Plan.

What the runtime neither implements nor knows to be harmless on one machine is refused when the plan is read
(`support.py`), so that nothing is silently less than on AWS.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from auditlake.errors import PlanError
from auditlake.runtime.door import unenforced
from auditlake.runtime.plan import (
    ACCOUNT_THROTTLE,
    Api,
    Bucket,
    Column,
    Function,
    KinesisStream,
    ObjectLock,
    Plan,
    SavedQuery,
    Table,
    Throttle,
    View,
)
from auditlake.runtime.plan_stream import kinesis_stream, processor_of, stream_of
from auditlake.runtime.planned import Resource, block, blocks, known_text, plan_text, read_resources, text_of
from auditlake.runtime.support import check_support
from auditlake.runtime.web_acl import acl_rules


def load_plan(path: Path | None = None) -> Plan:
    """Read the plan at `path`, or the plan of the defaults that the package keeps; raises PlanError."""
    return parse_plan(*plan_text(path))


def parse_plan(text: str, source: str) -> Plan:
    """Read a plan from the JSON that `terraform show -json` prints; `source` names it in errors. Raises PlanError."""
    found = read_resources(text, source)
    check_support(found)
    return read_plan(found, source)


def read_plan(found: list[Resource], source: str) -> Plan:
    """Return the parts of a plan whose resources were read and are supported; raises PlanError for what it lacks."""
    try:
        return _Reader(found, source).plan()
    except KeyError as missing:
        # Terraform leaves out of the planned values what it does not know before the apply.
        raise PlanError(
            f"{source}: the attribute {missing.args[0]} is not known in the plan, and the runtime needs it: "
            "compose it from known names."
        ) from None


_LIFECYCLE_ACTIONS = ("expiration", "noncurrent_version_expiration", "noncurrent_version_transition", "transition")


class _Reader:
    """Turns resources into the parts of a Plan; every complaint names the resource."""

    def __init__(self, resources: list[Resource], source: str) -> None:
        self._resources = resources
        self._source = source

    def plan(self) -> Plan:
        stream_resource = self._one("aws_kinesis_firehose_delivery_stream")
        processor = processor_of(stream_resource)
        # The plan does not know the stream's ARN yet; that of its transform says account and region.
        _, aws_partition, _, region, account_id, _ = _arn_parts(stream_resource, processor.function_arn)
        name = text_of(stream_resource.values, "name")
        arn = f"arn:{aws_partition}:firehose:{region}:{account_id}:deliverystream/{name}"
        stream = stream_of(stream_resource, arn, region, processor, self._role_arn(stream_resource, aws_partition))
        stream = replace(stream, source=self._source_of(stream_resource))
        return Plan(
            api=self._api(),
            stream=stream,
            functions=tuple(_function(r, aws_partition, region, account_id) for r in self._all("aws_lambda_function")),
            table=self._table(stream_resource),
            views=tuple(_view(r) for r in self._glue_tables("VIRTUAL_VIEW")),
            saved_queries=tuple(_saved_query(r) for r in self._all("aws_athena_named_query")),
            bucket=self._bucket(stream.bucket),
            region=region,
            account_id=account_id,
        )

    def _role_arn(self, stream: Resource, aws_partition: str) -> str:
        """Return the ARN of the stream's role; a plan knows only its name until it is applied."""
        known = block(stream.values, "extended_s3_configuration").get("role_arn")
        if known:
            return str(known)
        for role in self._all("aws_iam_role"):
            if "firehose.amazonaws.com" in str(role.values.get("assume_role_policy")):
                account_id = processor_of(stream).function_arn.split(":")[4]
                return f"arn:{aws_partition}:iam::{account_id}:role/{known_text(role, 'name')}"
        raise PlanError(
            f"{stream.address}: role_arn is not known in the plan, and no aws_iam_role of the plan may be assumed by "
            "firehose.amazonaws.com, without which the stream cannot work on AWS."
        )

    def _source_of(self, stream: Resource) -> KinesisStream | None:
        """Return the data stream that the delivery stream reads; raises PlanError for one that nothing reads."""
        source = block(stream.values, "kinesis_source_configuration")
        arn = str(text_of(source, "kinesis_stream_arn")) if source else ""
        found = None
        for resource in self._all("aws_kinesis_stream"):
            if not arn.endswith(f":stream/{text_of(resource.values, 'name')}"):
                raise PlanError(
                    f"{resource.address} is not what {stream.address} reads; the runtime has a data stream only "
                    "before the delivery stream: name it in kinesis_source_configuration, or leave it out."
                )
            found = kinesis_stream(resource, arn)
        if source and found is None:
            raise PlanError(f"{stream.address} reads {arn}, which is no aws_kinesis_stream of the plan.")
        if found is not None and block(stream.values, "server_side_encryption").get("enabled"):
            raise PlanError(
                f"{stream.address}: server_side_encryption.enabled must be false with kinesis_source_configuration: "
                "AWS refuses both, because the data stream encrypts the records."
            )
        return found

    def _all(self, resource_type: str) -> list[Resource]:
        return [resource for resource in self._resources if resource.type == resource_type]

    def _one(self, resource_type: str) -> Resource:
        found = self._all(resource_type)
        if len(found) != 1:
            raise PlanError(
                f"{self._source} has {len(found)} resources of type {resource_type}; the runtime runs a plan with one."
            )
        return found[0]

    def _glue_tables(self, table_type: str) -> list[Resource]:
        return [r for r in self._all("aws_glue_catalog_table") if r.values.get("table_type") == table_type]

    def _api(self) -> Api:
        resource = self._one("aws_api_gateway_rest_api")
        stage = self._one("aws_api_gateway_stage").values
        throttles = {
            text_of(r.values, "method_path").replace("~1", "/").strip("/"): throttle
            for r in self._all("aws_api_gateway_method_settings")
            if (throttle := _throttle(block(r.values, "settings"))) is not None
        }
        return Api(
            name=text_of(resource.values, "name"),
            document=_document(resource),
            stage=text_of(stage, "stage_name"),
            throttle=throttles.pop("*/*", None),
            method_throttles=throttles,
            stage_variables=stage.get("variables") or {},
            web_acl=tuple(acl_rules(acl.values) if (acl := self._at_most_one("aws_wafv2_web_acl")) else ()),
            unenforced=tuple(unenforced(self._resources, _document(resource))),
        )

    def _at_most_one(self, resource_type: str) -> Resource | None:
        return self._one(resource_type) if self._all(resource_type) else None

    def _table(self, stream: Resource) -> Table:
        conversion = block(block(stream.values, "extended_s3_configuration"), "data_format_conversion_configuration")
        schema = block(conversion, "schema_configuration")
        wanted = text_of(schema, "database_name"), text_of(schema, "table_name")
        for resource in self._glue_tables("EXTERNAL_TABLE"):
            values = resource.values
            database, name = text_of(values, "database_name"), text_of(values, "name")
            if (database, name) == wanted:
                storage = block(values, "storage_descriptor")
                return Table(
                    database=database,
                    name=name,
                    columns=_columns(blocks(storage, "columns")),
                    partition_keys=_columns(blocks(values, "partition_keys")),
                )
        raise PlanError(
            f"{stream.address} converts for the table {'.'.join(wanted)}, "
            "which is no aws_glue_catalog_table of the plan."
        )

    def _bucket(self, name: str) -> Bucket:
        if name not in [text_of(r.values, "bucket") for r in self._all("aws_s3_bucket")]:
            raise PlanError(f"The delivery stream writes to the bucket {name}, which is no aws_s3_bucket of the plan.")
        lifecycle = tuple(self._lifecycle(name))
        for lock in self._locks(name):
            if lock.get("rule"):
                retention = block(lock, "rule", "default_retention")
                days = retention.get("days") or 365 * (retention.get("years") or 0)
                return Bucket(name, ObjectLock(text_of(retention, "mode"), days), lifecycle)
        return Bucket(name, None, lifecycle)

    def _locks(self, bucket: str) -> Iterator[Mapping[str, Any]]:
        """Yield the bucket's lock as a resource of its own, then as a block of the bucket."""
        for resource in self._all("aws_s3_bucket_object_lock_configuration"):
            if resource.values.get("bucket") in (None, bucket):
                yield resource.values
        for resource in self._all("aws_s3_bucket"):
            if resource.values.get("bucket") == bucket:
                yield block(resource.values, "object_lock_configuration")

    def _lifecycle(self, bucket: str) -> Iterator[str]:
        """Yield the names of the bucket's rules that expire or move objects; a plan may not know the bucket yet."""
        rules = [
            rule
            for resource in self._all("aws_s3_bucket_lifecycle_configuration")
            if resource.values.get("bucket") in (None, bucket)
            for rule in blocks(resource.values, "rule")
        ] or [
            # A bucket that stands repeats here what its own resource says.
            rule
            for resource in self._all("aws_s3_bucket")
            if resource.values.get("bucket") == bucket
            for rule in blocks(resource.values, "lifecycle_rule")
        ]
        for rule in rules:
            enabled = rule.get("status") == "Enabled" or rule.get("enabled") is True
            if enabled and any(rule.get(action) for action in _LIFECYCLE_ACTIONS):
                yield str(rule.get("id") or "without a name")


def _document(resource: Resource) -> Mapping[str, Any]:
    """Return the OpenAPI document of a REST API, which Terraform plans as JSON text; raises PlanError."""
    try:
        document = json.loads(known_text(resource, "body"))
    except ValueError as error:
        raise PlanError(
            f"{resource.address}: body is not JSON ({error}); the runtime reads a document in JSON."
        ) from None
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise PlanError(f"{resource.address}: body is no OpenAPI document: it has no object `paths`.")
    return document


def _throttle(settings: Mapping[str, Any]) -> Throttle | None:
    """Return a method's throttle; -1, which stands for the account's quota, is none of its own."""
    rate, burst = settings.get("throttling_rate_limit"), settings.get("throttling_burst_limit")
    if not isinstance(rate, int | float) or rate < 0:
        return None
    return Throttle(rate, burst if isinstance(burst, int) and burst >= 0 else ACCOUNT_THROTTLE.burst)


def _columns(given: list[Mapping[str, Any]]) -> tuple[Column, ...]:
    return tuple(Column(text_of(one, "name"), text_of(one, "type"), one.get("comment") or "") for one in given)


def _arn_parts(resource: Resource, arn: str) -> list[str]:
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        raise PlanError(
            f"{resource.address}: the parameter LambdaArn = {arn!r} is no ARN, which says account and region."
        )
    return parts


def _function(resource: Resource, aws_partition: str, region: str, account_id: str) -> Function:
    values = resource.values
    return Function(
        name=text_of(values, "function_name"),
        arn=f"arn:{aws_partition}:lambda:{region}:{account_id}:function:{text_of(values, 'function_name')}",
        handler=text_of(values, "handler"),
        environment=block(values, "environment").get("variables") or {},
        timeout_s=values.get("timeout") or 3,
    )


_PRESTO_VIEW = re.compile(r"^/\* Presto View: (.*) \*/$", re.DOTALL)


def _view(resource: Resource) -> View:
    match = _PRESTO_VIEW.match(resource.values.get("view_original_text") or "")
    if match is None:
        raise PlanError(
            f"{resource.address}: view_original_text is not `/* Presto View: <base64> */`, which Athena's views are."
        )
    try:
        return View(
            text_of(resource.values, "name"), text_of(json.loads(base64.b64decode(match.group(1))), "originalSql")
        )
    except (ValueError, KeyError, AttributeError):
        raise PlanError(
            f"{resource.address}: view_original_text is no base64 of JSON with originalSql, as Athena's views are."
        ) from None


def _saved_query(resource: Resource) -> SavedQuery:
    values = resource.values
    return SavedQuery(text_of(values, "name"), values.get("description") or "", text_of(values, "query"))
