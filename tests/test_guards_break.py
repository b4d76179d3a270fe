"""Each guard of the log is seen to fail once what it guards is broken: in the modules' tests and in those of plans."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from auditlake.default_plan import ACCOUNT_ID, DEFAULT_PLAN, copy_stack, init
from auditlake.permissions import Plans, Statement, resources
from tests import test_permissions, test_terraform_root
from tests.terraform_guards import GUARDS, Guard, batches, break_and_ask, is_answered
from tests.terraform_runs import MODULES, need_terraform

Document = dict[str, Any]
BUCKET = f"arn:aws:s3:::auditlake-events-{ACCOUNT_ID}/events/*"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Guard], list[str]]:
    """What the tests of a guard's module say once the guards of its batch are broken."""
    need_terraform()
    modules = copy_stack(tmp_path_factory.mktemp("broken") / "stack") / "modules"

    @cache
    def of_batch(module: str, place: int) -> list[str]:
        if place == 0:
            init(modules / module)
            rules = modules / module / "tests" / "variables.tftest.hcl"
            if not any(guard.answer.isidentifier() for guard in GUARDS if guard.module == module):
                rules.unlink()  # none of these guards is a rule of a variable
        return break_and_ask(modules, batches(module)[place])

    def of_guard(guard: Guard) -> list[str]:
        of_batch(guard.module, 0)
        place = next(place for place, batch in enumerate(batches(guard.module)) if guard in batch)
        return of_batch(guard.module, place)

    return of_guard


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.what)
def test_a_broken_guard_fails_a_run(told: Callable[[Guard], list[str]], guard: Guard) -> None:
    """With the module's text changed so that it guards no longer, `terraform test` says which claim is untrue."""
    assert is_answered(guard, told(guard)), f"no run of {guard.module} says: {guard.answer}"


def test_every_module_has_guards() -> None:
    """No module is left out of the list."""
    assert {guard.module for guard in GUARDS} == {module.name for module in MODULES.iterdir()}


def test_a_guard_that_is_not_there_is_told() -> None:
    """A text that a file no longer holds is an error and no silent pass."""
    with pytest.raises(LookupError, match=r"storage/policy.tf does not hold: no such text"):
        break_and_ask(MODULES, [Guard("", "storage/policy.tf", "no such text", "", "")])


def allowed(action: str, resource: str = BUCKET, **condition: dict[str, Any]) -> list[Statement]:
    """Return a role's statements: one that allows an action."""
    return [Statement("auditlake-broken", "Allow", (action,), (resource,), condition)]


STATEMENTS: dict[str, tuple[Callable[[list[Statement]], None], list[Statement]]] = {
    "a role deletes": (test_permissions.test_no_role_can_delete_or_weaken, allowed("s3:DeleteObjectVersion")),
    "a role passes retention by": (
        test_permissions.test_no_role_can_delete_or_weaken,
        allowed("s3:BypassGovernanceRetention"),
    ),
    "a role may do everything": (test_permissions.test_no_role_can_delete_or_weaken, allowed("s3:*")),
    "a role destroys the key": (test_permissions.test_no_role_can_delete_or_weaken, allowed("kms:ScheduleKeyDeletion")),
    "a role changes roles": (test_permissions.test_no_role_can_delete_or_weaken, allowed("iam:PutRolePolicy")),
    "a role stops the stream": (test_permissions.test_no_role_can_delete_or_weaken, allowed("firehose:DeleteStream")),
    "a statement means everything": (test_permissions.test_every_resource_is_named, allowed("s3:GetObject", "*")),
    "a statement means another bucket": (
        test_permissions.test_every_resource_is_named,
        allowed("s3:GetObject", "arn:aws:s3:::somebody-elses/*"),
    ),
    "an action is misspelt": (test_permissions.test_every_action_exists, allowed("s3:PutObjects")),
    "an action has no resource of its kind": (
        test_permissions.test_resources_fit_their_actions,
        allowed("firehose:PutRecord"),
    ),
    "a role uses the key by itself": (
        test_permissions.test_the_keys_are_used_through_their_service,
        allowed("kms:Decrypt", f"arn:aws:kms:us-east-1:{ACCOUNT_ID}:key/1", StringLike={"aws:PrincipalTag/a": "b"}),
    ),
}


@pytest.mark.parametrize("broken", STATEMENTS)
def test_a_permission_too_many_fails_a_test(broken: str) -> None:
    """The tests of tests/test_permissions.py refuse the statement."""
    guarding, statements = STATEMENTS[broken]
    with pytest.raises((AssertionError, KeyError)):
        guarding(statements)


def values(document: Document, kind: str) -> Document:
    """Return the values of the first resource of a type in a plan."""
    found: Document = next(one["values"] for one in resources(document) if one["type"] == kind)
    return found


def trust_another_service(document: Document) -> None:
    """Let a second service take a role."""
    role = values(document, "aws_iam_role")
    policy = json.loads(role["assume_role_policy"])
    policy["Statement"][0]["Principal"]["Service"] = ["apigateway.amazonaws.com", "ec2.amazonaws.com"]
    role["assume_role_policy"] = json.dumps(policy)


def let_everybody_read(document: Document) -> None:
    """Let everybody read a bucket."""
    policy = values(document, "aws_s3_bucket_policy")
    opened = {"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": BUCKET}
    policy["policy"] = json.dumps({"Statement": [opened]})


PLANS: dict[str, tuple[Callable[[Plans], None], Callable[[Document], None]]] = {
    "two services take one role": (test_permissions.test_each_hop_has_a_role_of_its_own, trust_another_service),
    "everybody reads a bucket": (test_permissions.test_resource_policies_allow_only_with_a_source, let_everybody_read),
}


@pytest.mark.parametrize("broken", PLANS)
def test_a_policy_too_open_fails_a_test(broken: str) -> None:
    """The tests of tests/test_permissions.py pass for the plan of the defaults, and refuse it once it is spoilt."""
    guarding, spoil = PLANS[broken]
    document = json.loads(DEFAULT_PLAN.read_text(encoding="utf-8"))
    guarding(Plans(document, document, document, document))
    spoil(document)
    with pytest.raises(AssertionError):
        guarding(Plans(document, document, document, document))


def test_a_resource_without_tags_fails_a_test() -> None:
    """What can carry tags and does not is refused."""
    document = json.loads(DEFAULT_PLAN.read_text(encoding="utf-8"))
    test_terraform_root.test_everything_that_can_carry_tags_does(document)
    values(document, "aws_sns_topic")["tags_all"] = {}
    with pytest.raises(AssertionError):
        test_terraform_root.test_everything_that_can_carry_tags_does(document)
