"""An endpoint as the client sees it: it takes batches, notes what it took, and refuses and fails as it is told."""

import gzip
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.faults.events import Found
from tests.faults.http_server import Handler, serving

REFUSED = "refused"
"""The event type that the endpoint refuses for good."""
FAILS_EACH = 4
"""Each so many-th request is answered with 503, the next one of those after its events were taken."""


class Endpoint:
    """Takes events at `url/<place>/events/batch`, a place for each run."""

    def __init__(self) -> None:
        """Begin with nothing taken."""
        self.url = ""
        self.found: dict[str, Found] = {}
        self._requests = itertools.count(1)
        self._lock = threading.Lock()

    def answer(self, place: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Take the events of a batch, or fail before or after that."""
        number = next(self._requests)
        if number % FAILS_EACH == 0 and number % (2 * FAILS_EACH):
            return 503, {"detail": "told to fail before anything was taken"}
        rejected = []
        accepted = 0
        with self._lock:
            found = self.found.setdefault(place, Found())
            for index, line in enumerate(line for line in body.split(b"\n") if line):
                event = json.loads(line)
                if event["eventType"] == REFUSED:
                    rejected.append({"index": index, "reason": "told to refuse it"})
                else:
                    found.add(event["id"], line)
                    accepted += 1
        if number % (2 * FAILS_EACH) == 0:
            return 504, {"detail": "told to fail after all was taken"}
        return 202, {"accepted": accepted, "rejected": rejected, "retry": []}


@contextmanager
def listening() -> Iterator[Endpoint]:
    """Listen while the block runs."""
    endpoint = Endpoint()

    class Batches(Handler):
        def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
            status, answer = endpoint.answer(self.path.split("/")[1], gzip.decompress(self.body()))
            self.answer(status, json.dumps(answer).encode(), {"content-type": "application/json"})

    with serving(Batches) as endpoint.url:
        yield endpoint
