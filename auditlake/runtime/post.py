"""post: the HTTP front of the API: routes, size, encoding, throttle and authentication, by the plan's document."""

import base64
import hmac
import secrets
import time
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from auditlake.errors import PlanError
from auditlake.runtime.exchange import GatewayError, Operation, Request, Response
from auditlake.runtime.gateway_responses import GatewayResponses
from auditlake.runtime.plan import Api, Throttle
from auditlake.runtime.validate import Validator

MAX_BODY_BYTES = 10 * 1024 * 1024
"""The largest body that API Gateway takes (F1, documented)."""


class Integration(Protocol):
    """What stands behind a method."""

    async def answer(self, request: Request, context: dict[str, Any]) -> Response:
        """Answer the request; raises GatewayError."""


class TokenBucket:
    """The stage's throttle: `rate` requests a second, `burst` at once (F5; AWS's is best effort, this one exact)."""

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


class ApiFront:
    """The REST API of the plan."""

    def __init__(
        self,
        api: Api,
        integrations: Callable[[Operation], Integration],
        account_id: str,
        token: str | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read the document's operations.

        Args:
            api: the API of the plan.
            integrations: makes what stands behind an operation.
            account_id: shown to templates.
            token: the bearer token that a request must carry where the document asks for authentication; None for none.
            clock: the epoch time in seconds.

        Raises:
            PlanError: the document asks for what is not implemented.
        """
        self._api = api
        self._account_id = account_id
        self._token = token
        self._clock = clock
        self._responses = GatewayResponses(api.document)
        self._bucket = TokenBucket(api.throttle) if api.throttle else None
        self._unpacks = api.document.get("x-amazon-apigateway-minimum-compression-size") is not None
        self._operations = {(o.method, o.path): o for o in operations(api.document)}
        self._validators = {key: Validator(api.document, o) for key, o in self._operations.items()}
        self._integrations = {key: integrations(o) for key, o in self._operations.items()}

    async def answer(self, request: Request) -> Response:
        """Answer one request; what goes wrong is answered as API Gateway answers it."""
        context = self._context(request)
        try:
            key = (request.method, request.path)
            operation = self._operations.get(key)
            if operation is None:
                # API Gateway looks for a method before it looks at credentials, and says so in these words (F3).
                raise GatewayError("MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token")
            if self._bucket is not None and not self._bucket.take():
                raise GatewayError("THROTTLED", "Too Many Requests")
            self._authenticate(operation, request, context)
            if len(request.body) > MAX_BODY_BYTES:
                raise GatewayError("REQUEST_TOO_LARGE", "Request Too Long")
            request = self._unpacked(request)
            self._validators[key].check(request)
            response = await self._integrations[key].answer(request, context)
        except GatewayError as error:
            response = self._responses.answer(error, context)
        return Response(response.status, response.body, {"x-amzn-requestid": context["requestId"], **response.headers})

    def too_large(self, request: Request) -> Response:
        """Answer a request whose body was not read to its end."""
        error = GatewayError("REQUEST_TOO_LARGE", "Request Too Long")
        return self._responses.answer(error, self._context(request))

    def _context(self, request: Request) -> dict[str, Any]:
        """Build `$context` (F2)."""
        now = self._clock()
        request_id = secrets.token_hex(16)
        return {
            "accountId": self._account_id,
            "apiId": self._api.name,
            "authorizer": {},
            "extendedRequestId": base64.urlsafe_b64encode(secrets.token_bytes(11)).decode(),
            "httpMethod": request.method,
            "identity": {
                "sourceIp": request.source_ip,
                "userAgent": request.headers.get("user-agent"),
                "userArn": None,
            },
            "path": request.path,
            "protocol": "HTTP/1.1",
            "requestId": request_id,
            "requestTime": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S %z"),
            "requestTimeEpoch": int(now * 1000),
            "resourcePath": request.path,
            "stage": self._api.stage,
        }

    def _authenticate(self, operation: Operation, request: Request, context: dict[str, Any]) -> None:
        """Check the bearer token where the document asks for authentication; it stands in for IAM and Cognito."""
        if self._token is None or not operation.definition.get("security"):
            return
        cognito = any("cognito" in scheme for scheme in operation.definition["security"])
        given = request.headers.get("authorization")
        if given is None:
            if cognito:
                raise GatewayError("UNAUTHORIZED", "Unauthorized")
            raise GatewayError("MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            if cognito:
                raise GatewayError("UNAUTHORIZED", "Unauthorized")
            raise GatewayError(
                "INVALID_SIGNATURE", "The request signature we calculated does not match the signature you provided."
            )
        context["identity"]["userArn"] = "bearer-token"

    def _unpacked(self, request: Request) -> Request:
        """Return the request with its body unpacked, as API Gateway does once compression is on."""
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding == "identity" or not self._unpacks:
            return request
        if encoding not in ("gzip", "deflate"):
            raise GatewayError("UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type")
        headers = {name: value for name, value in request.headers.items() if name != "content-encoding"}
        return Request(request.method, request.path, request.query, headers, _inflate(request.body), request.source_ip)


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Return the operations of an OpenAPI document; raises PlanError for a path with parameters."""
    found = []
    for path, methods in document["paths"].items():
        if "{" in path:
            raise PlanError(f"The API has the path {path}; the local runtime implements paths without parameters.")
        found += [
            Operation(m.upper(), path, definition)
            for m, definition in methods.items()
            if isinstance(definition, Mapping)
        ]
    return found


def _inflate(body: bytes) -> bytes:
    """Unpack gzip or deflate, never to more than API Gateway's limit, so that a small body cannot fill the memory."""
    inflater = zlib.decompressobj(wbits=47)
    try:
        inflated = inflater.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise GatewayError(
            "BAD_REQUEST_BODY", "Invalid request body", f"[the body cannot be unpacked: {error}]"
        ) from None
    if len(inflated) > MAX_BODY_BYTES:
        raise GatewayError("REQUEST_TOO_LARGE", "Request Too Long")
    if not inflater.eof:
        raise GatewayError("BAD_REQUEST_BODY", "Invalid request body", "[the packed body ends too early]")
    return inflated
