"""What a plan and Firehose say of the stream, side by side."""

from auditlake.aws_stack import Promise
from auditlake.doctor_aws.outcome import State, compared
from auditlake.doctor_aws.stream import deployed_facts, planned_facts
from auditlake.runtime.planned import plan_text, read_resources


def test_a_stream_that_does_nothing_differs_in_everything() -> None:
    """Every fact that the default plan knows is compared; a bare destination has none of them."""
    promise = Promise("plan", tuple(read_resources(*plan_text())))
    promised = planned_facts(promise.one("aws_kinesis_firehose_delivery_stream"))
    bare = deployed_facts({"DeliveryStreamStatus": "DELETING", "Destinations": [{}]})
    found = list(compared("s", promised, bare))
    assert len(found) == len(promised)
    assert {one.state for one in found} == {State.DIFFERS}


def test_firehose_leaves_enabled_out() -> None:
    """A conversion that does not say that it is disabled is enabled."""
    destination = {
        "DataFormatConversionConfiguration": {"SchemaConfiguration": {"DatabaseName": "a", "TableName": "b"}}
    }
    described = {"DeliveryStreamStatus": "ACTIVE", "Destinations": [{"ExtendedS3DestinationDescription": destination}]}
    facts = deployed_facts(described)
    assert (facts["conversion enabled"], facts["conversion table"]) == (True, "a.b")
