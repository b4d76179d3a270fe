"""Settings from the environment."""

import pytest

from lambda_src.common import settings
from lambda_src.common.partition import rule
from lambda_src.common.settings import SettingsError

GOOD = {"AUDIT_TYPES": "login,order.paid", "EVENT_DAYS_BACK": "7", "EVENT_DAYS_AHEAD": "1"}


def test_partition_rule() -> None:
    """The three variables make the rule."""
    assert settings.partition_rule(GOOD) == rule(["login", "order.paid"], 7, 1)


@pytest.mark.parametrize(
    ("name", "value", "came"),
    [
        ("AUDIT_TYPES", "", "is not set"),
        ("AUDIT_TYPES", "login, logout", "' logout'"),
        ("AUDIT_TYPES", "a/b", "'a/b'"),
        ("AUDIT_TYPES", "a,", "''"),
        ("AUDIT_TYPES", "ä", "'ä'"),
        ("AUDIT_TYPES", "..", "'..'"),
        ("EVENT_DAYS_BACK", "-1", "'-1'"),
        ("EVENT_DAYS_BACK", "367", "'367'"),
        ("EVENT_DAYS_AHEAD", "1.5", "'1.5'"),
        ("EVENT_DAYS_AHEAD", "٣", "'٣'"),
        ("EVENT_DAYS_AHEAD", "9" * 5000, "must be a whole number from 0 to 366"),
    ],
)
def test_wrong_values_are_named(name: str, value: str, came: str) -> None:
    """The error names the variable, what came and what is allowed."""
    with pytest.raises(SettingsError) as caught:
        settings.partition_rule(GOOD | {name: value})

    assert name in str(caught.value)
    assert came in str(caught.value)
    assert "must" in str(caught.value)


def test_true_or_false() -> None:
    """Only `true` and `false` are taken."""
    assert settings.true_or_false({"PACKING": "true"}, "PACKING") is True
    assert settings.true_or_false({"PACKING": "false"}, "PACKING") is False
    with pytest.raises(SettingsError, match="PACKING is 'yes': it must be true or false"):
        settings.true_or_false({"PACKING": "yes"}, "PACKING")
