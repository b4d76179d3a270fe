"""Error objects are found in a directory and in S3, and told by their type."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from auditlake.error_store import DirectoryErrors, ErrorPrefix, S3Errors, aws_client
from auditlake.errors import AuditlakeError, StoreError
from tests.failures import PREFIX, store_of, write_object
from tests.moto_server import moto_server


@pytest.mark.parametrize(
    ("prefix", "key", "error_type"),
    [
        (PREFIX, "errors/processing-failed/2026/11/24/s-1-x", "processing-failed"),
        (PREFIX, "errors/a-type-of-tomorrow/2026/11/24/s-1-x", "a-type-of-tomorrow"),
        ("f/!{timestamp:yyyy/MM/dd}/!{firehose:error-output-type}/", "f/2026/11/24/splunk-failed/s", "splunk-failed"),
        ("f/!{firehose:random-string}/x-!{firehose:error-output-type}/", "f/aB3/x-some-failed/s", "some-failed"),
        ("!{firehose:error-output-type}/", "processing-failed/s", "processing-failed"),
        (PREFIX, "elsewhere/s", "unknown"),
    ],
)  # fmt: skip
def test_a_key_tells_its_type(prefix: str, key: str, error_type: str) -> None:
    """Whatever the prefix looks like; AWS's list of types is not complete (C4)."""
    assert ErrorPrefix(prefix).error_type(key) == error_type


def test_a_directory_is_listed(tmp_path: Path) -> None:
    """Only what lies under the error prefix, in the order of the keys."""
    second = write_object(tmp_path, "processing-failed", [b"two"], "2")
    first = write_object(tmp_path, "format-conversion-failed", [b"one"], "1")
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "x.parquet").write_bytes(b"")
    found = list(store_of(tmp_path).objects())

    assert [(one.key, one.error_type, one.size) for one in found] == [
        (first, "format-conversion-failed", 4),
        (second, "processing-failed", 4),
    ]
    with store_of(tmp_path).open(found[0]) as stream:
        assert stream.read() == b"one\n"


def test_a_bucket_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    """No bucket is not the same as no failures."""
    with pytest.raises(StoreError, match="There is no bucket"):
        DirectoryErrors(tmp_path / "no", ErrorPrefix(PREFIX))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The URL of moto's server, which is S3 here."""
    with moto_server() as url:
        yield url


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - boto3's
    """A client of that S3."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # would answer nothing
    client = aws_client("s3", endpoint, "us-east-1")
    yield client
    client.close()


def test_a_bucket_is_listed_page_by_page(s3: Any) -> None:  # noqa: ANN401 - boto3's
    """As a directory is; the ETag is the version, and a proxy of the environment is not asked for loopback."""
    s3.create_bucket(Bucket="lake")
    for n in range(1001):
        s3.put_object(Bucket="lake", Key=f"below/errors/processing-failed/2026/11/24/s-{n:04}", Body=b"x")
    s3.put_object(Bucket="lake", Key="below/events/s.parquet", Body=b"x")
    store = S3Errors(s3, "lake", ErrorPrefix(PREFIX), "below/")
    found = list(store.objects())

    assert len(found) == 1001
    assert (found[0].key, found[0].error_type) == ("errors/processing-failed/2026/11/24/s-0000", "processing-failed")
    with store.open(found[0]) as stream:
        assert stream.read() == b"x"


def test_an_object_that_changed_since_it_was_listed_is_not_read(s3: Any) -> None:  # noqa: ANN401 - boto3's
    """The ledger would hold another content's version."""
    s3.create_bucket(Bucket="changing")
    s3.put_object(Bucket="changing", Key="errors/a/2026/11/24/s", Body=b"old")
    store = S3Errors(s3, "changing", ErrorPrefix(PREFIX))
    (found,) = store.objects()
    s3.put_object(Bucket="changing", Key="errors/a/2026/11/24/s", Body=b"new")
    with pytest.raises(StoreError, match="cannot be read: PreconditionFailed"), store.open(found):
        pass


def test_a_bucket_that_is_not_there_in_s3_is_a_sentence(s3: Any) -> None:  # noqa: ANN401 - boto3's
    """S3's code is told."""
    with pytest.raises(StoreError, match="s3://no-such/errors/ cannot be listed: NoSuchBucket"):
        list(S3Errors(s3, "no-such", ErrorPrefix(PREFIX)).objects())


def test_a_client_without_region_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It says how to name one."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(AuditlakeError, match="--region"):
        aws_client("firehose", None, None)
