"""post: the HTTP front of the API: routes, size, encoding, throttle and authentication, by the plan's document."""

import base64
import secrets
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Protocol

from auditlake.errors import PlanError
from auditlake.runtime.authenticate import Authentication, MethodResource, check_of
from auditlake.runtime.exchange import GatewayError, Operation, Request, Response, parameters
from auditlake.runtime.gateway_responses import GatewayResponses
from auditlake.runtime.plan import ACCOUNT_THROTTLE, Api, Throttle
from auditlake.runtime.signature import NO_TOKEN
from auditlake.runtime.validate import Validator
from auditlake.runtime.vtl import Claims, JavaMap

MAX_BODY_BYTES = 10 * 1024 * 1024
"""The largest body that API Gateway takes (F1, documented)."""


MAX_HEADER_BYTES = 10_240
"""How long the values of all headers together may be (F1, documented)."""
_METHODS = frozenset({"delete", "get", "head", "options", "patch", "post", "put"})
_IDENTITY: Mapping[str, None] = dict.fromkeys(
    (
        *("accessKey", "accountId", "apiKey", "apiKeyId", "caller", "cognitoAuthenticationProvider"),
        *("cognitoAuthenticationType", "cognitoIdentityId", "cognitoIdentityPoolId", "principalOrgId", "sourceIp"),
        *("user", "userAgent", "userArn"),
    )
)
"""The members of `$context.identity` (F2, documented), null until they are known."""


class Integration(Protocol):
    """What stands behind a method."""

    async def answer(self, request: Request, context: dict[str, Any]) -> Response:
        """Answer the request; raises GatewayError."""


class TokenBucket:
    """A throttle: `rate` requests a second, `burst` at once (F5; AWS's is best effort, this one exact)."""

    def __init__(self, throttle: Throttle, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start full."""
        self._throttle = throttle
        self._monotonic = monotonic
        self._tokens = float(throttle.burst)
        self._at = monotonic()

    def take(self) -> bool:
        """Take a token if there is one."""
        now = self._monotonic()
        self._tokens = min(self._throttle.burst, self._tokens + (now - self._at) * self._throttle.rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Throttles:
    """The buckets of the stage's methods, each with its own or the stage's default limit, then the account's (F5).

    Methods have a bucket each (documented: limits are set for each method); usage plans are refused with the plan.
    """

    def __init__(self, api: Api, names: Iterable[str], monotonic: Callable[[], float] = time.monotonic) -> None:
        """Fill the buckets for methods by `path/METHOD`; raises PlanError for a setting of a method that is not there.

        Args:
            api: the limits.
            names: all methods.
            monotonic: a clock in seconds.
        """
        found = set(names)
        if unknown := sorted(set(api.method_throttles) - found):
            raise PlanError(f"The plan throttles the method {unknown[0]}, which the API's document does not have.")
        limits = {name: api.method_throttles.get(name, api.throttle) for name in found}
        self._methods = {name: TokenBucket(limit, monotonic) for name, limit in limits.items() if limit is not None}
        self._account = TokenBucket(ACCOUNT_THROTTLE, monotonic)

    def take(self, name: str) -> bool:
        """Take a token of the method and one of the account."""
        bucket = self._methods.get(name)
        return (bucket is None or bucket.take()) and self._account.take()


class ApiFront:
    """The REST API of the plan."""

    def __init__(
        self,
        api: Api,
        integrations: Callable[[Operation], Integration],
        resource: MethodResource,
        authentication: Authentication | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read the document's operations.

        Args:
            api: the API of the plan.
            integrations: makes what stands behind an operation.
            resource: region, account, API and stage, shown to templates and named by policies.
            authentication: how callers are checked where the document asks for it; None lets everybody in.
            clock: the epoch time in seconds.

        Raises:
            PlanError: the document asks for what is not implemented.
            AuditlakeError: the authentication lacks what the document asks for.
        """
        self._api = api
        self._resource = resource
        self._clock = clock
        self._responses = GatewayResponses(api.document, api.stage_variables)
        self._unpacks = api.document.get("x-amazon-apigateway-minimum-compression-size") is not None
        self._operations = {(o.method, o.path): o for o in operations(api.document)}
        self._throttles = Throttles(api, [_throttled(key) for key in self._operations])
        self._validators = {key: Validator(api.document, o) for key, o in self._operations.items()}
        given = authentication or Authentication()
        self._checks = {k: check_of(o, api.document, given, resource, clock) for k, o in self._operations.items()}
        self._integrations = {key: integrations(o) for key, o in self._operations.items()}

    async def answer(self, request: Request) -> Response:
        """Answer one request; what goes wrong is answered as API Gateway answers it."""
        context = self._context(request)
        try:
            key = (request.method, request.path)
            if key not in self._operations:
                # API Gateway looks for a method before it looks at credentials, and says so in these words (F3).
                raise GatewayError("MISSING_AUTHENTICATION_TOKEN", NO_TOKEN)
            if not self._throttles.take(_throttled(key)):
                raise GatewayError("THROTTLED", "Too Many Requests")
            _check_sizes(request)
            caller = self._checks[key](request)
            context["identity"].update(caller.identity)
            if caller.claims:
                context["authorizer"]["claims"] = Claims(caller.claims)
            request = self._unpacked(request)
            self._validators[key].check(request, parameters(request))
            response = await self._integrations[key].answer(request, context)
        except GatewayError as error:
            response = self._responses.answer(error, context, parameters(request))
        return self._with_ids(response, context)

    def too_large(self, request: Request) -> Response:
        """Answer a request whose body was not read to its end."""
        context = self._context(request)
        error = GatewayError("REQUEST_TOO_LARGE", "Request Too Long")
        return self._with_ids(self._responses.answer(error, context), context)

    def _with_ids(self, response: Response, context: Mapping[str, Any]) -> Response:
        """Add the headers by which a request is found in API Gateway's logs (seen in its answers)."""
        ids = {"x-amzn-requestid": context["requestId"], "x-amz-apigw-id": context["extendedRequestId"]}
        return Response(response.status, response.body, {**ids, **response.headers})

    def _context(self, request: Request) -> JavaMap:
        """Build `$context` (F2, documented): what exists here; what AWS alone has is null.

        That a client chooses `requestId` is documented, that it does so by x-amzn-requestid is not. `path` lacks the
        stage, because the URL here has none.
        """
        now = self._clock()
        host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
        identity = {"sourceIp": request.source_ip, "userAgent": request.headers.get("user-agent")}
        values = {
            "accountId": self._resource.account_id,
            "apiId": self._resource.api_id,
            "authorizer": JavaMap(),
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "extendedRequestId": base64.urlsafe_b64encode(secrets.token_bytes(11)).decode(),
            "httpMethod": request.method,
            "identity": JavaMap({**_IDENTITY, **identity}),
            "path": request.path,
            "protocol": "HTTP/1.1",
            "requestId": request.headers.get("x-amzn-requestid") or secrets.token_hex(16),
            "requestTime": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S %z"),
            "requestTimeEpoch": int(now * 1000),
            "resourceId": sha256(request.path.encode("utf-8", "surrogateescape")).hexdigest()[:6],
            "resourcePath": request.path,
            "stage": self._resource.stage,
            "xrayTraceId": f"Root=1-{int(now):08x}-{secrets.token_hex(12)}",
        }
        return JavaMap(values)

    def _unpacked(self, request: Request) -> Request:
        """Return the request with its body unpacked, as API Gateway does once compression is on."""
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding == "identity" or not self._unpacks:
            return request
        if encoding not in ("gzip", "deflate"):
            raise GatewayError("UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type")
        headers = {name: value for name, value in request.headers.items() if name != "content-encoding"}
        return replace(request, headers=headers, body=_inflate(request.body))


def _throttled(key: tuple[str, str]) -> str:
    """Return a method's name in the settings of a stage: `events/batch/POST`."""
    method, path = key
    return f"{path.strip('/')}/{method}".lstrip("/")


def _check_sizes(request: Request) -> None:
    """Refuse what is larger than API Gateway takes (F1, documented).

    The message for headers is one that a user quotes; its status and type are unverified.
    """
    if sum(map(len, request.headers.values())) > MAX_HEADER_BYTES:
        raise GatewayError("DEFAULT_4XX", f"HTTP header is larger than {MAX_HEADER_BYTES} bytes.", status=431)
    if len(request.body) > MAX_BODY_BYTES:
        raise GatewayError("REQUEST_TOO_LARGE", "Request Too Long")


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Return the operations of an OpenAPI document; raises PlanError for a path or method that is not implemented."""
    found = []
    for path, methods in document["paths"].items():
        if "{" in path:
            raise PlanError(f"The API has the path {path}; the local runtime implements paths without parameters.")
        for method, definition in methods.items():
            if isinstance(definition, Mapping):
                if method not in _METHODS:
                    raise PlanError(f"The API has {method} of {path}; the local runtime implements single methods.")
                found.append(Operation(method.upper(), path, definition))
    return found


def _inflate(body: bytes) -> bytes:
    """Unpack gzip or deflate, never to more than API Gateway's limit, so that a small body cannot fill the memory.

    gzip may come in several members, as `cat a.gz b.gz` makes them: each is read, or events would be lost in silence.
    """
    inflated = bytearray()
    while body and len(inflated) <= MAX_BODY_BYTES:
        inflater = zlib.decompressobj(wbits=47)
        try:
            inflated += inflater.decompress(body, MAX_BODY_BYTES + 1 - len(inflated))
        except zlib.error as error:
            complaint = f"[the body cannot be unpacked: {error}]"
            raise GatewayError("BAD_REQUEST_BODY", "Invalid request body", complaint) from None
        if not inflater.eof and len(inflated) <= MAX_BODY_BYTES:
            raise GatewayError("BAD_REQUEST_BODY", "Invalid request body", "[the packed body ends too early]")
        body = inflater.unused_data
    if len(inflated) > MAX_BODY_BYTES:
        raise GatewayError("REQUEST_TOO_LARGE", "Request Too Long")
    return bytes(inflated)
