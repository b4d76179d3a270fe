"""The runtime's configuration: a Terraform plan, read once into typed parts.

`terraform show -json PLAN` is the only input. What the runtime neither implements nor knows to be harmless on one
machine is refused when the plan is read (`support.py`), so that nothing is silently less than on AWS.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from auditlake.errors import PlanError
from auditlake.runtime.door import unenforced
from auditlake.runtime.support import check_support
from auditlake.runtime.web_acl import acl_rules

MIB = 1024 * 1024


@dataclass(frozen=True)
class Column:
    """A column of the Glue table; `type` is a Hive type such as `array<string>`."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True)
class Table:
    """The Glue table that records are converted for and queries read."""

    database: str
    name: str
    columns: tuple[Column, ...]
    partition_keys: tuple[Column, ...]


@dataclass(frozen=True)
class View:
    """A view of the Glue catalog; `sql` is its SELECT in Athena's dialect."""

    name: str
    sql: str


@dataclass(frozen=True)
class SavedQuery:
    """A named query of the Athena workgroup; `description` is the question it answers."""

    name: str
    description: str
    sql: str


@dataclass(frozen=True)
class OpenX:
    """The options of the OpenX JSON SerDe (D3, documented); the mappings are pairs of column and JSON key."""

    case_insensitive: bool = True
    convert_dots_in_json_keys_to_underscores: bool = False
    column_to_json_key_mappings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Conversion:
    """How JSON is read (D3), and how Parquet is written (D6): codec, sizes in bytes, dictionary, format version."""

    compression: str = "SNAPPY"
    page_size_bytes: int = MIB
    row_group_size_bytes: int = 256 * MIB
    dictionary: bool = False
    writer_version: str = "V1"
    openx: OpenX = OpenX()


@dataclass(frozen=True)
class LambdaProcessor:
    """The Lambda processor of the delivery stream, with its own buffer (B3)."""

    function_arn: str
    buffer_size_bytes: int = MIB
    buffer_interval_s: int = 60
    retries: int = 3


@dataclass(frozen=True)
class KinesisStream:
    """A Kinesis data stream that the delivery stream reads; `key_id` is None where it is not encrypted."""

    name: str
    arn: str
    mode: str
    retention_hours: int
    key_id: str | None


@dataclass(frozen=True)
class SourceBackup:
    """The source backup: records as they came, before the transform, with a buffer of their own (B6, documented)."""

    prefix: str
    compression: str
    buffer_size_bytes: int
    buffer_interval_s: int


@dataclass(frozen=True)
class DeliveryStream:
    """The delivery stream: where records wait, how long, and where they go."""

    name: str
    arn: str
    region: str
    prefix: str
    error_output_prefix: str
    custom_time_zone: str
    file_extension: str | None
    buffer_size_bytes: int
    buffer_interval_s: int
    bucket: str
    processor: LambdaProcessor
    conversion: Conversion
    encrypted: bool = False
    role_arn: str = ""
    source: KinesisStream | None = None
    """The data stream that it reads; None for DirectPut, which takes what is put to it."""
    backup: SourceBackup | None = None
    """Where its records go untransformed; None where source backup is disabled."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """The resource's attributes as they are planned, for who asks what the stream was created with."""


@dataclass(frozen=True)
class Function:
    """A Lambda function of the plan; `handler` is `module.function`."""

    name: str
    arn: str
    handler: str
    environment: Mapping[str, str]
    timeout_s: int


@dataclass(frozen=True)
class ObjectLock:
    """The default retention of the bucket."""

    mode: str
    days: int


@dataclass(frozen=True)
class Bucket:
    """The bucket that holds the events; `object_lock` is None where the plan switches it off.

    `lifecycle` are the names of its rules that expire objects or move them to another class of storage.
    """

    name: str
    object_lock: ObjectLock | None
    lifecycle: tuple[str, ...] = ()

    def notices(self) -> tuple[str, ...]:
        """Return what the plan asks of the bucket and S3 alone does, as sentences for the user at start."""
        if not self.lifecycle:
            return ()
        rules = "rule" if len(self.lifecycle) == 1 else "rules"
        return (
            f"The plan's lifecycle ({rules} {', '.join(self.lifecycle)}) is S3's: here nothing expires or moves "
            "to another class of storage.",
        )


@dataclass(frozen=True)
class Throttle:
    """The stage's throttle: requests a second, and how many may come at once."""

    rate: float
    burst: int


ACCOUNT_THROTTLE = Throttle(rate=10_000, burst=5_000)
"""The quota of an account in most regions, which holds for all methods together (F5, documented)."""


@dataclass(frozen=True)
class Api:
    """The REST API: its OpenAPI document is the HTTP contract.

    `throttle` is the stage's default for each method, `method_throttles` holds the methods' own, by `path/METHOD`;
    `web_acl` are the rules of the web ACL before it, by priority; `unenforced` are sentences about what only AWS does.
    """

    name: str
    document: Mapping[str, Any]
    stage: str
    throttle: Throttle | None
    method_throttles: Mapping[str, Throttle] = field(default_factory=dict)
    stage_variables: Mapping[str, str] = field(default_factory=dict)
    web_acl: tuple[Mapping[str, Any], ...] = ()
    unenforced: tuple[str, ...] = ()

    def notices(self) -> tuple[str, ...]:
        """Return what the plan asks of the door and AWS alone does, as sentences for the user at start."""
        return self.unenforced


@dataclass(frozen=True)
class Plan:
    """All that the runtime takes from a Terraform plan."""

    api: Api
    stream: DeliveryStream
    functions: tuple[Function, ...]
    table: Table
    views: tuple[View, ...]
    saved_queries: tuple[SavedQuery, ...]
    bucket: Bucket
    region: str
    account_id: str

    def function(self, arn: str) -> Function:
        """Return the function that an ARN names, with or without a version; raises PlanError."""
        for function in self.functions:
            if arn == function.arn or arn.startswith(function.arn + ":"):
                return function
        raise PlanError(f"The plan uses the Lambda function {arn}, but has no aws_lambda_function with that ARN.")


@dataclass(frozen=True)
class Resource:
    """A resource of the plan: its address, its type and its planned values."""

    address: str
    type: str
    values: Mapping[str, Any]


def load_plan(path: Path | None = None) -> Plan:
    """Read the plan at `path`, or the plan of the defaults that the package keeps; raises PlanError."""
    return parse_plan(*plan_text(path))


def plan_text(path: Path | None = None) -> tuple[str, str]:
    """Return the JSON of the plan at `path`, or of the defaults, and what to call it in errors; raises PlanError."""
    if path is None:
        text = resources.files("auditlake.runtime").joinpath("default_plan.json").read_text(encoding="utf-8")
        return text, "the default plan"
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except OSError as error:
        raise PlanError(f"The plan {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise PlanError(
            f"{path} is not JSON; if it is a plan file, run: terraform show -json {path} > plan.json"
        ) from None


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


def read_resources(text: str, source: str) -> list[Resource]:
    """Return every managed resource of the plan with its planned values; raises PlanError when it is no plan."""
    try:
        document = json.loads(text)
        return list(_walk(document["planned_values"]["root_module"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PlanError(
            f"{source} is not a Terraform plan in JSON; make one with: "
            "terraform plan -out tfplan && terraform show -json tfplan > plan.json"
        ) from None


def _walk(module: Mapping[str, Any]) -> Iterator[Resource]:
    for resource in module.get("resources", ()):
        if resource.get("mode") == "managed":
            yield Resource(resource["address"], resource["type"], resource["values"])
    for child in module.get("child_modules", ()):
        yield from _walk(child)


_LIFECYCLE_ACTIONS = ("expiration", "noncurrent_version_expiration", "noncurrent_version_transition", "transition")


class _Reader:
    """Turns resources into the parts of a Plan; every complaint names the resource."""

    def __init__(self, resources: list[Resource], source: str) -> None:
        self._resources = resources
        self._source = source

    def plan(self) -> Plan:
        stream_resource = self._one("aws_kinesis_firehose_delivery_stream")
        processor = _processor(stream_resource)
        # The plan does not know the stream's ARN yet; that of its transform says account and region.
        _, aws_partition, _, region, account_id, _ = _arn_parts(stream_resource, processor.function_arn)
        arn = (
            f"arn:{aws_partition}:firehose:{region}:{account_id}:deliverystream/{_text(stream_resource.values, 'name')}"
        )
        stream = _stream(stream_resource, arn, region, processor, self._role_arn(stream_resource, aws_partition))
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
        known = _block(stream.values, "extended_s3_configuration").get("role_arn")
        if known:
            return str(known)
        for role in self._all("aws_iam_role"):
            if "firehose.amazonaws.com" in str(role.values.get("assume_role_policy")):
                account_id = _processor(stream).function_arn.split(":")[4]
                return f"arn:{aws_partition}:iam::{account_id}:role/{_known(role, 'name')}"
        raise PlanError(
            f"{stream.address}: role_arn is not known in the plan, and no aws_iam_role of the plan may be assumed by "
            "firehose.amazonaws.com, without which the stream cannot work on AWS."
        )

    def _source_of(self, stream: Resource) -> KinesisStream | None:
        """Return the data stream that the delivery stream reads; raises PlanError for one that nothing reads."""
        source = _block(stream.values, "kinesis_source_configuration")
        arn = str(_text(source, "kinesis_stream_arn")) if source else ""
        found = None
        for resource in self._all("aws_kinesis_stream"):
            if not arn.endswith(f":stream/{_text(resource.values, 'name')}"):
                raise PlanError(
                    f"{resource.address} is not what {stream.address} reads; the runtime has a data stream only "
                    "before the delivery stream: name it in kinesis_source_configuration, or leave it out."
                )
            found = _kinesis_stream(resource, arn)
        if source and found is None:
            raise PlanError(f"{stream.address} reads {arn}, which is no aws_kinesis_stream of the plan.")
        if found is not None and _block(stream.values, "server_side_encryption").get("enabled"):
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
            _text(r.values, "method_path").replace("~1", "/").strip("/"): throttle
            for r in self._all("aws_api_gateway_method_settings")
            if (throttle := _throttle(_block(r.values, "settings"))) is not None
        }
        return Api(
            name=_text(resource.values, "name"),
            document=_document(resource),
            stage=_text(stage, "stage_name"),
            throttle=throttles.pop("*/*", None),
            method_throttles=throttles,
            stage_variables=stage.get("variables") or {},
            web_acl=tuple(acl_rules(acl.values) if (acl := self._at_most_one("aws_wafv2_web_acl")) else ()),
            unenforced=tuple(unenforced(self._resources, _document(resource))),
        )

    def _at_most_one(self, resource_type: str) -> Resource | None:
        return self._one(resource_type) if self._all(resource_type) else None

    def _table(self, stream: Resource) -> Table:
        conversion = _block(_block(stream.values, "extended_s3_configuration"), "data_format_conversion_configuration")
        schema = _block(conversion, "schema_configuration")
        wanted = _text(schema, "database_name"), _text(schema, "table_name")
        for resource in self._glue_tables("EXTERNAL_TABLE"):
            values = resource.values
            database, name = _text(values, "database_name"), _text(values, "name")
            if (database, name) == wanted:
                storage = _block(values, "storage_descriptor")
                return Table(
                    database=database,
                    name=name,
                    columns=_columns(_blocks(storage, "columns")),
                    partition_keys=_columns(_blocks(values, "partition_keys")),
                )
        raise PlanError(
            f"{stream.address} converts for the table {'.'.join(wanted)}, "
            "which is no aws_glue_catalog_table of the plan."
        )

    def _bucket(self, name: str) -> Bucket:
        if name not in [_text(r.values, "bucket") for r in self._all("aws_s3_bucket")]:
            raise PlanError(f"The delivery stream writes to the bucket {name}, which is no aws_s3_bucket of the plan.")
        lifecycle = tuple(self._lifecycle(name))
        for lock in self._locks(name):
            if lock.get("rule"):
                retention = _block(_block(lock, "rule"), "default_retention")
                days = retention.get("days") or 365 * (retention.get("years") or 0)
                return Bucket(name, ObjectLock(_text(retention, "mode"), days), lifecycle)
        return Bucket(name, None, lifecycle)

    def _locks(self, bucket: str) -> Iterator[Mapping[str, Any]]:
        """Yield the bucket's lock as a resource of its own, then as a block of the bucket."""
        for resource in self._all("aws_s3_bucket_object_lock_configuration"):
            if resource.values.get("bucket") in (None, bucket):
                yield resource.values
        for resource in self._all("aws_s3_bucket"):
            if resource.values.get("bucket") == bucket:
                yield _block(resource.values, "object_lock_configuration")

    def _lifecycle(self, bucket: str) -> Iterator[str]:
        """Yield the names of the bucket's rules that expire or move objects; a plan may not know the bucket yet."""
        rules = [
            rule
            for resource in self._all("aws_s3_bucket_lifecycle_configuration")
            if resource.values.get("bucket") in (None, bucket)
            for rule in _blocks(resource.values, "rule")
        ] or [
            # A bucket that stands repeats here what its own resource says.
            rule
            for resource in self._all("aws_s3_bucket")
            if resource.values.get("bucket") == bucket
            for rule in _blocks(resource.values, "lifecycle_rule")
        ]
        for rule in rules:
            enabled = rule.get("status") == "Enabled" or rule.get("enabled") is True
            if enabled and any(rule.get(action) for action in _LIFECYCLE_ACTIONS):
                yield str(rule.get("id") or "without a name")


def _block(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the one block of that name; Terraform plans a block as a list of one. Empty when it is not there."""
    return next(iter(_blocks(values, name)), {})


def _blocks(values: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the blocks of that name."""
    blocks = values.get(name)
    one_or_more = blocks if isinstance(blocks, list) else [blocks]
    return [block for block in one_or_more if isinstance(block, Mapping)]


def _text(values: Mapping[str, Any], name: str) -> str:
    """Return a text that the runtime needs; raises KeyError when the plan does not know it."""
    if not isinstance(values.get(name), str):
        raise KeyError(name)
    return str(values[name])


def _number(values: Mapping[str, Any], name: str) -> int:
    """Return a number that the runtime needs; raises KeyError when the plan does not know it."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise KeyError(name)
    return int(value)


def _document(resource: Resource) -> Mapping[str, Any]:
    """Return the OpenAPI document of a REST API, which Terraform plans as JSON text; raises PlanError."""
    try:
        document = json.loads(_known(resource, "body"))
    except ValueError as error:
        raise PlanError(
            f"{resource.address}: body is not JSON ({error}); the runtime reads a document in JSON."
        ) from None
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise PlanError(f"{resource.address}: body is no OpenAPI document: it has no object `paths`.")
    return document


def _known(resource: Resource, attribute: str) -> str:
    value = resource.values.get(attribute)
    if not isinstance(value, str):
        raise PlanError(
            f"{resource.address}: {attribute} is not known in the plan, and the runtime needs it: "
            "compose it from known names."
        )
    return value


def _throttle(settings: Mapping[str, Any]) -> Throttle | None:
    """Return a method's throttle; -1, which stands for the account's quota, is none of its own."""
    rate, burst = settings.get("throttling_rate_limit"), settings.get("throttling_burst_limit")
    if not isinstance(rate, int | float) or rate < 0:
        return None
    return Throttle(rate, burst if isinstance(burst, int) and burst >= 0 else ACCOUNT_THROTTLE.burst)


def _columns(blocks: list[Mapping[str, Any]]) -> tuple[Column, ...]:
    return tuple(Column(_text(block, "name"), _text(block, "type"), block.get("comment") or "") for block in blocks)


def _stream(resource: Resource, arn: str, region: str, processor: LambdaProcessor, role_arn: str) -> DeliveryStream:
    s3 = _block(resource.values, "extended_s3_configuration")
    time_zone = s3.get("custom_time_zone") or "UTC"
    return DeliveryStream(
        name=_text(resource.values, "name"),
        arn=arn,
        region=region,
        prefix=_text(s3, "prefix"),
        error_output_prefix=_text(s3, "error_output_prefix"),
        custom_time_zone=time_zone,
        file_extension=s3.get("file_extension") or None,
        buffer_size_bytes=_number(s3, "buffering_size") * MIB,
        buffer_interval_s=_number(s3, "buffering_interval"),
        bucket=_text(s3, "bucket_arn").rsplit(":", 1)[-1],
        processor=processor,
        conversion=_conversion(_block(s3, "data_format_conversion_configuration")),
        encrypted=bool(_block(resource.values, "server_side_encryption").get("enabled")),
        role_arn=role_arn,
        backup=_source_backup(resource.address, s3),
        attributes=resource.values,
    )


def _source_backup(address: str, s3: Mapping[str, Any]) -> SourceBackup | None:
    """Return the source backup of a stream; raises PlanError for one that has no place, or another's."""
    if s3.get("s3_backup_mode") != "Enabled":
        return None
    backup = _block(s3, "s3_backup_configuration")
    if not backup:
        raise PlanError(
            f"{address}: s3_backup_configuration is missing, and s3_backup_mode is Enabled: say where the records go."
        )
    bucket, prefix = _text(backup, "bucket_arn"), backup.get("prefix") or ""
    if bucket != _text(s3, "bucket_arn"):
        raise PlanError(
            f"{address}: extended_s3_configuration.s3_backup_configuration.bucket_arn = {bucket!r} is not implemented, "
            f"only the bucket of the stream itself, {_text(s3, 'bucket_arn')!r}: a data directory has one bucket."
        )
    errors = _text(s3, "error_output_prefix").partition("!{")[0]
    if prefix.startswith(errors):
        raise PlanError(
            f"{address}: extended_s3_configuration.s3_backup_configuration.prefix = {prefix!r} begins as "
            f"error_output_prefix does ({errors!r}), and auditlake redrive would read records of the backup as failed: "
            "give the backup a prefix of its own."
        )
    size, interval = backup.get("buffering_size"), backup.get("buffering_interval")
    return SourceBackup(
        prefix=prefix,
        compression=backup.get("compression_format") or "UNCOMPRESSED",
        # Left out they are 5 MiB and 300 s (API reference, BufferingHints, documented).
        buffer_size_bytes=(5 if size is None else size) * MIB,
        buffer_interval_s=300 if interval is None else interval,
    )


def _kinesis_stream(resource: Resource, arn: str) -> KinesisStream:
    values = resource.values
    return KinesisStream(
        name=_text(values, "name"),
        arn=arn,
        mode=_block(values, "stream_mode_details").get("stream_mode") or "PROVISIONED",
        retention_hours=values.get("retention_period") or 24,
        # A plan does not know the ARN of a key that it makes; the alias stands for it.
        key_id=(values.get("kms_key_id") or "unknown before the apply")
        if values.get("encryption_type") == "KMS"
        else None,
    )


def _processor(resource: Resource) -> LambdaProcessor:
    s3 = _block(resource.values, "extended_s3_configuration")
    processors = _blocks(_block(s3, "processing_configuration"), "processors")
    lambdas = [processor for processor in processors if processor.get("type") == "Lambda"]
    if len(lambdas) != 1:
        raise PlanError(f"{resource.address}: the runtime runs a stream with one processor of type Lambda.")
    blocks = _blocks(lambdas[0], "parameters")
    parameters = {_text(block, "parameter_name"): _text(block, "parameter_value") for block in blocks}

    def number(name: str, default: int) -> float:
        try:
            return float(parameters.get(name, default))
        except ValueError:
            raise PlanError(f"{resource.address}: the parameter {name} = {parameters[name]!r} is no number.") from None

    return LambdaProcessor(
        function_arn=_text(parameters, "LambdaArn"),
        buffer_size_bytes=int(number("BufferSizeInMBs", 1) * MIB),
        buffer_interval_s=int(number("BufferIntervalInSeconds", 60)),
        retries=int(number("NumberOfRetries", 3)),
    )


def _arn_parts(resource: Resource, arn: str) -> list[str]:
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        raise PlanError(
            f"{resource.address}: the parameter LambdaArn = {arn!r} is no ARN, which says account and region."
        )
    return parts


def _conversion(block: Mapping[str, Any]) -> Conversion:
    serializer = _block(_block(block, "output_format_configuration"), "serializer")
    parquet = _block(serializer, "parquet_ser_de")
    return Conversion(
        compression=parquet.get("compression") or "SNAPPY",
        page_size_bytes=parquet.get("page_size_bytes") or MIB,
        row_group_size_bytes=parquet.get("block_size_bytes") or 256 * MIB,
        dictionary=bool(parquet.get("enable_dictionary_compression")),
        writer_version=parquet.get("writer_version") or "V1",
        openx=_openx(_block(_block(block, "input_format_configuration"), "deserializer")),
    )


def _openx(deserializer: Mapping[str, Any]) -> OpenX:
    options = _block(deserializer, "open_x_json_ser_de")
    return OpenX(
        # Left out means true (D3).
        case_insensitive=options.get("case_insensitive") is not False,
        convert_dots_in_json_keys_to_underscores=bool(options.get("convert_dots_in_json_keys_to_underscores")),
        column_to_json_key_mappings=tuple((options.get("column_to_json_key_mappings") or {}).items()),
    )


def _function(resource: Resource, aws_partition: str, region: str, account_id: str) -> Function:
    values = resource.values
    return Function(
        name=_text(values, "function_name"),
        arn=f"arn:{aws_partition}:lambda:{region}:{account_id}:function:{_text(values, 'function_name')}",
        handler=_text(values, "handler"),
        environment=_block(values, "environment").get("variables") or {},
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
        return View(_text(resource.values, "name"), _text(json.loads(base64.b64decode(match.group(1))), "originalSql"))
    except (ValueError, KeyError, AttributeError):
        raise PlanError(
            f"{resource.address}: view_original_text is no base64 of JSON with originalSql, as Athena's views are."
        ) from None


def _saved_query(resource: Resource) -> SavedQuery:
    values = resource.values
    return SavedQuery(_text(values, "name"), values.get("description") or "", _text(values, "query"))
