"""The plan, read into typed parts."""

import contextlib
import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from auditlake.errors import PlanError
from auditlake.runtime.plan import MIB, Conversion, LambdaProcessor, ObjectLock, OpenX, Plan, Throttle
from auditlake.runtime.plan_reader import load_plan, parse_plan, read_plan
from auditlake.runtime.planned import Resource, read_resources
from auditlake.runtime.support import check_support


@pytest.fixture(scope="module")
def text() -> str:
    """The default plan's JSON."""
    return resources.files("auditlake.runtime").joinpath("default_plan.json").read_text()


def changed(text: str, resource_type: str, **values: Any) -> str:  # noqa: ANN401 - any JSON
    """Return the plan with other values of one resource type."""
    document = json.loads(text)

    def visit(module: dict[str, Any]) -> None:
        for resource in module.get("resources", ()):
            if resource["type"] == resource_type:
                resource["values"].update(values)
        for child in module.get("child_modules", ()):
            visit(child)

    visit(document["planned_values"]["root_module"])
    return json.dumps(document)


def without(text: str, resource_type: str) -> str:
    """Return the plan without a resource type."""
    return text.replace(f'"{resource_type}"', '"aws_iam_role"')


def test_the_default_plan_holds_all_that_the_path_needs(plan: Plan) -> None:
    """Stream, functions, table, view, queries and bucket are read."""
    assert plan.stream.name == "auditlake-events"
    assert plan.stream.arn == "arn:aws:firehose:us-east-1:123456789012:deliverystream/auditlake-events"
    assert plan.stream.bucket == plan.bucket.name == "auditlake-events-123456789012"
    assert plan.stream.buffer_size_bytes % MIB == 0
    assert plan.stream.processor == LambdaProcessor(plan.stream.processor.function_arn, MIB, 60, 3)
    assert plan.stream.conversion.compression == "SNAPPY"
    assert {function.name for function in plan.functions} == {"auditlake-transform", "auditlake-receiver"}
    assert [key.name for key in plan.table.partition_keys] == ["audit_type", "year", "month", "day"]
    assert [view.name for view in plan.views] == ["conflicting_events", "events_deduplicated"]
    assert "everything" in {query.name for query in plan.saved_queries}
    assert plan.bucket.object_lock is not None
    assert plan.api.throttle is not None


def test_a_function_is_found_by_its_arn_with_or_without_a_version(plan: Plan) -> None:
    """The stream names a version, the API does not."""
    function = plan.functions[0]

    assert plan.function(function.arn) == plan.function(f"{function.arn}:$LATEST") == function
    with pytest.raises(PlanError, match="arn:other"):
        plan.function("arn:other")


def test_processor_parameters_replace_the_defaults(text: str) -> None:
    """Buffer and retries of the Lambda processor are the plan's."""
    lambda_arn = load_plan().stream.processor.function_arn
    parameters = {
        "LambdaArn": lambda_arn,
        "BufferSizeInMBs": "0.5",
        "BufferIntervalInSeconds": "90",
        "NumberOfRetries": "1",
    }
    configuration = next(
        r.values for r in read_resources(text, "x") if r.type == "aws_kinesis_firehose_delivery_stream"
    )["extended_s3_configuration"][0]
    configuration["processing_configuration"] = [
        {
            "enabled": True,
            "processors": [
                {
                    "type": "Lambda",
                    "parameters": [{"parameter_name": k, "parameter_value": v} for k, v in parameters.items()],
                }
            ],
        }
    ]
    plan = parse_plan(
        changed(text, "aws_kinesis_firehose_delivery_stream", extended_s3_configuration=[configuration]), "x"
    )

    assert plan.stream.processor == LambdaProcessor(lambda_arn, MIB // 2, 90, 1)


def test_the_options_of_both_serdes_are_the_plans(text: str) -> None:
    """How JSON is read (D3) and Parquet written (D6) stands in the plan; what it leaves out is AWS's default."""
    openx = {
        "case_insensitive": False,
        "convert_dots_in_json_keys_to_underscores": True,
        "column_to_json_key_mappings": {"ts": "timestamp"},
    }
    parquet = {
        "compression": "GZIP",
        "page_size_bytes": 65536,
        "block_size_bytes": 64 * MIB,
        "enable_dictionary_compression": True,
        "max_padding_bytes": 0,
        "writer_version": "V2",
    }

    assert parse_plan(with_serdes(text, openx, parquet), "x").stream.conversion == Conversion(
        "GZIP", 65536, 64 * MIB, True, "V2", OpenX(False, True, (("ts", "timestamp"),))
    )
    assert parse_plan(with_serdes(text, {}, {}), "x").stream.conversion == Conversion(
        "SNAPPY", MIB, 256 * MIB, False, "V1", OpenX(True, False, ())
    )


def with_serdes(text: str, openx: dict[str, Any], parquet: dict[str, Any]) -> str:
    """Return the plan with these options of the deserializer and the serializer."""
    configuration = next(
        r.values for r in read_resources(text, "x") if r.type == "aws_kinesis_firehose_delivery_stream"
    )["extended_s3_configuration"][0]
    configuration["data_format_conversion_configuration"][0] |= {
        "input_format_configuration": [{"deserializer": [{"open_x_json_ser_de": [openx]}]}],
        "output_format_configuration": [{"serializer": [{"parquet_ser_de": [parquet]}]}],
    }
    return changed(text, "aws_kinesis_firehose_delivery_stream", extended_s3_configuration=[configuration])


def test_years_of_retention_count_as_days(text: str) -> None:
    """A lock in years is a lock in days."""
    rule = [{"default_retention": [{"mode": "COMPLIANCE", "days": None, "years": 2}]}]

    assert parse_plan(
        changed(text, "aws_s3_bucket_object_lock_configuration", rule=rule), "x"
    ).bucket.object_lock == ObjectLock("COMPLIANCE", 730)


def test_a_plan_without_object_lock_has_none(text: str) -> None:
    """Off is off."""
    assert parse_plan(changed(text, "aws_s3_bucket_object_lock_configuration", rule=[]), "x").bucket.object_lock is None


def with_method_settings(text: str, path: str, rate: float, burst: int) -> str:
    """Return the plan with one more setting of methods."""
    document = json.loads(text)
    resource = {
        "address": "aws_api_gateway_method_settings.more",
        "mode": "managed",
        "type": "aws_api_gateway_method_settings",
        "values": {
            "method_path": path,
            "settings": [{"throttling_rate_limit": rate, "throttling_burst_limit": burst}],
        },
    }
    document["planned_values"]["root_module"].setdefault("resources", []).append(resource)
    return json.dumps(document)


@pytest.mark.parametrize("path", ["events/batch/POST", "/events/batch/POST", "events~1batch/POST"])
def test_methods_have_throttles_of_their_own_beside_the_stages(text: str, path: str) -> None:
    """A setting names a method by its path, as Terraform or as the API writes it; -1 is the account's quota (F5)."""
    default = parse_plan(text, "x").api
    api = parse_plan(with_method_settings(text, path, 5, 10), "x").api

    assert api.throttle == default.throttle
    assert api.method_throttles == {"events/batch/POST": Throttle(5, 10)}
    assert parse_plan(with_method_settings(text, path, -1, -1), "x").api.method_throttles == {}
    unbounded = parse_plan(with_method_settings(text, path, 5, -1), "x").api
    assert unbounded.method_throttles["events/batch/POST"].burst == 5000


def test_stage_variables_are_the_plans(text: str) -> None:
    """What templates find under $stageVariables stands on the stage."""
    assert parse_plan(text, "x").api.stage_variables == {}
    changed_text = changed(text, "aws_api_gateway_stage", variables={"table": "events"})
    assert parse_plan(changed_text, "x").api.stage_variables == {"table": "events"}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"planned_values": null}', "not json"])
def test_what_is_no_plan_is_refused_with_the_command_that_makes_one(content: str) -> None:
    """The sentence says how to get a plan's JSON."""
    with pytest.raises(PlanError, match="terraform show -json"):
        parse_plan(content, "plan.json")


def test_a_binary_plan_file_is_recognised(tmp_path: Path) -> None:
    """Handing over tfplan itself is the likeliest mistake."""
    path = tmp_path / "tfplan"
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(PlanError, match=f"terraform show -json {path}"):
        load_plan(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path and the reason are in the sentence."""
    with pytest.raises(PlanError, match=r"nothing\.json cannot be read: No such file"):
        load_plan(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("resource_type", "words"),
    [
        ("aws_kinesis_firehose_delivery_stream", "0 resources of type aws_kinesis_firehose_delivery_stream"),
        ("aws_api_gateway_rest_api", "0 resources of type aws_api_gateway_rest_api"),
        ("aws_glue_catalog_table", "converts for the table audit.events"),
        ("aws_s3_bucket", "writes to the bucket auditlake-events-123456789012"),
    ],
)
def test_a_plan_that_lacks_a_part_is_refused_by_that_part(text: str, resource_type: str, words: str) -> None:
    """What the path needs and the plan lacks is named."""
    with pytest.raises(PlanError, match=words):
        parse_plan(without(text, resource_type), "x")


def test_an_unknown_body_is_told(text: str) -> None:
    """A plan whose API is only known after apply cannot be run, and the sentence says why."""
    with pytest.raises(PlanError, match="body is not known in the plan"):
        parse_plan(changed(text, "aws_api_gateway_rest_api", body=None), "x")


def test_a_view_that_is_no_athena_view_is_refused(text: str) -> None:
    """Only Athena's own form of a view is read."""
    document = text.replace("/* Presto View: ", "/* Other View: ")
    with pytest.raises(PlanError, match="view_original_text"):
        parse_plan(document, "x")


@pytest.mark.parametrize(
    ("body", "words"), [("{", "body is not JSON"), ("{}", "no object `paths`"), ("[]", "no object")]
)
def test_a_body_that_is_no_document_is_refused(text: str, body: str, words: str) -> None:
    """What cannot be an OpenAPI document is named with its resource, not met with a traceback."""
    with pytest.raises(PlanError, match=words):
        parse_plan(changed(text, "aws_api_gateway_rest_api", body=body), "x")


ANY_VALUE: tuple[Any, ...] = (5, 1.5, "x", [], [None], {"a": 1}, [{"a": 1}], True, None)


def attributes(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - any JSON
    """Yield the way to everything inside of a resource's values."""
    for name in values if isinstance(values, dict) else range(len(values)) if isinstance(values, list) else ():
        yield (*path, name)
        yield from attributes(values[name], (*path, name))


def test_a_value_of_a_wrong_type_is_a_sentence_or_does_no_harm(text: str) -> None:
    """Whatever stands in whichever attribute of the stream, the plan is read or refused, and nothing else is raised."""
    document = json.loads(text)
    modules = document["planned_values"]["root_module"]["child_modules"]
    resources_ = [resource for module in modules for resource in module["resources"]]
    found = [Resource(one["address"], one["type"], one["values"]) for one in resources_]
    tried = 0
    for resource in resources_:
        if resource["type"] in ("aws_glue_catalog_table", "aws_iam_role_policy", "aws_athena_named_query"):
            continue  # many alike, see below
        for path in list(attributes(resource["values"])):
            inner = resource["values"]
            for name in path[:-1]:
                inner = inner[name]
            before = inner[path[-1]]
            for value in ANY_VALUE:
                inner[path[-1]] = value
                with contextlib.suppress(PlanError):
                    check_support([one for one in found if one.values is resource["values"]])
                    read_plan(found, "plan")
                tried += 1
            inner[path[-1]] = before
    assert tried > 1000


@pytest.mark.parametrize(
    ("resource_type", "values", "words"),
    [
        (
            "aws_kinesis_firehose_delivery_stream",
            {"extended_s3_configuration": 5},
            "extended_s3_configuration = 5 is no",
        ),
        ("aws_glue_catalog_table", {"partition_keys": [5]}, "partition_keys = 5 is no block"),
        (
            "aws_glue_catalog_table",
            {"storage_descriptor": [{"columns": [{"name": 1}]}]},
            "columns.name = 1 is not a string",
        ),
        ("aws_api_gateway_stage", {"variables": "x"}, "variables = 'x' is not a map of strings"),
        ("aws_lambda_function", {"timeout": "3"}, "timeout = '3' is not a number"),
        ("aws_lambda_function", {"handler": True}, "handler = True is not a string"),
        ("aws_athena_named_query", {"query": [1]}, "query is not a string"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_type_is_named(text: str, resource_type: str, values: dict[str, Any], words: str) -> None:
    """The sentence says which attribute holds what, and what belongs there."""
    with pytest.raises(PlanError, match=re.escape(words)):
        parse_plan(changed(text, resource_type, **values), "plan")


def test_a_lifecycle_is_told_to_be_s3s(text: str, plan: Plan) -> None:
    """The rules that expire or move objects are named at start; without any there is nothing to say."""
    (notice,) = plan.bucket.notices()
    assert "(rules archive, noncurrent) is S3's: here nothing expires or moves" in notice
    none = parse_plan(changed(text, "aws_s3_bucket_lifecycle_configuration", rule=[]), "plan")
    assert none.bucket.notices() == ()


def test_a_bucket_that_says_it_all_itself_is_read(text: str) -> None:
    """Lock and lifecycle as blocks of the bucket count where no resource of its own has any."""
    lock = [{"object_lock_enabled": "Enabled", "rule": [{"default_retention": [{"mode": "COMPLIANCE", "years": 2}]}]}]
    moves = [{"id": "cold", "enabled": True, "transition": [{"days": 90, "storage_class": "GLACIER"}]}]
    off = [{"id": "off", "enabled": False, "expiration": [{"days": 1}]}]
    inline = changed(text, "aws_s3_bucket", object_lock_configuration=lock, lifecycle_rule=[*moves, *off])
    both = parse_plan(inline, "plan").bucket
    assert both == parse_plan(text, "plan").bucket
    without_rules = changed(inline, "aws_s3_bucket_lifecycle_configuration", rule=[])
    alone = parse_plan(changed(without_rules, "aws_s3_bucket_object_lock_configuration", rule=[]), "plan").bucket
    assert (alone.object_lock, alone.lifecycle) == (ObjectLock("COMPLIANCE", 730), ("cold",))
