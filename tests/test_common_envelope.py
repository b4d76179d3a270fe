"""The envelope around an event."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_src.common.envelope import Envelope, EnvelopeError, decode, encode, is_envelope

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.builds(Envelope, TEXT, TEXT, st.integers(0, 9_214_646_399_999), TEXT, TEXT, st.binary()))
def test_round_trip(envelope: Envelope) -> None:
    """What is wrapped comes out unchanged, the body byte for byte, and stays on one line."""
    line = encode(envelope)

    assert is_envelope(line)
    assert b"\n" not in line
    assert decode(line) == envelope


def test_form() -> None:
    """The envelope is compact JSON whose first member is the version, as the API's mapping template writes it."""
    expected = {
        "auditlake": 1,
        "eventId": "e",
        "requestId": "r",
        "receivedAt": 5,
        "sourceIp": "203.0.113.9",
        "principal": "",
        "body": base64.b64encode(b"{}").decode(),
    }

    assert (
        encode(Envelope("e", "r", 5, "203.0.113.9", "", b"{}")) == json.dumps(expected, separators=(",", ":")).encode()
    )


@pytest.mark.parametrize(
    "line",
    [
        b'{"auditlake":2,"eventId":"e","requestId":"r","receivedAt":5,"sourceIp":"","principal":"","body":""}',
        b'{"auditlake":1,"eventId":"e","requestId":"r","receivedAt":-5,"sourceIp":"","principal":"","body":""}',
        b'{"auditlake":1,"eventId":"e","requestId":"r","receivedAt":5,"sourceIp":"","principal":"","body":"secret!"}',
        b'{"auditlake":1,"eventId":"secret"}',
        b'{"auditlake":1,"eventId":"secret\xff"}',
        b'{"auditlake":1',
        b'{"auditlake":' + b"[" * 100_000,
    ],
)
def test_what_is_no_envelope_is_said(line: bytes) -> None:
    """A broken envelope is one sentence, and the sentence quotes nothing of it."""
    with pytest.raises(EnvelopeError, match=r"^The record starts like an envelope .*\.$") as caught:
        decode(line)

    assert "secret" not in str(caught.value)
