"""What of a plan the runtime implements."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.errors import PlanError
from auditlake.runtime.support import SUPPORT, check_support


@dataclass(frozen=True)
class Planned:
    """A resource of a plan."""

    type: str
    values: dict[str, Any] = field(default_factory=dict)
    address: str = "module.delivery.the.resource"


def stream(**members: Any) -> Planned:  # noqa: ANN401 - any JSON
    """A delivery stream with these members of its S3 configuration."""
    return Planned(
        "aws_kinesis_firehose_delivery_stream",
        {"name": "s", "destination": "extended_s3", "extended_s3_configuration": [{"prefix": "p/", **members}]},
    )


def conversion(**members: Any) -> Planned:  # noqa: ANN401 - any JSON
    """A delivery stream with these members of its format conversion."""
    return stream(data_format_conversion_configuration=[{"enabled": True, **members}])


@pytest.mark.parametrize(
    ("planned", "words"),
    [
        (
            stream(s3_backup_mode="Enabled", s3_backup_configuration=[{"compression_format": "HADOOP_SNAPPY"}]),
            "s3_backup_configuration.compression_format = 'HADOOP_SNAPPY' is not implemented, only 'UNCOMPRESSED' or",
        ),
        (stream(compression_format="GZIP"), "compression_format = 'GZIP'"),
        (stream(brand_new_setting="x"), "extended_s3_configuration.brand_new_setting = 'x' is not implemented"),
        (
            stream(processing_configuration=[{"enabled": True, "processors": [{"type": "MetadataExtraction"}]}]),
            "processors.type = 'MetadataExtraction' is not implemented, only 'Lambda'",
        ),
        (
            stream(dynamic_partitioning_configuration=[{"enabled": False}]),
            "dynamic_partitioning_configuration.enabled = False is not implemented, only True",
        ),
        (
            conversion(
                input_format_configuration=[{"deserializer": [{"hive_json_ser_de": [{"timestamp_formats": None}]}]}]
            ),
            "deserializer.hive_json_ser_de is not implemented",
        ),
        (
            conversion(output_format_configuration=[{"serializer": [{"orc_ser_de": [{"compression": "SNAPPY"}]}]}]),
            "serializer.orc_ser_de is not implemented",
        ),
        (
            Planned(
                "aws_kinesis_firehose_delivery_stream", {"msk_source_configuration": [{"kinesis_stream_arn": "a"}]}
            ),
            "msk_source_configuration is not implemented",
        ),
        (
            Planned("aws_s3_bucket_versioning", {"bucket": "b", "versioning_configuration": [{"status": "Suspended"}]}),
            "versioning_configuration.status = 'Suspended' is not implemented, only 'Enabled'",
        ),
        (
            Planned("aws_s3_bucket", {"versioning": [{"enabled": True, "mfa_delete": True}]}),
            "versioning.mfa_delete = True is not implemented",
        ),
        (
            Planned("aws_api_gateway_rest_api", {"body": "{}", "binary_media_types": ["image/png"]}),
            "binary_media_types is not implemented",
        ),
        (Planned("aws_apigatewayv2_api"), "the resource type aws_apigatewayv2_api is not implemented"),
        (Planned("aws_sqs_queue"), "the resource type aws_sqs_queue is not implemented"),
        (Planned("aws_lambda_function", {"layers": ["arn"]}), "layers is not implemented"),
        (Planned("aws_lambda_function", {"runtime": "nodejs22.x"}), "runtime = 'nodejs22.x'"),
    ],
)
def test_what_is_not_implemented_is_named_with_its_resource(planned: Planned, words: str) -> None:
    """The error holds the resource's address, the attribute and its value."""
    with pytest.raises(PlanError) as caught:
        check_support([planned])

    assert "module.delivery.the.resource: " in str(caught.value)
    assert words in str(caught.value)


def test_every_complaint_is_told_at_once() -> None:
    """Two faults are two lines, so that nobody mends them one start at a time."""
    with pytest.raises(PlanError) as caught:
        check_support([Planned("aws_sqs_queue"), stream(compression_format="GZIP", s3_backup_mode="All")])

    assert str(caught.value).count("\n  module.") == 3


def test_every_option_of_the_openx_serde_is_implemented() -> None:
    """Case, dots and mappings pass, switched on or off (D3)."""
    options = {
        "case_insensitive": False,
        "convert_dots_in_json_keys_to_underscores": True,
        "column_to_json_key_mappings": {"ts": "timestamp"},
    }
    check_support([conversion(input_format_configuration=[{"deserializer": [{"open_x_json_ser_de": [options]}]}])])


def test_what_asks_for_nothing_is_fine() -> None:
    """Null, empty and false attributes pass, whatever their names; only a switch that must be on may not be off."""
    check_support([stream(unknown_a=None, unknown_b=[], unknown_c={}, unknown_d="", unknown_e=False)])


@given(st.sampled_from(sorted(SUPPORT)), st.text(min_size=1), st.integers(1))
def test_no_unknown_attribute_of_an_implemented_type_passes(resource_type: str, name: str, value: int) -> None:
    """An attribute that the table does not hold is refused, unless the whole type changes nothing here."""
    support = SUPPORT[resource_type]
    if not isinstance(support, Mapping) or name in support:
        return
    with pytest.raises(PlanError):
        check_support([Planned(resource_type, {name: value})])
