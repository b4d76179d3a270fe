"""Who may call: the plan's IAM and Cognito against given keys, the bearer token, nobody."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from auditlake.errors import AuditlakeError, PlanError
from auditlake.runtime.authenticate import (
    NOBODY,
    Authentication,
    Caller,
    MethodResource,
    Mode,
    check_of,
    issuer,
    load_authentication,
    load_jwks,
)
from auditlake.runtime.exchange import GatewayError, Operation, Request
from auditlake.runtime.plan import Plan
from auditlake.runtime.signature import AccessKey
from tests.test_runtime_signature import KEY, NOW, signed

RESOURCE = MethodResource("us-east-1", "123456789012", "auditlake", "v1")
POOL = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_abc"
ISSUER = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc"
SIGNING = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
PUBLIC: Any = {"keys": [SIGNING.as_dict(private=False)]}
JWKS = KeySet.import_key_set(PUBLIC)
CLAIMS = {
    "sub": "0192-alice",
    "iss": ISSUER,
    "exp": int(NOW.timestamp()) + 60,
    "token_use": "id",
    "email_verified": True,
    "cognito:groups": ["auditors", "ops"],
}


def document(plan: Plan, scopes: list[str] | None = None, **authorizer: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """The plan's document with a Cognito authorizer instead of IAM."""
    scheme = {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "x-amazon-apigateway-authtype": "cognito_user_pools",
        "x-amazon-apigateway-authorizer": {"type": "cognito_user_pools", "providerARNs": [POOL], **authorizer},
    }
    definition = {**plan.api.document["paths"]["/events"]["post"], "security": [{"cognito": scopes or []}]}
    return {
        **plan.api.document,
        "paths": {"/events": {"post": definition}},
        "components": {**plan.api.document["components"], "securitySchemes": {"cognito": scheme}},
    }


def cognito(plan: Plan, authorization: str | None, scopes: list[str] | None = None) -> Caller:
    """Check a request with this Authorization header."""
    changed = document(plan, scopes)
    check = check_of(
        Operation("POST", "/events", changed["paths"]["/events"]["post"]),
        changed,
        Authentication(Mode.PLAN, jwks=JWKS),
        RESOURCE,
        NOW.timestamp,
    )
    headers = {} if authorization is None else {"authorization": authorization}
    return check(Request("POST", "/events", "", headers, b"", ""))


def token(key: RSAKey = SIGNING, algorithm: str = "RS256", **claims: Any) -> str:  # noqa: ANN401 - any claim
    """A token of the pool with other claims; None leaves one out."""
    content = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": "one"}, content, key, algorithms=[algorithm])


@pytest.mark.parametrize("prefix", ["", "Bearer ", "bearer "])
def test_an_id_token_of_the_pool_is_recognised_by_its_claims(plan: Plan, prefix: str) -> None:
    """With or without `Bearer` the claims are found as text."""
    caller = cognito(plan, prefix + token())

    assert caller.claims["sub"] == "0192-alice"
    assert (caller.claims["email_verified"], caller.claims["cognito:groups"]) == ("true", "auditors,ops")
    assert caller.identity == {}


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": int(NOW.timestamp())}, "The incoming token has expired"),
        ({"exp": None}, "Unauthorized"),
        ({"exp": "never"}, "Unauthorized"),
        ({"iss": ISSUER + "d"}, "Unauthorized"),
        ({"iss": None}, "Unauthorized"),
        ({"token_use": "access"}, "Unauthorized"),
        ({"token_use": None}, "Unauthorized"),
    ],
)
def test_a_token_that_does_not_fit_is_a_401(plan: Plan, claims: dict[str, Any], message: str) -> None:
    """Expiration, issuer and kind are checked, and an expired one is told so."""
    with pytest.raises(GatewayError) as caught:
        cognito(plan, token(**claims))

    assert (caught.value.type, caught.value.message) == ("UNAUTHORIZED", message)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "a.b.c",
        token(OTHER),
        token(algorithm="PS256"),
        token()[:-2] + "AA",
        token().rpartition(".")[0] + ".",
        "eyJhbGciOiJub25lIn0." + token().split(".")[1] + ".",
    ],
    ids=["none", "empty", "bearer", "no token", "another's key", "algorithm", "signature", "cut", "alg none"],
)
def test_what_the_pool_did_not_sign_is_a_401(plan: Plan, authorization: str | None) -> None:
    """Only RS256 by a key of the given set counts."""
    with pytest.raises(GatewayError) as caught:
        cognito(plan, authorization)

    assert (caught.value.type, caught.value.message) == ("UNAUTHORIZED", "Unauthorized")


@given(st.text(st.characters(codec="latin-1")))
def test_no_header_breaks_the_check(plan: Plan, text: str) -> None:
    """Whatever stands in the header is a 401, never a crash."""
    with pytest.raises(GatewayError, match="Unauthorized"):
        cognito(plan, text)


@pytest.mark.parametrize(
    ("use", "scope", "passes"),
    [
        ("access", "audit/write", True),
        ("access", "openid audit/write", True),
        ("access", "audit/read", False),
        ("access", "audit/write2", False),
        ("access", None, False),
        ("id", "audit/write", False),
    ],
)
def test_scopes_ask_for_an_access_token_with_one_of_them(plan: Plan, use: str, scope: str | None, passes: bool) -> None:
    """Once a method has scopes, an id token and an access token without any of them are a 401."""
    given_token = token(token_use=use, scope=scope)
    if passes:
        assert cognito(plan, given_token, ["audit/write", "audit/all"]).claims["scope"] == scope
    else:
        with pytest.raises(GatewayError, match="Unauthorized"):
            cognito(plan, given_token, ["audit/write", "audit/all"])


def iam(plan: Plan, key: AccessKey, request: Request) -> Caller:
    """Check a request against one key."""
    check = check_of(
        Operation("POST", "/events", plan.api.document["paths"]["/events"]["post"]),
        plan.api.document,
        Authentication(Mode.PLAN, keys={key.id: key}),
        RESOURCE,
        NOW.timestamp,
    )
    return check(request)


def test_the_signer_is_the_identity(plan: Plan) -> None:
    """ARN and account come from the credentials file, nothing from the request."""
    assert iam(plan, KEY, signed()).identity == {
        "accessKey": KEY.id,
        "accountId": "123456789012",
        "caller": None,
        "user": None,
        "userArn": KEY.principal_arn,
    }


@pytest.mark.parametrize(
    ("allowed", "passes"), [("*", True), ("POST/*", True), ("POST/events", True), ("GET/*", False), ("", False)]
)
def test_a_principal_calls_what_it_is_allowed(plan: Plan, allowed: str, passes: bool) -> None:
    """Outside its patterns a known caller is denied, with the words of AWS and the account masked."""
    key = AccessKey(KEY.id, KEY.secret, KEY.principal_arn, allowed=tuple(allowed.split()))
    if passes:
        assert iam(plan, key, signed()).identity["userArn"] == KEY.principal_arn
    else:
        with pytest.raises(GatewayError) as caught:
            iam(plan, key, signed())
        assert caught.value.type == "ACCESS_DENIED"
        assert caught.value.message == (
            "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: execute-api:Invoke on resource: "
            "arn:aws:execute-api:us-east-1:********9012:auditlake/v1/POST/events"
        )


def test_an_open_method_and_mode_none_let_everybody_in(plan: Plan) -> None:
    """Where nothing is asked for, nobody is recognised either."""
    paths = plan.api.document["paths"]
    health = Operation("GET", "/health", paths["/health"]["get"])
    post = Operation("POST", "/events", paths["/events"]["post"])
    bare = Request("GET", "/health", "", {}, b"", "")

    keys = Authentication(Mode.PLAN, keys={KEY.id: KEY})
    assert check_of(health, plan.api.document, keys, RESOURCE, NOW.timestamp)(bare) is NOBODY
    assert check_of(post, plan.api.document, Authentication(), RESOURCE, NOW.timestamp)(bare) is NOBODY


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"identityValidationExpression": ".*"}, "identityValidationExpression"),
        ({"identitySource": "method.request.header.Token"}, "looks elsewhere"),
        ({"providerARNs": ["arn:aws:iam::1:user/a"]}, "not the ARN of a user pool"),
    ],
)
def test_an_authorizer_that_asks_for_more_stops_the_runtime(plan: Plan, changed: dict[str, Any], words: str) -> None:
    """A member that would be left out is named at start."""
    changed_document = document(plan, **changed)
    operation = Operation("POST", "/events", changed_document["paths"]["/events"]["post"])
    with pytest.raises(PlanError, match=words):
        check_of(operation, changed_document, Authentication(Mode.PLAN, jwks=JWKS), RESOURCE, NOW.timestamp)


@pytest.mark.parametrize(
    ("security", "scheme", "words"),
    [
        ([{"a": []}, {"b": []}], {}, "several security schemes"),
        ([{"gone": []}], {}, "gone"),
        ([{"a": []}], {"x-amazon-apigateway-authtype": "lambda"}, "type lambda"),
        ([{"a": []}], {"type": "apiKey", "name": "x-api-key"}, "type API key"),
    ],
)
def test_other_ways_in_stop_the_runtime(
    plan: Plan, security: list[dict[str, Any]], scheme: dict[str, Any], words: str
) -> None:
    """Another authorizer, an API key alone and alternatives are refused by name, whatever the mode but none."""
    changed = {**plan.api.document, "components": {"securitySchemes": {"a": scheme, "b": scheme}}}
    operation = Operation("POST", "/events", {"security": security})
    for authentication in (Authentication(Mode.PLAN), Authentication(Mode.TOKEN, "t")):
        with pytest.raises(PlanError, match=words):
            check_of(operation, changed, authentication, RESOURCE, NOW.timestamp)


def test_the_plan_without_its_keys_does_not_start(plan: Plan) -> None:
    """Mode plan without the file that it needs would refuse everybody; it says which option is missing."""
    post = Operation("POST", "/events", plan.api.document["paths"]["/events"]["post"])
    with pytest.raises(AuditlakeError, match="--credentials"):
        check_of(post, plan.api.document, Authentication(Mode.PLAN), RESOURCE, NOW.timestamp)

    changed = document(plan)
    post = Operation("POST", "/events", changed["paths"]["/events"]["post"])
    with pytest.raises(AuditlakeError, match="--jwks"):
        check_of(post, changed, Authentication(Mode.PLAN), RESOURCE, NOW.timestamp)


def test_the_mode_follows_from_the_token_unless_it_is_given(tmp_path: Path) -> None:
    """A token alone means token, nothing means none, and what would be ignored is refused."""
    assert load_authentication(None, None, None, None).mode is Mode.NONE
    assert load_authentication(None, "t", None, None).mode is Mode.TOKEN
    assert load_authentication(Mode.PLAN, "t", None, None).mode is Mode.PLAN
    for mode, given_token, file in ((Mode.TOKEN, None, None), (Mode.NONE, "t", None), (None, "t", tmp_path)):
        with pytest.raises(AuditlakeError, match="--auth"):
            load_authentication(mode, given_token, file, None)


def test_the_start_says_who_is_let_in_and_no_secret() -> None:
    """No authentication is said loudly; a representation shows no secret."""
    assert Authentication().notice().startswith("NO AUTHENTICATION")
    shown = repr(Authentication(Mode.TOKEN, "s3cret", {KEY.id: KEY}, JWKS)) + repr(KEY)
    assert "s3cret" not in shown
    assert KEY.secret not in shown


def test_issuers_follow_the_partition() -> None:
    """A pool's issuer has China's domain there."""
    assert issuer(POOL) == ISSUER
    china = "arn:aws-cn:cognito-idp:cn-north-1:1:userpool/cn-north-1_x"
    assert issuer(china) == "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_x"


def test_a_key_set_is_read(tmp_path: Path) -> None:
    """The file is what the issuer publishes."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(PUBLIC))
    assert [key.kid for key in load_jwks(path).keys] == ["one"]


@pytest.mark.parametrize(
    "content", ["", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}', "[1]"]
)
def test_what_is_no_key_set_is_a_sentence(tmp_path: Path, content: str) -> None:
    """Only RSA keys are a user pool's; a shared secret would let the verifier sign."""
    path = tmp_path / "jwks.json"
    path.write_text(content)
    with pytest.raises(AuditlakeError, match="no JSON Web Key Set"):
        load_jwks(path)
    with pytest.raises(AuditlakeError, match="cannot be read"):
        load_jwks(tmp_path / "gone")


@pytest.mark.parametrize("token", ["", "  ", "sécret"])
def test_a_token_that_guards_nothing_is_refused(token: str) -> None:
    """An empty token, as an unset variable gives, must not open the API, nor one that no header can carry close it."""
    for mode in (None, *Mode):
        with pytest.raises(AuditlakeError, match="empty or not ASCII"):
            load_authentication(mode, token, None, None)
