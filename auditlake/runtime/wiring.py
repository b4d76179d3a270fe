"""The parts of a running plan, wired together: its API and stream, and the functions behind them."""

import contextlib
import secrets
import socket
import time
from collections.abc import Callable, Mapping

from auditlake.errors import PlanError
from auditlake.runtime.authenticate import Authentication, MethodResource, Mode
from auditlake.runtime.authorizer import Authorizers
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.control_endpoints import CONTROL, Control
from auditlake.runtime.data_directory import only_process
from auditlake.runtime.deliver import (
    FirehoseIntegration,
    LambdaIntegration,
    MockIntegration,
    StreamApi,
    stream_action,
    timeout_s,
)
from auditlake.runtime.exchange import Finish, OpenRequests, Operation, Request, Response, problem
from auditlake.runtime.firehose_api import FirehoseApi
from auditlake.runtime.function import FunctionPool, FunctionProcess, Invocable
from auditlake.runtime.handlers import check_handlers
from auditlake.runtime.kinesis_api import KinesisApi
from auditlake.runtime.plan import Function, Plan
from auditlake.runtime.post import ApiFront, Integration
from auditlake.runtime.same_origin import refusal
from auditlake.runtime.settings import Settings
from auditlake.runtime.signature import AccessKey
from auditlake.runtime.store import open_store
from auditlake.runtime.store_location import choose_location
from auditlake.runtime.stream import StreamWorker
from auditlake.runtime.stream_front import StreamFront, is_call
from auditlake.runtime.transform import MAX_INVOCATIONS

AUTHORIZERS = 2
"""Processes of a Lambda authorizer: tokens that it checks side by side."""
RECEIVERS = 2
"""Processes of the receiver function: requests that it answers side by side."""

NICENESS = 10
"""By how much the processes of the transform stand back: no request waits for them."""


class Runtime:
    """All parts of a running plan; use it as a context manager."""

    def __init__(self, plan: Plan, settings: Settings, port: int, clock: Callable[[], float] = time.time) -> None:
        """Open the buffer and the store and prepare the stream; `port` is where the API will listen.

        Raises PlanError for what the plan asks in vain, StoreError when the data directory cannot be used.
        """
        self.plan = plan
        self.authentication = settings.authentication()
        self._settings = settings
        self._clock = clock
        self._processes: list[FunctionProcess] = []
        self.open_requests = OpenRequests()
        # With it the receiver signs; known to nobody else, it changes with every start.
        self._wire_key = AccessKey(f"AUDITLAKE{secrets.token_hex(8)}", secrets.token_hex(32), plan.stream.arn)
        with contextlib.ExitStack() as opened:
            self._opened = opened
            opened.enter_context(only_process(settings.data, settings.url(port)))
            self.buffer = Buffer(settings.data / "buffer.sqlite", has_backup=plan.stream.backup is not None)
            opened.callback(self.buffer.close)
            # The functions have a listener of their own: it outlives the API's, and takes nothing but their key.
            self.wire_listener = opened.enter_context(_loopback_listener())
            self.firehose = FirehoseApi(plan.stream, self.buffer, clock)
            source = plan.stream.source
            self.kinesis = KinesisApi(source, self.buffer, clock) if source is not None else None
            only_functions = Authentication(Mode.PLAN, keys={self._wire_key.id: self._wire_key})
            self.wire = StreamFront(self.firehose, only_functions, plan.region, clock, self.kinesis)
            self._stream_front = StreamFront(self.firehose, self.authentication, plan.region, clock, self.kinesis)
            function = plan.function(plan.stream.processor.function_arn)
            transform = FunctionPool([self._process(function, niceness=NICENESS) for _ in range(MAX_INVOCATIONS)])
            self.location = choose_location(settings.data, plan.bucket.name, settings.store)
            self.store = open_store(self.location, plan.bucket.name, plan.bucket.object_lock, clock)
            self.worker = StreamWorker(plan, self.buffer, transform, self.store, clock, self.open_requests)
            self._control = Control(plan, settings.data, (self.buffer, self.worker), self.authentication, clock)
            opened.callback(self._control.close)
            resource = MethodResource(plan.region, plan.account_id, plan.api.name, plan.api.stage)
            authorizers = Authorizers(self._authorizer, resource)
            self.api = ApiFront(plan.api, self._integration, resource, self.authentication, clock, authorizers)
            opened.callback(self.api.close)
            check_handlers(self._processes)
            self._opened = opened.pop_all()

    def __enter__(self) -> "Runtime":
        self.worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.close()
        self._opened.close()

    def admit(self, head: Request) -> Response | Finish:
        """Look at the head of any request: for the plan's API, the stream's API, or the runtime's own control."""
        # In mode `plan` without a token the control is open, and no plan's API asks for a secret everywhere.
        if self.authentication.token is None and (detail := refusal(head)) is not None:
            return problem(403, "Forbidden", detail)
        if is_call(head):
            return self._stream_front.admit(head)
        # Where Prometheus looks by itself; a plan whose API has such a path keeps it.
        is_metrics = head.path == "/metrics" and "/metrics" not in self.plan.api.document["paths"]
        if head.path.startswith(CONTROL) or (is_metrics and head.method == "GET"):
            return self._control.refusal(head) or self._control.answer
        return self.api.admit(head)

    def too_large(self, head: Request) -> Response:
        """Answer a request whose body is too large."""
        return self._stream_front.too_large(head) if is_call(head) else self.api.too_large(head)

    def _authorizer(self, arn: str) -> Invocable:
        """Return the function that checks tokens, with the given keys instead of its issuer's."""
        keys = {"JWKS_FILE": str(self._settings.jwks.resolve())} if self._settings.jwks else {}
        return FunctionPool([self._process(self.plan.function(arn), keys) for _ in range(AUTHORIZERS)])

    def _process(self, function: Function, more: Mapping[str, str] | None = None, niceness: int = 0) -> FunctionProcess:
        environment = {
            **(more or {}),
            "AUDITLAKE_FUNCTION_ARN": function.arn,
            "AWS_REGION": self.plan.region,
            "AWS_DEFAULT_REGION": self.plan.region,
            "AWS_ACCESS_KEY_ID": self._wire_key.id,
            "AWS_SECRET_ACCESS_KEY": self._wire_key.secret,
            "AWS_ENDPOINT_URL_FIREHOSE": "http://{}:{}".format(*self.wire_listener.getsockname()),
            "AWS_ENDPOINT_URL_KINESIS": "http://{}:{}".format(*self.wire_listener.getsockname()),
        }
        process = FunctionProcess(
            function, self._settings.data / "logs" / f"{function.name}.log", environment, niceness=niceness
        )
        self._opened.callback(process.close)
        self._processes.append(process)
        return process

    def _stream_api(self, operation: Operation) -> StreamApi:
        """Return the API that an AWS integration calls; raises PlanError when the plan has no such stream."""
        service, _ = stream_action(operation)
        if service == "firehose":
            return self.firehose
        if self.kinesis is None:
            raise PlanError(
                f"{operation.name} puts to a Kinesis data stream, but the delivery stream of the plan reads none: give "
                "it a kinesis_source_configuration, or integrate with firehose:action/PutRecord."
            )
        return self.kinesis

    def _integration(self, operation: Operation) -> Integration:
        integration = operation.integration
        match integration["type"].lower():
            case "aws":
                return FirehoseIntegration(operation, self._stream_api(operation), self.plan.api.stage_variables)
            case "mock":
                return MockIntegration(operation, self.plan.api.stage_variables)
            case "aws_proxy":
                arn = integration["uri"].partition("/functions/")[2].removesuffix("/invocations")
                receivers = [self._process(self.plan.function(arn)) for _ in range(RECEIVERS)]
                media_types = self.plan.api.document.get("x-amazon-apigateway-binary-media-types", ())
                variables = self.plan.api.stage_variables
                integration_of_it = LambdaIntegration(receivers, media_types, timeout_s(operation), variables)
                self._opened.callback(integration_of_it.close)
                return integration_of_it
            case other:
                raise PlanError(
                    f"{operation.name} has an integration of type {other}; the local runtime implements aws, "
                    "aws_proxy and mock."
                )


def _loopback_listener() -> socket.socket:
    # By this protocol number asyncio knows to switch Nagle's algorithm off, which costs 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener
