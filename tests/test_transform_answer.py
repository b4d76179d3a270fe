"""The answer to Firehose."""

import base64
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lambda_src.common.envelope import Envelope, encode
from lambda_src.common.partition import rule
from lambda_src.transform import answer as module
from lambda_src.transform.answer import MAX_BYTES, Answer, answer_records
from lambda_src.transform.record import record_rows

RULE = rule(["login"], 7, 1)
NOW = 1_769_851_800_000  # 2026-01-31T09:30:00Z
GOOD = b'{"eventType":"login","timestamp":"2026-01-31T09:00:00Z","actor":{"userId":"u-1"}}'


def record(record_id: str, data: bytes) -> dict[str, Any]:
    """Make a record as Firehose hands it over (B1)."""
    return {"recordId": record_id, "approximateArrivalTimestamp": NOW, "data": base64.b64encode(data).decode()}


def answered(answer: Answer) -> list[dict[str, Any]]:
    """Read the answer's records."""
    records: list[dict[str, Any]] = json.loads(answer.text)["records"]
    return records


PIECES = st.sampled_from(
    [GOOD, b"", b"{", b"[]", GOOD + b"\n" + GOOD, GOOD + b"\n{", encode(Envelope("e", "r", NOW, "", "", GOOD))]
)


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"])), PIECES | st.binary()),
        unique_by=lambda pair: pair[0],
    )
)
def test_every_record_id_is_answered_once(pairs: list[tuple[str, bytes]]) -> None:
    """Whatever records hold, each recordId is answered once, Ok with data and keys or ProcessingFailed."""
    answer = answer_records([record(*pair) for pair in pairs], RULE)

    assert [each["recordId"] for each in answered(answer)] == [record_id for record_id, _ in pairs]
    failed = []
    for each in answered(answer):
        if each["result"] == "Ok":
            assert base64.b64decode(each["data"])
            keys = each["metadata"]["partitionKeys"]
            assert list(keys) == ["audit_type", "year", "month", "day"]
            assert all(isinstance(value, str) and value for value in keys.values())
        else:
            assert each == {"recordId": each["recordId"], "result": "ProcessingFailed"}
            failed.append(each["recordId"])
    assert [failure.record_id for failure in answer.failures] == failed


ODD = st.sampled_from(
    [
        *(b"\xff", b"\xed\xa0\x80", rb"\ud800", rb"\udc00", rb"\ud83d\ude00", rb"\u0000", b"\x00", b"\xef\xbb\xbf"),
        *(b"1e999", b"-1e999", b"NaN", b"Infinity", b"9" * 5000, b"-0", b"null", b"true", b'"', b"\\", b",", b":"),
        *(
            b"{",
            b"}",
            b"[",
            b"]",
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b"\n",
            b"\r\n",
            b'{"auditlake":1}',
            b'{"auditlake":',
        ),
        *(
            b'"id":"",',
            b'"id":5,',
            b'"eventType":5,',
            rb'"\ud800":1,',
            b'"\xff":1,',
            b'"receivedAt":1e3,',
            b'"receivedAt":-1,',
        ),
        *(
            b'"timestamp":"0000-01-01T00:00:00Z",',
            b'"timestamp":"9999-12-31T23:59:60Z",',
            b'"actor":{"userId":"\xff"},',
        ),
        *(b'"metadata":{"source":{}},', b'"details":{"changes":[1,null,{"field":5,"oldValue":{}}]},'),
    ]
)


@given(st.lists(st.tuples(st.booleans(), st.lists(st.tuples(st.floats(0, 1), ODD), max_size=3), st.booleans())))
def test_whatever_an_event_is_made_of_nothing_unforeseen_happens(
    shapes: list[tuple[bool, list[tuple[float, bytes]], bool]],
) -> None:
    """Odd numbers, broken characters, depth, members twice, anywhere in event or envelope: no record is a defect.

    What is Ok is JSON in UTF-8, line by line.
    """
    records = []
    for number, (inside, insertions, enveloped) in enumerate(shapes):
        data = GOOD if inside else encode(Envelope("e", "r", NOW, "", "", GOOD))
        for place, odd in insertions:
            # After a brace or a comma most often: there a member may stand, and the event stays whole.
            at = data.find(b"{", int(place * len(data))) + 1 if odd.endswith(b",") else int(place * len(data))
            data = data[:at] + odd + data[at:]
        records.append(record(str(number), encode(Envelope("e", "r", NOW, "", "", data)) if enveloped else data))
    answer = answer_records(records, RULE)

    assert len(answered(answer)) == len(records)
    assert [failure.reason for failure in answer.failures if "defect" in failure.reason] == []
    for each in answered(answer):
        for row in base64.b64decode(each.get("data", "")).splitlines():
            assert json.loads(row)["raw_sha256"]


def test_one_bad_record_costs_no_other() -> None:
    """Between two good records a broken one fails alone, and so does one that is no base64."""
    records = [record("a", GOOD), record("b", b"{"), record("c", GOOD), record("d", GOOD) | {"data": "no base64!"}]
    answer = answer_records(records, RULE)

    assert [each["result"] for each in answered(answer)] == ["Ok", "ProcessingFailed", "Ok", "ProcessingFailed"]
    assert answer.counts.events == 2
    assert answer.failures[1].reason == "The record's data is not base64."


@given(
    st.integers(300, 12_000),
    st.lists(st.tuples(st.text("ä-", min_size=1, max_size=60), st.integers(0, 400)), max_size=12),
)
@example(5000, [("ä" * 200, 0)] * 10)
def test_the_answer_stays_within_its_bound(max_bytes: int, shapes: list[tuple[str, int]]) -> None:
    """However large the rows, the answer stays within its bound in every encoding, and what does not fit is failed."""
    records = [
        record(f"{number}{name}", GOOD[:-1] + b',"entityId":"%s"}' % (b"x" * size))
        for number, (name, size) in enumerate(shapes)
    ]
    failed = [{"recordId": each["recordId"], "result": "ProcessingFailed"} for each in records]
    answer = answer_records(records, RULE, max_bytes)

    assert len(answered(answer)) == len(records)
    spaced = json.dumps(json.loads(answer.text), ensure_ascii=False).encode()
    assert len(answer.text.encode()) <= len(spaced)
    assert len(spaced) <= max(max_bytes, len(json.dumps({"records": failed}, ensure_ascii=False).encode()))
    assert len(answer.failures) + answer.counts.events == len(records)


def test_a_small_record_still_fits_after_a_large_one() -> None:
    """A record that does not fit is failed with its reason and counted; a smaller one after it is answered."""
    large = GOOD[:-1] + b',"entityId":"' + b"x" * 3000 + b'"}'
    answer = answer_records([record("a", GOOD), record("b", large), record("c", GOOD)], RULE, 2000)

    assert [each["result"] for each in answered(answer)] == ["Ok", "ProcessingFailed", "Ok"]
    assert answer.failures[0].reason == "The rows of the record do not fit into the answer, which holds 2000 bytes."


@pytest.mark.parametrize(
    "body", [b'"' + rb"\\" * 370_000 + b'"', b'"' + b"\xff" * 760_000 + b'"', b"[" + b"{}," * 250_000 + b"1]"]
)
def test_the_largest_record_always_fits(body: bytes) -> None:
    """A record of 1,000 KiB in its envelope (A1) fits into the answer alone, whatever its bytes become in the row."""
    event = GOOD[:-1] + b',"metadata":{"note":' + body + b'},"details":{"changes":' + body + b"}}"
    event = event if body.startswith(b"[") else GOOD[:-1] + b',"metadata":{"note":' + body + b"}}"
    data = encode(Envelope("e", "r", NOW, "", "", event[:-2].ljust(760_000) + b"}}"))[:1_024_000]
    answer = answer_records([record("a", data)], RULE)

    assert len(answer.text) <= MAX_BYTES
    assert not any("do not fit" in failure.reason for failure in answer.failures)


def test_a_defect_costs_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw fails its record only, and what is told quotes nothing of the event."""
    real = record_rows

    def broken(data: bytes, *arguments: Any) -> object:  # noqa: ANN401  # passed on
        if b"secret" in data:
            raise LookupError(data)
        return real(data, *arguments)

    monkeypatch.setattr(module, "record_rows", broken)
    answer = answer_records([record("a", b"secret"), record("b", GOOD)], RULE)

    assert [each["result"] for each in answered(answer)] == ["ProcessingFailed", "Ok"]
    assert "LookupError" in answer.failures[0].reason
    assert "secret" not in answer.failures[0].reason
