"""Whether a token counts: signature, issuer, audience and times (else 401), then claims and scopes (else 403)."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from lambda_src.authorizer.keys import Key, KeyStore, UnknownKeyError

ALGORITHMS = ("RS256", "PS256", "ES256", "Ed25519", "EdDSA")
"""Signatures by a private key only: neither `none` nor a shared secret (HS256), whose key would be the public one."""
MAX_PRINCIPAL = 512
"""Characters; every row holds the principal."""


class RefusedError(Exception):
    """The token proves nothing; the message says why, without any of its content."""


class ForbiddenError(Exception):
    """The token is genuine but lacks a claim or scope; the message names it."""

    def __init__(self, principal: str, reason: str) -> None:
        super().__init__(reason)
        self.principal = principal


@dataclass(frozen=True)
class Rules:
    """What a token must be."""

    issuer: str
    audiences: tuple[str, ...]
    """One of them must be among the token's."""
    required_claims: Mapping[str, str]
    """Each must be there with this value, or hold it if it is a list."""
    required_scopes: tuple[str, ...]
    """Each must be in `scope` or `scp`."""
    principal_claim: str
    """The claim that names who acts."""
    clock_skew_s: int
    """How many seconds the issuer's clock may be off."""


@dataclass(frozen=True)
class Bearer:
    """Who was let in, and the claims of the token."""

    principal: str
    claims: Mapping[str, Any]


def verify(header: str, rules: Rules, keys: KeyStore, now_s: int) -> Bearer:
    """Return whom the `Authorization` header names.

    Raises:
        RefusedError: it holds no token of the issuer for this audience and time.
        ForbiddenError: the token lacks a claim or scope.
        KeysUnavailableError: no token can be judged at the moment.
    """
    claims = _decoded(_token(header), keys)
    try:
        _registry(rules, now_s).validate(claims)
    except JoseError as error:
        raise RefusedError(f"The claims do not count: {error.error}, {error.description}.") from None
    principal = claims[rules.principal_claim]
    if not isinstance(principal, str) or not 0 < len(principal) <= MAX_PRINCIPAL:
        raise RefusedError(f"The claim {rules.principal_claim} is no text of 1 to {MAX_PRINCIPAL} characters.")
    _check_rights(principal, claims, rules)
    return Bearer(principal, claims)


def _token(header: str) -> str:
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise RefusedError("The header is not `Bearer` with a token.")
    return token.strip()


def _decoded(token: str, keys: KeyStore) -> dict[str, Any]:
    """Return the claims of a token whose signature holds."""

    def key_of(signed: Any) -> Key:  # noqa: ANN401  # joserfc's
        header = signed.headers()
        return keys.find(header.get("kid"), header["alg"])

    try:
        with warnings.catch_warnings():
            # Issuers still write EdDSA where RFC 9864 wants Ed25519; the signature is the same.
            warnings.simplefilter("ignore", SecurityWarning)
            return jwt.decode(token, key_of, algorithms=ALGORITHMS).claims
    except UnknownKeyError:
        raise RefusedError("The issuer has no key with this id for this algorithm.") from None
    except JoseError as error:
        raise RefusedError(f"The token is not signed as it must be: {error.error}.") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise RefusedError("The header holds no JSON Web Token.") from None


def _registry(rules: Rules, now_s: int) -> JWTClaimsRegistry:
    options: dict[str, ClaimsOption] = {
        rules.principal_claim: {"essential": True},
        "iss": {"essential": True, "value": rules.issuer},
        "aud": {"essential": True, "values": list(rules.audiences)},
        "exp": {"essential": True},
    }
    return JWTClaimsRegistry(now_s, rules.clock_skew_s, **options)


def _check_rights(principal: str, claims: Mapping[str, Any], rules: Rules) -> None:
    for name, value in rules.required_claims.items():
        if value not in _texts(claims.get(name)):
            raise ForbiddenError(principal, f"The claim {name} is not {value}.")
    scopes = {scope for name in ("scope", "scp") for text in _texts(claims.get(name)) for scope in text.split()}
    if missing := sorted(set(rules.required_scopes) - scopes):
        raise ForbiddenError(principal, f"The scope {missing[0]} is missing.")


def _texts(value: object) -> list[str]:
    """Return a claim as the texts that it holds: itself, or the members of a list; what is no text as JSON."""
    members = value if isinstance(value, list) else [] if value is None else [value]
    return [member if isinstance(member, str) else json.dumps(member) for member in members]
