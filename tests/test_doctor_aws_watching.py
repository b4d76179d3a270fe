"""How alarms are compared."""

from auditlake.doctor_aws.outcome import State
from auditlake.doctor_aws.watching import alarm_outcomes

PLANNED = {"n": {"alarm_name": "n", "actions_enabled": True, "alarm_actions": ["arn:t"], "threshold": 1}}
FOUND = {"n": {"ActionsEnabled": True, "AlarmActions": ["arn:t"], "Threshold": 1.0}}


def differing(found: dict[str, dict[str, object]]) -> list[str]:
    """Return the checks that differ."""
    return [one.check for one in alarm_outcomes(PLANNED, found) if one.state is State.DIFFERS]


def test_each_part_of_an_alarm_is_compared() -> None:
    """Not there, silent, to another topic, or later than planned."""
    assert differing(FOUND) == []
    assert differing({}) == ["there"]
    assert differing({"n": {**FOUND["n"], "ActionsEnabled": False}}) == ["actions enabled"]
    assert differing({"n": {**FOUND["n"], "AlarmActions": []}}) == ["goes to"]
    assert differing({"n": {**FOUND["n"], "Threshold": 2}}) == ["threshold"]
