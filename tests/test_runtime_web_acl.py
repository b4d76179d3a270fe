"""The web ACL before the API."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.errors import PlanError
from auditlake.runtime.exchange import GatewayError, Request
from auditlake.runtime.web_acl import MAX_ADDRESSES, HeaderRule, RateRule, WebAcl, acl_rules


def head(address: str = "192.0.2.1", **headers: str) -> Request:
    """A request's head; underscores of header names are hyphens."""
    return Request("POST", "/events", "", {n.replace("_", "-"): v for n, v in headers.items()}, b"", address)


class Clock:
    """A clock in seconds."""

    now = 1000.0

    def __call__(self) -> float:
        """Say what time it is."""
        return self.now


def test_an_address_is_blocked_above_its_rate_and_let_in_again() -> None:
    """Above the limit within five minutes each request is one too many; once the window has passed none is."""
    clock = Clock()
    rule = RateRule(3, 300, clock)
    assert [rule.matches(head()) for _ in range(5)] == [False] * 3 + [True] * 2
    assert not rule.matches(head("192.0.2.2"))
    clock.now += 290
    assert rule.matches(head())
    clock.now += 310
    assert not rule.matches(head())


def test_addresses_without_end_do_not_fill_the_memory() -> None:
    """As many addresses are counted as WAF counts; the oldest is forgotten."""
    rule = RateRule(1, 300, Clock())
    for number in range(MAX_ADDRESSES + 5):
        rule.matches(head(str(number)))
    assert len(rule._counted) == MAX_ADDRESSES
    assert rule.matches(head(str(MAX_ADDRESSES + 4)))
    assert not rule.matches(head("0"))


@given(st.integers(0, 10**9))
def test_a_size_rule_compares_as_numbers_do(size: int) -> None:
    """The expression of the default plan's size rule matches exactly what is larger than 6 MiB."""
    longer = "[0-9]{8,}|[7-9][0-9]{6}|6[3-9][0-9]{5}|629[2-9][0-9]{3}|6291[5-9][0-9]{2}"
    expression = f"^0*({longer}|62914[6-9][0-9]{{1}}|629145[7-9][0-9]{{0}})$"
    assert HeaderRule("content-length", expression).matches(head(content_length=str(size))) == (size > 6291456)


def planned(**action: Any) -> dict[str, Any]:  # noqa: ANN401  # any action
    """A planned web ACL with one rule for a header and one of AWS's."""
    statement = {
        "regex_match_statement": [{"regex_string": "^1$", "field_to_match": [{"single_header": [{"name": "x"}]}]}],
        "rate_based_statement": [],
    }
    managed = {"managed_rule_group_statement": [{"name": "AWSManagedRulesCommonRuleSet"}]}
    return {
        "custom_response_body": [{"key": "k", "content": "{}"}],
        "rule": [
            {"name": "aws", "priority": 1, "statement": [managed], "override_action": [{"none": [{}]}]},
            {"name": "own", "priority": 0, "statement": [statement], "action": [action or {"block": [{}]}]},
        ],
    }


def test_a_rule_answers_in_its_own_words_or_as_waf_does() -> None:
    """A custom answer has its status, headers and body; without one the gateway response is WAF_FILTERED."""
    own = {
        "response_code": 429,
        "custom_response_body_key": "k",
        "response_header": [{"name": "Retry-After", "value": "9"}],
    }
    blocked = WebAcl(acl_rules(planned(block=[{"custom_response": [own]}]))).blocked(head(x="1"))
    assert blocked is not None
    assert (blocked.status, blocked.body, blocked.headers["retry-after"]) == (429, b"{}", "9")
    with pytest.raises(GatewayError) as caught:
        WebAcl(acl_rules(planned())).blocked(head(x="1"))
    assert caught.value.type == "WAF_FILTERED"
    assert WebAcl(acl_rules(planned())).blocked(head(x="2")) is None
    assert WebAcl(acl_rules(planned())).blocked(head()) is None


def test_what_is_not_implemented_is_named() -> None:
    """A rule that only counts, or looks at something else, is refused with its name."""
    with pytest.raises(PlanError, match=r"own .* does not block"):
        acl_rules(planned(count=[{}]))
    other: list[dict[str, Any]] = [{"name": "geo", "statement": {"geo_match_statement": [{}]}, "answer": None}]
    with pytest.raises(PlanError, match="geo_match_statement"):
        WebAcl(other)
    with pytest.raises(PlanError, match="cannot be read"):
        HeaderRule("x", "(")
