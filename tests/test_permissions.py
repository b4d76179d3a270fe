"""Who may do what: every statement of the stack's policies, proved from the plans."""

import json
import re
from collections.abc import Iterator

import pytest
from policy_sentry.querying.actions import get_action_data

from auditlake.default_plan import ACCOUNT_ID
from auditlake.permissions import DOCUMENT, Plans, Statement, guards, make_plans, render, resources, roles, write
from tests.backup_plan import backup_of, backup_plan
from tests.conftest import ROOT
from tests.terraform_runs import need_terraform

FORBIDDEN = re.compile(
    r"""\*
    | ^s3:(Delete|Bypass|PutObjectRetention|PutObjectLegalHold)
    | ^s3:Put(Bucket|Lifecycle|Encryption|Replication|Account)
    | ^kms:(ScheduleKeyDeletion|Disable|PutKeyPolicy|CreateGrant|RevokeGrant|DeleteImportedKeyMaterial)
    | ^(iam|organizations|sts):
    | ^firehose:(Delete|Update|Stop)
    | ^lambda:(Update|Delete|Add|Put)
    | ^logs:(Delete|PutRetention)""",
    re.VERBOSE | re.IGNORECASE,
)
"""What no role of the stack may: a wildcard, deleting, shortening retention, changing what protects."""
NO_RESOURCES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
"""Actions for which AWS knows no resource, so that `*` is the narrowest there is."""
UNPROVEN = {"apigateway.amazonaws.com", "lambda.amazonaws.com", "glue.amazonaws.com", "s3.amazonaws.com"}
"""Services of which nobody has shown that they send aws:SourceArn when they assume a role (docs/surprises.md)."""


READS = {"s3:GetObject", "s3:GetBucketLocation"}


@pytest.fixture(scope="module")
def plans() -> Plans:
    """The plans of the defaults, of every option, and of a key."""
    need_terraform()
    return make_plans()


@pytest.fixture(scope="module")
def statements(plans: Plans) -> list[Statement]:
    """Every statement that a role has in any plan."""
    return [
        statement
        for planned in (plans.defaults, plans.options, plans.door)
        for role in roles(planned)
        for statement in role.statements
    ]


def actions(statements: list[Statement]) -> Iterator[tuple[Statement, str]]:
    """Yield each action with its statement."""
    for statement in statements:
        for action in statement.actions:
            yield statement, action


def test_every_action_exists(statements: list[Statement]) -> None:
    """Each action is one of AWS's service authorization reference, spelled as there: a misspelt one allows nothing."""
    for statement, action in actions(statements):
        service, _, name = action.partition(":")
        found = get_action_data(service, name)
        assert found, f"{statement.owner}: {action}"
        assert action in {one["action"] for one in found[service]}


def test_no_role_can_delete_or_weaken(statements: list[Statement]) -> None:
    """No role deletes, passes retention by, or changes what protects the log; all only allow, by exact action."""
    assert {statement.effect for statement in statements} == {"Allow"}
    assert [(s.owner, action) for s, action in actions(statements) if FORBIDDEN.search(action)] == []


def test_every_resource_is_named(statements: list[Statement]) -> None:
    """A statement names its resources, with a wildcard only for what lies below one of this stack's own."""
    for statement, action in actions(statements):
        if action in NO_RESOURCES:
            continue
        for resource in statement.resources:
            below = resource.removesuffix("*")
            assert "*" not in below, f"{statement.owner}: {action} on {resource}"
            assert resource == below or re.search(r"auditlake|/aws-glue/crawlers", below), (
                f"{statement.owner}: {resource}"
            )


def fits(action: str, resource: str) -> bool:
    """Return whether a resource is of a kind that an action works on."""
    service, _, name = action.partition(":")
    formats = [one["resource_arn_format"] for one in get_action_data(service, name)[service]]
    kinds = [re.sub(r"\$\{\w+\}", "[^:]*", shape) for shape in formats if shape != "*"]
    versioned = r"(:[$\w]+)?" if service == "lambda" else ""  # the reference leaves out the version of a function
    below = resource.removesuffix("*")
    ends = ("",) if below == resource else ("x", "log-stream:x")
    return any(re.fullmatch(kind + versioned, below + end) for kind in kinds for end in ends)


def test_resources_fit_their_actions(statements: list[Statement]) -> None:
    """No action stands without a resource of its kind, which would allow nothing, and no resource without an action."""
    for statement in statements:
        named = [action for action in statement.actions if action not in NO_RESOURCES]
        for action in named:
            assert any(fits(action, resource) for resource in statement.resources), f"{action}: {statement}"
        for resource in statement.resources if named else ():
            assert any(fits(action, resource) for action in named), f"{resource}: {statement}"


def test_each_hop_has_a_role_of_its_own(plans: Plans) -> None:
    """A role is assumed by one service, and each role of the stack by one hop."""
    for planned in (plans.defaults, plans.options, plans.door):
        for role in roles(planned):
            assert [statement.actions for statement in role.trusts] == [("sts:AssumeRole",)]
            assert len(role.trusts[0].principals) == 1
            assert role.trusts[0].condition or role.trusts[0].principals[0] in UNPROVEN, role.name
        users = [
            r["values"]["role"]
            for r in resources(planned)
            if r["type"] == "aws_lambda_function" and "role" in r["values"]
        ]
        assert len(users) == len(set(users))


def test_what_a_plan_cannot_show_is_one_policy(plans: Plans) -> None:
    """Only the canary's right to call the API names an id that AWS has yet to give; its module's own test proves it."""
    assert [address for role in roles(plans.options) for address in role.unknown] == [
        "module.canary[0].aws_iam_role_policy.post"
    ]


def test_the_keys_are_used_through_their_service(statements: list[Statement]) -> None:
    """Whoever may use the key may do so only through the service that needs it."""
    key = [statement for statement, action in actions(statements) if action.startswith("kms:")]
    assert key
    for statement in key:
        assert "kms:ViaService" in statement.condition["StringLike"], statement


def test_resource_policies_allow_only_with_a_source(plans: Plans) -> None:
    """What lets a service in names the source that it comes from; what means everybody denies."""
    for statement in guards(plans):
        root = statement.principals == (f"arn:aws:iam::{ACCOUNT_ID}:root",)
        if statement.effect == "Allow" and "aws_api_gateway_rest_api" in statement.owner:
            # Who may knock; the method's authorizer, which the document names, is asked besides.
            assert set(statement.resources) <= {"execute-api:/v1/POST/*", "execute-api:/v1/GET/health"}, statement
        elif statement.effect == "Allow" and not root:  # the account itself, without which nobody could manage a key
            assert statement.principals != ("*",), statement
            # Another account that was asked for by its number may read, and nothing else.
            assert statement.condition or set(statement.actions) <= READS, statement
        elif not root:
            assert statement.principals == ("*",), statement


def test_the_source_backup_that_the_runtime_is_tested_with_is_terraforms(plans: Plans) -> None:
    """`backup_plan` has the blocks that Terraform plans, but for the key of the stack with every option."""
    (stream,) = (one for one in resources(plans.options) if one["type"] == "aws_kinesis_firehose_delivery_stream")
    (s3,) = stream["values"]["extended_s3_configuration"]
    known = backup_of(backup_plan(kms_key_arn=s3["kms_key_arn"]))

    assert s3["kms_key_arn"] is not None
    assert (s3["s3_backup_mode"], s3["s3_backup_configuration"]) == ("Enabled", known)


def test_the_document_shows_what_the_plans_say(plans: Plans) -> None:
    """docs/security.md holds the tables of today; `make permissions` writes them."""
    assert DOCUMENT.read_text(encoding="utf-8") == write(DOCUMENT, render(plans))


def test_the_statement_for_a_key_of_another_makers_is_the_stacks_own(plans: Plans) -> None:
    """docs/subscription.md gives the owner of such a key what the stack says in the policy of a key that it makes."""
    (shown,) = re.findall(
        r"```json\n(.*?)```", (ROOT / "docs" / "subscription.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (key,) = (one for one in resources(plans.own_key) if one["type"] == "aws_kms_key")

    assert json.loads(shown) in json.loads(key["values"]["policy"])["Statement"]
