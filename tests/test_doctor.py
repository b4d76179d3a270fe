"""`auditlake doctor`: what it finds in plans, how it tells it, and how it exits."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from auditlake import default_plan
from auditlake.default_plan import ACCOUNT_ID, init, terraform
from auditlake.doctor import examine, exit_code, print_findings
from tests.broken_plans import Draft
from tests.terraform_runs import initialised, need_terraform

STACKS = Path(__file__).parent / "stacks"


def doctor(*arguments: str, columns: int = 80) -> "subprocess.CompletedProcess[str]":
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "auditlake", *arguments],
        env={**os.environ, "COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def spoiled(folder: Path, *, refused: bool = False, harmful: bool = False, local: bool = False) -> str:
    """Write a plan with a fault of each kind that is asked for; returns its path."""
    draft = Draft()
    if refused:
        draft.s3["buffering_interval"] = 30
    if harmful:
        draft.values("aws_s3_bucket", ".events")["force_destroy"] = True
    if local:
        draft.add("aws_sqs_queue", name="q")
    return str(draft.write(folder))


def test_nothing_is_found_in_the_default_plan() -> None:
    """Without an argument the plan of the defaults is examined; it exits 0, also with --strict."""
    done = doctor("doctor", "--strict", columns=200)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("Nothing found: AWS takes the plan, no known harm is in it, and it runs on one machine.\n")


@pytest.mark.parametrize(
    ("faults", "arguments", "code"),
    [
        ({"refused": True}, (), 1),
        ({"refused": True, "harmful": True}, ("--strict",), 1),
        ({"harmful": True}, (), 0),
        ({"harmful": True}, ("--strict",), 2),
        ({"local": True}, ("--strict",), 0),
        ({"refused": True}, ("--json",), 1),
        ({"harmful": True}, ("--json", "--strict"), 2),
    ],
)
def test_the_exit_code_tells_what_was_found(
    tmp_path: Path, faults: dict[str, bool], arguments: tuple[str, ...], code: int
) -> None:
    """1 for what AWS would refuse, 2 for harm with --strict, else 0, whatever does not run on one machine."""
    assert doctor("doctor", spoiled(tmp_path, **faults), *arguments).returncode == code


def test_all_three_kinds_are_told_at_once(tmp_path: Path) -> None:
    """The list says what AWS refuses, what does harm, what does not run here, and counts them."""
    done = doctor("doctor", spoiled(tmp_path, refused=True, harmful=True, local=True))
    lines = [line.rstrip() for line in done.stdout.splitlines()]

    assert max(map(len, lines)) <= 80
    assert lines == [
        "AWS refuses (1)",
        "  module.delivery.aws_kinesis_firehose_delivery_stream.events",
        "    extended_s3_configuration.buffering_interval = 30",
        '      AWS: "BufferingHints.IntervalInSeconds must be at least 60 seconds when',
        '      Dynamic Partitioning is enabled." (partitioning-buffering-interval, C1.3,',
        "      observed)",
        "      -> Set buffering_interval between 60 and 900.",
        "",
        "AWS takes it, and it does harm (1)",
        "  module.storage.aws_s3_bucket.events",
        "    force_destroy = true",
        "      `terraform destroy` would delete every event that is not locked.",
        "      (bucket-force-destroy, judgement)",
        "      -> Set force_destroy = false.",
        "",
        "Not on one machine: auditlake up refuses the plan (1)",
        "  aws_sqs_queue.added",
        "      The resource type aws_sqs_queue is not implemented. (not-implemented)",
        "      -> Run it on AWS, or leave it out of the plan that you run here.",
        "",
        "1 refused by AWS, 1 harmful, 1 not on one machine.",
    ]


def test_json_is_one_list_of_whole_findings(tmp_path: Path) -> None:
    """Scripts get every member of a finding, and the value as it stands in the plan."""
    done = doctor("doctor", "--json", spoiled(tmp_path, refused=True, harmful=True))
    refused, harmful = json.loads(done.stdout)

    assert refused == {
        "severity": "refuse",
        "check": "partitioning-buffering-interval",
        "address": "module.delivery.aws_kinesis_firehose_delivery_stream.events",
        "attribute": "extended_s3_configuration.buffering_interval",
        "came": 30,
        "says": "Dynamic partitioning needs an interval of at least 60 seconds.",
        "aws": "BufferingHints.IntervalInSeconds must be at least 60 seconds when Dynamic Partitioning is enabled.",
        "advice": "Set buffering_interval between 60 and 900.",
        "fact": "C1.3",
        "known": "observed",
    }
    assert (harmful["severity"], harmful["check"], harmful["aws"]) == ("warn", "bucket-force-destroy", "")
    assert json.loads(doctor("doctor", "--json").stdout) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"format_version": "1.2"}', "is not a Terraform plan in JSON"),
        (b"PK\x03\x04\xff", "terraform show -json"),
        (b'{"planned_values": {"root_module": []}}', "is not a Terraform plan in JSON"),
    ],
)
def test_what_is_no_plan_is_told_in_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    """A file that is no plan, or is Terraform's own form of one, is an error with the command that makes one."""
    path = tmp_path / "plan"
    path.write_bytes(content)
    done = doctor("doctor", str(path), columns=300)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr


def test_a_value_cannot_act_on_the_terminal(tmp_path: Path) -> None:
    """Control characters of a plan are shown as escapes, and long values are cut."""
    draft = Draft()
    draft.s3["file_extension"] = "\x1b[31m" + "x" * 100
    console = Console(width=200, file=(tmp_path / "out").open("w"), force_terminal=False)
    print_findings(examine(draft.write(tmp_path)), console)
    console.file.close()
    written = (tmp_path / "out").read_text()

    assert "\x1b" not in written
    assert r"file_extension = \x1b[31m" + "x" * 52 + "..." in written


def test_a_plan_that_only_the_runtime_cannot_read_is_told(tmp_path: Path) -> None:
    """Where nothing is refused and every attribute is implemented, the runtime's own reason is a finding."""
    draft = Draft()
    del draft.processors[0]["parameters"][0]["parameter_value"]
    findings = examine(draft.write(tmp_path))

    assert [(finding.severity, finding.check) for finding in findings] == [("local", "not-runnable")]
    assert "parameter_value is not known in the plan" in findings[0].says
    assert exit_code(findings, strict=True) == 0


def test_what_aws_refuses_is_not_told_again_for_one_machine(tmp_path: Path) -> None:
    """An attribute that AWS refuses and the runtime does not do either is one finding."""
    draft = Draft()
    draft.s3["compression_format"] = "GZIP"

    assert [finding.check for finding in examine(draft.write(tmp_path))] == ["conversion-compression"]


def test_what_one_machine_does_not_do_is_told_once_with_what_is_allowed(tmp_path: Path) -> None:
    """The sentence does not repeat the attribute and its value, which stand above it."""
    draft = Draft()
    draft.values("aws_s3_bucket_versioning")["versioning_configuration"][0]["mfa_delete"] = "Enabled"
    (finding,) = [finding for finding in examine(draft.write(tmp_path)) if finding.severity == "local"]

    assert (finding.attribute, finding.came) == ("versioning_configuration.mfa_delete", "Enabled")
    assert finding.says == "This is not implemented, only 'Disabled'."
    assert finding.advice == "Run it on AWS, or leave it out of the plan that you run here."


def test_a_plan_can_come_through_a_pipe(tmp_path: Path) -> None:
    """`-` is standard input, as for `auditlake send`."""
    plan = Path(spoiled(tmp_path, harmful=True)).read_text()
    command = [sys.executable, "-m", "auditlake", "doctor", "-", "--json"]
    done = subprocess.run(command, input=plan, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert [finding["check"] for finding in json.loads(done.stdout)] == ["bucket-force-destroy"]


def test_taking_records_apart_is_named_as_not_done_here(tmp_path: Path) -> None:
    """A4: AWS takes the processor RecordDeAggregation, one machine refuses it by its name."""
    draft = Draft()
    parameter = {"parameter_name": "SubRecordType", "parameter_value": "JSON"}
    draft.processors.append({"type": "RecordDeAggregation", "parameters": [parameter]})
    findings = examine(draft.write(tmp_path))

    assert {finding.severity for finding in findings} == {"local"}
    assert "RecordDeAggregation" in [finding.came for finding in findings]


def test_up_refuses_what_aws_would_refuse(tmp_path: Path) -> None:
    """`auditlake up` says AWS's message and starts nothing."""
    plan = spoiled(tmp_path, refused=True)
    done = doctor("up", "--plan", plan, "--data", str(tmp_path / "data"), columns=400)

    assert done.returncode == 1
    assert done.stderr.startswith("auditlake: AWS would refuse this plan:")
    assert "BufferingHints.IntervalInSeconds must be at least 60 seconds when Dynamic Partitioning" in done.stderr
    assert not (tmp_path / "data").exists()


def test_up_runs_a_refused_plan_when_it_is_told_to(tmp_path: Path) -> None:
    """With --allow-refused the refusal is said, and the runtime starts all the same."""
    plan = spoiled(tmp_path, refused=True)
    command = [sys.executable, "-m", "auditlake", "up", "--plan", plan, "--data", str(tmp_path / "data")]
    with subprocess.Popen(
        [*command, "--port", "0", "--allow-refused"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.terminate()
        said = process.stderr.read()
    assert " at http://" in first
    assert "AWS would refuse this plan" in said
    assert "because of --allow-refused" in " ".join(said.split())


def real_plan(folder: Path, *arguments: str) -> Path:
    """Plan the root module in a folder with the real provider; returns the plan in JSON."""
    terraform(folder, "plan", "-no-color", "-input=false", "-out=tfplan", *arguments)
    path = folder / "plan.json"
    path.write_text(terraform(folder, "show", "-json", "tfplan"))
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised copy of the root module."""
    return initialised(tmp_path_factory.mktemp("stack"))


def test_nothing_is_found_in_the_example_settings(root: Path) -> None:
    """The settings of terraform.tfvars.example make a plan that AWS takes and that does no known harm."""
    plan = real_plan(root, f"-var=account_id={ACCOUNT_ID}", "-var-file=terraform.tfvars.example")
    assert examine(plan) == []


def test_traps_that_the_variables_allow_are_found_in_a_real_plan(root: Path) -> None:
    """COMPLIANCE, Deep Archive and a throttle above a small region's quota are found in what Terraform plans."""
    variables = [
        f"account_id={ACCOUNT_ID}",
        "region=eu-central-1",
        'object_lock={mode="COMPLIANCE",years=7}',
        "lifecycle_days={deep_archive=200}",
        "ingest={rate_limit=1500}",
    ]
    findings = examine(real_plan(root, *(f"-var={variable}" for variable in variables)))

    assert [finding.check for finding in findings] == [
        "throttle-above-stream",
        "compliance-for-ever",
        "archive-unreadable",
    ]
    assert exit_code(findings, strict=False) == 0
    assert exit_code(findings, strict=True) == 2


def test_faults_are_found_in_a_stack_that_the_runtime_cannot_run(tmp_path: Path) -> None:
    """In a real plan of another stack, whose ids and ARNs are not known yet, each planted fault is found once."""
    need_terraform()
    provider = default_plan._OFFLINE.replace("{", '{\n  region = "eu-central-1"', 1)
    (tmp_path / "main.tf").write_text((STACKS / "broken.tf").read_text() + provider)
    init(tmp_path)
    findings = examine(real_plan(tmp_path))
    found: dict[str, Any] = {kind: [f.check for f in findings if f.severity == kind] for kind in ("refuse", "warn")}

    assert found["refuse"] == [
        "integration-credentials",
        "integration-http-method",
        "stage-name",
        "partitioning-buffering-size",
        "partitioning-buffering-interval",
        "lambda-buffer-half",
        "error-prefix-without-type",
        "conversion-compression",
        "transition-to-infrequent-access",
        "expiration-before-transition",
        "projection-settings",
        "location-template-slash",
    ]
    assert found["warn"] == [
        "method-without-authorization",
        "no-throttle",
        "no-access-log",
        "transform-timeout-short",
        "processor-default-written",
        "stream-not-logged",
        "errors-among-events",
        "no-default-retention",
        "archive-unreadable",
        "bucket-force-destroy",
        "bucket-without-tls",
        "table-serde",
        "partition-key-among-columns",
        "no-scan-cutoff",
    ]
    assert {"aws_api_gateway_method.post", "aws_api_gateway_integration.post"} <= {
        finding.address for finding in findings if finding.severity == "local"
    }
