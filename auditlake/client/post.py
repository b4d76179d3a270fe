"""The connection of a client: POSTs batches to `/events/batch` with its authentication."""

from collections.abc import Callable, Generator, Sequence
from datetime import datetime
from typing import Self

import httpx

from auditlake.batch_endpoint import Answer, batch_url, encode_body, post_batch
from auditlake.bearer import bearer
from auditlake.errors import SendError
from auditlake.loopback import is_loopback

Token = str | Callable[[], str]
"""A bearer token, or what returns the one that is valid now."""
_GZIP_LEVEL = 3  # half the time of the default level 6, which the service pays, for a body a fifth larger
Post = Callable[[Sequence[bytes], datetime], Answer]


class Bearer(httpx.Auth):
    """Sends a bearer token, asked anew for each request when it is a function."""

    def __init__(self, token: Token) -> None:
        """Send this token."""
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers["Authorization"] = bearer(self._token() if callable(self._token) else self._token)
        yield request


def authentication(url: str, token: Token | None, auth: str | None, region: str | None) -> httpx.Auth | None:
    """Return what authenticates the requests, or None; raises SendError for what does not fit together."""
    if auth == "sigv4":
        if token is not None:
            raise SendError(
                "auth='sigv4' signs with your AWS credentials, so the token would go unused: leave one out."
            )
        from auditlake.sigv4 import signer

        return signer(url, region)
    if auth is not None:
        raise SendError(f"auth={auth!r} is not known; it is 'sigv4', or None for the token or nothing.")
    if region is not None:
        raise SendError("region is for auth='sigv4': add it, or leave the region out.")
    if token is None:
        return None
    if not callable(token):
        bearer(token)  # says now what is wrong with it
    return Bearer(token)


class Connection:
    """POSTs batches, over connections that are kept open between them."""

    def __init__(self, url: str, auth: httpx.Auth | None, timeout_s: float) -> None:
        """POST to the batch endpoint below `url`; raises SendError for what is no URL, or no time."""
        if not timeout_s > 0:
            raise SendError(f"timeout_s is {timeout_s!r}: it must be a number of seconds above 0.")
        self._url = batch_url(url)
        self._client = httpx.Client(auth=auth, timeout=timeout_s, trust_env=not is_loopback(url))

    def post(self, events: Sequence[bytes], now: datetime) -> Answer:
        """POST events and return what the answer says of each; raises SendError for an answer that is ours to mend."""
        return post_batch(self._client, self._url, encode_body(events, _GZIP_LEVEL), len(events), now)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
