"""The runtime's own endpoints below `/_auditlake/`: status, flush, metrics, explain."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import parse_qsl

from auditlake.errors import AuditlakeError, StoreError
from auditlake.runtime.authenticate import Authentication
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.exchange import Request, Response, json_response
from auditlake.runtime.explain import explain
from auditlake.runtime.metrics import CONTENT_TYPE, metrics
from auditlake.runtime.plan import Plan
from auditlake.runtime.status import failed_records, status
from auditlake.runtime.stream import StreamWorker
from auditlake.runtime.threads import Threads

CONTROL = "/_auditlake/"
"""Below this path the runtime itself answers; the plan's API has no such path."""


LOOKS = 2
"""How many looks (status, metrics, explain) run side by side."""
P = ParamSpec("P")
T = TypeVar("T")


class Control:
    """Answers for a running plan."""

    def __init__(
        self,
        plan: Plan,
        data: Path,
        parts: tuple[Buffer, StreamWorker],
        authentication: Authentication,
        clock: Callable[[], float],
    ) -> None:
        """Answer about `parts`, whose data directory is `data`; `clock` gives the epoch time in seconds."""
        self._plan = plan
        self._data = data
        self._buffer, self._worker = parts
        self._authentication = authentication
        self._clock = clock
        self._threads = Threads(LOOKS, "control")

    def close(self) -> None:
        """End the threads that look, which nobody waits for."""
        self._threads.shutdown()

    def refusal(self, request: Request) -> Response | None:
        """Refuse a request without the token, where there is one; looks at the head alone."""
        if self._authentication.token is None or self._authentication.bears_token(request):
            return None
        return json_response(401, {"detail": "The runtime asks for its token: send Authorization: Bearer TOKEN."})

    async def answer(self, request: Request) -> Response:
        """Answer a request that `refusal` let pass; what cannot be read or written is a 503 with a sentence."""
        try:
            return await self._answer(request)
        except (StoreError, OSError, sqlite3.Error) as error:
            return json_response(503, {"detail": f"The data directory cannot be read: {error}"}, {"retry-after": "1"})

    async def _answer(self, request: Request) -> Response:
        match (request.method, request.path.removeprefix(CONTROL)):
            case ("GET", "status"):
                problem = self._worker.problem()
                return json_response(200, await self._look(status, self._plan, self._buffer, problem))
            case ("POST", "flush"):
                return await self._flush()
            case ("GET", "metrics" | "/metrics"):
                now_ms = int(self._clock() * 1000)
                text = await self._look(metrics, self._plan.stream.name, self._buffer, self._worker, now_ms)
                return Response(200, text, {"content-type": CONTENT_TYPE})
            case ("GET", "explain"):
                return await self._explain(dict(parse_qsl(request.query)).get("event_id", ""))
            case _:
                detail = "The runtime knows GET status, metrics and explain and POST flush here."
                return json_response(404, {"detail": detail})

    async def _look(self, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T:
        """Call what reads disks in a thread of the control's own: however long it takes, no request waits for it."""
        return await asyncio.wrap_future(self._threads.submit(function, *arguments, **named))

    async def _flush(self) -> Response:
        before = failed_records(self._buffer)
        flushed = await asyncio.wrap_future(self._worker.flush())
        failed = failed_records(self._buffer) - before
        content = {"objects": flushed.objects, "rows": flushed.rows, "failed": failed, "problem": flushed.problem}
        return json_response(200 if flushed.problem is None else 503, content)

    async def _explain(self, event_id: str) -> Response:
        if not event_id:
            return json_response(400, {"detail": "Say which event: explain?event_id=ID."})
        try:
            explanation = await self._look(explain, self._data, self._plan, event_id)
        except AuditlakeError as error:
            return json_response(503, {"detail": str(error)})
        return json_response(200, explanation.content())
