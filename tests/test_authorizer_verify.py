"""Whether a token counts."""

import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_src.authorizer.keys import KeyStore, KeysUnavailableError, parse_keys
from lambda_src.authorizer.verify import Bearer, ForbiddenError, RefusedError, Rules, verify
from tests.issuer import AUDIENCE, EC, NOW, OKP, OTHER_RSA, RSA, claims, key_set, signed

ISSUER = "https://issuer.example"
RULES = Rules(ISSUER, (AUDIENCE, "other"), {}, (), "sub", 60)
KEYS = KeyStore(
    lambda: parse_keys(json.dumps(key_set(RSA, EC, OKP)).encode()), lambda: 0.0, lambda reason: pytest.fail(reason)
)


def bearer(token: str, rules: Rules = RULES) -> Bearer:
    """Verify a token of the issuer."""
    return verify(f"Bearer {token}", rules, KEYS, NOW)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (OKP, "Ed25519")],
    ids=["RS256", "PS256", "ES256", "Ed25519"],
)
def test_a_token_of_the_issuer_counts(key: Any, algorithm: str) -> None:  # noqa: ANN401  # any of joserfc's keys
    """Each algorithm with a private key is good, and the subject is the principal."""
    found = bearer(signed(claims(ISSUER), key, algorithm))
    assert found.principal == "0192-alice"
    assert found.claims["aud"] == AUDIENCE


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # of the one who signs
def test_the_old_name_of_ed25519_counts_without_a_warning() -> None:
    """Issuers still write EdDSA."""
    assert bearer(signed(claims(ISSUER), OKP, "EdDSA")).principal == "0192-alice"


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   ", " Bearer "])
def test_the_scheme_is_bearer_in_any_case(scheme: str) -> None:
    """Schemes of HTTP do not know upper and lower case."""
    assert verify(scheme + signed(claims(ISSUER)), RULES, KEYS, NOW).principal == "0192-alice"


def part(content: object) -> str:
    """Return a part of a token."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


GOOD = signed(claims(ISSUER))


def by_the_public_key() -> str:
    """Return a token signed by HS256 with the public key as the secret, as a verifier that is confused would check."""
    head = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{part(claims(ISSUER))}"
    digest = hmac.digest(RSA.as_pem(private=False), head.encode(), "sha256")
    return f"{head}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


FORGED = {
    "another's key": signed(claims(ISSUER), OTHER_RSA),
    "unknown kid": signed(claims(ISSUER), kid="unknown"),
    "no kid": signed(claims(ISSUER), kid=None),
    "kid is a number": f"{part({'alg': 'RS256', 'kid': 1})}.{part(claims(ISSUER))}.{GOOD.rpartition('.')[2]}",
    "alg none": f"{part({'alg': 'none'})}.{part(claims(ISSUER))}.",
    "alg none with kid": f"{part({'alg': 'none', 'kid': 'rsa'})}.{part(claims(ISSUER))}.",
    "alg NONE": f"{part({'alg': 'NONE', 'kid': 'rsa'})}.{part(claims(ISSUER))}.AA",
    "no alg": f"{part({'kid': 'rsa'})}.{part(claims(ISSUER))}.AA",
    "HS256 by the public key": by_the_public_key(),
    "ES256 for an RSA key": signed(claims(ISSUER), EC, "ES256", kid="rsa"),
    "RS256 for an EC key": signed(claims(ISSUER), RSA, "RS256", kid="ec"),
    "RS512": signed(claims(ISSUER), RSA, "RS512"),
    "a header to obey": f"{part({'alg': 'RS256', 'kid': 'rsa', 'crit': ['x'], 'x': 1})}.{GOOD.partition('.')[2]}",
    "a key of its own": signed(claims(ISSUER), OTHER_RSA, jwk=OTHER_RSA.as_dict(private=False)),
    "other claims": f"{GOOD.split('.')[0]}.{part(claims(ISSUER, sub='mallory'))}.{GOOD.split('.')[2]}",
    "cut": GOOD[:-10],
    "no signature": GOOD.rpartition(".")[0] + ".",
    "two parts": GOOD.rpartition(".")[0],
    "four parts": GOOD + ".AA",
    "nested without end": f"{base64.urlsafe_b64encode(b'[' * 6000).decode()}.e30.AA",
    "no JSON": "YQ.YQ.YQ",
    "no base64": "!.!.!",
    "garbage": "garbage",
    "not ASCII": "é.é.é",
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
def test_what_the_issuer_did_not_sign_is_refused(token: str) -> None:
    """Only a signature by a key of the issuer, with an algorithm that has a private key, counts."""
    with pytest.raises(RefusedError):
        bearer(token)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", GOOD, f"Basic {GOOD}", f"Token {GOOD}"], ids=range(6))
def test_what_is_no_bearer_token_is_refused(header: str) -> None:
    """The header has one form."""
    with pytest.raises(RefusedError, match="Bearer"):
        verify(header, RULES, KEYS, NOW)


@given(st.text() | st.lists(st.binary(max_size=40), min_size=3, max_size=3).map(
    lambda parts: ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in parts)
))  # fmt: skip
def test_no_text_is_more_than_refused(text: str) -> None:
    """Whatever is sent as a token is refused, never a fault of the function."""
    with pytest.raises(RefusedError):
        bearer(text)


HEADER_NAMES = st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "jku", "x5u", "b64"])
TEXTS = st.lists(st.text()) | st.dictionaries(st.text(), st.text())


@given(st.dictionaries(HEADER_NAMES, st.none() | st.booleans() | st.integers() | st.text() | TEXTS))
def test_no_header_is_more_than_refused(header: dict[str, Any]) -> None:
    """Whatever stands in the head of a token that is not signed is refused."""
    with pytest.raises(RefusedError):
        bearer(f"{part(header)}.{part(claims(ISSUER))}.AA")


WRONG: dict[str, dict[str, Any]] = {
    "issuer": {"iss": ISSUER + "/"},
    "no issuer": {"iss": None},
    "issuer is a list": {"iss": [ISSUER]},
    "audience": {"aud": "another"},
    "audiences": {"aud": ["another", "third"]},
    "no audience": {"aud": None},
    "empty audience": {"aud": []},
    "audience is a number": {"aud": [1]},
    "expired": {"exp": NOW - 60},
    "no expiry": {"exp": None},
    "expiry is text": {"exp": "never"},
    "expiry is no time": {"exp": float("nan")},
    "expiry is true": {"exp": True},
    "not yet valid": {"nbf": NOW + 61},
    "of tomorrow": {"iat": NOW + 61},
    "nobody": {"sub": None},
    "empty subject": {"sub": ""},
    "subject is a number": {"sub": 1},
    "subject without end": {"sub": "a" * 513},
}


@pytest.mark.parametrize("others", WRONG.values(), ids=WRONG)
def test_a_token_for_another_place_or_time_is_refused(others: dict[str, Any]) -> None:
    """Issuer, audience, times and principal must be there and fit."""
    with pytest.raises(RefusedError):
        bearer(signed(claims(ISSUER, **others)))


@pytest.mark.parametrize(
    "others", [{"exp": NOW - 59}, {"nbf": NOW + 60}, {"iat": NOW + 60}, {"aud": ["x", "other"]}], ids=range(4)
)
def test_clocks_may_differ_and_one_audience_is_enough(others: dict[str, Any]) -> None:
    """Within the skew a token counts."""
    assert bearer(signed(claims(ISSUER, **others))).principal == "0192-alice"


def rules(**others: Any) -> Rules:  # noqa: ANN401  # any setting
    """Return the rules with other settings."""
    return Rules(**{**vars(RULES), **others})


def test_the_principal_is_the_claim_that_is_asked_for() -> None:
    """A service's token may name it by client_id."""
    assert bearer(signed(claims(ISSUER, client_id="shop")), rules(principal_claim="client_id")).principal == "shop"
    with pytest.raises(RefusedError, match="client_id"):
        bearer(signed(claims(ISSUER)), rules(principal_claim="client_id"))


RIGHTS = {
    "scope": ({"scope": "openid audit/write"}, {"required_scopes": ("audit/write",)}, True),
    "scopes": ({"scope": "b a"}, {"required_scopes": ("a", "b")}, True),
    "one of two scopes": ({"scope": "a"}, {"required_scopes": ("a", "b")}, False),
    "scp as a list": ({"scp": ["a", "b"]}, {"required_scopes": ("b",)}, True),
    "scp as text": ({"scp": "a b"}, {"required_scopes": ("b",)}, True),
    "part of a scope": ({"scope": "audit/write2"}, {"required_scopes": ("audit/write",)}, False),
    "no scope": ({}, {"required_scopes": ("a",)}, False),
    "scope is a number": ({"scope": 1}, {"required_scopes": ("a",)}, False),
    "claim": ({"tenant": "one"}, {"required_claims": {"tenant": "one"}}, True),
    "claim is a list": ({"groups": ["a", "audit"]}, {"required_claims": {"groups": "audit"}}, True),
    "claim is true": ({"email_verified": True}, {"required_claims": {"email_verified": "true"}}, True),
    "claim is a number": ({"level": 3}, {"required_claims": {"level": "3"}}, True),
    "claim of another value": ({"tenant": "two"}, {"required_claims": {"tenant": "one"}}, False),
    "part of a claim": ({"tenant": "one two"}, {"required_claims": {"tenant": "one"}}, False),
    "no claim": ({}, {"required_claims": {"tenant": "one"}}, False),
    "one of two claims": ({"a": "1"}, {"required_claims": {"a": "1", "b": "2"}}, False),
}


@pytest.mark.parametrize(("others", "asked", "passes"), RIGHTS.values(), ids=RIGHTS)
def test_claims_and_scopes_say_what_a_bearer_may(others: dict[str, Any], asked: dict[str, Any], passes: bool) -> None:
    """Each that is asked for must be there; who lacks one is known, and refused by name."""
    token = signed(claims(ISSUER, **others))
    if passes:
        assert bearer(token, rules(**asked)).principal == "0192-alice"
    else:
        with pytest.raises(ForbiddenError) as caught:
            bearer(token, rules(**asked))
        assert caught.value.principal == "0192-alice"


def test_without_keys_no_token_is_judged() -> None:
    """That the issuer is away is no reason to say that a token is bad."""

    def away() -> Any:  # noqa: ANN401  # it returns nothing
        raise KeysUnavailableError("The issuer is away.")

    with pytest.raises(KeysUnavailableError):
        verify(f"Bearer {GOOD}", RULES, KeyStore(away, lambda: 0.0, lambda _: None), NOW)


def test_a_reason_holds_nothing_of_the_token() -> None:
    """Reasons go into the log, tokens and claims do not."""
    for others in (*WRONG.values(), {"sub": "s3cret", "aud": "s3cret"}):
        token = signed(claims(ISSUER, **others))
        with pytest.raises(RefusedError) as caught:
            bearer(token)
        assert "s3cret" not in str(caught.value)
        assert token.split(".")[1] not in str(caught.value)
