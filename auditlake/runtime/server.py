"""The runtime in one process: the plan's API and stream, wired together and served over HTTP."""

import asyncio
import contextlib
import fcntl
import hmac
import importlib.util
import json
import logging
import secrets
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from auditlake.errors import AuditlakeError, PlanError, StoreError
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.deliver import FirehoseIntegration, LambdaIntegration, MockIntegration
from auditlake.runtime.exchange import Operation, Request, Response
from auditlake.runtime.firehose_api import CONTENT_TYPE, TARGET_PREFIX, FirehoseApi
from auditlake.runtime.function import FunctionProcess
from auditlake.runtime.plan import Function, Plan
from auditlake.runtime.post import MAX_BODY_BYTES, ApiFront, Integration
from auditlake.runtime.status import status
from auditlake.runtime.store import DirectoryStore
from auditlake.runtime.stream import StreamWorker

CONTROL = "/_auditlake/"
"""Below this path the runtime itself answers; the plan's API has no such path."""
RECEIVERS = 2
"""Processes of the receiver function: requests that it answers side by side."""

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Settings:
    """Where the runtime keeps its data and listens; `token` is the bearer token that it asks for, None for none."""

    data: Path
    host: str
    port: int
    token: str | None

    def check(self) -> None:
        """Raise AuditlakeError when anybody on the network could write without a token."""
        if self.token is None and not _is_loopback(self.host):
            raise AuditlakeError(
                f"The address {self.host} can be reached from other machines: add --token TOKEN, which every request "
                "must then carry as `Authorization: Bearer TOKEN`, or listen on 127.0.0.1."
            )


class Runtime:
    """All parts of a running plan; use it as a context manager."""

    def __init__(self, plan: Plan, settings: Settings, port: int, clock: Callable[[], float] = time.time) -> None:
        """Open the buffer and the store and prepare the stream; `port` is where the API will listen.

        Raises PlanError for what the plan asks in vain, StoreError when the data directory cannot be used.
        """
        self.plan = plan
        self.wire_key = secrets.token_hex(16)
        self._settings = settings
        self._port = port
        with contextlib.ExitStack() as opened:
            self._opened = opened
            opened.enter_context(_only_process(settings.data))
            self.buffer = Buffer(settings.data / "buffer.sqlite")
            opened.callback(self.buffer.close)
            self.firehose = FirehoseApi(plan.stream, self.buffer, clock)
            transform = self._process(plan.function(plan.stream.processor.function_arn))
            store = DirectoryStore(settings.data / plan.bucket.name)
            self.worker = StreamWorker(plan, self.buffer, transform, store, clock)
            self.api = ApiFront(plan.api, self._integration, plan.account_id, settings.token, clock)
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
            "AWS_ACCESS_KEY_ID": self.wire_key,
            "AWS_SECRET_ACCESS_KEY": self.wire_key,
            "AWS_ENDPOINT_URL_FIREHOSE": f"http://{_url_host(self._settings.host)}:{self._port}",
        }
        process = FunctionProcess(function, self._settings.data / "logs" / f"{function.name}.log", environment)
        self._opened.callback(process.close)
        return process

    def _integration(self, operation: Operation) -> Integration:
        integration = operation.integration
        match integration["type"].lower():
            case "aws":
                return FirehoseIntegration(operation, self.firehose)
            case "mock":
                return MockIntegration(operation)
            case "aws_proxy":
                arn = integration["uri"].partition("/functions/")[2].removesuffix("/invocations")
                receivers = [self._process(self.plan.function(arn)) for _ in range(RECEIVERS)]
                media_types = self.plan.api.document.get("x-amazon-apigateway-binary-media-types", ())
                return LambdaIntegration(receivers, media_types)
            case other:
                name = f"{operation.method} {operation.path}"
                raise PlanError(
                    f"{name} has an integration of type {other}; the local runtime implements aws, aws_proxy and mock."
                )

    async def answer(self, request: Request) -> Response:
        """Answer any request: the plan's API, the stream's API, or the runtime's own control."""
        target = request.headers.get("x-amz-target", "")
        if request.method == "POST" and request.path == "/" and target.startswith(TARGET_PREFIX):
            if not self._may_put(request):
                refused = {
                    "__type": "AccessDeniedException",
                    "message": "The stream's API takes requests of this runtime only.",
                }
                return Response(400, json.dumps(refused).encode(), {"content-type": CONTENT_TYPE})
            return await self.firehose.call(target.removeprefix(TARGET_PREFIX), request.body)
        if request.path.startswith(CONTROL):
            return await self._control(request)
        return await self.api.answer(request)

    def _may_put(self, request: Request) -> bool:
        """Without a token any producer on this machine may put; with one only the receiver, by its access key."""
        return self._settings.token is None or f"Credential={self.wire_key}/" in request.headers.get(
            "authorization", ""
        )

    async def _control(self, request: Request) -> Response:
        token = self._settings.token
        given = request.headers.get("authorization", "")
        if token is not None and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return _json(401, {"detail": "The runtime asks for its token: send Authorization: Bearer TOKEN."})
        match (request.method, request.path.removeprefix(CONTROL)):
            case ("GET", "status"):
                return _json(200, await asyncio.to_thread(status, self.plan, self.buffer))
            case ("POST", "flush"):
                flushed = await asyncio.wrap_future(self.worker.flush())
                content = {"objects": flushed.objects, "rows": flushed.rows, "problem": flushed.problem}
                return _json(200 if flushed.problem is None else 503, content)
            case _:
                return _json(404, {"detail": "The runtime knows GET status and POST flush here."})


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
        )
        body = await _read_body(receive)
        if body is None:
            response = self._runtime.api.too_large(request)
        else:
            response = await self._runtime.answer(
                Request(request.method, request.path, request.query, headers, body, request.source_ip)
            )
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
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in response.headers.items()]
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
    settings.check()
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    with Runtime(plan, settings, port) as runtime:
        config = uvicorn.Config(
            Asgi(runtime), http="httptools", lifespan="off", log_config=None, access_log=False, server_header=False
        )
        server = _Server(config)

        def stop(_signal: int, _frame: FrameType | None) -> None:
            if server.should_exit:
                raise KeyboardInterrupt
            server.should_exit = True
            stopping()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        started(runtime, f"http://{_url_host(host)}:{port}")
        asyncio.run(server.serve(sockets=[listener]))
        drained = runtime.worker.flush()
        with contextlib.suppress(KeyboardInterrupt):
            while not drained.done():
                time.sleep(0.05)
        if drained.done() and drained.result().problem:
            logging.getLogger("auditlake").error("%s", drained.result().problem)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
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
