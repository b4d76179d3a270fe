"""The entry point of the authorizer, with an issuer on loopback."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from lambda_src.authorizer.keys import MAX_AGE_S
from lambda_src.common.settings import SettingsError
from tests.issuer import EC, NOW, RSA, Issuer, claims, key_set, serve, signed

NAME = "lambda_src.authorizer.handler"
METHOD = "arn:aws:execute-api:us-east-1:123456789012:abc/v1/POST/events"
Imported = Callable[..., ModuleType]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """An issuer on loopback."""
    with serve(tmp_path_factory.mktemp("issuer")) as served:
        yield served


@pytest.fixture
def imported(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Imported]:
    """Imports the handler as a fresh Lambda does, with settings instead of the good ones."""

    def imports(**settings: str) -> ModuleType:
        environment = {
            "ISSUER": issuer.url,
            "AUDIENCES": '["audit"]',
            "JWKS_URL": "",
            "REQUIRED_CLAIMS": "{}",
            "REQUIRED_SCOPES": '["audit/write"]',
            "PRINCIPAL_CLAIM": "sub",
            "CLOCK_SKEW_S": "60",
            "POWERTOOLS_SERVICE_NAME": "authorizer",
            "POWERTOOLS_METRICS_NAMESPACE": "auditlake",
            "SSL_CERT_FILE": str(issuer.certificate),
        }
        for name, value in {**environment, **settings}.items():
            monkeypatch.setenv(name, value)
        sys.modules.pop(NAME, None)
        return importlib.import_module(NAME)

    issuer.publish(key_set(RSA))
    yield imports
    sys.modules.pop(NAME, None)


def ask(handler: ModuleType, token: str | None) -> dict[str, object]:
    """Ask as API Gateway does."""
    event = {"type": "TOKEN", "methodArn": METHOD, "authorizationToken": token}
    answer: dict[str, object] = handler.handle(event, None, lambda: float(NOW))
    return answer


def test_a_genuine_token_lets_its_bearer_in(imported: Imported, issuer: Issuer) -> None:
    """The keys come from where the issuer says, once, and the answer names the subject."""
    handler = imported()
    issuer.asked.clear()
    for _ in range(3):
        answer = ask(handler, f"Bearer {signed(claims(issuer.url, scope='audit/write'))}")
        assert answer["principalId"] == "0192-alice"
        assert answer["context"] == {"iss": issuer.url, "sub": "0192-alice", "scope": "audit/write"}
        assert "Allow" in str(answer["policyDocument"])
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


def test_a_bearer_without_the_scope_is_denied(imported: Imported, issuer: Issuer) -> None:
    """Who is known but may not is a 403: a policy, no error."""
    answer = ask(imported(), f"Bearer {signed(claims(issuer.url))}")
    assert "Deny" in str(answer["policyDocument"])
    assert answer["principalId"] == "0192-alice"


@pytest.mark.parametrize("token", [None, "", "Bearer x", "garbage"], ids=["absent", "empty", "short", "garbage"])
def test_a_bad_token_is_the_error_that_means_401(imported: Imported, token: str | None) -> None:
    """API Gateway answers 401 when the message is exactly Unauthorized, and 500 to any other."""
    handler = imported()
    with pytest.raises(handler.UnauthorizedError) as caught:
        ask(handler, token)
    assert str(caught.value) == "Unauthorized"


def test_the_log_says_why_and_never_the_token(
    imported: Imported, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    """A reason is logged; neither token nor claims are."""
    handler = imported()
    token = signed(claims(issuer.url, aud="s3cret"))
    with pytest.raises(handler.UnauthorizedError):
        ask(handler, f"Bearer {token}")
    told = [record for record in caplog.records if record.name == "authorizer"]
    assert [record.getMessage() for record in told] == ["A token was refused."]
    assert "aud" in told[0].__dict__["reason"]
    assert "s3cret" not in str(told[0].__dict__)
    assert token not in str(told[0].__dict__)


def test_an_issuer_that_is_away_is_no_401(imported: Imported, issuer: Issuer) -> None:
    """A client that is told 401 would throw its token away; that nobody can be judged is another error."""
    issuer.documents["/keys"] = (500, b"")
    handler = imported()
    with pytest.raises(Exception, match="answers 500") as caught:
        ask(handler, f"Bearer {signed(claims(issuer.url))}")
    assert type(caught.value).__name__ == "KeysUnavailableError"


def counted(capsys: pytest.CaptureFixture[str]) -> list[tuple[object, object, object]]:
    """Return namespace, service and value of each IssuerKeysUnavailable that was printed for CloudWatch (EMF)."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert all(one["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]] for one in lines)
    return [
        (one["_aws"]["CloudWatchMetrics"][0]["Namespace"], one["service"], one["IssuerKeysUnavailable"])
        for one in lines
    ]


def test_keys_that_cannot_be_had_are_counted(
    imported: Imported, issuer: Issuer, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Each token that nobody can judge counts, with the alarm's namespace and dimension; the reason is logged."""
    issuer.documents["/keys"] = (500, b"")
    handler = imported()
    for _ in range(2):
        with pytest.raises(Exception, match=r"answers 500|a moment ago"):
            ask(handler, f"Bearer {signed(claims(issuer.url))}")
    assert counted(capsys) == [("auditlake", "authorizer", [1.0])] * 2
    told = [record for record in caplog.records if record.name == "authorizer"]
    assert told[0].getMessage() == "No token can be judged, because the issuer's keys cannot be had."
    assert "answers 500" in told[0].__dict__["reason"]


def test_old_keys_are_counted_too(
    imported: Imported,
    issuer: Issuer,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While old keys let bearers in the alarm rings already, for after a day they count no more."""
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    handler = imported()
    token = f"Bearer {signed(claims(issuer.url, scope='audit/write'))}"
    ask(handler, token)
    assert counted(capsys) == []
    issuer.documents["/keys"] = (500, b"")
    clock[0] += MAX_AGE_S + 1
    assert "Allow" in str(ask(handler, token)["policyDocument"])
    assert "The keys are old, because new ones cannot be had." in caplog.messages  # what the runbook looks for
    assert counted(capsys) == [("auditlake", "authorizer", [1.0])]


def test_refused_tokens_are_not_counted(imported: Imported, issuer: Issuer, capsys: pytest.CaptureFixture[str]) -> None:
    """Who sends bad tokens must not be able to wake somebody."""
    handler = imported()
    for token in ("garbage", f"Bearer {signed(claims(issuer.url, aud='other'))}"):
        with pytest.raises(handler.UnauthorizedError):
            ask(handler, token)
    ask(handler, f"Bearer {signed(claims(issuer.url))}")
    assert counted(capsys) == []


def test_a_file_takes_the_place_of_the_issuer(imported: Imported, issuer: Issuer) -> None:
    """With JWKS_FILE nothing is fetched."""
    path = issuer.certificate.parent / "keys.json"
    path.write_text(json.dumps(key_set(EC)))
    handler = imported(JWKS_FILE=str(path))
    issuer.asked.clear()
    answer = ask(handler, f"Bearer {signed(claims(issuer.url, scope='audit/write'), EC, 'ES256')}")
    assert answer["principalId"] == "0192-alice"
    assert issuer.asked == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ISSUER", ""),
        ("AUDIENCES", "[]"),
        ("AUDIENCES", "audit"),
        ("AUDIENCES", '[""]'),
        ("REQUIRED_CLAIMS", "[]"),
        ("REQUIRED_SCOPES", "{}"),
        ("CLOCK_SKEW_S", "301"),
        ("PRINCIPAL_CLAIM", ""),
    ],
)
def test_a_wrong_setting_names_itself(imported: Imported, name: str, value: str) -> None:
    """The function does not start with settings that would let anybody in."""
    with pytest.raises(SettingsError, match=name):
        imported(**{name: value})
