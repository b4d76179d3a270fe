"""What a check is and what it finds, and how checks read the values of a plan.

In planned values an attribute that is missing is not known before the apply; one that is null was not set. Checks keep
the two apart: about what is not known they say nothing.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from auditlake.runtime.planned import Resource

Values = Mapping[str, Any]


class Severity(StrEnum):
    """What happens to a plan with the finding."""

    REFUSE = "refuse"
    """AWS refuses the resource when it is made, or refuses everything that is done with it."""
    WARN = "warn"
    """AWS takes it, and it does harm."""
    LOCAL = "local"
    """Only the local runtime does not do it."""


class Known(StrEnum):
    """How well the fact behind a check is known."""

    DOCUMENTED = "AWS doc"
    """AWS's documentation or service model says it."""
    OBSERVED = "observed"
    """A real error or deployment is quoted in public."""
    PROBED = "probed"
    """Somebody measured it on AWS and published the result."""
    THIRD_PARTY = "third party"
    """Somebody's code or text says it, no statement of AWS."""
    JUDGEMENT = "judgement"
    """A conclusion of ours from other facts."""
    UNVERIFIED = "unverified"
    """Nobody says so: an assumption."""


@dataclass(frozen=True)
class Place:
    """Where a check found something: the attribute, what came, and, where the check's own do not fit, the words."""

    resource: Resource
    attribute: str
    came: object = None
    says: str = ""
    aws: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a plan; `says` is one sentence, `aws` AWS's own message where it is known."""

    severity: Severity
    check: str
    address: str
    attribute: str
    came: object
    says: str
    aws: str
    advice: str
    fact: str
    known: str


@dataclass(frozen=True)
class Check:
    """One rule; `find` yields each place that breaks it.

    Attributes:
        name: what the finding is called, unique.
        fact: the id of the fact about AWS behind it, e.g. `C1.2`; empty where there is none.
        known: how well the fact is known.
        find: reads the plan.
        says: what is wrong, in one sentence of ours.
        advice: what to do next, in one sentence.
        aws: AWS's own message, empty where it is not known.
    """

    name: str
    fact: str
    known: Known
    find: "Callable[[Planned], Iterable[Place]]"
    says: str
    advice: str
    aws: str = ""

    def run(self, planned: "Planned", severity: Severity) -> Iterator[Finding]:
        """Yield what the check finds in a plan."""
        for place in self.find(planned):
            yield Finding(
                severity=severity,
                check=self.name,
                address=place.resource.address,
                attribute=place.attribute,
                came=place.came,
                says=place.says or self.says,
                aws=place.aws or self.aws,
                advice=self.advice,
                fact=self.fact,
                known=self.known.value,
            )


@dataclass(frozen=True)
class Planned:
    """The resources of a plan, as checks look for them."""

    resources: tuple[Resource, ...]
    _by_type: dict[str, list[Resource]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for resource in self.resources:
            self._by_type.setdefault(resource.type, []).append(resource)

    def of(self, *types: str) -> list[Resource]:
        """Return the resources of these types."""
        return [resource for name in types for resource in self._by_type.get(name, ())]

    def beside(self, bucket: Resource, resource_type: str) -> list[Resource] | None:
        """Return the resources of a type that belong to a bucket, or None when the plan does not know whose they are.

        Terraform links them by the bucket's id, which is not known before the apply unless it is composed.
        """
        found = self.of(resource_type)
        known = [r for r in found if r.values.get("bucket") == bucket.values.get("bucket") is not None]
        unknown = [r for r in found if "bucket" not in r.values]
        if not unknown:
            return known
        return known + unknown if len(self.of("aws_s3_bucket")) == 1 else None


def shown(came: object) -> str:
    """Return a value as the plan writes it: text as it is, anything else as JSON, e.g. `true`."""
    return came if isinstance(came, str) else json.dumps(came, ensure_ascii=False, default=str)


def number(value: object) -> float | None:
    """Return a planned number, also one written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return int(found) if found.is_integer() else found


def text(value: object) -> str:
    """Return a planned string; anything else is empty."""
    return value if isinstance(value, str) else ""


def outside(value: object, low: float, high: float = float("inf")) -> bool:
    """Say whether a value is a number outside a range; what is no number is not judged here."""
    found = number(value)
    return found is not None and not low <= found <= high


def not_set(values: Values, name: str) -> bool:
    """Say whether an attribute is known to be empty; one that is missing is not known, and so not empty."""
    return name in values and values[name] in (None, "", [])
