"""The HTTP answer."""

import json
from http import HTTPStatus
from typing import Any

from lambda_src.receiver.packing import Accepted
from lambda_src.receiver.problem import Problem
from lambda_src.receiver.receive import Outcome, Rejected
from lambda_src.receiver.request import Request
from lambda_src.receiver.response import outcome_response, problem_response

KIND = ("login", 20484)
IN = Accepted(0, "a", b"", KIND)
OUT = Accepted(2, "c", b"", KIND)
BAD = Rejected(1, None, "actor: expected an object, got null.", HTTPStatus.BAD_REQUEST)
LARGE = Rejected(0, "b", "The event is too large.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def answer(outcome: Outcome, single: bool = False) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Give status, headers and members of the answer."""
    response = outcome_response(Request(b"", single, True, "api-1=", 0, "", ""), outcome)
    assert response["isBase64Encoded"] is False
    return response["statusCode"], response["headers"], json.loads(response["body"])


def test_accepted() -> None:
    """202 says how many are durable, which are refused and why, and which ids the server made."""
    assert answer(Outcome([(IN, "r")], [BAD], [], None, {0: "a"}, [])) == (
        202,
        {"Content-Type": "application/json"},
        {
            "accepted": 1,
            "rejected": [{"index": 1, "reason": BAD.reason}],
            "requestId": "api-1=",
            "assigned": [{"index": 0, "id": "a"}],
        },
    )


def test_send_again() -> None:
    """503 with Retry-After names exactly the events to send again, and counts those that are in."""
    status, headers, members = answer(Outcome([(IN, "r")], [BAD], [OUT], None, {}, []))

    assert (status, headers) == (503, {"Content-Type": "application/problem+json", "Retry-After": "1"})
    assert (members["accepted"], members["retry"]) == (1, [{"index": 2, "id": "c"}])
    assert members["detail"] == (
        "The delivery stream takes no more for now; events stored: 1, not stored: 1: send those under retry again, "
        "with the same ids, after the seconds that Retry-After says."
    )


def test_fault_of_ours() -> None:
    """A client fault of the stream is a 502 without Retry-After; its code is for the log, not for the client."""
    status, headers, members = answer(Outcome([], [], [OUT], "AccessDeniedException", {}, []))

    assert (status, "Retry-After" in headers) == (502, False)
    assert "tell its operators the requestId api-1=" in members["detail"]
    assert "AccessDenied" not in json.dumps(members)


def test_everything_refused() -> None:
    """Nothing durable and nothing to send again is a 400 with every reason."""
    status, headers, members = answer(Outcome([], [LARGE, BAD], [], None, {}, []))

    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert [each["reason"] for each in members["rejected"]] == [LARGE.reason, BAD.reason]
    assert members["detail"].endswith("the first because: The event is too large.")


def test_single() -> None:
    """POST /events is answered with a receipt, or with a plain problem of the event's own status."""
    receipt = {"status": "accepted", "eventId": "a", "requestId": "api-1=", "recordId": "r"}
    assert answer(Outcome([(IN, "r")], [], [], None, {0: "a"}, []), single=True)[2] == receipt

    status, _, members = answer(Outcome([], [LARGE], [], None, {}, []), single=True)
    assert (status, sorted(members)) == (413, ["detail", "status", "title", "type"])

    status, headers, members = answer(Outcome([], [], [OUT], None, {}, []), single=True)
    assert (status, headers["Retry-After"]) == (503, "1")
    assert "the event was not stored: send it again, with the same id," in members["detail"]
    assert members["eventId"] == "c"


def test_long_ids_are_left_out() -> None:
    """An id that would make the answer grow without bound is left out; the index is there."""
    long = Rejected(0, "x" * 257, "No.", HTTPStatus.BAD_REQUEST)

    assert answer(Outcome([], [long], [], None, {}, []))[2]["rejected"] == [{"index": 0, "reason": "No."}]


def test_an_answer_fits_whatever_ids_clients_give() -> None:
    """Ten thousand ids of quotes and control characters would outgrow Lambda's 6 MB: then the indexes say enough."""
    odd = [Rejected(index, '"\x00' * 128, BAD.reason, HTTPStatus.BAD_REQUEST) for index in range(9_000)]
    made = [Accepted(index, "made", b"", KIND) for index in range(9_000, 10_000)]
    response = outcome_response(
        Request(b"", False, True, "api-1=", 0, "", ""),
        Outcome([], odd, made, None, dict.fromkeys(range(9_000, 10_000), "made"), []),
    )

    assert len(json.dumps(response)) < 6_000_000
    members = json.loads(response["body"])
    assert members["rejected"][-1] == {"index": 8_999, "reason": BAD.reason}
    assert members["retry"][-1] == members["assigned"][-1] == {"index": 9_999, "id": "made"}


def test_conflicts_are_marked() -> None:
    """Events that share an id with others of the request are listed, stored as they are."""
    members = answer(Outcome([(IN, "r"), (OUT, "r")], [], [], None, {}, [IN, OUT]))[2]

    assert members["conflicting"] == [{"index": 0, "id": "a"}, {"index": 2, "id": "c"}]


def test_problem() -> None:
    """A request that is refused as a whole is answered with its status and sentence."""
    response = problem_response(Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON."))

    assert (response["statusCode"], json.loads(response["body"])["detail"]) == (415, "Send JSON.")
    assert response["headers"] == {"Content-Type": "application/problem+json"}
