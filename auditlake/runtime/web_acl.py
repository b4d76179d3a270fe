"""The web ACL before the API: its rate rule and its size rule, as AWS WAF applies them.

That a rule without an own answer gives API Gateway's WAF_FILTERED is documented; that WAF counts a rate anew about
every ten seconds, and that API Gateway passes on a custom answer, is assumed. Rules of AWS's own groups are not here.
"""

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from auditlake.errors import PlanError
from auditlake.runtime.exchange import GatewayError, Request, Response

SLOT_S = 10
"""Requests are counted by slots of so many seconds."""
MAX_ADDRESSES = 10_000
"""Addresses that are counted at once (WAF's own limit for a rate rule, documented)."""


class Rule(Protocol):
    """A rule of a web ACL."""

    def matches(self, head: Request) -> bool:
        """Whether it applies to a request, by its head."""


class RateRule:
    """More than `limit` requests of one address within the window."""

    def __init__(self, limit: int, window_s: int, monotonic: Callable[[], float]) -> None:
        """Start with nothing counted; `monotonic` is a clock in seconds."""
        self._limit = limit
        self._slots = window_s // SLOT_S
        self._monotonic = monotonic
        self._counted: dict[str, deque[list[int]]] = {}

    def matches(self, head: Request) -> bool:
        """Count the request, refused ones too, and say whether it is one too many."""
        slot = int(self._monotonic()) // SLOT_S
        if head.source_ip not in self._counted and len(self._counted) >= MAX_ADDRESSES:
            self._forget(slot)
        counts = self._counted.setdefault(head.source_ip, deque())
        while counts and counts[0][0] <= slot - self._slots:
            counts.popleft()
        if not counts or counts[-1][0] != slot:
            counts.append([slot, 0])
        counts[-1][1] += 1
        return sum(count for _, count in counts) > self._limit

    def _forget(self, slot: int) -> None:
        """Forget whoever sent nothing within the window, or else who came first."""
        kept = {address: counts for address, counts in self._counted.items() if counts[-1][0] > slot - self._slots}
        if len(kept) >= MAX_ADDRESSES:
            del kept[next(iter(kept))]
        self._counted = kept


class HeaderRule:
    """A header that a regular expression finds something in."""

    def __init__(self, header: str, expression: str) -> None:
        """Read the expression; raises PlanError."""
        self._header = header
        try:
            self._pattern = re.compile(expression)
        except re.error as error:
            raise PlanError(f"The web ACL's expression {expression!r} cannot be read: {error}.") from None

    def matches(self, head: Request) -> bool:
        """Whether the header is there and fits."""
        value = head.headers.get(self._header)
        return value is not None and self._pattern.search(value) is not None


class WebAcl:
    """The rules of a web ACL that block, by priority."""

    def __init__(self, rules: Iterable[Mapping[str, Any]], monotonic: Callable[[], float] = time.monotonic) -> None:
        """Read the rules of a plan; raises PlanError for one that is not implemented."""
        self._rules = [(_rule(one, monotonic), one["answer"]) for one in rules]

    def blocked(self, head: Request) -> Response | None:
        """Return the answer to a request that a rule blocks; raises GatewayError for a rule without an own answer."""
        for rule, answer in self._rules:
            if rule.matches(head):
                if answer is None:
                    raise GatewayError("WAF_FILTERED", "Forbidden")
                return Response(answer["status"], answer["body"].encode(), answer["headers"])
        return None


def acl_rules(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rules of a planned web ACL that block and are not of AWS's own groups, each with its answer."""
    bodies = {one["key"]: one["content"] for one in values.get("custom_response_body") or ()}
    found = sorted(values.get("rule") or (), key=lambda rule: int(rule["priority"]))
    return [
        {"name": rule["name"], "statement": rule["statement"][0], "answer": _answer(rule, bodies)}
        for rule in found
        if not rule["statement"][0].get("managed_rule_group_statement")
    ]


def _answer(rule: Mapping[str, Any], bodies: Mapping[str, str]) -> Mapping[str, Any] | None:
    action = (rule.get("action") or [{}])[0]
    if not action.get("block"):
        raise PlanError(f"The rule {rule['name']} of the web ACL does not block; the local runtime implements block.")
    own = (action["block"][0] or {}).get("custom_response") or []
    if not own:
        return None
    headers = {one["name"].lower(): one["value"] for one in own[0].get("response_header") or ()}
    body = bodies.get(own[0].get("custom_response_body_key") or "", "")
    return {"status": own[0]["response_code"], "body": body, "headers": {"content-type": "application/json", **headers}}


def _rule(rule: Mapping[str, Any], monotonic: Callable[[], float]) -> Rule:
    statement = {name: value[0] for name, value in rule["statement"].items() if value}
    match statement:
        case {
            "rate_based_statement": {
                "aggregate_key_type": "IP",
                "limit": limit,
                "scope_down_statement": [] | None,
            } as rate
        }:
            return RateRule(int(limit), int(rate.get("evaluation_window_sec") or 300), monotonic)
        case {
            "regex_match_statement": {
                "regex_string": expression,
                "field_to_match": [{"single_header": [{"name": name}]}],
            }
        }:
            return HeaderRule(name, expression)
    raise PlanError(
        f"The rule {rule['name']} of the web ACL has the statement {', '.join(statement) or 'of nothing'}; the local "
        "runtime implements the rate of an address and a regular expression for a header."
    )
