"""The runtime in one process: the plan's API and stream, wired together and served over HTTP."""

import asyncio
import contextlib
import fcntl
import importlib.util
import json
import logging
import re
import secrets
import signal
import socket
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

from auditlake.errors import AuditlakeError, PlanError, StoreError
from auditlake.runtime.api_model import ApiError, error_response
from auditlake.runtime.authenticate import Authentication, MethodResource, Mode, load_authentication
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.deliver import FirehoseIntegration, LambdaIntegration, MockIntegration, timeout_s
from auditlake.runtime.exchange import GatewayError, Operation, Request, Response
from auditlake.runtime.explain import explain
from auditlake.runtime.firehose_api import FirehoseApi
from auditlake.runtime.function import FunctionPool, FunctionProcess
from auditlake.runtime.metrics import CONTENT_TYPE as METRICS_CONTENT_TYPE
from auditlake.runtime.metrics import metrics
from auditlake.runtime.plan import Function, Plan
from auditlake.runtime.post import MAX_BODY_BYTES, ApiFront, Integration
from auditlake.runtime.same_origin import refusal
from auditlake.runtime.signature import AccessKey, verify_signature
from auditlake.runtime.status import failed_records, status
from auditlake.runtime.store import open_store
from auditlake.runtime.store_location import Location, choose_location
from auditlake.runtime.stream import StreamWorker
from auditlake.runtime.transform import MAX_INVOCATIONS

CONTROL = "/_auditlake/"
"""Below this path the runtime itself answers; the plan's API has no such path."""
_LINE_END = re.compile(r"[\r\n\0]+")
"""What would end a header's value: a template can take one out of a request."""
_WIRE_ERRORS = {
    "EXPIRED_TOKEN": "ExpiredTokenException",
    "INVALID_SIGNATURE": "InvalidSignatureException",
    "MISSING_AUTHENTICATION_TOKEN": "MissingAuthenticationTokenException",
}
"""The errors of the JSON 1.1 protocol for a wrong signature."""
OPEN_REQUESTS_S = 30
"""How long a stop waits for requests that are not finished: the 29 s of an integration, and no client for ever."""
RECEIVERS = 2
"""Processes of the receiver function: requests that it answers side by side."""

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Settings:
    """Where the runtime keeps its data and listens.

    `token` is the bearer token that it asks for, None for none; `store` is where objects go, None for where they went
    until now, at first the data directory. `auth` says whom it lets in, None for who has the token, or everybody where
    there is none; `credentials` and `jwks` are the files that the mode `plan` checks against.
    """

    data: Path
    host: str
    port: int
    token: str | None
    store: Location | None = None
    auth: Mode | None = None
    credentials: Path | None = None
    jwks: Path | None = None

    def authentication(self) -> Authentication:
        """Return whom the runtime lets in; raises AuditlakeError for options that do not fit or let anybody in."""
        authentication = load_authentication(self.auth, self.token, self.credentials, self.jwks)
        if _is_loopback(self.host):
            return authentication
        if authentication.mode is Mode.NONE:
            raise AuditlakeError(
                f"The address {self.host} can be reached from other machines: add --token TOKEN, which every request "
                "must then carry as `Authorization: Bearer TOKEN`, or --auth plan, or listen on 127.0.0.1."
            )
        if authentication.token is None:
            raise AuditlakeError(
                f"The address {self.host} can be reached from other machines, and the plan guards its API only: add "
                "--token TOKEN for the runtime's own status and flush, or listen on 127.0.0.1."
            )
        return authentication


class Runtime:
    """All parts of a running plan; use it as a context manager."""

    def __init__(self, plan: Plan, settings: Settings, port: int, clock: Callable[[], float] = time.time) -> None:
        """Open the buffer and the store and prepare the stream; `port` is where the API will listen.

        Raises PlanError for what the plan asks in vain, StoreError when the data directory cannot be used.
        """
        self.plan = plan
        self.authentication = settings.authentication()
        # With it the receiver signs; known to nobody else, it changes with every start.
        self.wire_key = AccessKey(f"AUDITLAKE{secrets.token_hex(8)}", secrets.token_hex(32), plan.stream.arn)
        self._settings = settings
        self._port = port
        self._clock = clock
        with contextlib.ExitStack() as opened:
            self._opened = opened
            opened.enter_context(_only_process(settings.data))
            self.buffer = Buffer(settings.data / "buffer.sqlite")
            opened.callback(self.buffer.close)
            self.firehose = FirehoseApi(plan.stream, self.buffer, clock)
            function = plan.function(plan.stream.processor.function_arn)
            transform = FunctionPool([self._process(function) for _ in range(MAX_INVOCATIONS)])
            self.location = choose_location(settings.data, plan.bucket.name, settings.store)
            self.store = open_store(self.location, plan.bucket.name, plan.bucket.object_lock, clock)
            self.worker = StreamWorker(plan, self.buffer, transform, self.store, clock)
            resource = MethodResource(plan.region, plan.account_id, plan.api.name, plan.api.stage)
            self.api = ApiFront(plan.api, self._integration, resource, self.authentication, clock)
            self._opened = opened.pop_all()

    def __enter__(self) -> "Runtime":
        self.worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.close()
        self._opened.close()

    def _process(self, function: Function) -> FunctionProcess:
        module = function.handler.rpartition(".")[0]
        if importlib.util.find_spec(module) is None:
            raise PlanError(
                f"The function {function.name} has the handler {function.handler}, which is not installed here; "
                "the local runtime runs the functions of lambda_src."
            )
        environment = {
            "AUDITLAKE_FUNCTION_ARN": function.arn,
            "AWS_REGION": self.plan.region,
            "AWS_DEFAULT_REGION": self.plan.region,
            "AWS_ACCESS_KEY_ID": self.wire_key.id,
            "AWS_SECRET_ACCESS_KEY": self.wire_key.secret,
            "AWS_ENDPOINT_URL_FIREHOSE": f"http://{_url_host(self._settings.host)}:{self._port}",
        }
        process = FunctionProcess(function, self._settings.data / "logs" / f"{function.name}.log", environment)
        self._opened.callback(process.close)
        return process

    def _integration(self, operation: Operation) -> Integration:
        integration = operation.integration
        match integration["type"].lower():
            case "aws":
                return FirehoseIntegration(operation, self.firehose, self.plan.api.stage_variables)
            case "mock":
                return MockIntegration(operation, self.plan.api.stage_variables)
            case "aws_proxy":
                arn = integration["uri"].partition("/functions/")[2].removesuffix("/invocations")
                receivers = [self._process(self.plan.function(arn)) for _ in range(RECEIVERS)]
                media_types = self.plan.api.document.get("x-amazon-apigateway-binary-media-types", ())
                return LambdaIntegration(receivers, media_types, timeout_s(operation), self.plan.api.stage_variables)
            case other:
                name = f"{operation.method} {operation.path}"
                raise PlanError(
                    f"{name} has an integration of type {other}; the local runtime implements aws, aws_proxy and mock."
                )

    async def answer(self, request: Request) -> Response:
        """Answer any request: the plan's API, the stream's API, or the runtime's own control."""
        # In mode `plan` without a token the control is open, and no plan's API asks for a secret everywhere.
        if self.authentication.token is None and (detail := refusal(request)) is not None:
            return _json(403, {"title": "Forbidden", "status": 403, "detail": detail})
        target = request.headers.get("x-amz-target")
        if request.method == "POST" and request.path == "/" and target is not None:
            if (refused := self._refused_put(request)) is not None:
                return error_response(refused, str(uuid.uuid4()))
            return await self.firehose.answer(target, request.body)
        if request.path.startswith(CONTROL):
            return await self._control(request)
        # Where Prometheus looks by itself; a plan whose API has such a path keeps it.
        if (request.method, request.path) == ("GET", "/metrics") and "/metrics" not in self.plan.api.document["paths"]:
            return await self._control(replace(request, path=f"{CONTROL}metrics"))
        return await self.api.answer(request)

    def _refused_put(self, request: Request) -> ApiError | None:
        """Say why a request may not put, None where it may.

        Where the runtime asks for nothing, any producer on this machine may; else who signed with a key that was given
        at start, and the receiver.
        """
        if self.authentication.mode is Mode.NONE:
            return None
        keys = {**self.authentication.keys, self.wire_key.id: self.wire_key}
        try:
            verify_signature(request, keys, "firehose", self.plan.region, self._clock())
        except GatewayError as error:
            return ApiError(_WIRE_ERRORS[error.type], error.message)
        return None

    async def _control(self, request: Request) -> Response:
        if self.authentication.token is not None and not self.authentication.bears_token(request):
            return _json(401, {"detail": "The runtime asks for its token: send Authorization: Bearer TOKEN."})
        match (request.method, request.path.removeprefix(CONTROL)):
            case ("GET", "status"):
                return _json(200, await asyncio.to_thread(status, self.plan, self.buffer))
            case ("POST", "flush"):
                before = failed_records(self.buffer)
                flushed = await asyncio.wrap_future(self.worker.flush())
                failed = failed_records(self.buffer) - before
                problem = flushed.problem
                content = {"objects": flushed.objects, "rows": flushed.rows, "failed": failed, "problem": problem}
                return _json(200 if flushed.problem is None else 503, content)
            case ("GET", "metrics"):
                now_ms = int(self._clock() * 1000)
                text = await asyncio.to_thread(metrics, self.plan.stream.name, self.buffer, self.worker, now_ms)
                return Response(200, text, {"content-type": METRICS_CONTENT_TYPE})
            case ("GET", "explain"):
                return await self._explain(dict(parse_qsl(request.query)).get("event_id", ""))
            case _:
                return _json(404, {"detail": "The runtime knows GET status, metrics and explain and POST flush here."})

    async def _explain(self, event_id: str) -> Response:
        if not event_id:
            return _json(400, {"detail": "Say which event: explain?event_id=ID."})
        try:
            explanation = await asyncio.to_thread(explain, self._settings.data, self.plan, event_id)
        except AuditlakeError as error:
            return _json(503, {"detail": str(error)})
        return _json(200, explanation.content())


def _json(code: int, content: Mapping[str, Any]) -> Response:
    return Response(code, json.dumps(content).encode(), {"content-type": "application/json"})


class Asgi:
    """The thin ASGI application in front of a Runtime."""

    def __init__(self, runtime: Runtime) -> None:
        """Serve `runtime`."""
        self._runtime = runtime

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"The runtime serves HTTP, not {scope['type']}.")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        client = scope.get("client")
        request = Request(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=b"",
            source_ip=client[0] if client else "",
            raw_path=scope.get("raw_path", b"").decode("latin-1"),
        )
        try:
            body = await _read_body(receive)
        except ConnectionError:
            return  # the client hung up before its request was whole: there is nobody to answer and nothing to store
        if body is None:
            response = self._runtime.api.too_large(request)
        else:
            response = await self._runtime.answer(replace(request, body=body))
        await _send(send, response, close=body is None)


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body, or None once it is longer than the API takes, so that it never fills the memory."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("The client hung up before its request was whole.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(send: Send, response: Response, *, close: bool) -> None:
    headers = [
        (name.encode("latin-1"), _LINE_END.sub(" ", value).encode("latin-1", "replace"))
        for name, value in response.headers.items()
    ]
    headers.append((b"content-length", str(len(response.body)).encode()))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to `serve`, which has a buffer to drain."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(
    plan: Plan, settings: Settings, started: Callable[[Runtime, str], None], stopping: Callable[[], None]
) -> None:
    """Run a plan until SIGINT or SIGTERM, then deliver what is buffered; a second signal leaves it in the buffer.

    Args:
        plan: what to run.
        settings: where.
        started: is called with the runtime and its URL once requests are taken.
        stopping: is called when the first signal came.

    Raises:
        PlanError, StoreError, AuditlakeError: it cannot start.
    """
    settings.authentication()
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    with Runtime(plan, settings, port) as runtime:
        config = uvicorn.Config(
            Asgi(runtime),
            http="httptools",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # or X-Forwarded-For would say what source_ip is
            timeout_graceful_shutdown=OPEN_REQUESTS_S,
        )
        server = _Server(config)
        abandoned = threading.Event()

        def stop(_signal: int, _frame: FrameType | None) -> None:
            # Only told, never raised: an exception from a signal may end up in whatever runs then, and be swallowed.
            if server.should_exit:
                server.force_exit = True
                abandoned.set()
                return
            server.should_exit = True
            stopping()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        started(runtime, f"http://{_url_host(host)}:{port}")
        asyncio.run(server.serve(sockets=[listener]))
        drained = runtime.worker.flush()
        while not drained.done() and not abandoned.wait(0.05):
            pass
        if drained.done() and drained.result().problem:
            logging.getLogger("auditlake").error("%s", drained.result().problem)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # By this protocol number asyncio knows to switch Nagle's algorithm off, which costs 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise AuditlakeError(
            f"Nothing can listen on {settings.host} port {settings.port}: {error.strerror}; choose another with --port."
        ) from None
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextlib.contextmanager
def _only_process(data: Path) -> Iterator[None]:
    """Hold the data directory for this process alone: two would deliver each record twice."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "lock").open("a")
    except OSError as error:
        raise StoreError(f"The data directory {data} cannot be used: {error.strerror}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(
                f"Another process runs on the data directory {data}: stop it, or choose another with --data."
            ) from None
        yield
