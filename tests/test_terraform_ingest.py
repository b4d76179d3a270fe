"""The module ingest: its own tests, and the OpenAPI document that it makes."""

import json
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from auditlake.default_plan import ACCOUNT_ID, plan
from auditlake.permissions import DOOR
from tests.terraform_runs import MODULES, assert_every_rule_has_a_failing_run, assert_own_tests_pass, initialised

POOL = f"arn:aws:cognito-idp:us-east-1:{ACCOUNT_ID}:userpool/us-east-1_abcdefghi"
SETTINGS = {
    "defaults": {},
    "receiver": {"ingest": '{mode="receiver"}'},
    "cognito": {"auth": f'{{mode="cognito",cognito_user_pool_arns=["{POOL}"],cognito_scopes=["audit/write"]}}'},
    "another door": DOOR,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised copy of the root module."""
    return initialised(tmp_path_factory.mktemp("stack"))


def document(planned: dict[str, Any]) -> dict[str, Any]:
    """Return the body of the REST API in a plan."""
    modules = planned["planned_values"]["root_module"]["child_modules"]
    ingest = next(module for module in modules if module["address"] == "module.ingest")
    api = next(resource for resource in ingest["resources"] if resource["type"] == "aws_api_gateway_rest_api")
    body: dict[str, Any] = json.loads(api["values"]["body"])
    return body


def test_own_tests_pass(tmp_path: Path) -> None:
    """The runs in the module's tests pass with a mocked provider."""
    assert_own_tests_pass(initialised(tmp_path, "ingest"))


def test_every_rule_has_a_failing_run() -> None:
    """Each validation of the module is broken by a run of its tests."""
    assert_every_rule_has_a_failing_run(MODULES / "ingest")


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_document_is_valid_openapi(root: Path, settings: str) -> None:
    """What API Gateway imports is a valid OpenAPI document, however events come in."""
    validate(document(plan(root, {"account_id": ACCOUNT_ID, **SETTINGS[settings]})))
