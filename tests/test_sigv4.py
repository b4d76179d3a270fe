"""Signing what `send` sends, checked by the runtime's own verification."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from botocore.credentials import Credentials, RefreshableCredentials

from auditlake.batch_endpoint import batch_url, encode_body, post_batch
from auditlake.errors import SendError
from auditlake.runtime.exchange import Request
from auditlake.runtime.signature import AccessKey, verify_signature
from auditlake.send import Clock
from auditlake.sigv4 import SigV4, signer

KEY = AccessKey("AKID", "secret/+", "arn:aws:iam::1:user/a", session_token="session==")  # noqa: S106 - a test's token


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the credentials of who runs it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def arrived(request: httpx.Request) -> Request:
    """A request as the runtime sees it."""
    return Request(
        request.method,
        request.url.path,
        request.url.query.decode(),
        {name.lower(): value for name, value in request.headers.items()},
        request.content,
        "",
        request.url.raw_path.decode().partition("?")[0],
    )


def test_every_try_is_signed_anew_over_the_packed_body() -> None:
    """Each POST verifies, session token included, and a repeat carries a signature of its own time."""
    seen: list[Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(arrived(request))
        return httpx.Response(202, json={"accepted": 1})

    auth = SigV4(Credentials(KEY.id, KEY.secret, KEY.session_token), "eu-west-1")
    with httpx.Client(transport=httpx.MockTransport(answer), auth=auth) as client:
        for _ in range(2):
            post_batch(client, batch_url("https://a.example/v1"), encode_body([b"{}"]), 1, Clock().now())

    for request in seen:
        assert verify_signature(request, {KEY.id: KEY}, "execute-api", "eu-west-1", time.time()) is KEY
        assert "content-type" in request.headers["authorization"]
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("url", "option", "profile", "region"),
    [
        ("https://abc.execute-api.eu-west-1.amazonaws.com/v1", None, "us-east-2", "eu-west-1"),
        ("https://abc.execute-api.cn-north-1.amazonaws.com.cn/v1", None, None, "cn-north-1"),
        ("https://abc.execute-api.eu-west-1.amazonaws.com/v1", "us-west-1", None, "us-west-1"),
        ("https://audit.example.com", None, "us-east-2", "us-east-2"),
    ],
)
def test_the_region_is_the_options_the_hosts_or_the_profiles(
    monkeypatch: pytest.MonkeyPatch, url: str, option: str | None, profile: str | None, region: str
) -> None:
    """What is nearest to the request goes first."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    if profile:
        monkeypatch.setenv("AWS_DEFAULT_REGION", profile)
    (signed,) = signer(url, option).auth_flow(httpx.Request("POST", url, headers={"Content-Type": "a/b"}))

    assert f"/{region}/execute-api/aws4_request" in signed.headers["authorization"]


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, no region and an unknown profile each end before anything is sent."""
    with pytest.raises(SendError, match="no AWS credentials"):
        signer("https://audit.example.com", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    with pytest.raises(SendError, match="--region"):
        signer("https://audit.example.com", None)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(SendError, match="nobody"):
        signer("https://audit.example.com", "us-east-1")


def test_credentials_that_cannot_be_refreshed_end_the_run() -> None:
    """A session that is over is a sentence, not a traceback."""
    gone = RefreshableCredentials("a", "s", "t", Clock().now(), refresh_using=dict, method="test")
    with pytest.raises(SendError, match="cannot be refreshed"):
        next(SigV4(gone, "us-east-1").auth_flow(httpx.Request("POST", "https://a", headers={"Content-Type": "a/b"})))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--auth", "sigv4", "--token", "t"], "leave one out"),
        (["--auth", "token"], "add --token TOKEN"),
        (["--region", "us-east-1"], "--auth sigv4"),
        (["--auth", "sigv4", "--region", "us-east-1"], "no AWS credentials"),
    ],
)
def test_options_that_do_not_fit_are_a_sentence(tmp_path: Path, options: list[str], words: str) -> None:
    """What would go unused or is missing is said before the file is read."""
    command = [sys.executable, "-m", "auditlake", "send", str(tmp_path / "none"), *options]
    environment = {**os.environ, "COLUMNS": "300"}
    environment.pop("AUDITLAKE_TOKEN", None)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, words in done.stderr) == (1, True), done.stderr
