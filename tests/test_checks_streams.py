"""The delivery streams of a plan, as the checks see them."""

from auditlake.checks.streams import streams
from tests.broken_plans import Draft


def test_a_stream_knows_what_belongs_to_it() -> None:
    """Its function, bucket, table and region are found by the names that the plan composes."""
    planned = Draft().planned
    (stream,) = streams(planned)
    found = [stream.function(planned), stream.bucket(planned), stream.table(planned)]

    assert [resource.address for resource in found if resource] == [
        "module.delivery.aws_lambda_function.transform",
        "module.storage.aws_s3_bucket.events",
        "module.catalog.aws_glue_catalog_table.events",
    ]
    assert stream.region() == "us-east-1"


def test_what_is_linked_by_unknown_ids_is_not_guessed() -> None:
    """With two buckets and two functions, and ARNs known only after the apply, nothing belongs to the stream."""
    draft = Draft()
    del draft.s3["bucket_arn"]
    del draft.processors[0]["parameters"][0]["parameter_value"]
    del draft.conversion["schema_configuration"][0]["table_name"]
    planned = draft.planned
    (stream,) = streams(planned)

    assert (stream.function(planned), stream.bucket(planned), stream.table(planned)) == (None, None, None)
    assert stream.region() == "us-east-1"


def test_conversion_is_on_and_processing_off_where_the_plan_says_nothing() -> None:
    """`enabled` left out means on for format conversion and off for processing (D1.6)."""
    draft = Draft()
    draft.conversion["enabled"] = None
    draft.s3["processing_configuration"][0]["enabled"] = None
    (stream,) = streams(draft.planned)
    assert stream.conversion
    assert not stream.processing


def test_a_stream_to_another_destination_is_left_alone() -> None:
    """The checks are about extended S3 destinations; a stream without one is none of theirs."""
    draft = Draft()
    draft.stream.update(destination="http_endpoint", extended_s3_configuration=[])
    assert list(streams(draft.planned)) == []
    assert [finding.check for finding in draft.findings()] == []


def test_a_parameter_is_missing_only_when_all_are_known() -> None:
    """A processor whose parameters are not known before the apply lacks none."""
    draft = Draft()
    del draft.processors[0]["parameters"]
    (stream,) = streams(draft.planned)
    (processor,) = stream.processors
    assert not processor.lacks("LambdaArn")
    assert processor.get("LambdaArn") is None
