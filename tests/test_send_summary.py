"""The summary of a send."""

import json

import pytest

from auditlake.send_summary import Summary, counted


@pytest.mark.parametrize(
    ("summary", "code"),
    [
        (Summary(read=2, accepted=2), 0),
        (Summary(read=2, accepted=1, rejected=1), 1),
        (Summary(read=2, accepted=2, failure="The rest was not read."), 1),
        (Summary(read=2, accepted=2, interrupted=True), 130),
    ],
)
def test_the_exit_code_is_0_only_when_every_event_is_accepted(summary: Summary, code: int) -> None:
    """A rejected event and a failure are 1, Ctrl-C is 130 whatever was accepted."""
    assert summary.exit_code == code


def test_the_sentences_tell_what_happened_and_how_to_go_on() -> None:
    """What did not happen is not mentioned; where a send stopped, the last sentence has the option to go on with."""
    assert Summary(read=1, accepted=1, requests=1, body_bytes=9, gzip_bytes=8).lines() == [
        "1 of 1 event accepted in 0.0 s: 1 request, 9 bytes, 8 after gzip."
    ]
    stopped = Summary(read=9, accepted=4, retried=2, ids_given=1, rejected=1, settled=5, rejected_file="r.ndjson")
    stopped.interrupted = True
    assert stopped.lines()[1:] == [
        "2 events sent again.",
        "1 event came without an id and got one.",
        "1 event rejected, with the reason in r.ndjson.",
        "To go on where this stopped: the same command with --skip 5.",
    ]


def test_the_json_has_every_number() -> None:
    """A script reads the same as a person."""
    assert json.loads(Summary(read=3, rejected_file="é").to_json())["rejected_file"] == "é"
    assert counted(1_200, "event") == "1,200 events"
