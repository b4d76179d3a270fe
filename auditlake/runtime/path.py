"""The path: eight stages from POST to SELECT, the same on AWS and on one machine."""

from collections.abc import Callable
from dataclasses import dataclass

from auditlake.runtime.plan import MIB, Plan


@dataclass(frozen=True)
class Stage:
    """One stage: the file that does it here, the resource that does it on AWS, and its settings in a plan."""

    name: str
    file: str
    resource: str
    settings: Callable[[Plan], str]


def _post(plan: Plan) -> str:
    throttle = plan.api.throttle
    paths = ", ".join(plan.api.document["paths"])
    return f"{paths}; " + (f"{throttle.rate:g} requests/s, burst {throttle.burst}" if throttle else "no throttle")


def _validate(plan: Plan) -> str:
    required = plan.api.document["components"]["schemas"]["Event"]["required"]
    return f"JSON Schema draft 4: {', '.join(required)} required"


def _deliver(plan: Plan) -> str:
    return f"stream {plan.stream.name}; 202 once durable"


def _transform(plan: Plan) -> str:
    processor = plan.stream.processor
    size = processor.buffer_size_bytes / MIB
    name = plan.function(processor.function_arn).name
    return f"{name}; {size:g} MiB or {processor.buffer_interval_s} s, {processor.retries} retries"


def _partition(plan: Plan) -> str:
    return plan.stream.prefix


def _convert(plan: Plan) -> str:
    table = plan.table
    return (
        f"Parquet/{plan.stream.conversion.compression}, {len(table.columns)} columns of {table.database}.{table.name}"
    )


def _store(plan: Plan) -> str:
    lock = plan.bucket.object_lock
    locked = f"Object Lock {lock.mode} {lock.days} days" if lock else "no Object Lock"
    size, interval = plan.stream.buffer_size_bytes // MIB, plan.stream.buffer_interval_s
    return f"s3://{plan.bucket.name}; an object at {size} MiB or {interval} s; {locked}"


def _query(plan: Plan) -> str:
    return f"{len(plan.saved_queries)} saved queries, {len(plan.views)} views"


STAGES = (
    Stage("post", "runtime/post.py", "aws_api_gateway_rest_api", _post),
    Stage("validate", "runtime/validate.py", "request validator and model of openapi.yaml", _validate),
    Stage("deliver", "runtime/deliver.py", "service integration firehose:PutRecord", _deliver),
    Stage("transform", "runtime/transform.py", "aws_lambda_function (transform)", _transform),
    Stage(
        "partition", "runtime/partition.py", "dynamic partitioning of aws_kinesis_firehose_delivery_stream", _partition
    ),
    Stage("convert", "runtime/convert.py", "record format conversion by aws_glue_catalog_table", _convert),
    Stage("store", "runtime/store.py", "aws_s3_bucket", _store),
    Stage("query", "runtime/query.py", "aws_athena_workgroup", _query),
)
"""The path, in order."""
