"""The function that the probe deploys, invoked as Firehose would."""

import base64
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from simplejson.raw_json import RawJSON

from tests.conftest import ROOT


def answered(*records: dict[str, object]) -> Any:  # noqa: ANN401  # the answer may be anything, that is the point
    """Invoke the function for records."""
    path: Path = ROOT / "bench" / "probe_function.py"
    spec = importlib.util.spec_from_file_location("probe_function", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    listed = [
        {"recordId": str(place), "data": base64.b64encode(json.dumps(record).encode()).decode()}
        for place, record in enumerate(records)
    ]
    return module.handle({"records": listed}, None)


def data(record: dict[str, Any]) -> bytes:
    """Return the bytes of an answered record."""
    return base64.b64decode(record["data"], validate=True)


def test_good_records_come_back_with_their_keys() -> None:
    """A record is answered Ok, ends in a newline, and carries the keys that it asked for, whatever they are."""
    good, keyed = answered({"case": "good"}, {"case": "keys", "keys": {"k": None}})["records"]

    assert (good["recordId"], good["result"], "metadata" in good) == ("0", "Ok", False)
    assert data(good).endswith(b"\n")
    assert keyed["metadata"] == {"partitionKeys": {"k": None}}


def test_a_row_shows_that_it_went_through_the_function() -> None:
    """A row for conversion differs from what was put, so that rawData tells which of the two it is."""
    row, text = answered({"case": "row", "row": {"id": "a"}}, {"case": "text", "text": '{"a":1}{"a":'})["records"]

    assert json.loads(data(row)) == {"id": "a", "via": "function"}
    assert data(text) == b'{"a":1}{"a":'


@pytest.mark.parametrize(("case", "result"), [("unknown-result", "Unknown"), ("not-base64", "Ok")])
def test_an_odd_record_leaves_its_neighbour_good(case: str, result: str) -> None:
    """Only the record that asks for it is answered wrongly."""
    odd, neighbour = answered({"case": case}, {"case": "good"})["records"]

    assert odd["result"] == result
    assert (neighbour["result"], json.loads(data(neighbour))) == ("Ok", {"case": "good"})
    if case == "not-base64":
        with pytest.raises(ValueError, match="base64"):
            data(odd)


def test_an_answer_can_be_larger_than_lambda_takes() -> None:
    """The answer to one record alone exceeds 6 MB."""
    assert len(json.dumps(answered({"case": "answer-too-large"}))) > 6 * 1024 * 1024


def test_an_answer_can_be_no_json() -> None:
    """Lambda's runtime client writes the answer as it is."""
    answer = answered({"case": "good"}, {"case": "answer-not-json"})

    assert isinstance(answer, RawJSON)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.encoded_json)
