"""Flask: each request that changes something is an audit event, recorded before its answer goes out."""

import os

from flask import Flask, Response, request

from auditlake.client import AuditClient

audit = AuditClient(
    os.environ.get("AUDITLAKE_URL", "http://127.0.0.1:7070"),
    os.environ.get("AUDIT_SPOOL", "audit-spool"),
    token=os.environ.get("AUDITLAKE_TOKEN"),
)
app = Flask(__name__)


@app.after_request
def record_request(response: Response) -> Response:
    """Record who did what and how it ended; if that cannot be recorded, the answer is an error."""
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        audit.record(
            event_type=f"http.{request.method.lower()}",
            actor=request.remote_user or "anonymous",
            action={
                "resource": str(request.url_rule or request.path),
                "operation": request.method,
                "status": "success" if response.status_code < 400 else "failure",
            },
            request_id=request.headers.get("X-Request-Id"),
            context={"ipAddress": request.remote_addr, "userAgent": request.headers.get("User-Agent", "")},
            metadata={"source": "shop", "httpStatus": response.status_code},
        )
    return response


@app.post("/invoices/<invoice>/pay")
def pay(invoice: str) -> dict[str, str]:
    """Pay an invoice."""
    return {"paid": invoice}
