"""The front of the API: routes, size, encoding, throttle, authentication, and what API Gateway answers by itself."""

import asyncio
import gzip
import json
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from auditlake.errors import PlanError
from auditlake.runtime.authenticate import Authentication, Caller, Check, MethodResource, Mode
from auditlake.runtime.exchange import GatewayError, Operation, Request, Response
from auditlake.runtime.plan import Plan, Throttle
from auditlake.runtime.post import (
    AUTHORIZING_THREADS,
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    ApiFront,
    Throttles,
    TokenBucket,
    operations,
)
from auditlake.runtime.signature import AccessKey

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
    plan: Plan,
    recorder: Recorder,
    token: str | None = None,
    document: Mapping[str, Any] | None = None,
    **limits: Any,  # noqa: ANN401 - members of Api
) -> ApiFront:
    """The plan's API before a recorder."""
    api = replace(plan.api, document=document or plan.api.document, **limits)
    authentication = Authentication(Mode.TOKEN, token) if token else None
    return ApiFront(api, lambda _: recorder, resource(plan), authentication, clock=lambda: 1_795_490_911.5)


def resource(plan: Plan) -> MethodResource:
    """What IAM calls the plan's API."""
    return MethodResource(plan.region, plan.account_id, plan.api.name, plan.api.stage)


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


DOCUMENTED = (
    *("accountId", "apiId", "authorizer", "domainName", "domainPrefix", "extendedRequestId", "httpMethod", "identity"),
    *("path", "protocol", "requestId", "requestTime", "requestTimeEpoch", "resourceId", "resourcePath", "stage"),
    "xrayTraceId",
)
IDENTITY = (
    *("accountId", "apiKey", "apiKeyId", "caller", "cognitoAuthenticationProvider", "cognitoAuthenticationType"),
    *("cognitoIdentityId", "cognitoIdentityPoolId", "principalOrgId", "sourceIp", "user", "userAgent", "userArn"),
)


def test_every_documented_variable_is_there(plan: Plan) -> None:
    """What API Gateway documents for templates is in the context, null where only AWS has it."""
    recorder = Recorder()
    post(front(plan, recorder), host="audit.localhost:7070", user_agent="tests")

    ((_, context),) = recorder.seen
    assert set(DOCUMENTED) <= set(context)
    assert set(IDENTITY) <= set(context["identity"])
    assert (context["domainName"], context["domainPrefix"]) == ("audit.localhost", "audit")
    assert (context["identity"]["userAgent"], context["stage"]) == ("tests", plan.api.stage)
    assert context["identity"]["apiKey"] is None


def test_a_client_chooses_the_request_id_but_not_the_extended_one(plan: Plan) -> None:
    """Both ids come back in headers; only the one that the envelope does not use can be chosen."""
    recorder = Recorder()
    api = front(plan, recorder)
    response = post(api, x_amzn_requestid="mine", x_amz_apigw_id="mine")

    ((_, context),) = recorder.seen
    assert context["requestId"] == response.headers["x-amzn-requestid"] == "mine"
    assert context["extendedRequestId"] == response.headers["x-amz-apigw-id"] != "mine"
    assert len(post(api).headers["x-amzn-requestid"]) == 32


def test_headers_have_a_limit_together(plan: Plan) -> None:
    """At 10,240 bytes of values a request passes, one more is refused with the words that users saw."""
    recorder = Recorder()
    api = front(plan, recorder)
    room = MAX_HEADER_BYTES - len("application/json")

    assert post(api, x="v" * room).status == 202
    response = post(api, x="v" * (room + 1))
    assert response.status == 431
    assert "HTTP header is larger than 10240 bytes." in json.loads(response.body)["detail"]
    assert len(recorder.seen) == 1


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
    assert json.loads(response.body) == {"message": "Request Too Long"}, "API Gateway lets nobody word a 413"


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

    assert response.status == status


def test_every_member_of_a_packed_body_is_read(plan: Plan) -> None:
    """gzip files put together are one body: nothing after the first of them is lost."""
    recorder = Recorder()
    half = len(EVENT) // 2
    packed = gzip.compress(EVENT[:half]) + gzip.compress(EVENT[half:])

    assert post(front(plan, recorder), packed, content_encoding="gzip").status == 202
    assert recorder.seen[0][0].body == EVENT
    assert post(front(plan, recorder), packed + b"rest", content_encoding="gzip").status == 400


def test_a_plan_without_compression_hands_packed_bodies_on(plan: Plan) -> None:
    """Only an API with a minimum compression size unpacks; another sees the packed bytes, which are no JSON."""
    document = {k: v for k, v in plan.api.document.items() if k != "x-amazon-apigateway-minimum-compression-size"}
    response = post(front(plan, Recorder(), document=document), gzip.compress(EVENT), content_encoding="gzip")

    assert response.status == 400


def test_without_the_token_an_iam_method_answers_403(plan: Plan) -> None:
    """Where the plan wants IAM its status is kept, and the sentence speaks of the token, not of signatures."""
    recorder = Recorder()
    api = front(plan, recorder, token="s3cret")  # noqa: S106 - a test's token

    assert post(api).status == 403
    assert "bearer token and none came" in problem(post(api))["detail"]
    assert post(api, authorization="Bearer wrong").status == 403
    assert "another one came" in problem(post(api, authorization="Bearer wrong"))["detail"]
    assert "wrong" not in problem(post(api, authorization="Bearer wrong"))["detail"]
    assert post(api, authorization="Bearer s3cret").status == 202
    assert post(api, method="GET", path="/health").status == 202, "health asks for no credentials"
    assert [context["identity"]["userArn"] for _, context in recorder.seen] == ["bearer-token", None]


def test_without_the_token_a_cognito_method_answers_401(plan: Plan) -> None:
    """Where the plan wants Cognito, the answer is UNAUTHORIZED."""
    definition = {**plan.api.document["paths"]["/events"]["post"], "security": [{"cognito": []}]}
    scheme = {"type": "apiKey", "name": "Authorization", "x-amazon-apigateway-authtype": "cognito_user_pools"}
    components = {**plan.api.document["components"], "securitySchemes": {"cognito": scheme}}
    document = {**plan.api.document, "paths": {"/events": {"post": definition}}, "components": components}
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
    api = front(plan, Recorder(), throttle=Throttle(rate=0.001, burst=1))
    assert post(api).status == 202
    response = post(api)

    assert problem(response)["status"] == 429
    assert response.headers["retry-after"] == "1"


def test_each_method_has_its_own_bucket_and_limit(plan: Plan) -> None:
    """A method's own setting goes before the stage's default, and one method's load throttles no other."""
    own = {"events/POST": Throttle(rate=0.001, burst=2)}
    api = front(plan, Recorder(), throttle=Throttle(rate=0.001, burst=1), method_throttles=own)

    assert [post(api).status for _ in range(3)] == [202, 202, 429]
    assert [post(api, path="/events/batch").status for _ in range(2)] == [202, 429]
    assert post(api, method="GET", path="/health").status == 202


def test_the_account_throttles_all_methods_together(plan: Plan) -> None:
    """Without a limit of the stage the account's burst of 5,000 holds, over all methods, at 10,000 a second."""
    now = [0.0]
    throttles = Throttles(replace(plan.api, throttle=None), ["a/POST", "b/POST"], monotonic=lambda: now[0])

    assert all(throttles.take(name) for name in ["a/POST", "b/POST"] * 2500)
    assert not throttles.take("a/POST")
    now[0] = 0.1
    assert [throttles.take("b/POST") for _ in range(1001)] == [True] * 1000 + [False]


def test_a_throttled_request_is_answered_before_its_credentials_are_looked_at(plan: Plan) -> None:
    """Guessing at credentials is throttled too."""
    api = front(plan, Recorder(), token="s3cret", throttle=Throttle(rate=0.001, burst=1))  # noqa: S106 - a test's token

    assert [post(api, authorization="Bearer guess").status for _ in range(2)] == [403, 429]


def test_a_setting_of_a_method_that_is_not_there_stops_the_runtime(plan: Plan) -> None:
    """A mistyped method path would throttle nothing."""
    with pytest.raises(PlanError, match="event/POST"):
        front(plan, Recorder(), method_throttles={"event/POST": Throttle(1, 1)})


def test_the_recognised_caller_is_in_the_context(plan: Plan) -> None:
    """The signer of a request is the identity that templates see, over the whole front."""
    key = AccessKey("AKID", "secret", "arn:aws:iam::123456789012:user/alice", principal_id="AIDA1")
    signer = SigV4Auth(Credentials(key.id, key.secret), "execute-api", plan.region)
    signed = AWSRequest("POST", "http://127.0.0.1/events", {"Content-Type": "application/json"}, gzip.compress(EVENT))
    signer.add_auth(signed)
    recorder = Recorder()
    api = ApiFront(
        plan.api, lambda _: recorder, resource(plan), Authentication(Mode.PLAN, keys={key.id: key}), clock=time.time
    )
    headers = {name.lower(): value for name, value in signed.headers.items()} | {
        "host": "127.0.0.1",
        "content-encoding": "gzip",
    }
    response = asyncio.run(api.answer(Request("POST", "/events", "", headers, gzip.compress(EVENT), "")))

    ((request, context),) = recorder.seen
    assert (response.status, request.body) == (202, EVENT), "the signature is over the packed body"
    assert context["identity"]["userArn"] == key.principal_arn
    assert context["identity"]["user"] == "AIDA1"
    assert post(api).status == 403


def test_an_integrations_gateway_error_is_answered_by_the_document(plan: Plan) -> None:
    """A timeout behind the API gets the document's sentence."""

    class Late:
        async def answer(self, request: Request, context: dict[str, Any]) -> Response:  # noqa: ARG002 - the protocol
            raise GatewayError("INTEGRATION_TIMEOUT", "Endpoint request timed out")

    api = ApiFront(plan.api, lambda _: Late(), resource(plan))
    response = post(api)

    assert problem(response)["status"] == 504
    assert "same id" in problem(response)["detail"]


def test_paths_with_parameters_are_refused_at_start() -> None:
    """A document that asks for more than the runtime does stops it, naming the path."""
    with pytest.raises(PlanError, match=r"/events/\{id\}"):
        operations({"paths": {"/events/{id}": {"get": {}}}})


def test_a_method_for_all_is_refused_at_start() -> None:
    """The extension for any method is named."""
    with pytest.raises(PlanError, match="any-method"):
        operations({"paths": {"/events": {"x-amazon-apigateway-any-method": {}}}})


def test_operations_are_read_from_the_document(plan: Plan) -> None:
    """Every method of every path is served."""
    found: list[Operation] = operations(plan.api.document)

    assert {(o.method, o.path) for o in found} == {("POST", "/events"), ("POST", "/events/batch"), ("GET", "/health")}


def test_a_function_that_hangs_keeps_no_body_from_being_unpacked(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many requests wait for an authorizer, another one is unpacked and answered meanwhile."""
    hangs, asked = threading.Event(), threading.Semaphore(0)

    def wait(_: Request) -> Caller:
        asked.release()
        hangs.wait(60)
        return Caller()

    patient = Check(lambda head: None if "slow" in head.headers else Caller(), wait, waits=True)
    monkeypatch.setattr("auditlake.runtime.post.check_of", lambda *_: patient)
    api = front(plan, Recorder())

    async def both() -> Response:
        slow = Request("POST", "/events", "", {"slow": "1"}, EVENT, "")
        waiting = [asyncio.ensure_future(api.answer(slow)) for _ in range(2 * AUTHORIZING_THREADS)]
        packed = Request("POST", "/events", "", {"content-encoding": "gzip"}, gzip.compress(EVENT, mtime=0), "")
        try:
            return await asyncio.wait_for(api.answer(packed), 30)
        finally:
            hangs.set()
            await asyncio.gather(*waiting)
            api.close()

    assert asyncio.run(both()).status == 202
    assert asked.acquire(blocking=False)
