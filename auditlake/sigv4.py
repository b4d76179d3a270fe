"""Signs requests to API Gateway with AWS credentials (Signature Version 4), as a stack with `auth_mode` iam asks for.

Needs the extra `aws`.
"""

import re
from collections.abc import Generator
from urllib.parse import urlsplit

import httpx

from auditlake.errors import SendError

SERVICE = "execute-api"
"""The service that API Gateway wants in a signature's scope."""

_HOST = re.compile(r".*\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")

try:
    import botocore.session
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    from botocore.exceptions import BotoCoreError
except ModuleNotFoundError as error:
    raise SendError("--auth sigv4 signs with botocore, which is not installed: pip install 'auditlake[aws]'") from error


class SigV4(httpx.Auth):
    """Signs each request anew, so that a repeat has a fresh time and credentials that were refreshed meanwhile."""

    requires_request_body = True

    def __init__(self, credentials: Credentials, region: str) -> None:
        """Sign for `region` with credentials that may refresh themselves."""
        self._credentials = credentials
        self._region = region

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the signature's headers; raises SendError when the credentials cannot be refreshed."""
        signed = AWSRequest(
            method=request.method,
            url=str(request.url),
            data=request.content,
            headers={"Content-Type": request.headers["Content-Type"], "Host": request.headers["Host"]},
        )
        try:
            frozen = self._credentials.get_frozen_credentials()
        except BotoCoreError as error:
            raise SendError(f"The AWS credentials cannot be refreshed: {error}") from error
        SigV4Auth(frozen, SERVICE, self._region).add_auth(signed)
        for name in ("Authorization", "X-Amz-Date", "X-Amz-Security-Token"):
            if name in signed.headers:
                request.headers[name] = signed.headers[name]
        yield request


def signer(url: str, region: str | None) -> SigV4:
    """Return what signs requests to `url` with the credentials that the AWS CLI would use.

    Args:
        url: the endpoint, whose host name says the region where it is API Gateway's own.
        region: the region; None for that of the host name, else of the profile or AWS_REGION.

    Raises:
        SendError: there are no credentials, or the region is not known.
    """
    try:
        session = botocore.session.get_session()
        host = _HOST.fullmatch(urlsplit(url).hostname or "")
        chosen = region or (host.group(1) if host else None) or session.get_config_variable("region")
        credentials = session.get_credentials()
    except (BotoCoreError, ValueError) as error:
        raise SendError(f"The AWS configuration cannot be read: {error}") from error
    if credentials is None:
        raise SendError(
            "--auth sigv4 found no AWS credentials: sign in as for the AWS CLI (aws configure, AWS_PROFILE, "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)."
        )
    if not chosen:
        raise SendError(f"The host of {url} does not say its region: add --region REGION.")
    return SigV4(credentials, chosen)
