"""The runbook: a section for every alarm, each with what somebody woken at night needs, and commands that run.

The commands run as they are written, with the real AWS CLI and `auditlake`, against moto's server, on which the
resources of the plan stand that they ask about. moto vouches for names, parameters and answers' shapes, not for what
AWS would say in trouble.
"""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from auditlake.default_plan import ACCOUNT_ID, copy_stack, init, plan
from auditlake.permissions import resources
from tests.conftest import ROOT, Running
from tests.forked_commands import forked_commands
from tests.terraform_moto import moto
from tests.terraform_runs import need_terraform

TEXT = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
NAMES = "Names"
AFTERWARDS = "When it is over"
PARTS = ("**Means:** ", "**Lost if nothing is done:** ", "**Look:**\n\n```sh\n", "**Mend:** ")
REPLICATION = '{bucket_arn="arn:aws:s3:::auditlake-copies"}'
JWT = '{mode="jwt",jwt={issuer="https://issuer.example",audiences=["audit"]}}'
BUCKET, RESULTS = f"auditlake-events-{ACCOUNT_ID}", f"auditlake-athena-results-{ACCOUNT_ID}"

NOT_IN_MOTO = {
    "aws cloudtrail lookup-events": "moto 5.2.5 keeps no events of CloudTrail",
    "aws lambda get-account-settings": "moto 5.2.5 has no such path",
    "aws s3control create-job": "moto 5.2.5 knows no jobs, and no server here has the address of an account",
    "aws s3control list-jobs": "moto 5.2.5 knows no jobs, and no server here has the address of an account",
}
"""What moto cannot answer, and why; of these the AWS CLI checks the parameters, and nothing is sent."""
NOT_IN_THE_PLAN = {
    ("AWS/ApiGateway", "IntegrationLatency"),
    ("AWS/Firehose", "BackupToS3.Records"),
    ("AWS/Firehose", "IncomingPutRequests"),
    ("AWS/Firehose", "ThrottledGetRecords"),
    ("AWS/Kinesis", "IncomingBytes"),
    ("AWS/Firehose", "PutRequestsPerSecondLimit"),
    ("AWS/Lambda", "ConcurrentExecutions"),
    ("AWS/Lambda", "Invocations"),
}
"""Metrics that neither an alarm nor the dashboard looks at; AWS documents each."""
ANSWERS = [
    [["latest", "events"], ["2026-11-24 03:00:00.000", "12"]],
    [["latest"], ["2026-11-24 03:00:00.000"]],
    [["event_id", "sha256", "copies"], ["e0", "0" * 64, "1"]],
    [["event_id", "sha256", "copies"]],
]
"""What Athena answers, query by query."""


def sections() -> dict[str, str]:
    """Return the text of each section by its heading."""
    parts = re.split(r"^## (.+)\n", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


SECTIONS = sections()
ALARMS = [heading for heading in SECTIONS if heading == heading.lower()]


def commands(section: str) -> list[str]:
    """Return the commands of a section in their order, a line each; not those that another file runs."""
    blocks = re.findall(r"(<!-- run by: [^\n]*\n)?```sh\n(.*?)```", section, re.DOTALL)
    return [line for by, block in blocks if not by for line in block.splitlines() if line]


COMMANDS = {NAMES: ["ringing"]} | {heading: commands(SECTIONS[heading]) for heading in (*ALARMS, AFTERWARDS)}
SECURITY = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
COMMANDS["security.md"] = re.findall(r"<!-- run by: tests/test_runbook.py -->\n```sh\n(.*)\n```", SECURITY)
SILENT = re.compile(r"[A-Z]+=|aws cloudwatch set-alarm-state |aws iam put-role-policy ")
"""Commands that have nothing to show."""
MEASURING = re.compile(r"(stream|api|part|metric) ")
"""Commands that show a line of time and value for each 5 minutes."""


@dataclass(frozen=True)
class Ran:
    """What a command of the runbook printed, its exit code, and that which the runbook says."""

    command: str
    code: int
    documented: int
    printed: str
    errors: str


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The plan of a stack that has every alarm; what only tokens bring is another's, for the canary needs auth iam."""
    need_terraform()
    root = copy_stack(tmp_path_factory.mktemp("stack"))
    init(root)
    chosen = {"canary": "{enabled=true}", "kinesis_source": "{}", "replication": REPLICATION, "raw_backup": "true"}
    all_but_tokens = plan(root, {"account_id": ACCOUNT_ID, **chosen})
    known = {one["address"] for one in resources(all_but_tokens)}
    with_tokens = plan(root, {"account_id": ACCOUNT_ID, "auth": JWT})
    # Its dashboard shows what is put to Firehose, where the other's shows what Firehose reads.
    more = [
        one
        for one in resources(with_tokens)
        if one["address"] not in known or one["type"] == "aws_cloudwatch_dashboard"
    ]
    all_but_tokens["planned_values"]["root_module"]["child_modules"].append({"resources": more})
    return all_but_tokens


def of_type(planned: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the values of the plan's resources of a type."""
    return [dict(one["values"]) for one in resources(planned) if one["type"] == kind]


def test_every_alarm_has_its_section(planned: dict[str, Any]) -> None:
    """And every section its alarm: the anchor that an alarm's description ends with is a heading."""
    alarms = of_type(planned, "aws_cloudwatch_metric_alarm")
    anchors = {alarm["alarm_description"].rpartition("#")[2] for alarm in alarms}
    assert anchors == {alarm["alarm_name"].removeprefix("auditlake-") for alarm in alarms}
    assert sorted(ALARMS) == sorted(anchors)


def test_the_first_screen_leads_to_every_section() -> None:
    """The table says of each alarm once when to get up; what is now comes first."""
    rows = re.findall(r"^\| (\[.*) \| .* \| (now|morning)", TEXT, re.MULTILINE)
    listed = [key for keys, _ in rows for key in re.findall(r"\[([a-z-]+)\]\(#\1\)", keys)]
    assert sorted(listed) == sorted(ALARMS)
    assert [when for _, when in rows] == sorted((when for _, when in rows), reverse=True)
    assert TEXT[: TEXT.index(f"## {NAMES}")].count("\n") < 40


def test_every_link_within_leads_to_a_heading() -> None:
    """An anchor that is misspelt leads nowhere, at night too."""
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in SECTIONS}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors


@pytest.mark.parametrize("key", ALARMS)
def test_each_section_has_its_parts(key: str) -> None:
    """What it means, what is lost and by when, where to look, what mends it: in this order, once each."""
    assert [SECTIONS[key].count(part) for part in PARTS] == [1] * len(PARTS)
    places = [SECTIONS[key].index(part) for part in PARTS]
    assert places == sorted(places)


def test_thresholds_are_the_plans(planned: dict[str, Any]) -> None:
    """The figures that the sections name are those of a stack with nothing set."""
    alarms = {one["alarm_name"]: one["threshold"] for one in of_type(planned, "aws_cloudwatch_metric_alarm")}
    said = {
        "delivery-gives-up": ("6 hours", 6 * 3600),
        "delivery-freshness": ("15 minutes", 900),
        "backup-freshness": ("15 minutes", 900),
        "kinesis-behind": ("15 minutes", 900_000),
        "kinesis-expiring": ("3.5 days", 3.5 * 86_400_000),
        "partition-count": ("400 of", 400),
        "server-errors": ("1 %", 0.01),
        "client-errors": ("5 %", 0.05),
        "latency": ("3 seconds", 3000),
        "transform-duration": ("80 % of its timeout of 120 seconds", 96_000),
        "receiver-duration": ("80 % of its 29 seconds", 23_200),
        "authorizer-duration": ("80 % of its timeout of 10 seconds", 8_000),
    }
    for key, (words, threshold) in said.items():
        means = SECTIONS[key].partition(PARTS[0])[2].partition("\n\n")[0].replace("\n", " ")
        assert words in means, key
        assert alarms[f"auditlake-{key}"] == threshold, key


@pytest.fixture(scope="module")
def cloud(planned: dict[str, Any]) -> Iterator[str]:
    """moto's server with what the runbook asks about; gives its URL."""
    with moto() as url:
        httpx.post(f"{url}/moto-api/config", json={"lambda": {"use_docker": False}}).raise_for_status()
        try:
            build(planned, url)
            yield url
        finally:
            httpx.post(f"{url}/moto-api/config", json={"lambda": {"use_docker": True}}).raise_for_status()


def build(planned: dict[str, Any], url: str) -> None:
    """Make the resources of the plan that the runbook asks about, and give them something to tell."""
    client = partial(
        boto3.client,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  # moto takes any
    )
    role = client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    build_bucket(planned, client("s3"))
    build_replication(planned, client("s3"), client("iam"))
    build_path(planned, client, role)
    api = client("apigateway").create_rest_api(name=of_type(planned, "aws_api_gateway_rest_api")[0]["name"])["id"]
    build_logs(planned, client("logs"), api)
    build_metrics(planned, client("cloudwatch"))
    key = client("kms").create_key()["KeyMetadata"]["KeyId"]
    client("kms").create_alias(AliasName="alias/auditlake", TargetKeyId=key)
    client("kms").schedule_key_deletion(KeyId=key)


def build_bucket(planned: dict[str, Any], s3: Any) -> None:  # noqa: ANN401  # boto3's
    """Make the bucket with its policy, an event, and a failed record of every type and code that the runbook names."""
    names = [one["bucket"] for one in of_type(planned, "aws_s3_bucket")]
    assert BUCKET in names
    for name in names:
        s3.create_bucket(Bucket=name)
    (policy,) = (
        json.loads(one["policy"]) for one in of_type(planned, "aws_s3_bucket_policy") if one["bucket"] == BUCKET
    )
    # moto looks at no condition, so that a denial with one would deny everything.
    policy["Statement"] = [statement for statement in policy["Statement"] if "Condition" not in statement]
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    s3.put_object(Bucket=BUCKET, Key="events/audit_type=login/year=2026/month=11/day=24/o.parquet", Body=b"")
    for kind in ("processing-failed", "format-conversion-failed", "activePartitionExceeded"):
        body = failed("auditlake.canary") + b"\n" + failed("login")
        s3.put_object(Bucket=BUCKET, Key=f"errors/{kind}/2026/11/24/auditlake-events-1", Body=body)


def build_replication(planned: dict[str, Any], s3: Any, iam: Any) -> None:  # noqa: ANN401  # boto3's
    """Copy the bucket as the plan says, by a role with the plan's policy."""
    role = next(one for one in of_type(planned, "aws_iam_role") if one["name"] == "auditlake-replication")
    arn = iam.create_role(RoleName=role["name"], AssumeRolePolicyDocument=role["assume_role_policy"])["Role"]["Arn"]
    policy = next(one for one in of_type(planned, "aws_iam_role_policy") if one["role"] == role["name"])
    iam.put_role_policy(RoleName=role["name"], PolicyName=policy["name"], PolicyDocument=policy["policy"])
    (configuration,) = of_type(planned, "aws_s3_bucket_replication_configuration")
    rule = configuration["rule"][0]
    destination = rule["destination"][0]["bucket"]
    s3.create_bucket(Bucket=destination.rpartition(":")[2])
    for bucket in (BUCKET, destination.rpartition(":")[2]):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    rules = [
        {
            "ID": rule["id"],
            "Priority": rule["priority"],
            "Status": rule["status"],
            "Filter": {"Prefix": ""},
            "DeleteMarkerReplication": {"Status": rule["delete_marker_replication"][0]["status"]},
            "Destination": {"Bucket": destination},
        }
    ]
    s3.put_bucket_replication(Bucket=BUCKET, ReplicationConfiguration={"Role": arn, "Rules": rules})


def failed(event_type: str) -> bytes:
    """Return an error object's line (B6) with an event that the transform takes."""
    event = {
        "id": f"e-{event_type}",
        "eventType": event_type,
        "timestamp": "2026-11-24T03:00:00Z",
        "actor": {"userId": "a"},
    }
    arrival_ms = int(datetime(2026, 11, 24, 3, tzinfo=UTC).timestamp() * 1000)
    members = {
        "rawData": base64.b64encode(json.dumps(event).encode()).decode(),
        "errorCode": "Lambda.FunctionError",
        "errorMessage": "It failed.",
        "attemptsMade": 4,
        "arrivalTimestamp": arrival_ms,
        "attemptEndingTimestamp": arrival_ms + 80_000,
    }
    return json.dumps(members).encode()


def build_path(planned: dict[str, Any], client: Any, role: str) -> None:  # noqa: ANN401  # boto3.client with its settings
    """Make functions, stream, table, workgroup and the canary's schedule by the plan's names."""
    for function in of_type(planned, "aws_lambda_function"):
        client("lambda").create_function(
            FunctionName=function["function_name"],
            Role=role,
            Runtime=function["runtime"],
            Handler=function["handler"],
            Timeout=function["timeout"],
            MemorySize=function["memory_size"],
            Environment={"Variables": function["environment"][0].get("variables", {})},
            Code={"ZipFile": b"PK\x05\x06" + bytes(18)},
        )
    for source in of_type(planned, "aws_kinesis_stream"):
        client("kinesis").create_stream(StreamName=source["name"], StreamModeDetails={"StreamMode": "ON_DEMAND"})
    for stream in of_type(planned, "aws_kinesis_firehose_delivery_stream"):
        client("firehose").create_delivery_stream(
            DeliveryStreamName=stream["name"],
            ExtendedS3DestinationConfiguration={
                "RoleARN": role,
                "BucketARN": f"arn:aws:s3:::{BUCKET}",
                "Prefix": "events/",
            },
        )
    for database in of_type(planned, "aws_glue_catalog_database"):
        client("glue").create_database(DatabaseInput={"Name": database["name"]})
    for table in of_type(planned, "aws_glue_catalog_table"):
        client("glue").create_table(
            DatabaseName=table["database_name"],
            TableInput={"Name": table["name"], "StorageDescriptor": {"Columns": []}},
        )
    for group in of_type(planned, "aws_athena_workgroup"):
        location = group["configuration"][0]["result_configuration"][0]["output_location"]
        client("athena").create_work_group(
            Name=group["name"],
            Configuration={"ResultConfiguration": {"OutputLocation": location}},
            Tags=[{"Key": "application", "Value": "auditlake"}],
        )
    for rule in of_type(planned, "aws_cloudwatch_event_rule"):
        client("events").put_rule(Name=rule["name"], ScheduleExpression=rule["schedule_expression"])


def build_logs(planned: dict[str, Any], logs: Any, api: str) -> None:  # noqa: ANN401  # boto3's
    """Make the plan's log groups, each with a line that every pattern of the runbook matches."""
    said = "Task timed out, because the issuer's keys cannot be had."
    message = json.dumps({"level": "ERROR", "errorCode": "Lambda.FunctionError", "message": said})
    # The execution log's name holds the id that AWS gives the API.
    names = [one["name"] for one in of_type(planned, "aws_cloudwatch_log_group") if "name" in one]
    for name in [*names, f"API-Gateway-Execution-Logs_{api}/v1"]:
        logs.create_log_group(logGroupName=name)
        logs.create_log_stream(logGroupName=name, logStreamName="one")
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        logs.put_log_events(
            logGroupName=name, logStreamName="one", logEvents=[{"timestamp": now_ms, "message": message}]
        )


def build_metrics(planned: dict[str, Any], cloudwatch: Any) -> None:  # noqa: ANN401  # boto3's
    """Put a value for each metric that the stack watches, with its dimensions, and let one alarm ring."""
    watched = {}
    for alarm in of_type(planned, "aws_cloudwatch_metric_alarm"):
        watched[alarm["namespace"], alarm["metric_name"], tuple(sorted(alarm["dimensions"].items()))] = True
        cloudwatch.put_metric_alarm(
            AlarmName=alarm["alarm_name"],
            Namespace=alarm["namespace"],
            MetricName=alarm["metric_name"],
            Statistic="Sum",
            Threshold=alarm["threshold"],
            ComparisonOperator=alarm["comparison_operator"],
            EvaluationPeriods=1,
            Period=300,
        )
    dimensions = {(namespace, of) for namespace, _, of in watched}
    more = {
        (n, metric, of)
        for n, metric in NOT_IN_THE_PLAN | dashboard_metrics(planned)
        for space, of in dimensions
        if space == n
    }
    service = (("service", "canary"),)
    for namespace, metric, of in {*watched, *more, ("auditlake", "CanaryPosted", service)}:
        data = {"MetricName": metric, "Value": 1, "Dimensions": [{"Name": name, "Value": value} for name, value in of]}
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[data])
    cloudwatch.set_alarm_state(AlarmName="auditlake-error-prefix", StateValue="ALARM", StateReason="a test")


def dashboard_metrics(planned: dict[str, Any]) -> set[tuple[str, str]]:
    """Return namespace and name of each metric that the dashboard shows; a dot stands for the line above."""
    found = set()
    for dashboard in of_type(planned, "aws_cloudwatch_dashboard"):
        namespace = name = ""
        for widget in json.loads(dashboard["dashboard_body"])["widgets"]:
            for line in widget["properties"]["metrics"]:
                if len(line) > 2:
                    namespace, name = (
                        old if new == "." else new for old, new in zip((namespace, name), line, strict=False)
                    )
                    found.add((namespace, name))
    return found


def answer_queries(url: str) -> None:
    """Let moto's Athena answer the queries of the runbook in their order."""
    results = [
        {"rows": [{"Data": [{"VarCharValue": cell} for cell in row]} for row in table], "column_info": []}
        for table in ANSWERS
    ]
    httpx.post(f"{url}/moto-api/static/athena/query-results", json={"results": results}).raise_for_status()


@pytest.fixture(scope="module")
def ran(cloud: str, running: Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Ran]]:
    """What the commands did: all sections in one shell after the names' block, as somebody who pastes them."""
    folder = tmp_path_factory.mktemp("runbook")
    (folder / "receipt.ndjson").write_text(json.dumps({"id": "e0", "sha256": "0" * 64}) + "\n", encoding="utf-8")
    names = re.search(r"```sh\n(.*?)```", SECTIONS[NAMES], re.DOTALL)
    assert names
    script = ["set -uo pipefail", re.sub(r"^ENDPOINT=.*", f"ENDPOINT={running.url}", names[1], flags=re.MULTILINE)]
    for section, lines in COMMANDS.items():
        script += [f"mkdir '{section}'", f"cd '{section}'", "cp ../receipt.ndjson ."]
        # At the end of the night the ledger is beside who redrove.
        script += ["cp ../error-prefix/*.sqlite ."] if section == AFTERWARDS else []
        for number, line in enumerate(lines):
            script += ["{", sendable(line), f"}} >{number}.out 2>{number}.err", f"echo $? >{number}.code"]
        script += ["cd .."]
    answer_queries(cloud)
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": cloud,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_MAX_ATTEMPTS": "1",
        "COLUMNS": "200",
    }
    with forked_commands(tmp_path_factory.mktemp("bin"), environment) as commands_folder:
        path = f"{commands_folder}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=folder,
            env={**environment, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, ""), "the names' block itself failed"
    return {
        section: [outcome(line, folder / section, number) for number, line in enumerate(lines)]
        for section, lines in COMMANDS.items()
    }


def sendable(line: str) -> str:
    """Return a command as moto can take it: one that it cannot is checked by the AWS CLI and not sent."""
    command, mark, comment = line.partition("   #")
    if any(name in line for name in NOT_IN_MOTO):
        command += " --generate-cli-skeleton output"
    if command.startswith("auditlake reconcile "):  # moto does not know that a workgroup says where results go
        command += f" --output-location s3://{RESULTS}/"
    return command + mark + comment


def outcome(line: str, folder: Path, number: int) -> Ran:
    """Return what a command left in its files."""
    code, printed, errors = (
        (folder / f"{number}.{kind}").read_text(encoding="utf-8") for kind in ("code", "out", "err")
    )
    documented = re.search(r"# exit code (\d)", line)
    return Ran(line, int(code), int(documented[1]) if documented else 0, printed, errors)


@pytest.mark.parametrize("section", COMMANDS)
def test_every_command_runs(ran: dict[str, list[Ran]], section: str) -> None:
    """A command ends with 0, or with the code that the runbook says, and shows something."""
    for one in ran[section]:
        assert one.code == one.documented, one
        assert not MEASURING.match(one.command) or re.search(r"^\S+\t[0-9.]+$", one.printed, re.MULTILINE), one
        assert SILENT.match(one.command) or (one.printed + one.errors).strip(" \nNone"), one


def test_what_moto_cannot_answer_is_still_so(cloud: str, tmp_path: Path) -> None:
    """A command is only spared while moto does not know it."""
    used = [line for lines in COMMANDS.values() for line in lines]
    for name in NOT_IN_MOTO:
        line = next((line for line in used if name in line), None)
        assert line, f"{name} is in no section"
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": cloud,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        environment |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": os.devnull}
        environment |= {"NAME": "auditlake", "ACCOUNT": ACCOUNT_ID, "BUCKET": BUCKET}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command = ["bash", "-c", line]  # whole: without its parameters the AWS CLI would refuse it, and not moto
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode != 0, f"moto answers {name} now: run it"
