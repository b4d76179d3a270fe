"""What befalls the clock: it jumps between two starts; events tell of any time."""

import json

from tests.faults import instances
from tests.faults.events import Sent
from tests.faults.narrow import Narrow
from tests.faults.server import running, settled
from tests.faults.trial import Outcome, Trial

HOUR_S, YEAR_S = 3_600, 365 * 86_400
JUMPS = [(0, -HOUR_S), (0, 10 * YEAR_S), (10 * YEAR_S, 0), (-HOUR_S, 10 * YEAR_S), (86_400, 0), (0, 1)]
"""The clock's shift in seconds before a crash and after it."""
TIMESTAMPS = [
    "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999Z",
    "2026-06-30T23:59:60Z",
    "2026-03-29T02:30:00+01:00",
    "2026-11-24T07:00:00+14:00",
    "2026-11-24T07:00:00-12:00",
    "0001-01-01T00:00:00Z",
    "2026-11-24:07:00:00Z",
]


def clock_jumps(trial: Trial) -> Outcome:
    """Accept at one time, crash, and deliver at another: an hour back, ten years on, and back from there."""
    with Narrow(trial.directory()) as narrow:

        def once(jump: tuple[int, int]) -> Outcome:
            data, sent = trial.directory() / "data", Sent()
            narrow.run(data, sent, instances.batches(sent), abandon=True, clock_s=jump[0])
            told = narrow.run(data, sent, instances.batches(sent), clock_s=jump[1])
            outcome = instances.drained(narrow, data, sent, 1)
            return outcome.with_problems(*told.problems(), *told.errors).named(f"from {jump[0]} to {jump[1]} s")

        return trial.each(trial.sample(JUMPS, 2), once)


def event_times(trial: Trial) -> Outcome:
    """POST events of the first and the last year, of a leap second, of other zones: each that is accepted is found."""
    data, sent = trial.directory() / "data", Sent()
    with running(data) as server:
        for moment in TIMESTAMPS:
            event_id, body = sent.make()
            sent.bodies[event_id] = json.dumps({**json.loads(body), "timestamp": moment}).encode()
            server.post(sent, event_id, sent.bodies[event_id])
        problem = server.deliver()
        server.stop()
    return settled(data, sent, len(TIMESTAMPS)).with_problems(*([problem] if problem else []))
