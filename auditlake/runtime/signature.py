"""Signature Version 4: access keys out of a file, and whether one of them signed a request (F5)."""

import configparser
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from auditlake.errors import AuditlakeError
from auditlake.runtime.exchange import GatewayError, Request

CLOCK_SKEW = timedelta(minutes=5)
"""How far a signature's time may lie from the server's (seen in API Gateway's messages)."""
ALGORITHM = "AWS4-HMAC-SHA256"

_DATE = "%Y%m%dT%H%M%SZ"
NO_TOKEN = "Missing Authentication Token"  # noqa: S105 - a message
"""What is said to a request without credentials (F3)."""
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
"""What is said to a wrong signature (seen by users)."""
_UNKNOWN_KEY = "The security token included in the request is invalid."


@dataclass(frozen=True)
class AccessKey:
    """An access key and whose it is; `allowed` are patterns of `METHOD/path` that the principal may call."""

    id: str
    secret: str = field(repr=False)
    principal_arn: str
    session_token: str | None = field(default=None, repr=False)
    expiration: datetime | None = None
    principal_id: str | None = None
    allowed: tuple[str, ...] = ("*",)


def load_access_keys(path: Path) -> dict[str, AccessKey]:
    """Read access keys from a file of AWS's shared credentials format, with a `principal_arn` in each section.

    `aws_session_token`, `expiration` (RFC 3339), `principal_id` and `allowed` (patterns of `METHOD/path`, parted by
    spaces; without it everything) may stand there too. Raises AuditlakeError naming section and member, never a value.
    """
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise AuditlakeError(f"The credentials file {path} cannot be read: {error}.") from None
    except configparser.Error:
        # The parser's own message would quote the line, which may hold a secret.
        raise AuditlakeError(
            f"{path} is no credentials file: it holds sections such as [alice], with lines aws_access_key_id = ..., "
            "aws_secret_access_key = ... and principal_arn = arn:aws:iam::123456789012:user/alice."
        ) from None
    keys = [_access_key(path, parser[section]) for section in parser.sections()]
    if not keys:
        raise AuditlakeError(f"The credentials file {path} holds no section, so nobody could sign a request.")
    return {key.id: key for key in keys}


def _access_key(path: Path, section: configparser.SectionProxy) -> AccessKey:
    for name in ("aws_access_key_id", "aws_secret_access_key", "principal_arn"):
        if not section.get(name):
            raise AuditlakeError(f"The section [{section.name}] of {path} lacks {name}.")
    if len(section["principal_arn"].split(":")) < 6:
        raise AuditlakeError(
            f"The principal_arn of [{section.name}] in {path} is no ARN; it looks like "
            "arn:aws:iam::123456789012:user/alice."
        )
    return AccessKey(
        id=section["aws_access_key_id"],
        secret=section["aws_secret_access_key"],
        principal_arn=section["principal_arn"],
        session_token=section.get("aws_session_token"),
        expiration=_expiration(path, section),
        principal_id=section.get("principal_id"),
        allowed=tuple(section.get("allowed", "*").split()),
    )


def _expiration(path: Path, section: configparser.SectionProxy) -> datetime | None:
    text = section.get("expiration")
    if not text:
        return None
    try:
        expires = datetime.fromisoformat(text)
    except ValueError:
        expires = None
    if expires is None or expires.tzinfo is None:
        raise AuditlakeError(
            f"The expiration of [{section.name}] in {path} is no time with an offset, e.g. 2026-11-24T12:00:00Z."
        )
    return expires


@dataclass(frozen=True)
class Signed:
    """What a request's head says about its signature: who may have signed it, when, over what."""

    key: AccessKey
    timestamp: datetime
    signed_headers: tuple[str, ...]
    signature: str


def read_signature(request: Request, keys: Mapping[str, AccessKey], service: str, region: str, now: float) -> Signed:
    """Return what the head of a request says, as far as it can be checked before the body is there.

    The arguments and what is raised are those of `verify_signature`.
    """
    given = _authorization(request)
    timestamp = _timestamp(request)
    _check_time(timestamp, datetime.fromtimestamp(now, UTC))
    key_id = _check_scope(given["Credential"], timestamp, service, region)
    key = keys.get(key_id)
    if key is None:
        raise GatewayError("INVALID_SIGNATURE", _UNKNOWN_KEY)
    if key.expiration is not None and key.expiration.timestamp() <= now:
        raise GatewayError("EXPIRED_TOKEN", "The security token included in the request is expired")
    token = request.headers.get("x-amz-security-token", "")
    if not hmac.compare_digest(token.encode(), (key.session_token or "").encode()):
        raise GatewayError("INVALID_SIGNATURE", _UNKNOWN_KEY)
    return Signed(key, timestamp, tuple(given["SignedHeaders"].split(";")), given["Signature"])


def verify_signature(
    request: Request, keys: Mapping[str, AccessKey], service: str, region: str, now: float
) -> AccessKey:
    """Return the key that signed the request by Signature Version 4 in its Authorization header.

    The signature is calculated anew by botocore over the request as it came, and compared in constant time. The body
    is always part of it: UNSIGNED-PAYLOAD is refused, whatever API Gateway does with it (unverified).

    Args:
        request: the request, not unpacked.
        keys: access keys by their id.
        service: the service of the credential scope, e.g. `execute-api`.
        region: the region of the credential scope.
        now: the epoch time in seconds.

    Raises:
        GatewayError: MISSING_AUTHENTICATION_TOKEN (documented; for an incomplete header as users saw it),
            INVALID_SIGNATURE (documented; for an unknown key unverified), EXPIRED_TOKEN (documented). Messages are
            those that users quote.
    """
    signed = read_signature(request, keys, service, region, now)
    expected = _signature(request, signed, service, region)
    if not hmac.compare_digest(expected.encode(), signed.signature.encode()):
        raise GatewayError("INVALID_SIGNATURE", MISMATCH)
    return signed.key


def _authorization(request: Request) -> dict[str, str]:
    """Return Credential, SignedHeaders and Signature of the header."""
    header = request.headers.get("authorization")
    if header is None:
        if "X-Amz-Signature=" in request.query:
            raise GatewayError(
                "INVALID_SIGNATURE",
                "The local runtime implements signatures in the Authorization header, not in the query string.",
            )
        raise GatewayError("MISSING_AUTHENTICATION_TOKEN", NO_TOKEN)
    algorithm, _, rest = header.partition(" ")
    if algorithm.startswith("AWS4-ECDSA"):
        raise GatewayError("INVALID_SIGNATURE", f"The local runtime implements {ALGORITHM}, not {algorithm}.")
    pairs = {}
    for part in rest.split(",") if algorithm == ALGORITHM else []:
        name, _, value = part.strip().partition("=")
        pairs[name] = value
    missing = [
        f"Authorization header requires '{n}' parameter." for n in ("Credential", "Signature") if not pairs.get(n)
    ]
    if not pairs.get("SignedHeaders"):
        missing.append("Authorization header requires 'SignedHeaders' parameter.")
    if not {"x-amz-date", "date"} & set(request.headers):
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if missing:
        # API Gateway adds the header itself, which may be somebody's token.
        raise GatewayError("MISSING_AUTHENTICATION_TOKEN", " ".join(missing))
    if "host" not in pairs["SignedHeaders"].split(";"):
        raise GatewayError(
            "INVALID_SIGNATURE", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
        )
    return pairs


def _timestamp(request: Request) -> datetime:
    """Return the time that was signed."""
    text = request.headers.get("x-amz-date")
    try:
        if text is not None:
            return datetime.strptime(text, _DATE).replace(tzinfo=UTC)
        return parsedate_to_datetime(request.headers["date"]).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        raise GatewayError(
            "INVALID_SIGNATURE", "Date must be in ISO-8601 'basic format', such as 20261124T030000Z."
        ) from None


def _check_time(signed: datetime, now: datetime) -> None:
    at = now.strftime(_DATE)
    if signed < now - CLOCK_SKEW:
        earliest = (now - CLOCK_SKEW).strftime(_DATE)
        raise GatewayError(
            "INVALID_SIGNATURE",
            f"Signature expired: {signed.strftime(_DATE)} is now earlier than {earliest} ({at} - 5 min.)",
        )
    if signed > now + CLOCK_SKEW:
        latest = (now + CLOCK_SKEW).strftime(_DATE)
        raise GatewayError(
            "INVALID_SIGNATURE",
            f"Signature not yet current: {signed.strftime(_DATE)} is still later than {latest} ({at} + 5 min.)",
        )


def _check_scope(credential: str, signed: datetime, service: str, region: str) -> str:
    """Return the access key id of a credential scope `ID/DATE/REGION/SERVICE/aws4_request`."""
    key_id, _, scope = credential.partition("/")
    parts = scope.split("/")
    if len(parts) != 4 or parts[3] != "aws4_request":
        raise GatewayError(
            "INVALID_SIGNATURE", "Credential must have exactly 5 slash-delimited elements, ending in aws4_request."
        )
    day, given_region, given_service = parts[:3]
    if day != signed.strftime("%Y%m%d"):
        raise GatewayError(
            "INVALID_SIGNATURE",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{day}' != '{signed:%Y%m%d}', from '{signed.strftime(_DATE)}'.",
        )
    if given_region != region:
        raise GatewayError("INVALID_SIGNATURE", f"Credential should be scoped to a valid region, not '{given_region}'.")
    if given_service != service:
        raise GatewayError("INVALID_SIGNATURE", f"Credential should be scoped to correct service: '{service}'.")
    return key_id


class _Recalculated(SigV4Auth):
    """botocore's calculation over exactly the headers that the client signed, and the body itself."""

    def __init__(self, key: AccessKey, service: str, region: str, body: bytes) -> None:
        super().__init__(Credentials(key.id, key.secret), service, region)
        self._body = body

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        return request.headers

    def payload(self, request: AWSRequest) -> str:  # noqa: ARG002 - botocore's signature
        return sha256(self._body).hexdigest()


def _signature(request: Request, signed: Signed, service: str, region: str) -> str:
    """Return the signature that the request should carry."""
    stated = request.headers.get("x-amz-content-sha256")
    if stated is not None and stated != sha256(request.body).hexdigest():
        raise GatewayError("INVALID_SIGNATURE", MISMATCH)
    query = [pair.partition("=") for pair in request.query.split("&") if pair]
    headers = {name: request.headers.get(name, "") for name in signed.signed_headers}
    calculated = AWSRequest(
        method=request.method,
        # The host is signed as a header; what the client put there need not make a URL.
        url=f"http://runtime{request.raw_path or request.path}",
        headers=headers,
        params=[(unquote(name), unquote(value)) for name, _, value in query],  # type: ignore[arg-type]  # it takes pairs
    )
    calculated.context["timestamp"] = signed.timestamp.strftime(_DATE)
    signer = _Recalculated(signed.key, service, region, request.body)
    return str(signer.signature(signer.string_to_sign(calculated, signer.canonical_request(calculated)), calculated))
