"""A bucket behind an S3 endpoint: moto's server, and one that answers as it is told.

moto vouches for what boto3 sends and reads back; it is no oracle for Object Lock, and nothing of that is tested on it.
"""

import base64
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from auditlake.errors import ObjectExistsError, StoreError
from auditlake.runtime import s3_store
from auditlake.runtime.plan import ObjectLock
from auditlake.runtime.s3_store import S3Store
from auditlake.runtime.store import open_store
from auditlake.runtime.store_location import S3Location
from tests.conftest import Running, Up
from tests.terraform_moto import moto

LOCK = ObjectLock("COMPLIANCE", 365)
EVENT = {"id": "s3", "eventType": "login", "timestamp": "2026-11-24T03:00:00Z", "actor": {"userId": "ana"}}
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module", autouse=True)
def _credentials() -> Iterator[None]:
    """Have boto3, here and in the runtimes that are started, use credentials that are none."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The URL of moto's server."""
    with moto() as url:
        yield url


@pytest.fixture
def client(endpoint: str) -> Any:  # noqa: ANN401 - boto3's client has no type
    """A client of the same endpoint, to look at what was stored."""
    return boto3.client("s3", endpoint_url=endpoint)


@pytest.fixture
def location(endpoint: str, client: Any, request: pytest.FixtureRequest) -> S3Location:  # noqa: ANN401 - as above
    """A new bucket of the test."""
    name = f"bucket-{hashlib.sha256(request.node.name.encode()).hexdigest()[:16]}"
    client.create_bucket(Bucket=name)
    return S3Location(name, "prefix/", endpoint)


def test_an_object_is_put_below_the_prefix_with_its_checksum(location: S3Location, client: Any) -> None:  # noqa: ANN401 - as above
    """The endpoint has the bytes, and the SHA-256 that was sent with them."""
    store = open_store(location, "the plan's name", LOCK)
    store.put("events/one.parquet", b"\x00body\xff")

    found = client.get_object(Bucket=location.bucket, Key="prefix/events/one.parquet", ChecksumMode="ENABLED")
    assert found["Body"].read() == b"\x00body\xff"
    assert found["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"\x00body\xff").digest()).decode()


def test_an_object_is_never_overwritten(location: S3Location, client: Any) -> None:  # noqa: ANN401 - as above
    """Other bytes under the same key are refused, and the first stay."""
    store = S3Store(location, None)
    store.put("k", b"first")

    with pytest.raises(
        ObjectExistsError, match=r"The object prefix/k is in s3://.* with other bytes, and is not overwritten"
    ):
        store.put("k", b"second")
    assert client.get_object(Bucket=location.bucket, Key="prefix/k")["Body"].read() == b"first"


def test_a_put_that_is_already_there_succeeds(location: S3Location) -> None:
    """When the answer to the first attempt was lost, the second finds its own bytes."""
    store = S3Store(location, None)
    store.put("k", b"body")
    store.put("k", b"body")


def test_a_bucket_that_is_missing_is_not_made(endpoint: str, client: Any) -> None:  # noqa: ANN401 - as above
    """The store is refused at start, and no bucket appears."""
    with pytest.raises(StoreError, match=rf"{endpoint} has no bucket not-there, and auditlake makes none"):
        S3Store(S3Location("not-there", "", endpoint), None)
    assert "not-there" not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]


def test_what_the_bucket_has_is_told_beside_what_the_plan_promises(location: S3Location, client: Any) -> None:  # noqa: ANN401 - as above
    """One sentence for versioning, one for Object Lock, each with what was found."""
    url = f"s3://{location.bucket}/prefix/"
    assert S3Store(location, LOCK).notices() == (
        f"Versioning of {url} is off; the plan promises Enabled.",
        f"Object Lock of {url} is off; the plan promises COMPLIANCE for 365 days.",
    )

    locked = f"{location.bucket}-locked"
    client.create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True)
    url = f"s3://{locked}/"
    assert S3Store(S3Location(locked, "", location.endpoint), None).notices() == (
        f"Versioning of {url} is Enabled; the plan promises Enabled.",
        f"Object Lock of {url} is on without a default retention, so objects are not retained; the plan promises none.",
    )

    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Years": 2}}
    client.put_object_lock_configuration(
        Bucket=locked, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    assert S3Store(S3Location(locked, "", location.endpoint), LOCK).notices()[1] == (
        f"Object Lock of {url} is by default GOVERNANCE for 2 years; the plan promises COMPLIANCE for 365 days."
    )


Answer = tuple[int, bytes]


@contextmanager
def answering(answer: Callable[[str, str], Answer | None]) -> Iterator[tuple[S3Location, list[dict[str, str]]]]:
    """Serve S3 requests by a function of method and path; None hangs up. Gives the location and the headers of puts."""
    puts: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.command == "PUT":
                puts.append({name.lower(): value for name, value in self.headers.items()})
            answered = answer(self.command, self.path)
            if answered is None:
                self.close_connection = True
                return
            status, body = answered
            self.send_response(status)
            if self.command == "HEAD" and body:
                self.send_header("x-amz-checksum-sha256", body.decode())
            self.send_header("content-length", "0" if self.command == "HEAD" else str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_GET = do_PUT = do_HEAD = handle_any  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield S3Location("b", "", f"http://127.0.0.1:{server.server_port}"), puts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(code: str, message: str) -> bytes:
    """The body of an S3 error."""
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def script(puts: list[Answer | None], head: Answer = (200, b"")) -> Callable[[str, str], Answer | None]:
    """Answer the puts one after the other, an object's HEAD with `head`, and everything else with 404 or success."""

    def answer(method: str, path: str) -> Answer | None:
        if method == "PUT":
            return puts.pop(0)
        if method == "HEAD":
            return head if path.count("/") > 1 else (200, b"")
        return 404, refusal("ObjectLockConfigurationNotFoundError", "none")

    return answer


def test_every_put_carries_checksum_and_condition() -> None:
    """Both are asked for in the request's own headers, whatever the endpoint makes of them."""
    with answering(script([(200, b"")])) as (location, puts):
        S3Store(location, None).put("k", b"body")

    (headers,) = puts
    assert headers["x-amz-checksum-sha256"] == base64.b64encode(hashlib.sha256(b"body").digest()).decode()
    assert headers["if-none-match"] == "*"


@pytest.mark.parametrize("first", [None, (503, refusal("SlowDown", "Please reduce your request rate."))])
def test_an_endpoint_that_is_slow_is_asked_again(first: Answer | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hang-up and a SlowDown are repeated within one put."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    with answering(script([first, (200, b"")])) as (location, puts):
        S3Store(location, None).put("k", b"body")
    assert len(puts) == 2


@pytest.mark.parametrize("there", ["its own bytes", "other bytes"])
def test_a_lost_answer_is_told_from_another_object(there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repeated put is refused because the first arrived: that is success if the bytes are the same."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    body = b"body" if there == "its own bytes" else b"other"
    checksum = base64.b64encode(hashlib.sha256(body).digest())
    refused = (412, refusal("PreconditionFailed", "At least one of the pre-conditions you specified did not hold"))
    with answering(script([None, refused], head=(200, checksum))) as (location, puts):
        store = S3Store(location, None)
        if there == "its own bytes":
            store.put("k", b"body")
        else:
            with pytest.raises(ObjectExistsError, match="The object k is in s3://b/ with other bytes"):
                store.put("k", b"body")
    assert len(puts) == 2


@pytest.mark.parametrize(
    ("status", "code", "message", "words"),
    [
        (403, "AccessDenied", "Access Denied", "access is denied; these credentials need s3:ListBucket, "),
        (404, "NoSuchBucket", "The bucket is gone", "has no bucket b, and auditlake makes none: make it first."),
        (501, "NotImplemented", "A header is not implemented.", "answers NotImplemented: A header is not implemented."),
    ],
)
def test_a_refused_put_is_one_sentence(status: int, code: str, message: str, words: str) -> None:
    """The sentence names the object, what the endpoint said, and what to do where that is known."""
    answers: list[Answer | None] = [(status, refusal(code, message))] * 2
    with answering(script(answers, head=(404, b""))) as (location, _):
        store = S3Store(location, None)
        with pytest.raises(StoreError, match=r"The object k cannot be written to s3://b/: ") as caught:
            store.put("k", b"body")
    assert words in str(caught.value)


def test_an_endpoint_without_conditions_is_asked_first_whether_the_object_is_there() -> None:
    """One that refuses `If-None-Match` gets plain puts, none over an object, and is asked with it no more."""
    stored: dict[str, bytes] = {}

    def answer(method: str, path: str) -> Answer | None:
        if method == "PUT":
            return (501, refusal("NotImplemented", "no")) if "if-none-match" in puts[-1] else (200, b"")
        if path.count("/") > 1 and path not in stored:
            return 404, b""
        return 200, b"" if method == "HEAD" else stored.get(path, b"")

    with answering(answer) as (location, puts):
        store = S3Store(location, None)
        store.put("one", b"body")
        stored["/b/one"] = b"body"
        store.put("one", b"body")
        store.put("two", b"body")
        with pytest.raises(ObjectExistsError, match="is not overwritten"):
            store.put("one", b"other")

    assert ["if-none-match" in headers for headers in puts] == [True, False, False]


def test_settings_that_cannot_be_read_are_not_assumed() -> None:
    """Without the permission to read them, the sentences say so and the store works."""
    with answering(lambda method, _: (200, b"") if method != "GET" else (403, refusal("AccessDenied", "no"))) as (
        location,
        _,
    ):
        store = S3Store(location, LOCK)
        store.put("k", b"body")
    versioning, lock = store.notices()
    assert versioning.startswith("Versioning of s3://b/ cannot be read (access is denied; ")
    assert lock.startswith("Object Lock of s3://b/ cannot be read (access is denied; ")
    assert lock.endswith("the plan promises COMPLIANCE for 365 days.")


def test_an_endpoint_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listening is a sentence at start, not a traceback."""
    monkeypatch.setattr(s3_store, "ATTEMPTS", 1)
    with pytest.raises(StoreError, match=r"The store s3://b/ cannot be used: Could not connect to the endpoint URL"):
        S3Store(S3Location("b", "", "http://127.0.0.1:1"), None)


def test_credentials_that_are_missing_are_told(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence is boto3's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(StoreError, match=r"The store s3://b/ cannot be used: Unable to locate credentials\."):
        S3Store(S3Location("b", "", endpoint), None)


@pytest.fixture
def running(up: Up, location: S3Location) -> Running:
    """A runtime whose objects go to moto, as a user starts it."""
    return up("--store", str(location), "--store-endpoint", str(location.endpoint))


def send(running: Running, event_id: str) -> None:
    """POST one event."""
    answer = httpx.post(f"{running.url}/events", json={**EVENT, "id": event_id})
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text


def keys(client: Any, bucket: str) -> list[str]:  # noqa: ANN401 - as above
    """The keys of a bucket."""
    return [found["Key"] for found in client.list_objects_v2(Bucket=bucket).get("Contents", ())]


def test_the_pipeline_writes_to_an_endpoint(running: Running, location: S3Location, client: Any) -> None:  # noqa: ANN401 - as above
    """What is POSTed lies in the bucket as Parquet below the prefix, and nothing in the data directory."""
    send(running, "one")
    running.flush()

    (key,) = keys(client, location.bucket)
    assert key.startswith("prefix/events/audit_type=login/year=2026/month=11/day=24/auditlake-events-1-")
    assert client.get_object(Bucket=location.bucket, Key=key)["Body"].read()[:4] == b"PAR1"
    assert list(running.data.rglob("*.parquet")) == []
    assert running.process.stdout is not None
    shown = "".join(running.process.stdout.readline() for _ in range(8))
    assert f"Stored in {location} after " in shown
    assert f"Versioning of {location} is off; the plan promises Enabled." in shown


def test_an_endpoint_that_refuses_costs_nothing(running: Running, location: S3Location, client: Any) -> None:  # noqa: ANN401 - as above
    """The records stay in the buffer, the flush says why, and they are stored once the endpoint takes them."""
    client.delete_bucket(Bucket=location.bucket)
    send(running, "kept")
    refused = httpx.post(f"{running.url}/_auditlake/flush", timeout=60)
    assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert f"has no bucket {location.bucket}" in refused.json()["problem"]

    client.create_bucket(Bucket=location.bucket)
    assert running.flush()["rows"] == 1
    assert len(keys(client, location.bucket)) == 1


def test_what_reads_directories_only_says_so(running: Running, tmp_path: Path) -> None:
    """Query and objects refuse with the command that copies the bucket, instead of finding nothing."""
    for arguments in (("query", "SELECT 1"), ("objects",), ("object", "delete", "k")):
        done = running.auditlake(*arguments)
        assert done.returncode == 1
        assert "aws s3 sync --endpoint-url http://127.0.0.1:" in " ".join(done.stderr.split())

    unseen = running.auditlake("explain", "nobody")
    assert "nobody is not in the data directory" in unseen.stdout, "the objects were not looked through"
    assert "were not looked through" in unseen.stderr

    running.process.terminate()
    running.process.wait()
    elsewhere = running.auditlake("up", "--port", "0", "--store", str(tmp_path))
    assert elsewhere.returncode == 1
    assert "has its objects in s3://bucket-" in " ".join(elsewhere.stderr.split())
    assert json.loads((running.data / "store.json").read_text())["store"].startswith("s3://bucket-")
