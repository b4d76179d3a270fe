"""The transform function that bench/probe_aws.py deploys: it answers each record in the way that the record asks for.

A record is a JSON object. `case` names the way, `keys` are the partition keys to return with it, `row` and `text` are
what a record for conversion shall be.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

TOO_LARGE_BYTES = 7_000_000


def handle(event: Mapping[str, Any], _context: object) -> object:
    """Answer an invocation by Firehose."""
    records = [(record, json.loads(base64.b64decode(record["data"]))) for record in event["records"]]
    if any(asked["case"] == "answer-not-json" for _, asked in records):
        from simplejson.raw_json import RawJSON  # Lambda's runtime client brings it, and writes it out unchanged

        return RawJSON("this is no JSON")
    return {"records": [answer(record["recordId"], asked) for record, asked in records]}


def answer(record_id: str, asked: Mapping[str, Any]) -> dict[str, object]:
    """Answer one record."""
    given: dict[str, object] = {"recordId": record_id, "result": "Ok", "data": _base64(json.dumps(asked) + "\n")}
    match asked["case"]:
        case "unknown-result":
            given["result"] = "Unknown"
        case "not-base64":
            given["data"] = "%%% this is no base64 %%%"
        case "answer-too-large":
            given["data"] = _base64("x" * TOO_LARGE_BYTES)
        case "keys":
            given["metadata"] = {"partitionKeys": asked["keys"]}
        case "row":
            given["data"] = _base64(json.dumps({**asked["row"], "via": "function"}) + "\n")
        case "text":
            given["data"] = _base64(asked["text"])
    return given


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
