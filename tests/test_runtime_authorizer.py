"""Lambda authorizers as API Gateway runs them."""

import json
from typing import Any

import pytest

from auditlake.errors import PlanError
from auditlake.runtime.authenticate import MethodResource
from auditlake.runtime.authorizer import MAX_KEPT, Authorizers
from auditlake.runtime.exchange import GatewayError, Operation, Request
from auditlake.runtime.function import FunctionError

RESOURCE = MethodResource("us-east-1", "123456789012", "abc", "v1")
STAGE = "arn:aws:execute-api:us-east-1:123456789012:abc/v1"
POST = Operation("POST", "/events", {})
BATCH = Operation("POST", "/events/batch", {})


class Function:
    """A function that answers what it is told to, and keeps what it was asked."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:  # noqa: ARG002
        """Answer."""
        self.asked.append(json.loads(event))
        return self.answer if isinstance(self.answer, FunctionError) else json.dumps(self.answer).encode()


def policy(resource: object = f"{STAGE}/POST/*", effect: str = "Allow", **others: Any) -> dict[str, Any]:  # noqa: ANN401
    """An answer of an authorizer."""
    statement = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource, **others}
    return {"principalId": "alice", "policyDocument": {"Statement": [statement]}, "context": {"n": 1, "ok": True}}


def scheme(**others: Any) -> dict[str, Any]:  # noqa: ANN401  # any member
    """A security scheme with an authorizer."""
    uri = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:of:function/invocations"
    definition = {"type": "token", "authorizerUri": uri, "authorizerResultTtlInSeconds": 60, **others}
    return {"name": "Authorization", "x-amazon-apigateway-authorizer": definition}


class Door:
    """An authorizer with its function and clock."""

    def __init__(self, answer: object, **others: Any) -> None:  # noqa: ANN401  # any member of the definition
        self.function = Function(answer)
        self.now = 0.0
        self.arns: list[str] = []
        self.scheme = scheme(**others)
        self.authorizers = Authorizers(self._function, RESOURCE, lambda: self.now)

    def _function(self, arn: str) -> Function:
        self.arns.append(arn)
        return self.function

    def ask(self, token: str | None = "t", operation: Operation = POST) -> dict[str, str]:  # noqa: S107  # any token
        """Return what is shown of the caller."""
        headers = {} if token is None else {"authorization": token}
        request = Request(operation.method, operation.path, "", headers, b"", "")
        return dict(self.authorizers.check(operation, self.scheme)(request).authorizer)

    def refused(self, token: str | None = "t", operation: Operation = POST) -> str:  # noqa: S107  # any token
        """Return how the request is refused."""
        with pytest.raises(GatewayError) as caught:
            self.ask(token, operation)
        return caught.value.type


def test_the_function_is_asked_as_api_gateway_asks() -> None:
    """Type, method and token go to the function of the URI; principal and context come back as text."""
    door = Door(policy())
    assert door.ask("Bearer x") == {"principalId": "alice", "n": "1", "ok": "true"}
    assert door.function.asked == [
        {"type": "TOKEN", "methodArn": f"{STAGE}/POST/events", "authorizationToken": "Bearer x"}
    ]
    assert door.arns == ["arn:of:function"]


def test_an_answer_is_kept_for_the_token_and_all_methods() -> None:
    """Within its time the function is asked once for a token, whichever method; then again."""
    door = Door(policy())
    for operation in (POST, BATCH, POST):
        door.ask(operation=operation)
    assert len(door.function.asked) == 1
    door.ask("another")
    door.now = 60
    door.ask()
    assert len(door.function.asked) == 3


def test_a_kept_answer_is_applied_to_the_method_that_is_called() -> None:
    """A policy that names one method refuses the other, as on AWS."""
    door = Door(policy(f"{STAGE}/POST/events"))
    assert door.ask()["principalId"] == "alice"
    assert door.refused(operation=BATCH) == "ACCESS_DENIED"


def test_nothing_is_kept_when_the_time_is_none() -> None:
    """With 0 seconds each request asks."""
    door = Door(policy(), authorizerResultTtlInSeconds=0)
    door.ask()
    door.ask()
    assert len(door.function.asked) == 2


def test_tokens_without_end_do_not_fill_the_memory() -> None:
    """A bounded number of answers is kept; beyond it the function is asked."""
    door = Door(policy())
    for number in range(MAX_KEPT + 1):
        door.ask(str(number))
    door.ask(str(MAX_KEPT))
    assert len(door.function.asked) == MAX_KEPT + 2


@pytest.mark.parametrize("token", [None, "", "no"], ids=["absent", "empty", "other form"])
def test_what_is_no_token_does_not_reach_the_function(token: str | None) -> None:
    """API Gateway refuses it by itself."""
    door = Door(policy(), identityValidationExpression="Bearer .+")
    assert door.refused(token) == "UNAUTHORIZED"
    assert door.function.asked == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (FunctionError("error", "UnauthorizedError: Unauthorized"), "UNAUTHORIZED"),
        (FunctionError("error", "ValueError: Unauthorized today"), "AUTHORIZER_CONFIGURATION_ERROR"),
        (FunctionError("timeout", "Task timed out: Unauthorized"), "AUTHORIZER_CONFIGURATION_ERROR"),
        (policy(effect="Deny"), "ACCESS_DENIED"),
        (policy(f"{STAGE}/GET/*"), "ACCESS_DENIED"),
        (policy([]), "ACCESS_DENIED"),
        (policy(Condition={"IpAddress": {}}), "AUTHORIZER_CONFIGURATION_ERROR"),
        ({**policy(), "context": {"list": []}}, "AUTHORIZER_CONFIGURATION_ERROR"),
        ({"principalId": "alice"}, "AUTHORIZER_CONFIGURATION_ERROR"),
        (None, "AUTHORIZER_CONFIGURATION_ERROR"),
        ("Allow", "AUTHORIZER_CONFIGURATION_ERROR"),
    ],
    ids=range(11),
)
def test_an_answer_that_does_not_allow_is_refused_by_its_kind(answer: object, kind: str) -> None:
    """Only the error Unauthorized is a 401, a policy that does not allow a 403, all else the function's fault."""
    assert Door(answer).refused() == kind


def test_a_deny_beats_an_allow() -> None:
    """As everywhere in AWS."""
    answer = policy()
    answer["policyDocument"]["Statement"].append({"Effect": "Deny", "Action": "*", "Resource": ["*"]})
    assert Door(answer).refused() == "ACCESS_DENIED"


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"type": "request"}, "type request"),
        ({"identitySource": "method.request.querystring.token"}, "elsewhere"),
        ({"identityValidationExpression": "("}, "cannot be read"),
    ],
    ids=["type", "source", "expression"],
)
def test_other_authorizers_stop_the_runtime(others: dict[str, Any], words: str) -> None:
    """What is not implemented is named at start."""
    with pytest.raises(PlanError, match=words):
        Door(policy(), **others).authorizers.check(POST, scheme(**others))
