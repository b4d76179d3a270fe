"""The request validator."""

import json
from typing import Any

import pytest

from auditlake.errors import PlanError
from auditlake.runtime.exchange import GatewayError, Operation, Request
from auditlake.runtime.plan import Plan
from auditlake.runtime.validate import Validator

GOOD = {"eventType": "login", "timestamp": "2026-11-24T03:00:00Z", "actor": {"userId": "u"}}


def validator(plan: Plan) -> Validator:
    """The validator of POST /events."""
    return Validator(plan.api.document, Operation("POST", "/events", plan.api.document["paths"]["/events"]["post"]))


def complaint(plan: Plan, body: bytes, content_type: str = "application/json") -> str | None:
    """Return what the validator says, None when it says nothing."""
    try:
        validator(plan).check(Request("POST", "/events", "", {"content-type": content_type}, body, ""))
    except GatewayError as error:
        return f"{error.type}: {error.validation_error}"
    return None


def changed(**members: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return a good event with other members."""
    return json.dumps({**GOOD, **members}).encode()


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-11-24T03:00:00Z",
        "2026-11-24T03:00:00.069Z",
        "2026-11-24t03:00:00.123456789z",
        "2026-11-24 03:00:00+01:00",
        "2016-12-31T23:59:60Z",
        "2026-11-24:03:00:00Z",
    ],
)
def test_every_allowed_timestamp_passes(plan: Plan, timestamp: str) -> None:
    """RFC 3339 and the predecessor's form are taken."""
    assert complaint(plan, changed(timestamp=timestamp)) is None


@pytest.mark.parametrize(
    "timestamp", ["", "yesterday", "2026-11-24", "2026-13-01T00:00:00Z", "2026-11-24T25:00:00Z", 5, None]
)
def test_any_other_timestamp_is_refused_by_its_path(plan: Plan, timestamp: object) -> None:
    """What is no time is refused at the door, naming the field."""
    assert "/timestamp" in str(complaint(plan, changed(timestamp=timestamp)))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"eventType": ""}, "Path '/eventType' string is too short (length: 0, required minimum: 1)"),
        ({"eventType": 5}, "Path '/eventType' instance type (integer) does not match any allowed primitive type"),
        ({"eventType": None}, "instance type (null)"),
        ({"actor": []}, "Path '/actor' instance type (array)"),
        ({"actor": {"userId": ""}}, "Path '/actor/userId' string is too short"),
    ],
)
def test_a_wrong_required_field_is_named(plan: Plan, members: dict[str, Any], words: str) -> None:
    """The complaint names the field and what came."""
    assert words in str(complaint(plan, changed(**members)))


def test_a_wrong_optional_field_passes(plan: Plan) -> None:
    """No optional field is checked at the door: it must not cost the event."""
    optional = ("id", "action", "entityType", "entityId", "requestId", "context", "details", "metadata", "other")
    for wrong in (None, 5, "x", [1], {"a": 1}, True):
        assert complaint(plan, changed(**dict.fromkeys(optional, wrong))) is None


@pytest.mark.parametrize("body", [b"", b"x", b"{", b"\xff", b"[" * 100_000, b'{"a":NaN}', b"{}{}"])
def test_what_is_not_json_is_refused(plan: Plan, body: bytes) -> None:
    """A body that cannot be read is refused with a reason, however it is broken."""
    assert str(complaint(plan, body)).startswith("BAD_REQUEST_BODY: [the body is ")


def test_another_content_type_is_not_validated(plan: Plan) -> None:
    """Without a model for the content type there is no validation (F3); the integration then answers 415."""
    assert complaint(plan, b"x", "text/plain") is None


def test_a_method_without_a_validator_takes_everything(plan: Plan) -> None:
    """POST /events/batch has none: the receiver validates."""
    definition = plan.api.document["paths"]["/events/batch"]["post"]
    Validator(plan.api.document, Operation("POST", "/events/batch", definition)).check(
        Request("POST", "/events/batch", "", {}, b"x", "")
    )


def test_a_validator_that_is_not_there_or_checks_parameters_is_refused(plan: Plan) -> None:
    """A document that names a missing validator, or one that does more, stops the runtime."""
    definition = {**plan.api.document["paths"]["/events"]["post"], "x-amazon-apigateway-request-validator": "gone"}
    with pytest.raises(PlanError, match="'gone'"):
        Validator(plan.api.document, Operation("POST", "/events", definition))

    validators = {"gone": {"validateRequestBody": True, "validateRequestParameters": True}}
    document = {**plan.api.document, "x-amazon-apigateway-request-validators": validators}
    with pytest.raises(PlanError, match="checks parameters"):
        Validator(document, Operation("POST", "/events", definition))
