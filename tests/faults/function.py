"""A transform that fails as the events tell it to, around the real one.

An event's `metadata.fault` says what befalls its record or its whole invocation; what is to pass after some attempts is
counted in the folder that AUDITLAKE_FAULTS names.
"""

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

from lambda_src.common.partition import rule
from lambda_src.transform.answer import answer_records
from tests.faults.found import events_of

RULE = rule(["login", "document"], days_back=7, days_ahead=1)
WHOLE = ("throw", "hang", "die", "oversize", "not json", "no records", "poison", "passes")
"""What befalls a whole invocation."""
RECORD = ("missing", "twice", "foreign", "dropped", "no data", "bad base64", "unknown result", "many partitions")
"""What befalls one record."""
COUNTED = Path(os.environ.get("AUDITLAKE_FAULTS", os.devnull))


def handle(event: dict[str, Any], _context: object) -> object:
    """Answer an invocation, or fail."""
    faults = {record["recordId"]: _fault(base64.b64decode(record["data"])) for record in event["records"]}
    for fault in faults.values():
        if fault.partition(":")[0] in WHOLE:
            answer = _whole(fault)
            if answer is not None:
                return answer
    answered = json.loads(answer_records(event["records"], RULE).text)["records"]
    return {"records": [one for answer in answered for one in _record(faults[answer["recordId"]], answer)]}


def _fault(record: bytes) -> str:
    found = [json.loads(body)["metadata"].get("fault", "") for _, body in events_of(record)]
    return next((str(fault) for fault in found if fault), "")


def _whole(fault: str) -> object | None:
    match fault.partition(":")[0]:
        case "throw":
            raise ValueError("told to throw")
        case "hang":
            time.sleep(600)
        case "die" | "poison":
            os._exit(9)
        case "oversize":
            return {"records": [], "rest": "x" * 6_300_000}
        case "not json":
            return {"records": float("nan")}
        case "no records":
            return {}
        case "passes" if _attempts(fault) <= int(fault.split(":")[2]):
            raise ValueError("told to throw for a while")
    return None


def _attempts(fault: str) -> int:
    """Count the attempts at an event by the bytes of a file, one each."""
    with (COUNTED / fault.split(":")[1]).open("ab") as file:
        file.write(b".")
        return file.tell()


def _record(fault: str, answer: dict[str, Any]) -> list[dict[str, Any]]:
    kind, _, detail = fault.partition(":")
    match kind:
        case "missing":
            return []
        case "twice":
            return [answer, answer]
        case "foreign":
            return [answer, {**answer, "recordId": "a stranger"}]
        case "dropped":
            return [{"recordId": answer["recordId"], "result": "Dropped"}]
        case "no data":
            return [{**answer, "data": None}]
        case "bad base64":
            return [{**answer, "data": "*"}]
        case "unknown result":
            return [{**answer, "result": "Perhaps"}]
        case "many partitions":
            keys = {**answer["metadata"]["partitionKeys"], "audit_type": f"type{detail}"}
            return [{**answer, "metadata": {"partitionKeys": keys}}]
    return [answer]
