"""`auditlake status --aws` and `doctor --aws` on a stack that the real provider applied to moto's server.

What moto 5.2.5 lacks is mended below: it imports methods without their authentication. Whether Firehose and Object Lock
do what they say, it does not vouch for.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import command_line
from tests.command_line import Done
from tests.conftest import ROOT
from tests.deployed_stack import Deployed, deployed_stack
from tests.terraform_runs import need_terraform

BUCKET = "auditlake-events-123456789012"
STREAM = "auditlake-events"
TEXT = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The stack with a key of its own, whose alarms reach somebody."""
    need_terraform()
    with deployed_stack(tmp_path_factory.mktemp("deployed"), '-var=encryption={mode="customer_managed"}') as deployed:
        authenticate(deployed, "AWS_IAM")
        deployed.client("sns").subscribe(
            TopicArn=deployed.names()["alarm_topic"], Protocol="sms", Endpoint="+15555550100"
        )
        yield deployed


def authenticate(stack: Deployed, kind: str) -> None:
    """Make every method that takes events ask for it: moto imports a document without its authentication."""
    gateway = stack.client("apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    for resource in gateway.get_resources(restApiId=api["id"], embed=["methods"])["items"]:
        # Anybody may ask whether the API is healthy, as planned.
        for verb in resource.get("resourceMethods", {}) if resource["path"] != "/health" else ():
            gateway.put_method(restApiId=api["id"], resourceId=resource["id"], httpMethod=verb, authorizationType=kind)


def run(stack: Deployed, folder: Path, *arguments: str, **environment: str) -> Done:
    """Run a command as the stack's operator."""
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1", **environment}
    return command_line.auditlake(folder, *arguments, "--endpoint-url", stack.url, **keys)


def doctor(stack: Deployed, folder: Path, *more: str, **environment: str) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit code and the outcomes that are not ok."""
    done = run(stack, folder, "doctor", str(stack.plan), "--aws", "--json", *more, **environment)
    assert done.stdout, done.stderr
    return done.returncode, [one for one in json.loads(done.stdout) if one["state"] != "ok"]


def status(stack: Deployed, folder: Path, *more: str, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return the exit code and the parts by name."""
    done = run(stack, folder, "status", "--aws", "--plan", str(stack.plan), "--json", *more, **environment)
    assert done.stdout, done.stderr
    return done.returncode, {part["name"]: part for part in json.loads(done.stdout)["parts"]}


def test_a_stack_as_applied_keeps_its_promises(stack: Deployed, tmp_path: Path) -> None:
    """Nothing differs, everything could be looked at, and the exit code is 0."""
    assert doctor(stack, tmp_path) == (0, [])


def test_every_command_of_the_document_works(stack: Deployed, tmp_path: Path) -> None:
    """docs/operating.md is run as it stands, with the stack's plan and outputs at hand, before anything is broken."""
    (tmp_path / "plan.json").write_bytes(stack.plan.read_bytes())
    (tmp_path / "outputs.json").write_bytes(stack.outputs.read_bytes())
    lines = [line for block in re.findall(r"-->\n```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("auditlake ")]
    assert len(commands) == len([line for line in lines if line and not line.startswith("terraform ")]) > 3
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": stack.url,
        "NO_PROXY": "127.0.0.1",
    }
    for line in commands:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def lock(stack: Deployed, mode: str, days: int) -> None:
    """Change the default retention."""
    rule = {"DefaultRetention": {"Mode": mode, "Days": days}}
    stack.client("s3").put_object_lock_configuration(
        Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )


def versioning(stack: Deployed, state: str) -> None:
    """Change the versioning of the bucket, past S3's refusal for a bucket with a lock."""
    stack.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": state})


def public(stack: Deployed, blocked: bool) -> None:
    """Switch one of the four blocks of public access."""
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    setting = dict.fromkeys(names, True) | {"BlockPublicPolicy": blocked}
    stack.client("s3").put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=setting)


def without_policy(stack: Deployed) -> Callable[[], None]:
    """Delete the bucket's policy."""
    s3 = stack.client("s3")
    policy = s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
    s3.delete_bucket_policy(Bucket=BUCKET)
    return lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)


def put(stack: Deployed, key: str) -> str:
    """Put an object, past the policy, whose conditions moto does not look at; returns its version."""
    restore = without_policy(stack)
    version = stack.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"x")["VersionId"]
    restore()
    return str(version)


def remove(stack: Deployed, key: str, version: str) -> None:
    """Remove a version, past policy and lock."""
    restore = without_policy(stack)
    stack.client("s3").delete_object(Bucket=BUCKET, Key=key, VersionId=version, BypassGovernanceRetention=True)
    restore()


def deletes(stack: Deployed) -> Callable[[], None]:
    """Take the denial of deletions out of the bucket's policy."""
    s3 = stack.client("s3")
    policy = s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
    left = json.loads(policy)
    left["Statement"] = [one for one in left["Statement"] if one["Sid"] != "NobodyDeletes"]
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(left))
    return lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)


def expires(stack: Deployed) -> Callable[[], None]:
    """Add a rule that expires events before their retention ends."""
    s3 = stack.client("s3")
    rules = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    rule = {"ID": "short", "Status": "Enabled", "Filter": {"Prefix": "events/"}, "Expiration": {"Days": 30}}
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [*rules, rule]})
    return lambda: s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": rules})


def plain(stack: Deployed) -> Callable[[], None]:
    """Encrypt by S3's own key from now on."""
    s3 = stack.client("s3")
    before = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return lambda: s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration=before)


def key_id(stack: Deployed) -> str:
    """Return the id of the stack's key."""
    return next(
        str(one["TargetKeyId"])
        for one in stack.client("kms").list_aliases()["Aliases"]
        if one["AliasName"] == "alias/auditlake"
    )


def disabled(stack: Deployed) -> Callable[[], None]:
    """Disable the key."""
    kms, key = stack.client("kms"), key_id(stack)
    kms.disable_key(KeyId=key)
    return lambda: kms.enable_key(KeyId=key)


def still(stack: Deployed) -> Callable[[], None]:
    """Stop the key's rotation."""
    kms, key = stack.client("kms"), key_id(stack)
    kms.disable_key_rotation(KeyId=key)
    return lambda: kms.enable_key_rotation(KeyId=key)


def buffers(stack: Deployed, interval_s: int) -> None:
    """Change the stream's buffer."""
    firehose = stack.client("firehose")
    described = firehose.describe_delivery_stream(DeliveryStreamName=STREAM)["DeliveryStreamDescription"]
    firehose.update_destination(
        DeliveryStreamName=STREAM,
        CurrentDeliveryStreamVersionId=described["VersionId"],
        DestinationId=described["Destinations"][0]["DestinationId"],
        ExtendedS3DestinationUpdate={"BufferingHints": {"SizeInMBs": 128, "IntervalInSeconds": interval_s}},
    )


def unencrypted(stack: Deployed) -> Callable[[], None]:
    """Stop the stream's encryption at rest."""
    firehose, key = stack.client("firehose"), key_id(stack)
    described = firehose.describe_delivery_stream(DeliveryStreamName=STREAM)["DeliveryStreamDescription"]
    before = described["DeliveryStreamEncryptionConfiguration"]
    again = {"KeyType": before["KeyType"], "KeyARN": before.get("KeyARN", key)}
    firehose.stop_delivery_stream_encryption(DeliveryStreamName=STREAM)
    return lambda: firehose.start_delivery_stream_encryption(
        DeliveryStreamName=STREAM, DeliveryStreamEncryptionConfigurationInput=again
    )


def table(stack: Deployed) -> Callable[[], None]:
    """Take a column and a projection out of the table."""
    glue = stack.client("glue")
    found = glue.get_table(DatabaseName="audit", Name="events")["Table"]
    names = ("Name", "Description", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters")
    before = {name: found[name] for name in names if name in found}
    changed = json.loads(json.dumps(before))
    del changed["StorageDescriptor"]["Columns"][0]
    changed["Parameters"]["projection.audit_type.values"] = "login"
    glue.update_table(DatabaseName="audit", TableInput=changed)
    return lambda: glue.update_table(DatabaseName="audit", TableInput=before)


def stage(stack: Deployed, rate: str, trace: str) -> None:
    """Change the stage's throttle and trace."""
    gateway = stack.client("apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    gateway.update_stage(
        restApiId=api["id"],
        stageName="v1",
        patchOperations=[
            {"op": "replace", "path": "/*/*/throttling/rateLimit", "value": rate},
            {"op": "replace", "path": "/*/*/logging/dataTrace", "value": trace},
        ],
    )


def silent(stack: Deployed) -> Callable[[], None]:
    """Disable the actions of an alarm."""
    watch = stack.client("cloudwatch")
    watch.disable_alarm_actions(AlarmNames=["auditlake-error-prefix"])
    return lambda: watch.enable_alarm_actions(AlarmNames=["auditlake-error-prefix"])


def unheard(stack: Deployed) -> Callable[[], None]:
    """Unsubscribe everybody from the topic."""
    sns, topic = stack.client("sns"), stack.names()["alarm_topic"]
    (found,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    sns.unsubscribe(SubscriptionArn=found["SubscriptionArn"])
    return lambda: sns.subscribe(TopicArn=topic, Protocol="sms", Endpoint="+15555550100")


def no_alarm(stack: Deployed) -> Callable[[], None]:
    """Delete an alarm."""
    watch = stack.client("cloudwatch")
    (found,) = watch.describe_alarms(AlarmNames=["auditlake-delivery-gives-up"])["MetricAlarms"]
    known = watch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    before = {name: value for name, value in found.items() if name in known}
    watch.delete_alarms(AlarmNames=["auditlake-delivery-gives-up"])
    return lambda: watch.put_metric_alarm(**before)


def forgetful(stack: Deployed) -> Callable[[], None]:
    """Shorten how long a log is kept."""
    logs, name = stack.client("logs"), "/aws/lambda/auditlake-transform"
    logs.put_retention_policy(logGroupName=name, retentionInDays=1)
    return lambda: logs.put_retention_policy(logGroupName=name, retentionInDays=365)


def other_code(stack: Deployed) -> Callable[[], None]:
    """Put other code into the transform, as who may change functions could."""
    functions, name = stack.client("lambda"), "auditlake-transform"
    package = (stack.plan.parent / "stack" / "dist" / "transform.zip").read_bytes()
    functions.update_function_code(FunctionName=name, ZipFile=package + b"and more")
    return lambda: functions.update_function_code(FunctionName=name, ZipFile=package)


def results(stack: Deployed) -> Callable[[], None]:
    """Open the bucket of Athena's results, and keep results for ever."""
    s3, name = stack.client("s3"), stack.names()["results_bucket"]
    block = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    encryption = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]
    s3.delete_bucket_lifecycle(Bucket=name)
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration={**block, "BlockPublicAcls": False})
    plain = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=plain)

    def undo() -> None:
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
        s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=encryption)

    return undo


def execution_log(stack: Deployed, days: int) -> None:
    """Change how long the log of executions is kept."""
    (api,) = stack.client("apigateway").get_rest_apis()["items"]
    name = f"API-Gateway-Execution-Logs_{api['id']}/v1"
    stack.client("logs").put_retention_policy(logGroupName=name, retentionInDays=days)


Change = Callable[[Deployed], Callable[[], object]]


def both(change: Callable[..., None], there: tuple[object, ...], back: tuple[object, ...]) -> Change:
    """Return a change that is made and undone by the same function with other arguments."""

    def made(stack: Deployed) -> Callable[[], object]:
        change(stack, *there)
        return lambda: change(stack, *back)

    return made


CHANGES: dict[str, tuple[Change, set[str]]] = {
    "lock days": (both(lock, ("GOVERNANCE", 1), ("GOVERNANCE", 365)), {"object lock days"}),
    "lock mode": (both(lock, ("COMPLIANCE", 365), ("GOVERNANCE", 365)), {"object lock mode"}),
    "versioning": (both(versioning, ("Suspended",), ("Enabled",)), {"versioning"}),
    "public access": (both(public, (False,), (True,)), {"public access: block_public_policy"}),
    "no policy": (without_policy, {"policy"}),
    "deletes": (deletes, {"policy: nobody deletes"}),
    "expiry": (expires, {"lifecycle: other rules", "lifecycle: expiry and retention"}),
    "encryption": (plain, {"default encryption"}),
    "key disabled": (disabled, {"state"}),
    "rotation": (still, {"rotation"}),
    "buffers": (both(buffers, (900,), (60,)), {"buffer interval (s)"}),
    "stream encryption": (unencrypted, {"encryption at rest"}),
    "table": (table, {"columns", "projection.audit_type.values"}),
    "authentication": (
        both(authenticate, ("NONE",), ("AWS_IAM",)),
        {"auth of POST /events", "auth of POST /events/batch"},
    ),
    "stage": (both(stage, ("9000", "true"), ("500", "false")), {"throttle (requests/s)", "data trace"}),
    "alarm actions": (silent, {"actions enabled"}),
    "alarm removed": (no_alarm, {"there"}),
    "subscription": (unheard, {"subscriptions"}),
    "log": (forgetful, {"retention (days)"}),
    "execution log": (both(execution_log, (1,), (365,)), {"retention (days)"}),
    "code": (other_code, {"code (SHA-256)"}),
    "results": (results, {"public access: block_public_acls", "default encryption", "lifecycle rule expire"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_by_hand_is_told(stack: Deployed, tmp_path: Path, name: str) -> None:
    """One difference is told as just that, with what is promised and what is deployed, and exits with 1."""
    change, expected = CHANGES[name]
    undo = change(stack)
    try:
        code, found = doctor(stack, tmp_path)
    finally:
        undo()
    assert code == 1
    assert {one["check"] for one in found} == expected
    assert all(one["state"] == "differs" and one["advice"] and one["promised"] != one["deployed"] for one in found)


def with_canary(stack: Deployed, folder: Path) -> Path:
    """Return the plan of the stack with a canary, which the stack has not."""
    planned = json.loads(stack.plan.read_text())
    for kind, values in {
        "aws_cloudwatch_event_rule": {"name": "auditlake-canary", "schedule_expression": "rate(15 minutes)"},
        "aws_lambda_function": {"function_name": "auditlake-canary", "handler": "h"},
    }.items():
        resource = {"address": f"{kind}.canary", "mode": "managed", "type": kind, "values": values}
        planned["planned_values"]["root_module"].setdefault("resources", []).append(resource)
    plan = folder / "canary.json"
    plan.write_text(json.dumps(planned))
    return plan


def test_a_canary_that_is_gone_is_told(stack: Deployed, tmp_path: Path) -> None:
    """A canary of the plan that is not there differs; by the outputs it is wrong, and so is its alarm."""
    done = run(stack, tmp_path, "doctor", str(with_canary(stack, tmp_path)), "--aws", "--json")
    assert done.returncode == 1
    found = {one["subject"]: one["deployed"] for one in json.loads(done.stdout) if one["state"] == "differs"}
    assert found == {"schedule auditlake-canary": "not there", "function auditlake-canary": "not there"}

    named = json.loads(stack.outputs.read_text())
    named["canary"] = {"value": {"name": "auditlake-canary", "alarm": "auditlake-canary-absent"}}
    outputs = tmp_path / "canary-outputs.json"
    outputs.write_text(json.dumps(named))
    done = run(stack, tmp_path, "status", "--aws", "--outputs", str(outputs), "--json")
    assert done.returncode == 1
    wrong = {part["name"] for part in json.loads(done.stdout)["parts"] if part["state"] == "wrong"}
    assert wrong == {"alarms", "canary"}


def test_a_schedule_that_runs_something_else_is_told(stack: Deployed, tmp_path: Path) -> None:
    """A schedule that is on and runs nothing, or another function, posts no event; with its own it is well."""
    plan, events, rule = with_canary(stack, tmp_path), stack.client("events"), "auditlake-canary"
    events.put_rule(Name=rule, ScheduleExpression="rate(15 minutes)")

    def runs() -> tuple[str, str]:
        done = run(stack, tmp_path, "doctor", str(plan), "--aws", "--json")
        (found,) = (one for one in json.loads(done.stdout) if one["check"] == "runs")
        return found["state"], found["deployed"]

    try:
        assert runs() == ("differs", "nothing")
        for function, state in (("somebody-elses", "differs"), (rule, "ok")):
            arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function}"
            events.put_targets(Rule=rule, Targets=[{"Id": "one", "Arn": arn}])
            assert runs() == (state, function)
    finally:
        events.remove_targets(Rule=rule, Ids=["one"])
        events.delete_rule(Name=rule)


def test_a_difference_is_a_line(stack: Deployed, tmp_path: Path) -> None:
    """For people: what the plan promises, what is deployed, what to do; then a count."""
    lock(stack, "GOVERNANCE", 1)
    try:
        done = run(stack, tmp_path, "doctor", str(stack.plan), "--aws")
    finally:
        lock(stack, "GOVERNANCE", 365)
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if line.startswith("differs"))
    assert f"bucket {BUCKET} object lock days: the plan promises 365, deployed is 1 -> " in line
    assert re.search(r"^\d+ ok, 1 differ, 0 could not be looked at\.$", done.stdout, re.MULTILINE)


def test_old_error_objects_are_told(stack: Deployed, tmp_path: Path) -> None:
    """What has lain under the error prefix for longer than --older-than is a difference."""
    key = "errors/processing-failed/2026/11/24/one"
    version = put(stack, key)
    try:
        assert doctor(stack, tmp_path) == (0, [])
        code, (found,) = doctor(stack, tmp_path, "--older-than", "0")
    finally:
        remove(stack, key, version)
    assert (code, found["check"], found["deployed"]) == (1, "error objects older than 0 days", "1")


@pytest.fixture
def stranger(stack: Deployed) -> Iterator[dict[str, str]]:
    """The keys of a user who may nothing, while moto asks for permissions."""
    iam = stack.client("iam")
    iam.create_user(UserName="stranger")
    key = iam.create_access_key(UserName="stranger")["AccessKey"]
    httpx.post(f"{stack.url}/moto-api/reset-auth", content="0", trust_env=False).raise_for_status()
    yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    httpx.post(f"{stack.url}/moto-api/reset-auth", content="inf", trust_env=False).raise_for_status()
    iam.delete_access_key(UserName="stranger", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="stranger")


def test_who_may_not_look_hears_which_permission(stack: Deployed, tmp_path: Path, stranger: dict[str, str]) -> None:
    """Exit 2, and each line names the IAM action; nothing is called well or ill."""
    code, found = doctor(stack, tmp_path, **stranger)
    assert code == 2
    assert {one["state"] for one in found} == {"could not look"}
    permissions = {one["permission"] for one in found}
    assert {
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketVersioning",
        "s3:GetBucketPolicy",
        "firehose:DescribeDeliveryStream",
        "glue:GetTable",
        "athena:GetWorkGroup",
        "logs:DescribeLogGroups",
    } <= permissions
    code, parts = status(stack, tmp_path, **stranger)
    assert code == 2
    assert parts["delivery stream"]["permission"] == "firehose:DescribeDeliveryStream"


def test_a_quiet_stack_is_well(stack: Deployed, tmp_path: Path) -> None:
    """The status names endpoint, stream and alarms, by plan or by outputs, and exits with 0."""
    code, parts = status(stack, tmp_path)
    assert (code, {part["state"] for part in parts.values()}) == (0, {"ok"})
    assert parts["endpoint"]["facts"]["url"] == stack.names()["endpoint"]
    assert parts["delivery stream"]["facts"]["buffer_interval_s"] == 60
    done = run(stack, tmp_path, "status", "--aws", "--outputs", str(stack.outputs))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "none of 18 rings" in done.stdout


def test_trouble_is_told(stack: Deployed, tmp_path: Path) -> None:
    """Late delivery, throttling, failed records, a ringing alarm: each is wrong; the newest objects are named."""
    watch, now = stack.client("cloudwatch"), datetime.now(UTC)
    event = f"events/audit_type=login/year={now:%Y}/month={now:%m}/day={now:%d}/one.parquet"
    failed = f"errors/processing-failed/{now:%Y/%m/%d}/one"
    versions = {key: put(stack, key) for key in (event, failed)}
    dimensions = [{"Name": "DeliveryStreamName", "Value": STREAM}]
    values = {"DeliveryToS3.DataFreshness": 5000, "DeliveryToS3.Success": 0.5, "ThrottledRecords": 7}
    for name, value in values.items():
        at = now - timedelta(minutes=10)
        data = {"MetricName": name, "Value": value, "Dimensions": dimensions, "Timestamp": at}
        watch.put_metric_data(Namespace="AWS/Firehose", MetricData=[data])
    watch.set_alarm_state(AlarmName="auditlake-error-prefix", StateValue="ALARM", StateReason="a test")
    try:
        code, parts = status(stack, tmp_path)
    finally:
        watch.set_alarm_state(AlarmName="auditlake-error-prefix", StateValue="OK", StateReason="a test")
        httpx.post(f"{stack.url}/moto-api/reset-auth", content="inf", trust_env=False)
        for key, version in versions.items():
            remove(stack, key, version)
    assert code == 1
    wrong = {name for name, part in parts.items() if part["state"] == "wrong"}
    assert wrong == {"freshness", "delivery success", "throttled records", "error prefix", "alarms"}
    assert parts["newest login"]["facts"]["key"] == event
    assert parts["error prefix"]["facts"]["types"] == {"processing-failed": 1}
    assert parts["error prefix"]["facts"]["newest"] == [failed]
    assert parts["throttled records"]["facts"]["value"] == 7
    assert parts["alarms"]["facts"]["ringing"] == ["auditlake-error-prefix"]


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (("--region", "us-east-1"), {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "No AWS credentials"),
        ((), {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "No AWS region is known"),
        (("--outputs", str(ROOT / "README.md")), {}, "does not hold the outputs"),
        (("--plan", str(ROOT / "README.md")), {}, "is not a Terraform plan"),
        (("--outputs", "none.json"), {}, "cannot be read"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    stack: Deployed, tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], says: str
) -> None:
    """Exit 2, nothing on standard output, and what to do."""
    nowhere = str(tmp_path / "none")
    settings = {
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "AWS_CONFIG_FILE": nowhere,
        "AWS_EC2_METADATA_DISABLED": "true",
        **environment,
    }
    done = run(stack, tmp_path, "status", "--aws", *arguments, **settings)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_nobody_answering_is_one_sentence(stack: Deployed, tmp_path: Path) -> None:
    """A dead endpoint ends in exit 2, not in a traceback."""
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    arguments = ("doctor", str(stack.plan), "--aws", "--endpoint-url", "http://127.0.0.1:9")
    done = command_line.auditlake(tmp_path, *arguments, **keys)
    assert (done.returncode, done.stdout) == (2, "")
    assert "does not answer" in done.stderr


def test_another_accounts_plan_is_refused(stack: Deployed, tmp_path: Path) -> None:
    """A plan of another account than the credentials' is not compared with this one's stack."""
    plan = tmp_path / "other.json"
    plan.write_text(stack.plan.read_text().replace("123456789012", "999999999999"))
    done = run(stack, tmp_path, "doctor", str(plan), "--aws")
    assert done.returncode == 2
    assert "of the account 999999999999" in done.stderr


def test_a_runtimes_options_are_refused_with_aws(tmp_path: Path) -> None:
    """--url and --token say where a runtime is: with --aws that is a sentence and exit 2, nothing is asked."""
    done = command_line.auditlake(tmp_path, "status", "--aws", "--url", "http://127.0.0.1:9", "--token", "t")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--url and --token: for a runtime on one machine" in done.stderr


@pytest.mark.parametrize("command", [("status", "--region", "us-east-1"), ("doctor", "--region", "us-east-1")])
def test_options_of_aws_need_it(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A forgotten --aws is told, and does not look at this machine instead."""
    done = command_line.auditlake(tmp_path, *command)
    assert done.returncode == 1
    assert "give --aws too" in done.stderr
