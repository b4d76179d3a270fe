"""post: the HTTP front of the API: routes, size, encoding, throttle and authentication, by the plan's document."""

import asyncio
import base64
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, ParamSpec, Protocol, TypeVar

from msgspec import structs

from auditlake.errors import PlanError
from auditlake.runtime.authenticate import (
    Authentication,
    Caller,
    Check,
    LambdaAuthorizers,
    MethodResource,
    check_of,
)
from auditlake.runtime.exchange import Finish, GatewayError, Operation, Request, Response, parameters
from auditlake.runtime.gateway_responses import GatewayResponses
from auditlake.runtime.plan import ACCOUNT_THROTTLE, Api, Throttle
from auditlake.runtime.random_pool import random_bytes
from auditlake.runtime.signature import NO_TOKEN
from auditlake.runtime.threads import Threads
from auditlake.runtime.validate import Validator
from auditlake.runtime.vtl_values import Claims, JavaMap
from auditlake.runtime.web_acl import WebAcl
from lambda_src.common.inflate import GZIP_OR_DEFLATE, InflateError, inflate

MAX_BODY_BYTES = 10 * 1024 * 1024
"""The largest body that API Gateway takes (F1, documented)."""
MAX_HEADER_BYTES = 10_240
"""How long the values of all headers together may be (F1, documented)."""
_MAX_BYTES_AT_ONCE = 64 * 1024
"""A larger body is validated in a thread, so that other requests go on meanwhile."""
UNPACKING_THREADS = 4
"""Large bodies that are unpacked or validated side by side."""
AUTHORIZING_THREADS = 16
"""Requests that wait for a Lambda authorizer side by side; further ones wait for a thread."""
P = ParamSpec("P")
T = TypeVar("T")
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
        authorizers: LambdaAuthorizers | None = None,
    ) -> None:
        """Read the document's operations.

        Args:
            api: the API of the plan.
            integrations: makes what stands behind an operation.
            resource: region, account, API and stage, shown to templates and named by policies.
            authentication: how callers are checked where the document asks for it; None lets everybody in.
            clock: the epoch time in seconds.
            authorizers: the Lambda authorizers, where there are any.

        Raises:
            PlanError: the document asks for what is not implemented.
            AuditlakeError: the authentication lacks what the document asks for.
        """
        self._api = api
        self._web_acl = WebAcl(api.web_acl) if api.web_acl else None
        self._resource = resource
        self._clock = clock
        self._responses = GatewayResponses(api.document, api.stage_variables)
        self._unpacks = api.document.get("x-amazon-apigateway-minimum-compression-size") is not None
        found = {(o.method, o.path): o for o in operations(api.document)}
        # Threads of their own: a function or a disk that hangs must not keep other requests from being unpacked.
        self._unpacking = Threads(UNPACKING_THREADS, "unpacking")
        self._authorizing = Threads(AUTHORIZING_THREADS, "authorizing")
        self._throttles = Throttles(api, [_throttled(key) for key in found])
        given = authentication or Authentication()
        self._routes = {
            key: _Route(
                _throttled(key),
                check_of(operation, api.document, given, resource, clock, authorizers),
                Validator(api.document, operation),
                integrations(operation),
            )
            for key, operation in found.items()
        }

    async def answer(self, request: Request) -> Response:
        """Answer one request that is there as a whole."""
        admitted = self.admit(request)
        return admitted if isinstance(admitted, Response) else await admitted(request)

    def admit(self, head: Request) -> Response | Finish:
        """Look at the head of a request: route, throttle, sizes and credentials, as far as these go without its body.

        What goes wrong is answered as API Gateway answers it.
        """
        context = self._context(head)
        try:
            if self._web_acl is not None and (blocked := self._web_acl.blocked(head)) is not None:
                return self._with_ids(blocked, context)
            route = self._routes.get((head.method, head.path))
            if route is None:
                # API Gateway looks for a method before it looks at credentials, and says so in these words (F3).
                raise GatewayError("MISSING_AUTHENTICATION_TOKEN", NO_TOKEN)
            if not self._throttles.take(route.throttled):
                raise GatewayError("THROTTLED", "Too Many Requests")
            _check_head_sizes(head)
            caller = route.check.head(head)
        except GatewayError as error:
            return self._with_ids(self._responses.answer(error, context, parameters(head)), context)

        async def finish(request: Request) -> Response:
            return await self._finish(route, context, caller, request)

        return finish

    async def _finish(
        self, route: "_Route", context: dict[str, Any], caller: Caller | None, request: Request
    ) -> Response:
        try:
            if len(request.body) > MAX_BODY_BYTES:
                raise GatewayError("REQUEST_TOO_LARGE", "Request Too Long")
            known = caller or await self._recognised(route.check, request)
            context["identity"].update(known.identity)
            context["authorizer"].update(known.authorizer)
            if known.claims:
                context["authorizer"]["claims"] = Claims(known.claims)
            if "content-encoding" in request.headers:
                request = await self._unpacked(request)
            if len(request.body) > _MAX_BYTES_AT_ONCE:
                await _in(self._unpacking, route.validator.check, request, parameters(request))
            else:
                route.validator.check(request, parameters(request))
            response = await route.integration.answer(request, context)
        except GatewayError as error:
            response = self._responses.answer(error, context, parameters(request))
        return self._with_ids(response, context)

    async def _recognised(self, check: Check, request: Request) -> Caller:
        return await _in(self._authorizing, check.whole, request) if check.waits else check.whole(request)

    def close(self) -> None:
        """End the threads; a request that needs one afterwards is not answered."""
        self._unpacking.shutdown()
        self._authorizing.shutdown()

    def too_large(self, head: Request) -> Response:
        """Answer a request whose body was not read to its end."""
        context = self._context(head)
        error = GatewayError("REQUEST_TOO_LARGE", "Request Too Long")
        return self._with_ids(self._responses.answer(error, context), context)

    def _with_ids(self, response: Response, context: Mapping[str, Any]) -> Response:
        """Add the headers by which a request is found in API Gateway's logs (seen in its answers)."""
        ids = {"x-amzn-requestid": context["requestId"], "x-amz-apigw-id": context["extendedRequestId"]}
        return Response(response.status, response.body, {**ids, **response.headers})

    def _context(self, head: Request) -> JavaMap:
        """Build `$context` (F2, documented): what exists here; what AWS alone has is null.

        That a client chooses `requestId` is documented, that it does so by x-amzn-requestid is not. `path` lacks the
        stage, because the URL here has none.
        """
        now = self._clock()
        headers = head.headers
        host = headers.get("host", "")
        host = host.rpartition(":")[0] or host
        identity = JavaMap(_IDENTITY)
        identity["sourceIp"] = head.source_ip
        identity["userAgent"] = headers.get("user-agent")
        chance = random_bytes(39)
        return JavaMap(
            accountId=self._resource.account_id,
            apiId=self._resource.api_id,
            authorizer=JavaMap(),
            domainName=host,
            domainPrefix=host.partition(".")[0],
            extendedRequestId=base64.urlsafe_b64encode(chance[:11]).decode(),
            httpMethod=head.method,
            identity=identity,
            path=head.path,
            protocol="HTTP/1.1",
            requestId=headers.get("x-amzn-requestid") or chance[11:27].hex(),
            requestTime=_request_time(int(now)),
            requestTimeEpoch=int(now * 1000),
            resourceId=_resource_id(head.path),
            resourcePath=head.path,
            stage=self._resource.stage,
            xrayTraceId=f"Root=1-{int(now):08x}-{chance[27:].hex()}",
        )

    async def _unpacked(self, request: Request) -> Request:
        """Return the request with its body unpacked, as API Gateway does once compression is on."""
        encoding = request.headers["content-encoding"].strip().lower()
        if encoding == "identity" or not self._unpacks:
            return request
        if encoding not in ("gzip", "deflate"):
            raise GatewayError("UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type")
        headers = {name: value for name, value in request.headers.items() if name != "content-encoding"}
        # In a thread: a few bytes can take long to unpack, and nobody else is to wait for that.
        body = await _in(self._unpacking, _inflate, request.body)
        return structs.replace(request, headers=headers, body=body)


@dataclass(frozen=True)
class _Route:
    """What a method of the API is made of."""

    throttled: str
    check: Check
    validator: Validator
    integration: Integration


async def _in(threads: Threads, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    return await asyncio.wrap_future(threads.submit(function, *arguments, **named))


@lru_cache(maxsize=4)
def _request_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S %z")


@lru_cache(maxsize=64)
def _resource_id(path: str) -> str:
    return sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:6]


def _throttled(key: tuple[str, str]) -> str:
    """Return a method's name in the settings of a stage: `events/batch/POST`."""
    method, path = key
    return f"{path.strip('/')}/{method}".lstrip("/")


def _check_head_sizes(head: Request) -> None:
    """Refuse what is larger than API Gateway takes (F1, documented), if the head says so.

    The message for headers is one that a user quotes; its status and type are unverified.
    """
    if sum(map(len, head.headers.values())) > MAX_HEADER_BYTES:
        raise GatewayError("DEFAULT_4XX", f"HTTP header is larger than {MAX_HEADER_BYTES} bytes.", status=431)
    if int(head.headers.get("content-length") or 0) > MAX_BODY_BYTES:
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
    """Unpack gzip or deflate, never to more than API Gateway's limit, so that a small body cannot fill the memory."""
    try:
        inflated = inflate(body, MAX_BODY_BYTES, GZIP_OR_DEFLATE)
    except InflateError as error:
        raise GatewayError("BAD_REQUEST_BODY", "Invalid request body", f"[the packed body: {error}]") from None
    if len(inflated) > MAX_BODY_BYTES:
        raise GatewayError("REQUEST_TOO_LARGE", "Request Too Long")
    return inflated
