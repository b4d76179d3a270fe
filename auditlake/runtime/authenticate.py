"""Who may call the API: the plan's own IAM, Cognito or Lambda authorizer, by keys given at start, a token, or nobody.

A stand-in that is honest about what it is: signatures and tokens are really verified, with API Gateway's answers, but
the keys come from files and no IAM policy is evaluated. F5 names the ways in; where an answer's gateway response type
is not documented, the function says so.
"""

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from auditlake.bearer import token_text
from auditlake.errors import AuditlakeError, PlanError
from auditlake.runtime.door import is_api_key
from auditlake.runtime.exchange import GatewayError, Operation, Request
from auditlake.runtime.signature import (
    MISMATCH,
    AccessKey,
    load_access_keys,
    read_signature,
    verify_signature,
)


class Mode(StrEnum):
    """Whom the runtime lets in: as the plan says, who has the bearer token, or everybody on this machine."""

    PLAN = "plan"
    TOKEN = "token"  # noqa: S105 - a mode
    NONE = "none"


@dataclass(frozen=True)
class Caller:
    """Who was recognised: members of `$context.identity`, the claims of a token as text, and what a function says.

    `authorizer` are the principal id and the context of a Lambda authorizer, as `$context.authorizer` shows them.
    """

    identity: Mapping[str, str | None] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    authorizer: Mapping[str, str] = field(default_factory=dict)


BEARER = "Authorization: Bearer TOKEN, with the token that `auditlake up` was given by --token"
NOBODY = Caller()
"""The caller where nobody asked."""


@dataclass(frozen=True)
class Check:
    """Recognises the caller of a request, as far as that goes by its head before its body is read."""

    head: Callable[[Request], Caller | None]
    """Gives the caller, or None where only the whole request tells; raises GatewayError."""
    whole: Callable[[Request], Caller]
    """Gives the caller by the whole request; raises GatewayError."""
    waits: bool = False
    """Whether `whole` waits for a function, so that it must run in a thread."""

    def __call__(self, request: Request) -> Caller:
        """Recognise the caller of a whole request; raises GatewayError."""
        return self.head(request) or self.whole(request)


def _head_check(check: Callable[[Request], Caller]) -> Check:
    """Return a check that the head alone decides."""
    return Check(check, check)


class LambdaAuthorizers(Protocol):
    """The Lambda authorizers of an API."""

    def check(self, operation: Operation, scheme: Mapping[str, Any]) -> Check:
        """Return the check of an operation; raises PlanError for what is not implemented."""


@dataclass(frozen=True)
class Authentication:
    """How callers are checked: the mode, and the secrets it needs, which never show in a message."""

    mode: Mode = Mode.NONE
    token: str | None = field(default=None, repr=False)
    keys: Mapping[str, AccessKey] = field(default_factory=dict, repr=False)
    jwks: KeySet | None = field(default=None, repr=False)

    def notice(self) -> str:
        """Say at start who is let in."""
        match self.mode:
            case Mode.NONE:
                return (
                    "NO AUTHENTICATION: every program on this machine can write, and the rows name no principal; "
                    "--auth plan asks for what the plan asks for on AWS, --token for one token."
                )
            case Mode.TOKEN:
                return "Authentication: the bearer token; it stands in for the plan's own, and all are one principal."
            case Mode.PLAN:
                control = "guards" if self.token else "is missing and would guard"
                return f"Authentication: the plan's own, by the keys of the files; --token {control} status and flush."

    def bears_token(self, request: Request) -> bool:
        """Whether the request carries the bearer token."""
        given = request.headers.get("authorization", "")
        return self.token is not None and hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode())


def load_authentication(
    mode: Mode | None, token: str | None, credentials: Path | None, jwks: Path | None
) -> Authentication:
    """Read what the options of `auditlake up` say; without a mode it is `token` where there is one, else `none`.

    Raises:
        AuditlakeError: options that do not fit each other, or a file that cannot be read.
    """
    if token is not None and (token := token_text(token)) is None:
        # An empty one comes from a variable that is not set; one that no header can carry no client can send.
        raise AuditlakeError(
            "The token is empty or not ASCII, or holds spaces: give a secret of letters and digits, or leave --token "
            "out."
        )
    chosen = mode or (Mode.TOKEN if token else Mode.NONE)
    if chosen is Mode.TOKEN and not token:
        raise AuditlakeError("--auth token needs the token that requests must carry: add --token TOKEN.")
    if chosen is Mode.NONE and token:
        raise AuditlakeError("--auth none asks for nothing, so --token would guard nothing: leave one of them out.")
    if chosen is not Mode.PLAN and (credentials or jwks):
        raise AuditlakeError("--credentials and --jwks are what --auth plan checks against: add --auth plan.")
    return Authentication(
        chosen, token, load_access_keys(credentials) if credentials else {}, load_jwks(jwks) if jwks else None
    )


def load_jwks(path: Path) -> KeySet:
    """Read the public keys of those who sign tokens (a JSON Web Key Set, RFC 7517); raises AuditlakeError."""
    try:
        keys = KeySet.import_key_set(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise AuditlakeError(f"The key set {path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, JoseError):
        keys = None
    if keys is None or not keys.keys or any(key.key_type not in ("RSA", "EC", "OKP") for key in keys.keys):
        raise AuditlakeError(
            f"{path} is no JSON Web Key Set of public keys; a user pool's is at its issuer's URL, at "
            "/.well-known/jwks.json, another issuer's where its /.well-known/openid-configuration says."
        )
    return keys


def check_of(
    operation: Operation,
    document: Mapping[str, Any],
    authentication: Authentication,
    resource: "MethodResource",
    clock: Callable[[], float],
    authorizers: LambdaAuthorizers | None = None,
) -> Check:
    """Return what recognises the callers of an operation.

    Args:
        operation: the method; one without `security` lets everybody in.
        document: the OpenAPI document, whose security schemes say how.
        authentication: the mode and its secrets.
        resource: what an IAM policy would name.
        clock: the epoch time in seconds.
        authorizers: the Lambda authorizers, where there are any.

    Raises:
        PlanError: the document asks for an authorizer that is not implemented.
        AuditlakeError: mode `plan` without the file that it needs.
    """
    scheme, scopes = _scheme(operation, document)
    if scheme is None or authentication.mode is Mode.NONE:
        return _head_check(lambda _: NOBODY)
    kind = str(scheme.get("x-amazon-apigateway-authtype", "")).lower()
    if kind not in ("awssigv4", "cognito_user_pools", "custom"):
        raise PlanError(
            f"{operation.name} has an authorizer of type {kind or 'API key'}; the local runtime implements awsSigv4, "
            "cognito_user_pools and custom."
        )
    if authentication.mode is Mode.TOKEN:
        return _bearer_check(authentication, tokens=kind != "awssigv4")
    if kind == "awssigv4":
        if not authentication.keys:
            raise AuditlakeError(f"{operation.name} asks for IAM: give the access keys with --credentials FILE.")
        return _iam_check(authentication.keys, resource, clock)
    if authentication.jwks is None:
        raise AuditlakeError(
            f"{operation.name} asks for tokens: give the public keys of their issuer, or of the user pools of Cognito, "
            "with --jwks FILE; the issuer itself is not asked here."
        )
    if kind == "custom":
        if authorizers is None:
            raise PlanError(f"{operation.name} has a Lambda authorizer, and no function is there.")
        return authorizers.check(operation, scheme)
    return _cognito_check(operation, scheme, scopes, authentication.jwks, clock)


def _scheme(operation: Operation, document: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, list[str]]:
    """Return the security scheme of an operation and its scopes; API Gateway reads no `security` of the root."""
    asked = operation.definition.get("security") or []
    if not asked:
        return None, []
    schemes = document.get("components", {}).get("securitySchemes", {})
    if unknown := sorted({name for one in asked for name in one} - schemes.keys()):
        raise PlanError(f"{operation.name} names the security scheme {unknown[0]}, which the document lacks.")
    # An API key authenticates nobody; that it is not asked for here, the API's notices say.
    asking = {name: scopes for name, scopes in asked[0].items() if len(asked[0]) == 1 or not is_api_key(schemes[name])}
    if len(asked) != 1 or len(asking) != 1:
        raise PlanError(f"{operation.name} has several security schemes; the local runtime implements one.")
    ((name, scopes),) = asking.items()
    return schemes[name], list(scopes)


def _bearer_check(authentication: Authentication, *, tokens: bool) -> Check:
    """Return a check of the bearer token, which stands in for IAM or for other tokens and answers with their status."""

    def check(request: Request) -> Caller:
        if authentication.bears_token(request):
            return Caller({"userArn": "bearer-token"})
        came = "another one came" if "authorization" in request.headers else "none came"
        detail = f"The runtime asks for its bearer token and {came}; nothing was stored: send {BEARER}."
        if tokens:
            raise GatewayError("UNAUTHORIZED", "Unauthorized", detail=detail)
        raise GatewayError("INVALID_SIGNATURE", MISMATCH, detail=detail)

    return _head_check(check)


@dataclass(frozen=True)
class MethodResource:
    """What IAM calls the API's stage: region, account, API and stage."""

    region: str
    account_id: str
    api_id: str
    stage: str


def _iam_check(keys: Mapping[str, AccessKey], resource: MethodResource, clock: Callable[[], float]) -> Check:
    def head(request: Request) -> None:
        read_signature(request, keys, "execute-api", resource.region, clock())

    def whole(request: Request) -> Caller:
        key = verify_signature(request, keys, "execute-api", resource.region, clock())
        called = f"{request.method}{request.path}"
        if not any(fnmatchcase(called, pattern) for pattern in key.allowed):
            masked = "*" * 8 + resource.account_id[8:]
            raise GatewayError(
                "ACCESS_DENIED",
                f"User: {key.principal_arn} is not authorized to perform: execute-api:Invoke on resource: "
                f"arn:aws:execute-api:{resource.region}:{masked}:{resource.api_id}/{resource.stage}/{called}",
            )
        return Caller(
            {
                "accessKey": key.id,
                "accountId": key.principal_arn.split(":")[4],
                "caller": key.principal_id,
                "user": key.principal_id,
                "userArn": key.principal_arn,
            }
        )

    return Check(head, whole)


def _cognito_check(
    operation: Operation,
    scheme: Mapping[str, Any],
    scopes: list[str],
    jwks: KeySet,
    clock: Callable[[], float],
) -> Check:
    """Return a check of JSON Web Tokens, as the authorizer of API Gateway checks them (F5).

    With scopes the token must be an access token that claims one of them; without, an id token. Everything wrong is
    401 UNAUTHORIZED (documented for a wrong scope; for an expired token as users saw it). All keys of the file count
    for all pools of the authorizer.
    """
    authorizer = scheme.get("x-amazon-apigateway-authorizer", {})
    implemented = {"type", "providerARNs", "authorizerResultTtlInSeconds", "identitySource"}
    if unknown := sorted(set(authorizer) - implemented):
        raise PlanError(f"{operation.name}: {', '.join(unknown)} of its authorizer is not implemented.")
    header = str(scheme.get("name", "Authorization")).lower()
    if authorizer.get("identitySource", f"method.request.header.{header}").lower() != f"method.request.header.{header}":
        raise PlanError(f"{operation.name}: its authorizer looks elsewhere than in the header {header}.")
    issuers = frozenset(issuer(arn) for arn in authorizer.get("providerARNs", ()))

    def check(request: Request) -> Caller:
        claims = _claims(request.headers.get(header, ""), jwks)
        expires = claims.get("exp")
        if claims.get("iss") not in issuers or not isinstance(expires, int | float):
            raise GatewayError("UNAUTHORIZED", "Unauthorized")
        if expires <= clock():
            raise GatewayError("UNAUTHORIZED", "The incoming token has expired")
        if claims.get("token_use") != ("access" if scopes else "id"):
            raise GatewayError("UNAUTHORIZED", "Unauthorized")
        if scopes and not set(scopes) & set(str(claims.get("scope", "")).split()):
            raise GatewayError("UNAUTHORIZED", "Unauthorized")
        return Caller(claims={name: _claim_text(value) for name, value in claims.items()})

    return _head_check(check)


def issuer(user_pool_arn: str) -> str:
    """Return the issuer of a user pool's tokens; raises PlanError when the ARN is none of a user pool."""
    parts = user_pool_arn.split(":")
    if len(parts) != 6 or parts[2] != "cognito-idp" or not parts[5].startswith("userpool/"):
        raise PlanError(f"{user_pool_arn} is not the ARN of a user pool.")
    domain = "amazonaws.com.cn" if parts[1] == "aws-cn" else "amazonaws.com"
    return f"https://cognito-idp.{parts[3]}.{domain}/{parts[5].removeprefix('userpool/')}"


def _claims(header: str, jwks: KeySet) -> Mapping[str, Any]:
    """Return the claims of a token whose signature holds; a token may follow `Bearer`."""
    token = header[len("bearer ") :] if header.lower().startswith("bearer ") else header
    try:
        claims = jwt.decode(token.strip(), jwks, algorithms=["RS256"]).claims
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise GatewayError("UNAUTHORIZED", "Unauthorized") from None
    if not isinstance(claims, dict):
        raise GatewayError("UNAUTHORIZED", "Unauthorized")
    return claims


def _claim_text(value: object) -> str:
    """Return a claim as `$context.authorizer.claims` shows it: text; how AWS writes what is no text is unverified."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join(_claim_text(member) for member in value)
    return json.dumps(value)
