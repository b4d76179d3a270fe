"""Django: add `docs.examples.django_audit.AuditMiddleware` (your path) to MIDDLEWARE, behind the authentication's.

Settings: AUDITLAKE_URL and AUDIT_SPOOL, a directory.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from auditlake.client import AuditClient


class AuditMiddleware:
    """Records each request that changes something, before its answer goes out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Open the spool; Django makes one middleware a process."""
        self._get_response = get_response
        self._audit = AuditClient(settings.AUDITLAKE_URL, settings.AUDIT_SPOOL)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, and record who did what and how it ended."""
        response = self._get_response(request)
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            user = getattr(request, "user", None)
            match = request.resolver_match
            self._audit.record(
                event_type=f"http.{str(request.method).lower()}",
                actor=str(user.pk) if user is not None and user.is_authenticated else "anonymous",
                action={
                    "resource": match.route if match else request.path,
                    "operation": request.method,
                    "status": "success" if response.status_code < 400 else "failure",
                },
                context={
                    "ipAddress": request.META.get("REMOTE_ADDR"),
                    "userAgent": request.headers.get("User-Agent", ""),
                },
                metadata={"source": "shop", "httpStatus": response.status_code},
            )
        return response
