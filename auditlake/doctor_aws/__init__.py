"""`auditlake doctor --aws`: what is deployed, compared with what the plan promises, check by check."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from auditlake.aws_ask import Aws
from auditlake.aws_stack import Names, Promise
from auditlake.doctor_aws import api, bucket, catalog, stream, watching
from auditlake.doctor_aws.outcome import Outcome, State

__all__ = ["Outcome", "State", "content", "examine", "exit_code", "summary"]


def examine(promise: Promise, aws: Aws, names: Names, now: datetime, older_than_days: int) -> Iterator[Outcome]:
    """Yield every check's outcome; raises CannotAsk when nothing can be asked."""
    for subject in (bucket, stream, catalog, api, watching):
        yield from subject.check(promise, aws, names)
    yield from watching.check_errors(promise, aws, names, now, older_than_days)


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """Return 1 when something differs, else 2 when nobody could look at something, else 0."""
    states = {outcome.state for outcome in outcomes}
    return 1 if State.DIFFERS in states else 2 if State.BLIND in states else 0


def content(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Return the outcomes for JSON, a list as that of `auditlake doctor`."""
    return [asdict(outcome) for outcome in outcomes]


def summary(outcomes: list[Outcome]) -> str:
    """Return the sentence that counts the outcomes."""
    count = {state: sum(outcome.state is state for outcome in outcomes) for state in State}
    return f"{count[State.OK]} ok, {count[State.DIFFERS]} differ, {count[State.BLIND]} could not be looked at."
