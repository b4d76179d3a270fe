"""The transform of the soak: it fails at random in every way of the table of outcomes (B4).

What becomes of a record is drawn from the seed and the record's number, so that the soak knows it too; what becomes of
a batch is drawn from the seed and the number of its first record, and is the same at each attempt.
"""

import base64
import os
import random
import time
import zlib
from typing import Any

RECORD_FATES = (
    "ProcessingFailed",
    "missing id",
    "id twice",
    "no data",
    "bad base64",
    "unknown result",
    "missing key",
    "empty key",
    "not convertible",
    "Dropped",
)
"""Each befalls one record in two hundred."""
BATCH_FATES = ("throw", "hang", "die", "oversize", "unparsable", "no records")
"""Each befalls one batch in five hundred."""
RECORD_SHARE, BATCH_SHARE = 0.005, 0.002
DRAWN = "drawn for a batch: "
"""How the function's log tells of an invocation that fails as a whole."""
PASSING_SHARE = 0.01
"""How often an invocation throws that would have worked, and works when it is tried again."""

_SEED = os.environ.get("SOAK_SEED", "")
_PASSING = random.Random(f"{_SEED}:{os.getpid()}")  # noqa: S311 - chance, not a secret


def record_fate(seed: str, number: int) -> str | None:
    """Draw what becomes of a record; None when all is well."""
    return _draw(f"{seed}:record:{number}", RECORD_FATES, RECORD_SHARE)


def _draw(text: str, fates: tuple[str, ...], share: float) -> str | None:
    place = int(zlib.crc32(text.encode()) / 2**32 / share)
    return fates[place] if place < len(fates) else None


def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Transform a batch, or fail."""
    records = [(record["recordId"], base64.b64decode(record["data"])) for record in event["records"]]
    numbers = [int(data[6 : data.index(b",")]) for _, data in records]
    drawn = _draw(f"{_SEED}:batch:{numbers[0]}", BATCH_FATES, BATCH_SHARE)
    if drawn:
        print(f"{DRAWN}{drawn}", flush=True)
    match drawn:
        case "throw":
            raise ValueError("drawn")
        case "hang":
            time.sleep(600)
        case "die":
            os._exit(1)
        case "oversize":
            return {"records": [], "rest": "x" * 6_300_000}
        case "unparsable":
            return {"records": float("nan")}
        case "no records":
            return {}
    if _PASSING.random() < PASSING_SHARE:
        raise ValueError("drawn, for once")
    answers: list[dict[str, Any]] = []
    for (identity, data), number in zip(records, numbers, strict=True):
        answers += _answers(identity, number, data)
    return {"records": answers}


def _answers(identity: str, number: int, data: bytes) -> list[dict[str, Any]]:
    drawn = record_fate(_SEED, number)
    row = b'{"event_id":"%d","event_type":"soak","raw":"%s"' % (number, data[-200:-2])
    keys = {"audit_type": f"type{number % 5}", "year": "2026", "month": "11", "day": "24"}
    if drawn in ("missing key", "empty key"):
        keys = {**keys, "day": ""} if drawn == "empty key" else {"audit_type": "soak"}
    encoded = base64.b64encode(row if drawn == "not convertible" else row + b"}").decode()
    good = {"recordId": identity, "result": "Ok", "data": encoded, "metadata": {"partitionKeys": keys}}
    match drawn:
        case "missing id":
            return []
        case "id twice":
            return [good, good]
        case "no data":
            return [{**good, "data": None}]
        case "bad base64":
            return [{**good, "data": "*"}]
        case "ProcessingFailed" | "Dropped" | "unknown result":
            return [{**good, "result": drawn}]
    return [good]
