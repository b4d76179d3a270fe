"""Refusing a request as a whole."""

from http import HTTPStatus

from lambda_src.receiver.problem import problem_body


def test_members() -> None:
    """A problem document has the members of RFC 9457, and RFC 9110's name for a body that is too large."""
    assert problem_body(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Send less.") == {
        "type": "about:blank",
        "title": "Content Too Large",
        "status": 413,
        "detail": "Send less.",
    }
