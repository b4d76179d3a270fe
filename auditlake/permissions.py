"""Makes the tables of docs/security.md: who may do what on which resource, as plans of the stack say.

Run it as `python -m auditlake.permissions` (`make permissions`) in a checkout. Terraform makes the plans, offline.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditlake.default_plan import ACCOUNT_ID, copy_stack, init, plan
from auditlake.errors import AuditlakeError, PlanError

DOCUMENT = Path(__file__).parent.parent / "docs" / "security.md"
BEGIN, END = "<!-- permissions: made by `make permissions` -->", "<!-- end of permissions -->"

_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT_ID}:key/11111111-2222-3333-4444-555555555555"
_OTHER_ACCOUNT = "210987654321"
_COPYS_KEY = f"arn:aws:kms:eu-west-1:{_OTHER_ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
OPTIONS: Mapping[str, str] = {
    "administrator_arns": f'["arn:aws:iam::{ACCOUNT_ID}:role/audit-administrator"]',
    "canary": "{enabled=true}",
    "catalog": '{crawler_schedule="cron(0 3 * * ? *)"}',
    # A key that this stack makes has no ARN before the apply, and a policy that names it could not be read.
    "encryption": f'{{mode="customer_managed",kms_key_arn="{_KEY}"}}',
    "logs": "{own_api_gateway_settings=true}",
    "raw_backup": "true",
    "replication": (
        f'{{bucket_arn="arn:aws:s3:::auditlake-copies",account_id="{_OTHER_ACCOUNT}",kms_key_arn="{_COPYS_KEY}"}}'
    ),
    "subscription": f'{{account_ids=["{_OTHER_ACCOUNT}"]}}',
}
"""The variables that bring every role and policy which the defaults do not have, but for a key."""
OWN_KEY: Mapping[str, str] = {
    "administrator_arns": OPTIONS["administrator_arns"],
    "encryption": f'{{mode="customer_managed",break_glass_principal_arn="arn:aws:iam::{ACCOUNT_ID}:role/break-glass"}}',
    "subscription": OPTIONS["subscription"],
}
"""The variables that bring a key, whose policy a plan knows."""
DOOR: Mapping[str, str] = {
    "auth": '{mode="jwt",jwt={issuer="https://issuer.example",audiences=["audit"]}}',
    "access": '{cidrs=["203.0.113.0/24"]}',
    "domain": (
        f'{{name="audit.example.com",certificate_arn="arn:aws:acm:us-east-1:{ACCOUNT_ID}:certificate/1",'
        'mutual_tls={truststore_uri="s3://trust/store.pem",truststore_version="1"}}'
    ),
    "usage_plan": '{clients=["shop"],quota={limit=1000,period="DAY"}}',
    "waf": "{}",
}
"""The variables that bring the other ways of letting callers in, which exclude mode `iam` and the canary."""


@dataclass(frozen=True)
class Plans:
    """The plan of the defaults, that of all options, that of a stack which makes its key, and that of another door."""

    defaults: Mapping[str, Any]
    options: Mapping[str, Any]
    own_key: Mapping[str, Any]
    door: Mapping[str, Any]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy.

    `owner` is the role that has it, or the address of the resource that it guards; `principals` are whom the policy
    names, if any.
    """

    owner: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Mapping[str, Any]]
    principals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Role:
    """A role: who assumes it on which condition, its statements, and the policies of AWS's own that it has.

    `unknown` are the addresses of policies that name what AWS has yet to give an id.
    """

    name: str
    trusts: tuple[Statement, ...]
    statements: tuple[Statement, ...]
    managed: tuple[str, ...]
    unknown: tuple[str, ...]


def resources(planned: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the resources of a plan (`terraform show -json`), those of child modules too."""
    yield from _resources(planned["planned_values"]["root_module"])


def roles(planned: Mapping[str, Any]) -> list[Role]:
    """Return the roles of a plan by name."""
    found = sorted(
        (one for one in resources(planned) if one["type"].startswith("aws_iam_role")), key=lambda one: one["address"]
    )
    return [_role(one["values"]["name"], one, found) for one in found if one["type"] == "aws_iam_role"]


def resource_policies(planned: Mapping[str, Any]) -> list[Statement]:
    """Return the statements that guard resources: of buckets, keys, topics and functions."""
    found = []
    for resource in resources(planned):
        if resource["type"] == "aws_lambda_permission":
            found.append(_function_permission(resource))
        elif resource["type"] == "aws_api_gateway_rest_api":
            policy = json.loads(resource["values"]["body"]).get("x-amazon-apigateway-policy", {"Statement": []})
            found.extend(_statements(resource["address"], json.dumps(policy)))
        elif not resource["type"].startswith("aws_iam_") and resource["values"].get("policy"):
            found.extend(_statements(resource["address"], resource["values"]["policy"]))
    return found


def make_plans() -> Plans:
    """Make the plans.

    Raises:
        PlanError: this is no checkout, or terraform is not installed or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = copy_stack(Path(folder))
        init(root)
        return Plans(*(plan(root, {"account_id": ACCOUNT_ID, **settings}) for settings in ({}, OPTIONS, OWN_KEY, DOOR)))


def guards(plans: Plans) -> list[Statement]:
    """Return the statements that guard resources in any of the plans."""
    keys = [statement for statement in resource_policies(plans.own_key) if "aws_kms_key" in statement.owner]
    options = resource_policies(plans.options)
    return [*options, *keys, *(one for one in resource_policies(plans.door) if one not in options)]


def all_roles(plans: Plans) -> list[Role]:
    """Return the roles of the plan of all options, and those that only another door has."""
    options = roles(plans.options)
    known = {role.name for role in options}
    return [*options, *(role for role in roles(plans.door) if role.name not in known)]


def render(plans: Plans) -> str:
    """Return both tables as Markdown; what only an option brings is marked."""
    default_roles, default_policies = roles(plans.defaults), resource_policies(plans.defaults)
    known = {statement for role in default_roles for statement in (*role.trusts, *role.statements)} | set(
        default_policies
    )
    lines = ["| role | may | on | condition |", "| --- | --- | --- | --- |"]
    for role in all_roles(plans):
        trusted = _joined(principal for statement in role.trusts for principal in statement.principals)
        condition = _joined(_condition(statement) for statement in role.trusts)
        option = "" if any(role.name == one.name for one in default_roles) else " (option)"
        lines.append(f"| **{role.name}**{option} | is assumed by {trusted} | | {condition} |")
        lines += [_row("", statement, statement in known or bool(option)) for statement in role.statements]
        lines += [f"| | `{address}`, whose resource has no ARN before the apply | | |" for address in role.unknown]
        lines += [f"| | AWS's own policy `{arn.rpartition('/')[2]}` | | |" for arn in role.managed]
    lines += ["", "| resource's policy | says | on | condition |", "| --- | --- | --- | --- |"]
    for statement in guards(plans):
        lines.append(_row(f"`{statement.owner}`", statement, statement in known))
    return "\n".join(lines)


def write(document: Path, tables: str) -> str:
    """Return the document's text with `tables` between its marks; raises PlanError when it has none."""
    text = document.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise PlanError(f"{document.name} has no place for the tables: it needs the lines {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _resources(child)


def _role(name: str, role: Mapping[str, Any], found: Iterable[Mapping[str, Any]]) -> Role:
    having = [one for one in found if one["values"].get("role") == name]
    policies = [one for one in having if one["type"] == "aws_iam_role_policy"]
    return Role(
        name,
        tuple(_statements(name, role["values"]["assume_role_policy"])),
        tuple(s for one in policies if "policy" in one["values"] for s in _statements(name, one["values"]["policy"])),
        tuple(one["values"]["policy_arn"] for one in having if one["type"] == "aws_iam_role_policy_attachment"),
        tuple(one["address"] for one in policies if "policy" not in one["values"]),
    )


def _statements(owner: str, policy: str) -> Iterator[Statement]:
    for statement in json.loads(policy)["Statement"]:
        principal = statement.get("Principal", {})
        yield Statement(
            owner,
            statement["Effect"],
            _strings(statement["Action"]),
            _strings(statement.get("Resource", [])),
            _Frozen(statement.get("Condition", {})),
            ("*",) if principal == "*" else tuple(one for members in principal.values() for one in _strings(members)),
        )


def _function_permission(resource: Mapping[str, Any]) -> Statement:
    values = resource["values"]
    # The execution ARN holds the id that AWS gives the API: a plan knows the attribute, not its value.
    source = values.get("source_arn") or f"(the API's id) {_API_PATHS.get(resource['name'], '/v1/POST/...')}"
    condition = _Frozen({"ArnLike": {"aws:SourceArn": source}})
    return Statement(
        resource["address"], "Allow", (values["action"],), (values["function_name"],), condition, (values["principal"],)
    )


_API_PATHS = {"authorizer": "/authorizers/*"}
"""What of the API may invoke a function, where it is no method."""


class _Frozen(dict[str, Any]):
    """A condition that can be compared and put into a set."""

    def __hash__(self) -> int:  # type: ignore[override]  # it is never changed
        return hash(json.dumps(self, sort_keys=True))


def _strings(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _row(owner: str, statement: Statement, by_default: bool) -> str:
    verb = "" if statement.effect == "Allow" else "**denied:** "
    who = f"{_joined(statement.principals)}: " if statement.principals else ""
    option = "" if by_default else " (option)"
    actions = _joined(f"`{action}`" for action in statement.actions)
    on = _joined(f"`{_short(resource)}`" for resource in statement.resources)
    return f"| {owner} | {verb}{who}{actions}{option} | {on} | {_condition(statement)} |"


def _condition(statement: Statement) -> str:
    return _joined(
        f"`{operator} {key} = {_joined(_short(one) for one in _strings(values))}`"
        for operator, keys in statement.condition.items()
        for key, values in keys.items()
    )


def _short(arn: str) -> str:
    """Leave out of an ARN what is the same everywhere."""
    return re.sub(r"^arn:aws:", "", arn)


def _joined(parts: Iterable[str]) -> str:
    return ", ".join(parts)


def main() -> int:
    """Write the tables into docs/security.md; returns the exit status."""
    try:
        text = write(DOCUMENT, render(make_plans()))
    except AuditlakeError as error:
        print(error, file=sys.stderr)  # noqa: T201  # this module is a command
        return 1
    DOCUMENT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
