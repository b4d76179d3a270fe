"""The events of a trial: each with an id of its own, and noted with whether it was acknowledged."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.faults.trial import Outcome

_SHOWN = 5
"""How many ids a problem names."""


@dataclass
class Found:
    """Where events were found: how often each id, and with which bytes."""

    times: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, set[bytes]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def add(self, event_id: str, body: bytes) -> None:
        """Note an event that was found."""
        self.times[event_id] += 1
        self.bodies.setdefault(event_id, set()).add(body)

    def with_others(self, other: "Found") -> "Found":
        """Return these and what was found elsewhere."""
        bodies = {
            one: self.bodies.get(one, set()) | other.bodies.get(one, set()) for one in {*self.bodies, *other.bodies}
        }
        return Found(self.times + other.times, bodies, [*self.unreadable, *other.unreadable])


@dataclass
class Sent:
    """What a trial sent, and what of it was acknowledged."""

    prefix: str = "fault"
    encoded_by_client: bool = False
    """Whether the client makes the bytes of an event: then what they say is compared."""
    bodies: dict[str, bytes] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    elsewhere: Found = field(default_factory=Found)
    """What was delivered before, and is not where it will be looked for."""
    others: dict[str, bytes] = field(default_factory=dict)
    """Other bytes that were sent with the id of an event: the two must be found."""
    strangers_allowed: bool = False
    """Whether other events may be found, which are no part of the trial's."""
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def make(self, padding: int = 0, event_type: str = "login", fault: str = "") -> tuple[str, bytes]:
        """Make an event with a new id; `padding` adds bytes, `fault` is for the transform that fails.

        Returns its id and its JSON.
        """
        event_id = f"{self.prefix}-{next(self._numbers):06d}"
        document = {
            "id": event_id,
            "eventType": event_type,
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "actor": {"userId": "maria.lopez"},
            "metadata": {"source": "faults", "padding": "x" * padding, "fault": fault},
        }
        self.bodies[event_id] = json.dumps(document).encode()
        return event_id, self.bodies[event_id]

    def acknowledge(self, ids: Iterable[str]) -> None:
        """Note that events were acknowledged."""
        self.acknowledged.update(ids)

    def compare(self, found: Found, injected: int) -> Outcome:
        """Say what became of the acknowledged events; one that has other bytes than were sent is lost."""
        found = found.with_others(self.elsewhere)
        lost = {one for one in self.acknowledged if not self._are_intact(one, found.bodies.get(one, set()))}
        strangers = [] if self.strangers_allowed else sorted(set(found.times) - set(self.bodies))
        altered = sorted(
            one for one, bodies in found.bodies.items() if one in self.bodies and not self._are_intact(one, bodies)
        )
        problems = [
            *_told("lost", sorted(lost)),
            *_told("found though never sent", strangers),
            *_told("found with other bytes", altered),
            *found.unreadable,
        ]
        return Outcome(
            injected=injected,
            acknowledged=len(self.acknowledged),
            found=len(self.acknowledged) - len(lost),
            duplicated=sum(times - 1 for one, times in found.times.items() if one in self.bodies),
            lost=len(lost),
            problems=tuple(problems),
        )

    def _are_intact(self, event_id: str, bodies: set[bytes]) -> bool:
        """Say whether an event was found, and every copy of it is what was sent."""
        if not self.encoded_by_client:
            return bodies == {self.bodies[event_id], self.others.get(event_id, self.bodies[event_id])}
        sent = json.loads(self.bodies[event_id])["metadata"]
        return len(bodies) == 1 and all(json.loads(body)["metadata"] == sent for body in bodies)


def _told(what: str, ids: Sequence[str]) -> list[str]:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return [f"{what}: {', '.join(ids[:_SHOWN])}{more}"] if ids else []
