"""The front of the API: routes, size, encoding, throttle, authentication, and what API Gateway answers by itself."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Mapping
from typing import Any

import pytest

from auditlake.errors import PlanError
from auditlake.runtime.exchange import GatewayError, Operation, Request, Response
from auditlake.runtime.plan import Api, Plan, Throttle
from auditlake.runtime.post import MAX_BODY_BYTES, ApiFront, TokenBucket, operations

EVENT = b'{"eventType":"login","timestamp":"2026-11-24T03:00:00Z","actor":{"userId":"u"}}'


class Recorder:
    """An integration that keeps what reaches it."""

    def __init__(self) -> None:
        self.seen: list[tuple[Request, dict[str, Any]]] = []

    async def answer(self, request: Request, context: dict[str, Any]) -> Response:
        """Accept."""
        self.seen.append((request, context))
        return Response(202, b"{}")


def front(
    plan: Plan, recorder: Recorder, token: str | None = None, document: Mapping[str, Any] | None = None
) -> ApiFront:
    """The plan's API before a recorder."""
    api = Api(plan.api.name, document or plan.api.document, plan.api.stage, plan.api.throttle)
    return ApiFront(api, lambda _: recorder, plan.account_id, token, clock=lambda: 1_795_490_911.5)


def post(api: ApiFront, body: bytes = EVENT, method: str = "POST", path: str = "/events", **headers: str) -> Response:
    """Send one request."""
    names = {name.replace("_", "-"): value for name, value in {"content_type": "application/json", **headers}.items()}
    return asyncio.run(api.answer(Request(method, path, "", names, body, "10.1.2.3")))


def problem(response: Response) -> dict[str, Any]:
    """Read a problem, checking that it is one sentence about its own status."""
    assert response.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = json.loads(response.body)
    assert content["status"] == response.status
    assert content["detail"].endswith((".", "later."))
    return content


def test_an_event_reaches_its_integration_with_the_servers_context(plan: Plan) -> None:
    """Address, time and ids come from the server."""
    recorder = Recorder()
    assert post(front(plan, recorder)).status == 202

    ((request, context),) = recorder.seen
    assert request.body == EVENT
    assert context["identity"]["sourceIp"] == "10.1.2.3"
    assert context["requestTimeEpoch"] == 1_795_490_911_500
    assert context["requestTime"] == "24/Nov/2026:03:28:31 +0000"
    assert len(context["extendedRequestId"]) == 16


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/events"), ("POST", "/nope"), ("OPTIONS", "/events"), ("GET", "/")]
)
def test_an_unknown_method_or_path_gets_the_answer_of_api_gateway(plan: Plan, method: str, path: str) -> None:
    """API Gateway answers MISSING_AUTHENTICATION_TOKEN, and the sentence says what there is."""
    response = post(front(plan, Recorder()), method=method, path=path)

    assert response.status == 403
    assert f"no {method} {path} here" in problem(response)["detail"]
    assert "POST /events" in problem(response)["detail"]


def test_a_missing_field_is_named(plan: Plan) -> None:
    """The refusal names each field that is missing, and where."""
    response = post(front(plan, Recorder()), b'{"actor": {}}')

    assert response.status == 400
    detail = problem(response)["detail"]
    assert 'missing required properties (["eventType","timestamp"])' in detail
    assert "Path '/actor' object has missing required properties ([\"userId\"])" in detail


def test_a_body_over_the_limit_is_too_large(plan: Plan) -> None:
    """More than 10 MB is refused before it is looked at."""
    response = post(front(plan, Recorder()), b" " * (MAX_BODY_BYTES + 1))

    assert response.status == 413
    assert "10 MB" in problem(response)["detail"]


def test_a_packed_body_is_unpacked(plan: Plan) -> None:
    """gzip and deflate arrive unpacked, as behind an API with compression on."""
    recorder = Recorder()
    api = front(plan, recorder)
    for encoding, body in (("gzip", gzip.compress(EVENT)), ("deflate", zlib.compress(EVENT)), ("identity", EVENT)):
        assert post(api, body, content_encoding=encoding).status == 202

    assert [request.body for request, _ in recorder.seen] == [EVENT] * 3
    assert all("content-encoding" not in request.headers for request, _ in recorder.seen[:2])


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"no gzip", "gzip", 400),
        (gzip.compress(EVENT)[:-9], "gzip", 400),
        (gzip.compress(b" " * (MAX_BODY_BYTES + 1)), "gzip", 413),
        (EVENT, "br", 415),
    ],
    ids=["no gzip", "cut", "exploding", "unknown encoding"],
)
def test_a_body_that_cannot_be_unpacked_is_refused(plan: Plan, body: bytes, encoding: str, status: int) -> None:
    """Broken, cut, exploding and unknown encodings each get their own answer."""
    response = post(front(plan, Recorder()), body, content_encoding=encoding)

    assert problem(response)["status"] == status


def test_a_plan_without_compression_hands_packed_bodies_on(plan: Plan) -> None:
    """Only an API with a minimum compression size unpacks; another sees the packed bytes, which are no JSON."""
    document = {k: v for k, v in plan.api.document.items() if k != "x-amazon-apigateway-minimum-compression-size"}
    response = post(front(plan, Recorder(), document=document), gzip.compress(EVENT), content_encoding="gzip")

    assert response.status == 400


def test_without_the_token_an_iam_method_answers_403(plan: Plan) -> None:
    """Where the plan wants IAM, no credentials and wrong ones are told apart as API Gateway does."""
    recorder = Recorder()
    api = front(plan, recorder, token="s3cret")  # noqa: S106 - a test's token

    assert "not authenticated" in problem(post(api))["detail"]
    assert post(api).status == 403
    assert "credentials" in problem(post(api, authorization="Bearer wrong"))["detail"]
    assert post(api, authorization="Bearer wrong").status == 403
    assert post(api, authorization="Bearer s3cret").status == 202
    assert post(api, method="GET", path="/health").status == 202, "health asks for no credentials"
    assert [context["identity"]["userArn"] for _, context in recorder.seen] == ["bearer-token", None]


def test_without_the_token_a_cognito_method_answers_401(plan: Plan) -> None:
    """Where the plan wants Cognito, the answer is UNAUTHORIZED."""
    definition = {**plan.api.document["paths"]["/events"]["post"], "security": [{"cognito": []}]}
    document = {**plan.api.document, "paths": {"/events": {"post": definition}}}
    api = front(plan, Recorder(), token="s3cret", document=document)  # noqa: S106 - a test's token

    assert problem(post(api))["status"] == 401
    assert problem(post(api, authorization="Bearer wrong"))["status"] == 401
    assert post(api, authorization="Bearer s3cret").status == 202


def test_the_throttle_lets_the_burst_through_and_then_its_rate() -> None:
    """A bucket of two tokens at one a second gives two at once and one a second after."""
    now = [0.0]
    bucket = TokenBucket(Throttle(rate=1, burst=2), monotonic=lambda: now[0])

    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now[0] = 1.5
    assert [bucket.take() for _ in range(2)] == [True, False]
    now[0] = 100
    assert [bucket.take() for _ in range(3)] == [True, True, False]


def test_a_throttled_request_is_told_when_to_come_again(plan: Plan) -> None:
    """Beyond the stage's burst the answer is 429 with Retry-After."""
    api = ApiFront(
        Api("a", plan.api.document, "v1", Throttle(rate=0.001, burst=1)), lambda _: Recorder(), plan.account_id, None
    )
    assert post(api).status == 202
    response = post(api)

    assert problem(response)["status"] == 429
    assert response.headers["retry-after"] == "1"


def test_an_integrations_gateway_error_is_answered_by_the_document(plan: Plan) -> None:
    """A timeout behind the API gets the document's sentence."""

    class Late:
        async def answer(self, request: Request, context: dict[str, Any]) -> Response:  # noqa: ARG002 - the protocol
            raise GatewayError("INTEGRATION_TIMEOUT", "Endpoint request timed out")

    api = ApiFront(plan.api, lambda _: Late(), plan.account_id, None)
    response = post(api)

    assert problem(response)["status"] == 504
    assert "same id" in problem(response)["detail"]


def test_paths_with_parameters_are_refused_at_start() -> None:
    """A document that asks for more than the runtime does stops it, naming the path."""
    with pytest.raises(PlanError, match=r"/events/\{id\}"):
        operations({"paths": {"/events/{id}": {"get": {}}}})


def test_operations_are_read_from_the_document(plan: Plan) -> None:
    """Every method of every path is served."""
    found: list[Operation] = operations(plan.api.document)

    assert {(o.method, o.path) for o in found} == {("POST", "/events"), ("POST", "/events/batch"), ("GET", "/health")}
