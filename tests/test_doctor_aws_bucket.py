"""How a bucket's policy and lifecycle are compared."""

import json

from auditlake.doctor_aws.bucket import days, denies, lifecycle_outcomes, policy_outcomes
from auditlake.doctor_aws.outcome import State

TLS = {
    "Sid": "OnlyTls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["a", "b"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}  # fmt: skip


def test_a_denial_under_another_condition_is_none() -> None:
    """And one for a single principal neither."""
    denial = {"Effect": "Deny", "Principal": "*", "Action": ["s3:DeleteObject"]}
    assert denies([denial], "s3:DeleteObject")
    assert not denies([{**denial, "Condition": {"Bool": {"x": "y"}}}], "s3:DeleteObject")
    assert not denies([{**denial, "Principal": {"AWS": "arn:aws:iam::1:root"}}], "s3:DeleteObject")
    assert not denies([{**denial, "Effect": "Allow"}], "s3:DeleteObject")


def test_order_and_lists_of_one_are_no_difference() -> None:
    """AWS gives a policy back in another form than it was put."""
    again = {
        **TLS,
        "Principal": {"AWS": ["*"]},
        "Resource": ["b", "a"],
        "Action": ["s3:*"],
        "Condition": {"Bool": {"aws:SecureTransport": ["false"]}},
    }
    found = list(policy_outcomes("b", json.dumps({"Statement": [TLS]}), json.dumps({"Statement": [again]})))
    assert {one.check for one in found} >= {"policy: TLS only", "policy: statement OnlyTls"}
    assert {one.state for one in found} == {State.OK}


def test_an_added_statement_is_told() -> None:
    """A policy that allows more than was planned differs."""
    more = {"Sid": "Guest", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "a"}
    found = policy_outcomes("b", json.dumps({"Statement": [TLS]}), json.dumps({"Statement": [TLS, more]}))
    assert [one.deployed for one in found if one.state is State.DIFFERS] == [["Guest"]]


def test_expiry_before_the_retention_differs() -> None:
    """A disabled rule expires nothing."""
    rule = {"ID": "r", "Status": "Enabled", "Expiration": {"Days": 30}}
    for status, state in (("Enabled", State.DIFFERS), ("Disabled", State.OK)):
        found = {one.check: one.state for one in lifecycle_outcomes("b", [], [{**rule, "Status": status}], 365)}
        assert found["lifecycle: expiry and retention"] is state


def test_years_are_days() -> None:
    """A plan and S3 may say it either way."""
    assert (days({"Years": 7}), days({"days": 5, "years": None}), days({})) == (2555, 5, 0)
