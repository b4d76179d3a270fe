"""The door, whichever way it is locked: real plans on the runtime, asked by a real HTTP client, down to the row."""

import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from auditlake.default_plan import ACCOUNT_ID, DEFAULT_PLAN, plan
from auditlake.permissions import DOOR, resources
from tests.conftest import Running, Up
from tests.issuer import EC, OTHER_RSA, RSA, claims, key_set, signed
from tests.terraform_runs import initialised

POOL = "us-east-1_abcdefghi"
POOL_ISSUER = f"https://cognito-idp.us-east-1.amazonaws.com/{POOL}"
ISSUER = "https://issuer.example"
ROLE = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/shop/one"
EVENT = {"eventType": "login", "timestamp": "2026-11-24T08:00:00Z", "actor": {"userId": "u"}}
RATE = 200
"""Requests that the web ACL lets through, more than all tests but the last send."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised copy of the stack."""
    return initialised(tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="module")
def jwt_plan(root: Path) -> dict[str, Any]:
    """A plan with every other way of letting callers in."""
    auth = f'{{mode="jwt",jwt={{issuer="{ISSUER}",audiences=["audit"],required_scopes=["write"]}}}}'
    limits = f"{{requests_per_5_min={RATE},max_body_bytes=2000}}"
    return plan(root, {"account_id": ACCOUNT_ID, **DOOR, "auth": auth, "waf": limits})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of both issuers and an access key."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "jwks.json").write_text(json.dumps(key_set(RSA, EC)))
    (folder / "credentials").write_text(
        f"[shop]\naws_access_key_id = AKIDSHOP\naws_secret_access_key = secret\nprincipal_arn = {ROLE}\n"
    )
    return folder


@pytest.fixture(scope="module")
def jwt_door(jwt_plan: dict[str, Any], files: Path, up: Up) -> Running:
    """A runtime that asks for the tokens of an issuer, behind a web ACL."""
    (files / "jwt.json").write_text(json.dumps(jwt_plan))
    return up("--plan", str(files / "jwt.json"), "--auth", "plan", "--jwks", str(files / "jwks.json"))


def post(running: Running, authorization: str | None, path: str = "/events") -> httpx.Response:
    """POST an event."""
    headers = {"content-type": "application/json"} | ({} if authorization is None else {"authorization": authorization})
    content = EVENT if path == "/events" else [EVENT]
    return httpx.post(f"{running.url}{path}", json=content, headers=headers)


def principals(running: Running) -> list[str]:
    """Return the principals of the rows, each once."""
    running.flush()
    shown = running.auditlake("query", "SELECT DISTINCT principal FROM events ORDER BY 1", "--json").stdout
    return [row["principal"] for row in json.loads(shown)]


def bearer(**others: Any) -> str:  # noqa: ANN401  # any claim
    """Return the header with a token of now."""
    return f"Bearer {signed(claims(ISSUER, int(time.time()), **{'scope': 'write', **others}))}"


def test_the_subject_of_a_token_is_the_rows_principal(jwt_door: Running) -> None:
    """Both routes take a token of the issuer, and each row names whom it names."""
    who = 'al\'ice "x" \\ é'
    assert post(jwt_door, bearer(sub=who)).status_code == 202
    assert post(jwt_door, bearer(sub=who), "/events/batch").status_code == 202
    assert principals(jwt_door) == [who]


NOW = int(time.time())
BAD = {
    "none": None,
    "empty": "",
    "garbage": "garbage",
    "basic": "Basic YTpi",
    "no signature": "Bearer a.b.c",
    "another's key": f"Bearer {signed(claims(ISSUER, NOW), OTHER_RSA)}",
    "unknown kid": f"Bearer {signed(claims(ISSUER, NOW), kid='unknown')}",
    "alg none": "Bearer eyJhbGciOiJub25lIiwia2lkIjoicnNhIn0.e30.",
    "issuer": bearer(iss="https://other.example"),
    "audience": bearer(aud="other"),
    "expired": bearer(exp=NOW - 3600),
    "not yet": bearer(nbf=NOW + 3600),
}


@pytest.mark.parametrize("authorization", BAD.values(), ids=BAD)
def test_a_bad_token_is_a_401_with_a_sentence(jwt_door: Running, authorization: str | None) -> None:
    """Whatever is wrong with a token, the answer is 401 and says what to do."""
    for path in ("/events", "/events/batch"):
        answer = post(jwt_door, authorization, path)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert "nothing was stored" in answer.json()["detail"]


def test_a_token_without_the_scope_is_a_403(jwt_door: Running) -> None:
    """Who is known but may not is told so, on both routes."""
    token = bearer(scope="read")
    assert [post(jwt_door, token, path).status_code for path in ("/events", "/events/batch")] == [403, 403]


def test_the_function_is_asked_once_for_a_token(jwt_door: Running) -> None:
    """The answer is kept: a second request with a refused token is not logged again."""
    token = bearer(scope="nothing", sub="asked-once")
    for _ in range(3):
        assert post(jwt_door, token).status_code == 403
    log = (jwt_door.data / "logs" / "auditlake-authorizer.log").read_text()
    assert log.count("asked-once") == 1


def test_the_pools_subject_is_the_rows_principal(root: Path, files: Path, up: Up) -> None:
    """Cognito's tokens are taken by both routes."""
    arn = f"arn:aws:cognito-idp:us-east-1:{ACCOUNT_ID}:userpool/{POOL}"
    settings = {"account_id": ACCOUNT_ID, "auth": f'{{mode="cognito",cognito_user_pool_arns=["{arn}"]}}'}
    (files / "cognito.json").write_text(json.dumps(plan(root, settings)))
    running = up("--plan", str(files / "cognito.json"), "--auth", "plan", "--jwks", str(files / "jwks.json"))
    token = signed(claims(POOL_ISSUER, int(time.time()), token_use="id"))  # noqa: S106  # a kind
    assert [post(running, token, path).status_code for path in ("/events", "/events/batch")] == [202, 202]
    assert post(running, "garbage").status_code == 401
    assert principals(running) == ["0192-alice"]


def test_the_role_of_a_signature_is_the_rows_principal(files: Path, up: Up) -> None:
    """Signed requests are taken by both routes."""
    running = up("--auth", "plan", "--credentials", str(files / "credentials"))
    for path, content in (("/events", EVENT), ("/events/batch", [EVENT])):
        request = AWSRequest("POST", running.url + path, {"content-type": "application/json"}, json.dumps(content))
        SigV4Auth(Credentials("AKIDSHOP", "secret"), "execute-api", "us-east-1").add_auth(request)
        answer = httpx.post(running.url + path, content=json.dumps(content), headers=dict(request.headers.items()))
        assert answer.status_code == 202, answer.text
    assert post(running, None).status_code == 403
    assert principals(running) == [ROLE]


def test_what_aws_alone_does_is_said_at_start(jwt_door: Running) -> None:
    """Mutual TLS, resource policy, usage plan and managed rules are each named as not enforced."""
    assert jwt_door.process.stdout is not None
    said = "".join(jwt_door.process.stdout.readline() for _ in range(12))
    for words in ("mutual TLS asks nobody", "resource policy", "no API key is asked for", "managed rules"):
        assert words in said


def test_no_plan_traces_data_or_knows_another_origin(jwt_plan: dict[str, Any]) -> None:
    """Events stay out of logs, and no page of another origin may post: in the defaults and with another door."""
    defaults = json.loads(DEFAULT_PLAN.read_text())
    found = [one for planned in (defaults, jwt_plan) for one in resources(planned)]
    settings = [one["values"]["settings"][0] for one in found if one["type"] == "aws_api_gateway_method_settings"]
    assert [one["data_trace_enabled"] for one in settings] == [False, False]
    bodies = [one["values"]["body"] for one in found if one["type"] == "aws_api_gateway_rest_api"]
    assert len(bodies) == 2
    for body in bodies:
        assert not re.search("access-control-", body, re.IGNORECASE)
        assert not any("options" in path for path in json.loads(body)["paths"].values())


def test_sizes_and_floods_are_blocked_before_anything_else(jwt_door: Running) -> None:
    """The web ACL answers before the token is looked at: 413 above its size, 429 above its rate. It comes last here."""
    url, headers = f"{jwt_door.url}/events/batch", {"content-type": "application/json"}
    large = httpx.post(url, content=b" " * 2001, headers=headers)
    assert (large.status_code, large.json()["status"]) == (413, 413)
    assert httpx.post(url, content=b" " * 2000, headers=headers).status_code == 401
    statuses = [httpx.get(f"{jwt_door.url}/health").status_code for _ in range(RATE)]
    assert set(statuses) == {200, 429}
    assert statuses == sorted(statuses)
    refused = httpx.get(f"{jwt_door.url}/health")
    assert refused.headers["retry-after"] == "60"
    assert "Retry-After" in refused.json()["detail"]
