"""FastAPI: each request that changes something is an audit event, recorded before its answer begins."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auditlake.client import AuditClient

audit = AuditClient(
    os.environ.get("AUDITLAKE_URL", "http://127.0.0.1:7070"), os.environ.get("AUDIT_SPOOL", "audit-spool")
)


class AuditMiddleware:
    """Records a request when the application begins its answer: if it cannot be recorded, there is no answer."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record it once its status is known."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return

        async def recording_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await record_request(scope, message["status"])
            await send(message)

        await self._app(scope, receive, recording_send)


async def record_request(scope: Scope, status: int) -> None:
    """Record who did what and how it ended; neither the disk nor a full spool blocks the event loop."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    route = scope.get("route")
    await audit.arecord(
        event_type=f"http.{scope['method'].lower()}",
        actor=scope.get("state", {}).get("user", "anonymous"),
        action={
            "resource": route.path if route else scope["path"],
            "operation": scope["method"],
            "status": "success" if status < 400 else "failure",
        },
        context={"ipAddress": (scope.get("client") or [None])[0], "userAgent": headers.get("user-agent", "")},
        metadata={"source": "shop", "httpStatus": status},
    )


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Send what is recorded before the process ends."""
    yield
    await audit.aclose()


app = FastAPI(lifespan=lifespan)
app.add_middleware(AuditMiddleware)


@app.post("/invoices/{invoice}/pay")
async def pay(invoice: str) -> dict[str, str]:
    """Pay an invoice."""
    return {"paid": invoice}
