"""What Glue and Athena refuse of a table and a workgroup, when they are made or with every query (D4, G)."""

import re
from collections.abc import Iterator

from auditlake.checks.finding import Check, Known, Place, Planned, Values, not_set, outside, text
from auditlake.runtime.planned import Resource, block, blocks

TABLE = "aws_glue_catalog_table"
WORKGROUP = "aws_athena_workgroup"
MIN_SCAN_CUTOFF_BYTES = 10_000_000  # G
MAX_PARAMETER_CHARACTERS = 512_000  # of a table's parameter, Glue's service model

TEMPLATE = "storage.location.template"
# What each type of projection needs besides its type.
_NEEDS = {"enum": ("values",), "integer": ("range",), "date": ("range", "format"), "injected": ()}


def tables(planned: Planned) -> Iterator[tuple[Resource, Values, list[str]]]:
    """Yield the tables with partition keys: resource, parameters, names of the keys."""
    for resource in planned.of(TABLE):
        keys = [text(key.get("name")) for key in blocks(resource.values, "partition_keys")]
        parameters = resource.values.get("parameters")
        if keys and isinstance(parameters, dict):
            yield resource, parameters, keys


def projected(planned: Planned) -> Iterator[tuple[Resource, Values, list[str]]]:
    """Yield those of the tables that project their partitions."""
    for resource, parameters, keys in tables(planned):
        if text(parameters.get("projection.enabled")).lower() == "true":
            yield resource, parameters, keys


def _projection_missing(planned: Planned) -> Iterator[Place]:
    for resource, parameters, keys in projected(planned):
        for key in keys:
            if f"projection.{key}.type" not in parameters:
                yield Place(resource, f"parameters.projection.{key}.type")


def _projection_type(planned: Planned) -> Iterator[Place]:
    for resource, parameters, keys in projected(planned):
        for key in keys:
            kind = parameters.get(f"projection.{key}.type")
            if isinstance(kind, str) and kind.lower() not in _NEEDS:
                yield Place(resource, f"parameters.projection.{key}.type", kind)


def _projection_settings(planned: Planned) -> Iterator[Place]:
    for resource, parameters, keys in projected(planned):
        for key in keys:
            for need in _NEEDS.get(text(parameters.get(f"projection.{key}.type")).lower(), ()):
                if not parameters.get(f"projection.{key}.{need}"):
                    yield Place(resource, f"parameters.projection.{key}.{need}")


def _projection_range(planned: Planned) -> Iterator[Place]:
    for resource, parameters, keys in projected(planned):
        for key in keys:
            setting = f"projection.{key}.range"
            span = text(parameters.get(setting))
            ends = [end.strip() for end in span.split(",")]
            integers = text(parameters.get(f"projection.{key}.type")).lower() == "integer"
            wrong = len(ends) != 2 or (integers and not _ascending(ends))
            if span and wrong:
                yield Place(resource, f"parameters.{setting}", span)


def _ascending(ends: list[str]) -> bool:
    return all(re.fullmatch(r"-?\d+", end) for end in ends) and int(ends[0]) <= int(ends[1])


def _injected_type(planned: Planned) -> Iterator[Place]:
    for resource, parameters, _ in projected(planned):
        for key in blocks(resource.values, "partition_keys"):
            kind = text(parameters.get(f"projection.{key.get('name')}.type")).lower()
            if kind == "injected" and key.get("type") != "string":
                yield Place(resource, f"partition_keys.{key.get('name')}.type", key.get("type"))


def _template_keys(planned: Planned) -> Iterator[Place]:
    for resource, parameters, keys in projected(planned):
        template = text(parameters.get(TEMPLATE))
        missing = [key for key in keys if f"${{{key}}}" not in template]
        if template and missing:
            yield Place(resource, f"parameters.{TEMPLATE}", f"without ${{{'}, ${'.join(missing)}}}")


def _template_slash(planned: Planned) -> Iterator[Place]:
    for resource, parameters, _ in projected(planned):
        template = text(parameters.get(TEMPLATE))
        if template and not template.endswith("/"):
            yield Place(resource, f"parameters.{TEMPLATE}", template)


def _parameter_size(planned: Planned) -> Iterator[Place]:
    for resource in planned.of(TABLE):
        parameters = resource.values.get("parameters")
        for name, value in (parameters if isinstance(parameters, dict) else {}).items():
            if len(text(value)) > MAX_PARAMETER_CHARACTERS:
                yield Place(resource, f"parameters.{name}", f"{len(value)} characters")


def _cutoff(planned: Planned) -> Iterator[Place]:
    for resource in planned.of(WORKGROUP):
        cutoff = block(resource.values, "configuration").get("bytes_scanned_cutoff_per_query")
        # The provider plans 0 for none.
        if cutoff and outside(cutoff, MIN_SCAN_CUTOFF_BYTES):
            yield Place(resource, "configuration.bytes_scanned_cutoff_per_query", cutoff)


def _result_key(planned: Planned) -> Iterator[Place]:
    path = ("configuration", "result_configuration", "encryption_configuration")
    for resource in planned.of(WORKGROUP):
        encryption = block(resource.values, *path)
        if encryption.get("encryption_option") in ("SSE_KMS", "CSE_KMS") and not_set(encryption, "kms_key_arn"):
            yield Place(resource, f"{'.'.join(path)}.kms_key_arn", encryption["kms_key_arn"])


def _output_location(planned: Planned) -> Iterator[Place]:
    for resource in planned.of(WORKGROUP):
        location = block(resource.values, "configuration", "result_configuration").get("output_location")
        if isinstance(location, str) and location and not location.startswith("s3://"):
            yield Place(resource, "configuration.result_configuration.output_location", location)


_EVERY_QUERY = "and Athena fails every query of the table."

REFUSALS: tuple[Check, ...] = (
    Check(
        "projection-missing",
        "G.1",
        Known.DOCUMENTED,
        _projection_missing,
        f"Partition projection is on, a partition key is not projected, {_EVERY_QUERY}",
        "Give the key projection.KEY.type and what the type needs.",
    ),
    Check(
        "projection-type",
        "G.1",
        Known.DOCUMENTED,
        _projection_type,
        f"A projection's type is enum, integer, date or injected; this is none, {_EVERY_QUERY}",
        "Use one of them.",
    ),
    Check(
        "projection-settings",
        "G.1",
        Known.DOCUMENTED,
        _projection_settings,
        f"A projection lacks what its type needs (enum: values; integer: range; date: range, format), {_EVERY_QUERY}",
        "Add the setting.",
    ),
    Check(
        "projection-range",
        "G.1",
        Known.DOCUMENTED,
        _projection_range,
        f"A projection's range is not two ends, the lower first, {_EVERY_QUERY}",
        "Write it as FIRST,LAST.",
    ),
    Check(
        "projection-injected-type",
        "G.1",
        Known.DOCUMENTED,
        _injected_type,
        f"An injected partition key is no string, {_EVERY_QUERY}",
        "Make the key a string.",
    ),
    Check(
        "location-template-keys",
        "G.2",
        Known.DOCUMENTED,
        _template_keys,
        f"The location template does not hold every partition key, {_EVERY_QUERY}",
        "Put ${KEY} for each partition key into storage.location.template.",
    ),
    Check(
        "location-template-slash",
        "G.2",
        Known.DOCUMENTED,
        _template_slash,
        "The location template does not end with /.",
        "End storage.location.template with /.",
    ),
    Check(
        "table-parameter-size",
        "G.1",
        Known.DOCUMENTED,
        _parameter_size,
        "A table's parameter has at most 512,000 characters.",
        "List fewer values, or use the type injected.",
    ),
    Check(
        "scan-cutoff",
        "G.5",
        Known.DOCUMENTED,
        _cutoff,
        "The scan cutoff is 10000000 bytes or more.",
        "Set bytes_scanned_cutoff_per_query to 10000000 or more.",
    ),
    Check(
        "result-key-missing",
        "G.10",
        Known.OBSERVED,
        _result_key,
        "Results encrypted with KMS need a key.",
        "Set kms_key_arn, or use SSE_S3.",
        "KMS Customer Master Key ID is null or empty",
    ),
    Check(
        "result-location",
        "G.10",
        Known.OBSERVED,
        _output_location,
        "The location of query results is an S3 URI.",
        "Write it as s3://BUCKET/PREFIX/.",
        "OutputLocation is not a valid S3 path.",
    ),
)
"""What of the catalog is refused."""
