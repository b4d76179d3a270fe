"""Signature Version 4: botocore signs, the runtime verifies."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from auditlake.errors import AuditlakeError
from auditlake.runtime.exchange import GatewayError, Request
from auditlake.runtime.signature import CLOCK_SKEW, AccessKey, load_access_keys, verify_signature

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
KEY = AccessKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCY", "arn:aws:iam::123456789012:user/alice")
SESSION = replace(KEY, id="ASIAEXAMPLE", session_token="session==")  # noqa: S106 - a test's token
KEYS = {key.id: key for key in (KEY, SESSION)}


def signed(
    url: str = "http://127.0.0.1:7070/events",
    body: bytes = b"{}",
    key: AccessKey = KEY,
    headers: Mapping[str, str] | None = None,
    service: str = "execute-api",
    region: str = "us-east-1",
) -> Request:
    """A request as it arrives, signed by botocore at NOW."""
    request = AWSRequest("POST", url, {"Content-Type": "application/json", **(headers or {})}, body)
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        SigV4Auth(Credentials(key.id, key.secret, key.session_token), service, region).add_auth(request)
    parts = urlsplit(url)
    arrived = {name.lower(): value for name, value in request.headers.items()}
    return Request("POST", parts.path, parts.query, {"host": parts.netloc, **arrived}, body, "", parts.path)


def verified(request: Request, now: datetime = NOW) -> AccessKey:
    """Verify a request."""
    return verify_signature(request, KEYS, "execute-api", "us-east-1", now.timestamp())


def refused(request: Request, now: datetime = NOW) -> tuple[str, str]:
    """The type and message of a refusal."""
    with pytest.raises(GatewayError) as caught:
        verified(request, now)
    return caught.value.type, caught.value.message


def with_headers(request: Request, **headers: str) -> Request:
    """The request with other headers."""
    return structs.replace(request, headers={**request.headers, **{n.replace("_", "-"): v for n, v in headers.items()}})


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:7070/events",
        "http://[::1]:7070/events/batch",
        "http://localhost/a%20b/%C3%A9",
        "http://localhost/events?b=2&a=1&a=0&empty=&tilde=~&plus=1%2B1&space=%20&umlaut=%C3%BC",
    ],
)
def test_what_the_sdk_signs_is_recognised(url: str) -> None:
    """Paths with escapes and parameters in any order verify to the key that signed."""
    assert verified(signed(url)) is KEY


def test_a_session_token_is_part_of_the_key() -> None:
    """With its token a temporary key is recognised; without, or with another's, it is not."""
    request = signed(key=SESSION)
    assert verified(request) is SESSION

    said = ("INVALID_SIGNATURE", "The security token included in the request is invalid.")
    assert refused(with_headers(request, **{"x-amz-security-token": "other"})) == said
    assert refused(with_headers(signed(), **{"x-amz-security-token": "session=="})) == said
    assert refused(signed(key=replace(SESSION, session_token=None))) == said


def test_an_unknown_key_and_a_wrong_secret_are_told_apart_as_aws_does() -> None:
    """Neither message repeats anything of the request."""
    assert refused(signed(key=replace(KEY, id="AKIDOTHER")))[1].startswith("The security token included")
    kind, message = refused(signed(key=replace(KEY, secret="w" * 30)))
    assert (kind, message[:68]) == (
        "INVALID_SIGNATURE",
        "The request signature we calculated does not match the signature you",
    )


def test_an_expired_key_is_an_expired_token() -> None:
    """A key with an expiration is of use until then."""
    keys = {KEY.id: replace(KEY, expiration=NOW)}
    assert verify_signature(signed(), keys, "execute-api", "us-east-1", NOW.timestamp() - 1)
    with pytest.raises(GatewayError) as caught:
        verify_signature(signed(), keys, "execute-api", "us-east-1", NOW.timestamp())

    assert (caught.value.type, caught.value.message) == (
        "EXPIRED_TOKEN",
        "The security token included in the request is expired",
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"},
        {"raw_path": "/events/batch"},
        {"query": "a=2"},
        {"body": b'{"a": 1}'},
        {"body": b""},
    ],
)
def test_whatever_is_changed_breaks_the_signature(changed: dict[str, str | bytes]) -> None:
    """Method, path, parameters and body are all part of it."""
    request = signed("http://localhost/events?a=1")
    assert refused(structs.replace(request, **changed))[0] == "INVALID_SIGNATURE"


@example(0, "[")
@given(st.integers(0, 10_000), st.characters(codec="utf-8"))
def test_a_changed_character_of_any_signed_header_breaks_it(at: int, put: str) -> None:
    """No place of the signed values can be altered."""
    request = signed(headers={"X-Extra": "value"})
    name = ("host", "content-type", "x-extra", "x-amz-date")[at % 4]
    value = request.headers[name]
    place = at % len(value)
    altered = value[:place] + put + value[place + 1 :]
    if " ".join(altered.split()) != value:
        with pytest.raises(GatewayError):
            verified(structs.replace(request, headers={**request.headers, name: altered}))


@given(st.text(st.characters(codec="latin-1"), max_size=200))
def test_no_authorization_header_breaks_the_verification(text: str) -> None:
    """Anything may stand in the header; the answer is always one of API Gateway's, and never repeats it."""
    for header in (
        text,
        f"AWS4-HMAC-SHA256 {text}",
        f"AWS4-HMAC-SHA256 Credential={text}, SignedHeaders=host, Signature=x",
    ):
        kind, message = refused(with_headers(signed(), authorization=header))
        assert kind in ("MISSING_AUTHENTICATION_TOKEN", "INVALID_SIGNATURE")
        assert len(text) < 8 or text not in message


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (5, None),
        (6, "Signature expired: 20261124T030000Z is now earlier than 20261124T030100Z (20261124T030600Z - 5 min.)"),
        (-5, None),
        (
            -6,
            "Signature not yet current: 20261124T030000Z is still later than 20261124T025900Z "
            "(20261124T025400Z + 5 min.)",
        ),
    ],
)
def test_the_clock_may_differ_by_five_minutes(minutes: int, words: str | None) -> None:
    """Within five minutes either way a signature counts; beyond, AWS's words say which clock says what."""
    now = NOW + minutes * CLOCK_SKEW / 5
    if words is None:
        assert verified(signed(), now) is KEY
    else:
        assert refused(signed(), now) == ("INVALID_SIGNATURE", words)


@pytest.mark.parametrize(
    ("request_", "kind", "words"),
    [
        (Request("POST", "/", "", {}, b"", ""), "MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token"),
        (
            Request("POST", "/", "X-Amz-Signature=1", {}, b"", ""),
            "INVALID_SIGNATURE",
            "not in the query string",
        ),
        (with_headers(signed(), authorization="Bearer x"), "MISSING_AUTHENTICATION_TOKEN", "requires 'Credential'"),
        (with_headers(signed(), authorization="AWS4-ECDSA-P256-SHA256 C"), "INVALID_SIGNATURE", "AWS4-ECDSA"),
        (
            with_headers(signed(), authorization="AWS4-HMAC-SHA256 Credential=a, SignedHeaders=date, Signature=b"),
            "INVALID_SIGNATURE",
            "'Host' or ':authority'",
        ),
        (with_headers(signed(), x_amz_date="yesterday"), "INVALID_SIGNATURE", "ISO-8601"),
        (signed(region="eu-west-1"), "INVALID_SIGNATURE", "valid region, not 'eu-west-1'"),
        (signed(service="firehose"), "INVALID_SIGNATURE", "correct service: 'execute-api'"),
        (with_headers(signed(), x_amz_content_sha256="UNSIGNED-PAYLOAD"), "INVALID_SIGNATURE", "does not match"),
    ],
    ids=["none", "query", "bearer", "sigv4a", "host", "date", "region", "service", "unsigned"],
)
def test_what_is_wrong_is_said_in_awss_words(request_: Request, kind: str, words: str) -> None:
    """Each fault has API Gateway's answer, and what is not implemented is named."""
    assert refused(request_)[0] == kind
    assert words in refused(request_)[1]


def test_a_signed_digest_must_be_the_bodys() -> None:
    """A client that states its body's digest is held to it."""
    digest = sha256(b"{}").hexdigest()
    assert verified(signed(headers={"X-Amz-Content-SHA256": digest})) is KEY
    assert refused(signed(body=b"[]", headers={"X-Amz-Content-SHA256": digest}))[0] == "INVALID_SIGNATURE"


@given(st.text(st.characters(codec="latin-1")) | st.datetimes().map(format_datetime))
@example("Mon, 01 Jan 0001 00:00:00 +1400")
def test_no_date_header_breaks_the_verification(date: str) -> None:
    """Whatever stands in Date, also a time that no clock can show, is an answer of API Gateway's."""
    headers = {name: value for name, value in signed().headers.items() if name != "x-amz-date"}
    assert refused(structs.replace(signed(), headers={**headers, "date": date}))[0] == "INVALID_SIGNATURE"


def test_the_date_header_does_for_the_time() -> None:
    """A client may sign by Date instead of X-Amz-Date; the credential's day must be the same."""
    request = signed(headers={"Date": "now"})
    assert "x-amz-date" not in request.headers
    assert verified(request) is KEY

    other = request.headers["authorization"].replace("/20261124/", "/20261123/")
    assert "'20261123' != '20261124'" in refused(with_headers(request, authorization=other))[1]


FILE = """
[alice]
aws_access_key_id = AKIDEXAMPLE
aws_secret_access_key = wJalr%XUtnFEMI/K7MDENG+bPxRfiCY=
principal_arn = arn:aws:iam::123456789012:user/alice

[job]
aws_access_key_id = ASIAEXAMPLE
aws_secret_access_key = s
aws_session_token = t
expiration = 2026-11-24T12:00:00Z
principal_arn = arn:aws:sts::123456789012:assumed-role/job/1
principal_id = AROA1:1
allowed = POST/events POST/events/*
"""


def test_keys_are_read_from_the_format_of_the_aws_cli(tmp_path: Path) -> None:
    """Each section is a key; what more it says than the AWS CLI wants is optional but for the principal."""
    path = tmp_path / "credentials"
    path.write_text(FILE)
    alice, job = load_access_keys(path).values()

    assert (alice.secret, alice.allowed) == ("wJalr%XUtnFEMI/K7MDENG+bPxRfiCY=", ("*",))
    assert (job.session_token, job.principal_id, job.allowed) == ("t", "AROA1:1", ("POST/events", "POST/events/*"))
    assert job.expiration == datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert "wJalr" not in repr(alice)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no section"),
        ("secret-without-section", "is no credentials file"),
        ("[a]\nsecret-line", "is no credentials file"),
        ("[a]\naws_access_key_id = secret1", r"\[a\] of .* lacks aws_secret_access_key"),
        (FILE.replace("arn:aws:iam::123456789012:user/alice", "alice"), r"principal_arn of \[alice\]"),
        (FILE.replace("12:00:00Z", "12:00:00"), r"expiration of \[job\]"),
        (FILE.replace("2026-11-24T", "tomorrow "), r"expiration of \[job\]"),
    ],
)
def test_a_wrong_file_is_a_sentence_without_its_secrets(tmp_path: Path, content: str, words: str) -> None:
    """The section and the member are named, a value never is."""
    path = tmp_path / "credentials"
    path.write_text(content)
    with pytest.raises(AuditlakeError, match=words) as caught:
        load_access_keys(path)

    assert "secret-" not in str(caught.value)
    assert "secret1" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff", None])
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    """A missing file and bytes that are no text name the path."""
    path = tmp_path / "credentials"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AuditlakeError, match="cannot be read"):
        load_access_keys(path)
