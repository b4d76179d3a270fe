"""What finds rules that no run breaks: on a module of its own, so that it is seen to find some."""

import re
from pathlib import Path

from auditlake.default_plan import init
from tests.terraform_rules import rules, unbroken
from tests.terraform_runs import MODULES, need_terraform
from tests.test_terraform_apply import IDENTITY
from tests.test_terraform_delivery import MISTAKES

MODULE = """
variable "port" {
  type = number

  validation {
    condition     = var.port > 0
    error_message = "port must be positive."
  }

  validation {
    condition     = var.port < 65536
    error_message = "port must be less than 65536."
  }
}

resource "terraform_data" "server" {
  lifecycle {
    precondition {
      condition     = var.port != 22
      error_message = "22 is taken."
    }

    precondition {
      condition     = var.port != 25
      error_message = "25 is taken."
    }
  }
}
"""
RUNS = """
run "zero" {
  command = plan
  variables {
    port = 0
  }
  expect_failures = [var.port]
}

run "minus" {
  command = plan
  variables {
    port = -1
  }
  expect_failures = [var.port]
}

run "twenty_two" {
  command = plan
  variables {
    port = 22
  }
  expect_failures = [
    terraform_data.server,
  ]
}
"""


def test_a_rule_that_no_run_breaks_is_named(tmp_path: Path) -> None:
    """As many negative runs as rules are not enough: two that break one rule leave the other untried."""
    need_terraform()
    (tmp_path / "main.tf").write_text(MODULE)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "port.tftest.hcl").write_text(RUNS)
    init(tmp_path)
    assert [str(rule) for rule in rules(tmp_path)] == ["main.tf:5", "main.tf:10", "main.tf:18", "main.tf:23"]
    assert [str(rule) for rule in unbroken(tmp_path)] == ["main.tf:10", "main.tf:23"]


def test_every_module_is_held_to_its_rules() -> None:
    """Each module's test file runs its own tests, and proves that they break each of its rules."""
    for module in MODULES.iterdir():
        text = (Path(__file__).parent / f"test_terraform_{module.name}.py").read_text()
        assert f'initialised(tmp_path, "{module.name}")' in text
        assert f'assert_every_rule_has_a_failing_run(MODULES / "{module.name}")' in text


def test_every_postcondition_has_a_mistake_that_it_answers() -> None:
    """A postcondition looks at what was made, so no run can break it: the tests of delivery and of upgrades do."""
    stays = [f"{sentence.partition(' must stay ')[0]} must stay " for _, sentence in IDENTITY.values()]
    texts = [file.read_text() for file in MODULES.parent.rglob("*.tf")]
    messages = [
        re.search(r'error_message = "(.*)"', block)
        for text in texts
        for block in re.findall(r"postcondition \{\n.*?\n +error_message = [^\n]+", text, re.DOTALL)
    ]
    told = [
        [answer for answer in (*MISTAKES.values(), *stays) if answer in message[1]] for message in messages if message
    ]
    assert len(told) == sum(text.count("postcondition {") for text in texts) > 0
    assert all(len(answers) == 1 for answers in told)
