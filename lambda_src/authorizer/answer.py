"""What a Lambda authorizer answers: a policy, the principal, and the claims that mapping templates may use."""

from collections.abc import Mapping
from typing import Any

CONTEXT_CLAIMS = ("iss", "sub", "client_id", "azp", "scope", "jti")
"""The claims that go on; a list of all would pass on what the issuer adds tomorrow."""
MAX_CLAIM = 1024
"""Characters; a longer claim is left out, because API Gateway refuses an answer that is too large."""


def allow(method_arn: str, principal: str, claims: Mapping[str, Any]) -> dict[str, Any]:
    """Let the bearer POST."""
    return {**_policy("Allow", method_arn, principal), "context": _context(claims)}


def deny(method_arn: str, principal: str) -> dict[str, Any]:
    """Refuse one who is known (403)."""
    return _policy("Deny", method_arn, principal)


def _policy(effect: str, method_arn: str, principal: str) -> dict[str, Any]:
    """Make the answer for every POST of the stage, not for this method alone.

    API Gateway keeps the answer for the token and applies it to whatever method the token is used for next
    (documented): one that named a single method would refuse the other.
    """
    stage = "/".join(method_arn.split("/")[:2])
    statement = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": f"{stage}/POST/*"}
    return {"principalId": principal, "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}


def _context(claims: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims as `$context.authorizer` takes them: flat, as text (F2, documented)."""
    texts = {name: claims[name] for name in CONTEXT_CLAIMS if isinstance(claims.get(name), str)}
    return {name: text for name, text in texts.items() if len(text) <= MAX_CLAIM}
