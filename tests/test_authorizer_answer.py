"""The authorizer's answer to API Gateway."""

from lambda_src.authorizer.answer import MAX_CLAIM, allow, deny

METHOD = "arn:aws:execute-api:us-east-1:123456789012:abc/v1/POST/events"


def test_an_answer_is_good_for_both_routes() -> None:
    """API Gateway keeps the answer for the token: the policy names every POST of the stage, and nothing else."""
    for answer, effect in ((allow(METHOD, "alice", {}), "Allow"), (deny(METHOD, "alice"), "Deny")):
        assert answer["principalId"] == "alice"
        assert answer["policyDocument"] == {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": effect,
                    "Action": "execute-api:Invoke",
                    "Resource": "arn:aws:execute-api:us-east-1:123456789012:abc/v1/POST/*",
                }
            ],
        }


def test_the_method_that_asks_does_not_matter() -> None:
    """The answer to the other route is the same."""
    assert allow(METHOD + "/batch", "alice", {}) == allow(METHOD, "alice", {})


def test_claims_go_on_flat_and_bounded() -> None:
    """Only claims from the list go on, as text, and none that is too long."""
    claims = {"sub": "alice", "scope": "a b", "azp": 1, "jti": "x" * (MAX_CLAIM + 1), "email": "a@example.com"}
    assert allow(METHOD, "alice", claims)["context"] == {"sub": "alice", "scope": "a b"}
