"""What one check of a deployed stack comes to, and how promises are compared with what is deployed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from auditlake.aws_ask import Absent, CouldNotLook

MEND = "terraform plan shows it, terraform apply puts it back"


class State(StrEnum):
    """What a check found."""

    OK = "ok"
    DIFFERS = "differs"
    BLIND = "could not look"


@dataclass(frozen=True)
class Outcome:
    """One line: what was checked, what the plan promises, what is deployed, and what to do.

    `why` says why nobody could look, `permission` is the IAM action that was missing.
    """

    subject: str
    check: str
    state: State
    promised: Any = None
    deployed: Any = None
    advice: str = ""
    why: str = ""
    permission: str = ""


Facts = Mapping[str, Any]
"""What is so, by the name of the check: plain values that can be compared."""


def compared(subject: str, promised: Facts, deployed: Facts, advice: str = MEND) -> Iterator[Outcome]:
    """Yield an outcome for each fact that is promised; what the plan leaves to AWS (None) is not one."""
    for check, value in promised.items():
        if value is not None:
            same = deployed.get(check) == value
            state = State.OK if same else State.DIFFERS
            yield Outcome(subject, check, state, value, deployed.get(check), "" if same else advice)


def judged(subject: str, check: str, *, well: bool, promised: object, deployed: object, advice: str = MEND) -> Outcome:
    """Return the outcome of a check that is no comparison for equality."""
    return Outcome(subject, check, State.OK if well else State.DIFFERS, promised, deployed, "" if well else advice)


def looked(subject: str, check: str, look: Callable[[], Iterable[Outcome]]) -> list[Outcome]:
    """Return what `look` yields; when what it asks for is not there or not answered, one outcome that says so."""
    try:
        return list(look())
    except Absent as error:
        return [Outcome(subject, check, State.DIFFERS, "there", "not there", f"{MEND} ({error})")]
    except CouldNotLook as error:
        return [Outcome(subject, check, State.BLIND, why=str(error), permission=error.action)]
