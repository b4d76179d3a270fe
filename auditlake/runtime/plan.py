"""The parts of a Terraform plan that the runtime is made of; `plan_reader.py` reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from auditlake.errors import PlanError

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
