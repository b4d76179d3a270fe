"""The path: eight stages from POST to SELECT, the same on AWS and on one machine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from auditlake.runtime.plan import MIB, Plan
from auditlake.runtime.planned import Resource

_INTEGRATION = "x-amazon-apigateway-integration"
_VALIDATOR = "x-amazon-apigateway-request-validator"


@dataclass(frozen=True)
class Stage:
    """One stage: the file that does it here, what does it on AWS by the plan's addresses, and its settings."""

    name: str
    file: str
    resource: Callable[[Plan, Sequence[Resource]], str]
    settings: Callable[[Plan], str]


@dataclass(frozen=True)
class Route:
    """A method of the API that takes events; `function` is the ARN of the Lambda it hands them to, None for none."""

    path: str
    validator: str | None
    function: str | None


def _routes(plan: Plan) -> list[Route]:
    """Return the methods that take events, whatever the plan calls them: all that hand on what they are sent."""
    routes = []
    for path, operations in plan.api.document["paths"].items():
        for operation in operations.values():
            integration = operation.get(_INTEGRATION, {}) if isinstance(operation, Mapping) else {}
            kind, uri = str(integration.get("type", "")).lower(), str(integration.get("uri", ""))
            if kind in ("aws", "aws_proxy"):
                arn = uri.partition("/functions/")[2].removesuffix("/invocations")
                validator = operation.get(_VALIDATOR, plan.api.document.get(_VALIDATOR))
                routes.append(Route(path, validator, arn or None))
    return routes


def _address(resources: Sequence[Resource], kind: str, attribute: str | None = None, value: object = None) -> str:
    """Return the address of the plan's resource of a type, by an attribute's value where there may be several."""
    found = [
        one.address
        for one in resources
        if one.type == kind and (attribute is None or one.values.get(attribute) == value)
    ]
    return ", ".join(found) or f"no {kind} of the plan"


def _function(plan: Plan, resources: Sequence[Resource], arn: str) -> str:
    return _address(resources, "aws_lambda_function", "function_name", plan.function(arn).name)


def _api(_plan: Plan, resources: Sequence[Resource]) -> str:
    return _address(resources, "aws_api_gateway_rest_api")


def _validators(plan: Plan, resources: Sequence[Resource]) -> str:
    """Return who validates each route: the API's own validator where the method has one, else the Lambda behind it."""
    parts = []
    for route in _routes(plan):
        if route.validator is not None:
            parts.append(f"{route.path}: request validator and model in the body of {_api(plan, resources)}")
        elif route.function is not None:
            parts.append(f"{route.path}: {_function(plan, resources, route.function)}")
    return "; ".join(parts)


def _deliverers(plan: Plan, resources: Sequence[Resource]) -> str:
    """Return what puts the events of each route into the stream."""
    return "; ".join(
        f"{route.path}: service integration of {_api(plan, resources)}"
        if route.function is None
        else f"{route.path}: {_function(plan, resources, route.function)}"
        for route in _routes(plan)
    )


def _transformer(plan: Plan, resources: Sequence[Resource]) -> str:
    return _function(plan, resources, plan.stream.processor.function_arn)


def _stream(plan: Plan, resources: Sequence[Resource]) -> str:
    return _address(resources, "aws_kinesis_firehose_delivery_stream", "name", plan.stream.name)


def _partitioner(plan: Plan, resources: Sequence[Resource]) -> str:
    return f"dynamic partitioning of {_stream(plan, resources)}"


def _converter(plan: Plan, resources: Sequence[Resource]) -> str:
    table = _address(resources, "aws_glue_catalog_table", "name", plan.table.name)
    return f"record format conversion of {_stream(plan, resources)} by {table}"


def _storage(plan: Plan, resources: Sequence[Resource]) -> str:
    return _address(resources, "aws_s3_bucket", "bucket", plan.bucket.name)


def _workgroup(_plan: Plan, resources: Sequence[Resource]) -> str:
    return _address(resources, "aws_athena_workgroup")


def _post(plan: Plan) -> str:
    throttle = plan.api.throttle
    paths = ", ".join(plan.api.document["paths"])
    return f"{paths}; " + (f"{throttle.rate:g} requests/s, burst {throttle.burst}" if throttle else "no throttle")


def _validate(plan: Plan) -> str:
    """Say how each route validates; the receiver does it by the transform's own code."""
    by_model = [route.path for route in _routes(plan) if route.validator is not None]
    by_code = [route.path for route in _routes(plan) if route.validator is None and route.function is not None]
    said = []
    if by_model:
        required = plan.api.document["components"]["schemas"]["Event"]["required"]
        said.append(f"{', '.join(by_model)}: JSON Schema draft 4: {', '.join(required)} required")
    if by_code:
        said.append(f"{', '.join(by_code)}: by the transform's own code, an answer for each event")
    return "; ".join(said)


def _deliver(plan: Plan) -> str:
    direct = [route.path for route in _routes(plan) if route.function is None]
    how = f"{', '.join(direct)} without a Lambda" if direct else "each route through the receiver Lambda"
    source = plan.stream.source
    read = f"data stream {source.name} read by " if source is not None else ""
    return f"{read}stream {plan.stream.name}; {how}; 202 once durable"


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
    return f"s3://{plan.bucket.name}; an object at {size} MiB or {interval} s; {locked}{_backup(plan)}"


def _backup(plan: Plan) -> str:
    """Say where records go as they came, before the transform; nothing where source backup is disabled."""
    backup = plan.stream.backup
    if backup is None:
        return ""
    size = backup.buffer_size_bytes // MIB
    return (
        f"; source backup under {backup.prefix or 'no prefix'}, {backup.compression}, at {size} MiB or "
        f"{backup.buffer_interval_s} s"
    )


def _query(plan: Plan) -> str:
    return f"{len(plan.saved_queries)} saved queries, {len(plan.views)} views"


STAGES = (
    Stage("post", "runtime/post.py", _api, _post),
    Stage("validate", "runtime/validate.py", _validators, _validate),
    Stage("deliver", "runtime/deliver.py", _deliverers, _deliver),
    Stage("transform", "runtime/transform.py", _transformer, _transform),
    Stage("partition", "runtime/partition.py", _partitioner, _partition),
    Stage("convert", "runtime/convert.py", _converter, _convert),
    Stage("store", "runtime/store.py", _storage, _store),
    Stage("query", "runtime/query.py", _workgroup, _query),
)
"""The path, in order."""
