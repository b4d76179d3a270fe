"""The header that carries a bearer token."""

from auditlake.errors import SendError


def token_text(token: str) -> str | None:
    """Return a token without white space around it, which a file's last line has; None for what no header can carry."""
    text = token.strip()
    return text if text and text.isascii() and text.isprintable() and " " not in text else None


def bearer(token: object) -> str:
    """Return the value of `Authorization` for a token.

    Raises SendError for what no header can carry; the token itself is not in the message, which may end in a log.
    """
    if not isinstance(token, str):
        raise SendError(f"The bearer token is of type {type(token).__name__}: give it as a text.")
    text = token_text(token)
    if text is None:
        raise SendError(
            "The bearer token is empty, or holds spaces, line ends or characters beyond ASCII, which no header can "
            "carry: give it as the endpoint was given it."
        )
    return f"Bearer {text}"
