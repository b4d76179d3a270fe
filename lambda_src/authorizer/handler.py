"""The entry point of the authorizer Lambda, of type TOKEN: settings, keys, logs and a metric around `verify`."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from lambda_src.authorizer.answer import allow, deny
from lambda_src.authorizer.keys import KeyStore, KeysUnavailableError, fetch_keys, read_keys
from lambda_src.authorizer.verify import ForbiddenError, RefusedError, Rules, verify
from lambda_src.common import settings


class UnauthorizedError(Exception):
    """What makes API Gateway answer 401: an error whose message is exactly `Unauthorized` (documented)."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


RULES = Rules(
    issuer=settings.text(os.environ, "ISSUER"),
    audiences=tuple(settings.json_list(os.environ, "AUDIENCES", at_least=1)),
    required_claims=settings.json_texts(os.environ, "REQUIRED_CLAIMS"),
    required_scopes=tuple(settings.json_list(os.environ, "REQUIRED_SCOPES")),
    principal_claim=settings.text(os.environ, "PRINCIPAL_CLAIM"),
    clock_skew_s=settings.whole_number(os.environ, "CLOCK_SKEW_S", 0, 300),
)
JWKS_URL = os.environ.get("JWKS_URL", "")
JWKS_FILE = os.environ.get("JWKS_FILE", "")
"""Takes the place of the issuer where there is no network: `auditlake up --jwks` sets it."""

logger = Logger()
metrics = Metrics()


def _keys_are_old(reason: str) -> None:
    logger.warning("The keys are old, because new ones cannot be had.", reason=reason)
    _count_unavailable()


def _count_unavailable() -> None:
    """Count that the keys cannot be had: the function's own errors are refused tokens as well, and tell nobody."""
    metrics.add_metric(name="IssuerKeysUnavailable", unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()


keys = KeyStore(
    lambda: read_keys(Path(JWKS_FILE)) if JWKS_FILE else fetch_keys(RULES.issuer, JWKS_URL),
    time.monotonic,
    _keys_are_old,
)


def handle(event: dict[str, Any], _context: object, now: Callable[[], float] = time.time) -> dict[str, Any]:
    """Answer API Gateway: a policy for a genuine token, else the error that means 401; never the token in a log."""
    method_arn = event["methodArn"]
    try:
        bearer = verify(str(event.get("authorizationToken") or ""), RULES, keys, int(now()))
    except RefusedError as error:
        logger.info("A token was refused.", reason=str(error))
        raise UnauthorizedError from None
    except ForbiddenError as error:
        logger.info("A bearer may not POST.", reason=str(error), principal=error.principal)
        return deny(method_arn, error.principal)
    except KeysUnavailableError as error:
        logger.error("No token can be judged, because the issuer's keys cannot be had.", reason=str(error))
        _count_unavailable()
        raise
    return allow(method_arn, bearer.principal, bearer.claims)
