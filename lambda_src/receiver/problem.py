"""Refusing a request as a whole: problem+json with one sentence (RFC 9457)."""

from http import HTTPStatus


class Problem(Exception):  # noqa: N818  # the name that RFC 9457 gives it
    """The whole request is refused; nothing of it is in the stream."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        """What came, what is allowed, what to do next."""


def problem_body(status: HTTPStatus, detail: str) -> dict[str, object]:
    """Make the members that every problem document has."""
    title = "Content Too Large" if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else status.phrase  # RFC 9110's name
    return {"type": "about:blank", "title": title, "status": status.value, "detail": detail}
