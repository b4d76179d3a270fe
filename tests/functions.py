"""Lambda functions for tests of the runtime: each does one thing that a real function may do."""

import base64
import json
import os
import time
from typing import Any


def echo(event: Any, context: Any) -> Any:  # noqa: ANN401 - a handler takes and gives any JSON
    """Return the event with what the context and the environment say."""
    return {
        "event": event,
        "name": context.function_name,
        "remaining": context.get_remaining_time_in_millis() > 0,
        "greeting": os.environ.get("GREETING"),
        "home_secret": os.environ.get("HOME_SECRET"),
    }


def throw(event: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - a handler's signature
    """Raise."""
    raise ValueError(f"cannot do {event}")


def hang(event: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - a handler's signature
    """Hang when told to."""
    if event == "hang":
        time.sleep(60)
    return event


def die(event: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - a handler's signature
    """Kill the process when told to."""
    if event == "die":
        os._exit(9)
    return event


def chatter(event: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - a handler's signature
    """Print, as functions do, and answer."""
    print("a line of the function's log")  # noqa: T201 - what a function prints goes to its log
    return event


def large(event: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - a handler's signature
    """Answer with a string of the length asked for."""
    return "x" * int(event)


KEYS = {"audit_type": "login", "year": "2026", "month": "11", "day": "24"}
"""The partition of a record that names no other."""


def identity(event: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - a handler's signature
    """Transform every record into itself."""
    answers = [
        {
            "recordId": record["recordId"],
            "result": "Ok",
            "data": record["data"],
            "metadata": {"partitionKeys": KEYS},
        }
        for record in event["records"]
    ]
    return {"records": answers}


def scripted(event: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - a handler's signature
    """Transform records that say what becomes of them: `{"do", "row", "keys"}`; see `whole_batch` and `one_record`."""
    told = [(record["recordId"], json.loads(base64.b64decode(record["data"]))) for record in event["records"]]
    for _, one in told:
        if one["do"] in WHOLE_BATCH:
            return whole_batch(one["do"])
    return {"records": [answer for identity, one in told for answer in one_record(identity, one)]}


WHOLE_BATCH = ("throw", "hang", "die", "oversize", "unparsable", "no unicode", "no records", "not a list")


def whole_batch(what: str) -> Any:  # noqa: ANN401 - a handler gives any JSON
    """Fail a whole invocation in one way of the table of outcomes."""
    match what:
        case "throw":
            raise ValueError("told to throw")
        case "hang":
            time.sleep(60)
        case "die":
            os._exit(9)
        case "oversize":
            return {"records": [], "rest": "x" * 6_300_000}
        case "unparsable":
            return {"records": float("nan")}
        case "no unicode":
            return {"records": [{"recordId": "\ud800"}]}
        case "not a list":
            return {"records": "none"}
    return {}


def one_record(identity: str, told: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer for one record in one way of the table of outcomes."""
    row = told.get("row", {"event_id": told.get("id")})
    data = (row if isinstance(row, str) else json.dumps(row)).encode()
    good = {
        "recordId": identity,
        "result": "Ok",
        "data": base64.b64encode(data).decode(),
        "metadata": {"partitionKeys": told.get("keys", KEYS)},
    }
    match told["do"]:
        case "missing id":
            return []
        case "id twice":
            return [good, good]
        case "unknown id":
            return [good, {**good, "recordId": "a stranger"}]
        case "no data":
            return [{**good, "data": None}]
        case "bad base64":
            return [{**good, "data": "*"}]
        case "no metadata":
            return [{name: value for name, value in good.items() if name != "metadata"}]
        case result:
            return [{**good, "result": result}]


def keyed(event: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - a handler's signature
    """Make each record of a data stream a row whose event_id is its partition key."""
    answers = []
    for record in event["records"]:
        row = json.dumps({"event_id": record["kinesisRecordMetadata"]["partitionKey"]}).encode()
        answer = {"recordId": record["recordId"], "result": "Ok", "data": base64.b64encode(row).decode()}
        answers.append({**answer, "metadata": {"partitionKeys": KEYS}})
    return {"records": answers}


def niceness(_event: object, _context: object) -> int:
    """Answer with the niceness of the process."""
    return os.getpriority(os.PRIO_PROCESS, 0)
