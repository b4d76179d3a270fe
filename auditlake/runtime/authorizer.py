"""Lambda authorizers as API Gateway runs them: the token to the function, its policy kept for a while and applied.

F5 says that there are such authorizers. That an error named Unauthorized is a 401, a policy that does not allow a 403,
and that the answer is kept for the token and all methods, is documented; which gateway response another failure has,
and how the validation expression is matched, is assumed.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any

from auditlake.errors import PlanError
from auditlake.runtime.authenticate import Caller, Check, MethodResource
from auditlake.runtime.exchange import GatewayError, Operation, Request
from auditlake.runtime.function import FunctionError, Invocable

DEFAULT_TTL_S = 300
"""How long an answer is kept where the document does not say (documented)."""
MAX_KEPT = 10_000
"""Answers that are kept at once, so that tokens without end do not fill the memory."""
_FAILURE = "AUTHORIZER_CONFIGURATION_ERROR"


class Authorizers:
    """The Lambda authorizers of an API, each with the answers that it gave."""

    def __init__(
        self,
        functions: Callable[[str], Invocable],
        resource: MethodResource,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what gives the function of an ARN, what names the API's methods, and a clock in seconds."""
        self._functions = functions
        self._resource = resource
        self._monotonic = monotonic
        self._made: dict[str, _TokenAuthorizer] = {}

    def check(self, operation: Operation, scheme: Mapping[str, Any]) -> Check:
        """Return the check of an operation; operations with the same authorizer share its answers.

        Raises PlanError for an authorizer that is not implemented.
        """
        key = json.dumps(scheme, sort_keys=True)
        if key not in self._made:
            self._made[key] = self._authorizer(operation, scheme)
        authorizer = self._made[key]
        return Check(authorizer.by_head, authorizer.by_function, waits=True)

    def _authorizer(self, operation: Operation, scheme: Mapping[str, Any]) -> "_TokenAuthorizer":
        definition = scheme.get("x-amazon-apigateway-authorizer", {})
        if str(definition.get("type", "")).lower() != "token":
            raise PlanError(
                f"{operation.name} has a Lambda authorizer of type {definition.get('type')}; the local runtime "
                "implements token."
            )
        header = str(scheme.get("name", "Authorization")).lower()
        source = str(definition.get("identitySource", f"method.request.header.{header}")).lower()
        if source != f"method.request.header.{header}":
            raise PlanError(f"{operation.name}: its authorizer looks elsewhere than in the header {header}.")
        arn = str(definition.get("authorizerUri", "")).partition("/functions/")[2].removesuffix("/invocations")
        return _TokenAuthorizer(
            self._functions(arn),
            self._resource,
            header,
            _pattern(operation, definition.get("identityValidationExpression")),
            float(definition.get("authorizerResultTtlInSeconds", DEFAULT_TTL_S)),
            self._monotonic,
        )


@dataclass(frozen=True)
class _Answer:
    """What the function said: its policy and who was recognised."""

    statements: tuple[Mapping[str, Any], ...]
    caller: Caller


@dataclass
class _TokenAuthorizer:
    function: Invocable
    resource: MethodResource
    header: str
    pattern: re.Pattern[str] | None
    ttl_s: float
    monotonic: Callable[[], float]
    kept: dict[str, tuple[float, _Answer]] = field(default_factory=dict)

    def by_head(self, request: Request) -> Caller | None:
        """Give the caller of a token that the function has answered for; raises GatewayError."""
        token = request.headers.get(self.header, "")
        if not token or (self.pattern is not None and not self.pattern.fullmatch(token)):
            raise GatewayError("UNAUTHORIZED", "Unauthorized")
        until, answer = self.kept.get(token, (0.0, None))
        return self._allowed(answer, request) if answer is not None and self.monotonic() < until else None

    def by_function(self, request: Request) -> Caller:
        """Ask the function, and keep its answer; raises GatewayError."""
        token = request.headers[self.header]
        event = {"type": "TOKEN", "methodArn": self._method_arn(request), "authorizationToken": token}
        answered = self.function.invoke(json.dumps(event).encode())
        if isinstance(answered, FunctionError):
            # The worker writes `NameOfTheError: its message`; API Gateway looks at the message (documented).
            if answered.kind == "error" and answered.message.partition(": ")[2] == "Unauthorized":
                raise GatewayError("UNAUTHORIZED", "Unauthorized")
            raise GatewayError(_FAILURE, "Internal server error")
        answer = _read(answered)
        if self.ttl_s > 0:
            self._keep(token, answer)
        return self._allowed(answer, request)

    def _keep(self, token: str, answer: _Answer) -> None:
        now = self.monotonic()
        if len(self.kept) >= MAX_KEPT:
            self.kept = {one: kept for one, kept in self.kept.items() if kept[0] > now}
        if len(self.kept) < MAX_KEPT:
            self.kept[token] = (now + self.ttl_s, answer)

    def _allowed(self, answer: _Answer, request: Request) -> Caller:
        effects = {one["Effect"] for one in answer.statements if _applies(one, self._method_arn(request))}
        if "Deny" in effects:
            raise GatewayError("ACCESS_DENIED", "User is not authorized to access this resource with an explicit deny")
        if "Allow" not in effects:
            raise GatewayError("ACCESS_DENIED", "User is not authorized to access this resource")
        return answer.caller

    def _method_arn(self, request: Request) -> str:
        where = self.resource
        return (
            f"arn:aws:execute-api:{where.region}:{where.account_id}:{where.api_id}/{where.stage}/"
            f"{request.method}{request.path}"
        )


def _pattern(operation: Operation, expression: str | None) -> re.Pattern[str] | None:
    if not expression:
        return None
    try:
        return re.compile(expression)
    except re.error as error:
        raise PlanError(
            f"{operation.name}: the validation expression of its authorizer cannot be read: {error}."
        ) from None


def _read(answered: bytes) -> _Answer:
    """Read a function's answer; what is none is the fault of the function, not of the caller."""
    try:
        answer = json.loads(answered)
        found = answer["policyDocument"]["Statement"]
        statements = tuple(_checked(one) for one in (found if isinstance(found, list) else [found]))
        context = {name: _text(value) for name, value in (answer.get("context") or {}).items()}
        caller = Caller(authorizer={**context, "principalId": _text(answer.get("principalId", ""))})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise GatewayError(_FAILURE, "Internal server error") from None
    return _Answer(statements, caller)


def _checked(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a statement as a plain rule; raises ValueError for what is not implemented, which must not be ignored."""
    if set(statement) - {"Sid"} != {"Effect", "Action", "Resource"} or statement["Effect"] not in ("Allow", "Deny"):
        raise ValueError
    return {name: value if isinstance(value, list) else [value] for name, value in statement.items()} | {
        "Effect": statement["Effect"]
    }


def _applies(statement: Mapping[str, Any], method_arn: str) -> bool:
    return any(
        action.lower() in ("execute-api:invoke", "execute-api:*", "*") for action in statement["Action"]
    ) and any(re.fullmatch(translate(resource.replace("[", "[[]")), method_arn) for resource in statement["Resource"])


def _text(value: object) -> str:
    """Return a value of the context as API Gateway shows it: text; it takes no lists and objects (F2, documented)."""
    if isinstance(value, list | dict):
        raise TypeError
    return value if isinstance(value, str) else json.dumps(value)
