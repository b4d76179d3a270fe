"""What bench/probe_aws.py makes in an AWS account, and how it is removed again.

Everything is noted in `Account.made` before it is made, so that nothing is forgotten when the probe is interrupted.
"""

import contextlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1024 * 1024
PAUSE_S = 5
"""Seconds between two looks at something that AWS is still at."""
PATIENCE_S = 600
"""Seconds to wait for AWS to make or remove a stream, and to hand round a new role."""
GONE = ("NoSuchEntity", "NoSuchBucket", "NotFound")
"""Words in the error codes of what is not there (any more); Athena has none and says `not found`."""


@dataclass(frozen=True)
class Made:
    """One thing in the account: its kind, a key of REMOVERS, and its name or id."""

    kind: str
    name: str


@dataclass
class Account:
    """An account while it is probed: `prefix` begins every name, `changed` is called whenever `made` grows."""

    session: boto3.Session
    partition: str
    id: str
    region: str
    endpoint_url: str | None
    prefix: str
    changed: Callable[[], None]
    made: list[Made] = field(default_factory=list)

    def client(self, service: str, attempts: int = 5) -> Any:  # noqa: ANN401  # boto3 makes its clients at run time
        """Return a client that tries each call `attempts` times in all."""
        style: Literal["auto", "path"] = "auto" if self.endpoint_url is None else "path"
        config = Config(retries={"total_max_attempts": attempts, "mode": "standard"}, s3={"addressing_style": style})
        # mypy knows only the literal names of services.
        make: Any = self.session.client
        return make(service, region_name=self.region, endpoint_url=self.endpoint_url, config=config)

    def note(self, kind: str, name: str) -> str:
        """Note what is about to be made; returns its name."""
        self.made.append(Made(kind, name))
        self.changed()
        return name

    def name(self, label: str) -> str:
        """Return the name of the thing with this label."""
        return f"{self.prefix}-{label}"


def permitted(call: Callable[[], Any]) -> Any:  # noqa: ANN401  # what the call returns
    """Make a call again while AWS has not handed round the new role."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except ClientError as error:
            message = error.response["Error"]["Message"]
            waiting = any(words in message for words in ("assume", "assumed", "Access was denied"))
            if not waiting or time.monotonic() > until:
                raise
            time.sleep(PAUSE_S)


def make_bucket(account: Account, label: str, lock_mode: str | None = None) -> str:
    """Make a bucket, with a default retention of one day when a lock's mode is given; returns its name."""
    s3 = account.client("s3")
    name = account.note("bucket" if lock_mode is None else "locked bucket", account.name(label))
    place = {} if account.region == "us-east-1" else {"LocationConstraint": account.region}
    made: dict[str, Any] = {"Bucket": name, "ObjectLockEnabledForBucket": lock_mode is not None}
    s3.create_bucket(**made, **({"CreateBucketConfiguration": place} if place else {}))
    if lock_mode is not None:
        rule = {"DefaultRetention": {"Mode": lock_mode, "Days": 1}}
        configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
        s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=configuration)
    return name


def make_role(account: Account) -> str:
    """Make the one role that Firehose and Lambda take; returns its ARN."""
    iam = account.client("iam")
    name = account.note("role", account.name("role"))
    services = ["firehose.amazonaws.com", "lambda.amazonaws.com"]
    trust = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))
    iam.put_role_policy(RoleName=name, PolicyName="probe", PolicyDocument=_policy(*_grants(account)))
    arn: str = made["Role"]["Arn"]
    return arn


def _grants(account: Account) -> Iterator[Mapping[str, object]]:
    buckets = f"arn:{account.partition}:s3:::{account.prefix}-*"
    s3 = (
        "AbortMultipartUpload",
        "GetBucketLocation",
        "GetObject",
        "ListBucket",
        "ListBucketMultipartUploads",
        "PutObject",
    )
    yield {"Effect": "Allow", "Action": [f"s3:{action}" for action in s3], "Resource": [buckets, f"{buckets}/*"]}
    own = f"{account.region}:{account.id}"
    function = f"arn:{account.partition}:lambda:{own}:function:{account.prefix}-*"
    invoke = ["lambda:InvokeFunction", "lambda:GetFunctionConfiguration"]
    yield {"Effect": "Allow", "Action": invoke, "Resource": [function, f"{function}:*"]}
    read = ["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"]
    yield {"Effect": "Allow", "Action": read, "Resource": f"arn:{account.partition}:glue:{own}:*"}


def _policy(*statements: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def make_function(account: Account, role_arn: str) -> str:
    """Make the transform function of bench/probe_function.py; returns its ARN."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as package:
        package.write(Path(__file__).with_name("probe_function.py"), "probe_function.py")
    name = account.note("function", account.name("transform"))
    made = permitted(
        lambda: account.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role_arn,
            Handler="probe_function.handle",
            Code={"ZipFile": code.getvalue()},
            Timeout=60,
            MemorySize=256,
        )
    )
    arn: str = made["FunctionArn"]
    return arn


def make_database(account: Account) -> str:
    """Make a Glue database; returns its name."""
    name = account.note("database", account.name("tables").replace("-", "_"))
    account.client("glue").create_database(DatabaseInput={"Name": name})
    return name


def make_table(
    account: Account, database: str, name: str, columns: Mapping[str, str], location: str, keys: Sequence[str] = ()
) -> None:
    """Make a table of text lines, whose columns a stream can convert to as well; it goes with its database."""
    account.client("glue").create_table(
        DatabaseName=database,
        TableInput={
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
            "StorageDescriptor": {
                "Columns": [{"Name": column, "Type": kind} for column, kind in columns.items()],
                "Location": location,
                "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"},
            },
        },
    )


def make_workgroup(account: Account, label: str, results: str, cutoff_bytes: int) -> str:
    """Make an Athena workgroup that stops queries at `cutoff_bytes`; returns its name."""
    name = account.note("workgroup", account.name(label))
    configuration = {
        "ResultConfiguration": {"OutputLocation": results},
        "EnforceWorkGroupConfiguration": True,
        "BytesScannedCutoffPerQuery": cutoff_bytes,
    }
    # moto's Athena lists only workgroups that have a tag.
    tags = [{"Key": "made-by", "Value": "auditlake-probe"}]
    account.client("athena").create_work_group(Name=name, Configuration=configuration, Tags=tags)
    return name


def make_api(account: Account, document: Mapping[str, object]) -> str:
    """Make a REST API of an OpenAPI document and deploy it to the stage `probe`; returns its id."""
    gateway = account.client("apigateway")
    # By its title, because its id is known only once it is made.
    title = account.note("api", account.name("api"))
    body = {**document, "info": {"title": title, "version": "1", "description": "Made by bench/probe_aws.py."}}
    api_id: str = gateway.import_rest_api(body=json.dumps(body).encode())["id"]
    gateway.create_deployment(restApiId=api_id, stageName="probe")
    return api_id


def make_stream(account: Account, label: str, role_arn: str, bucket: str, **destination: Any) -> str:  # noqa: ANN401
    """Make a delivery stream below `label`/ of a bucket; `destination` adds to its S3 settings. Returns its name."""
    name = account.note("stream", account.name(label))
    settings = {
        "RoleARN": role_arn,
        "BucketARN": f"arn:{account.partition}:s3:::{bucket}",
        "Prefix": f"{label}/",
        "ErrorOutputPrefix": f"{label}/errors/!{{firehose:error-output-type}}/",
        "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
        **destination,
    }
    permitted(
        lambda: account.client("firehose").create_delivery_stream(
            DeliveryStreamName=name, DeliveryStreamType="DirectPut", ExtendedS3DestinationConfiguration=settings
        )
    )
    return name


def lambda_processor(function_arn: str, **parameters: str) -> Mapping[str, object]:
    """Return the ProcessingConfiguration of a stream with a transform function."""
    named = {"LambdaArn": function_arn, **parameters}
    listed = [{"ParameterName": name, "ParameterValue": value} for name, value in named.items()]
    return {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": listed}]}


def await_streams(account: Account) -> None:
    """Wait until every stream takes records; raises TimeoutError."""
    firehose = account.client("firehose")
    until = time.monotonic() + PATIENCE_S
    for name in [made.name for made in account.made if made.kind == "stream"]:
        while (status := _stream_status(firehose, name)) not in ("ACTIVE", None):
            if time.monotonic() > until or status == "CREATING_FAILED":
                raise TimeoutError(f"The stream {name} is {status} and takes no records.")
            time.sleep(PAUSE_S)


def _stream_status(firehose: Any, name: str) -> str | None:  # noqa: ANN401  # boto3 makes its clients at run time
    try:
        described = firehose.describe_delivery_stream(DeliveryStreamName=name)
    except firehose.exceptions.ResourceNotFoundException:
        return None
    status: str = described["DeliveryStreamDescription"]["DeliveryStreamStatus"]
    return status


def remove_all(account: Account, say: Callable[[str], None]) -> list[str]:
    """Remove what was made, newest first, streams before all; returns a sentence for each thing that is left."""
    streams = [made for made in account.made if made.kind == "stream"]
    others = [made for made in reversed(account.made) if made.kind != "stream"]
    # All streams at once, because AWS takes minutes for each; one that it does not remove is not waited for.
    left = {made: problem for made in streams if (problem := _removed(account, made, _delete_stream))}
    for made in [*streams, *others]:
        if made in left:
            continue
        if problem := _removed(account, made, REMOVERS[made.kind]):
            left[made] = problem
        else:
            say(f"removed: {made.kind} {made.name}")
    return list(left.values())


def _removed(account: Account, made: Made, remove: Callable[[Account, str], None]) -> str | None:
    """Remove one thing; returns what went wrong, which is not that it was never there."""
    try:
        remove(account, made.name)
    except Exception as error:  # noqa: BLE001  # whatever it was, the rest has to be removed all the same
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        if not any(word in code for word in GONE) and "not found" not in str(error):
            return f"{made.kind} {made.name}: {error}"
    return None


def _delete_stream(account: Account, name: str) -> None:
    account.client("firehose").delete_delivery_stream(DeliveryStreamName=name, AllowForceDelete=True)


def _await_stream_gone(account: Account, name: str) -> None:
    """Wait for the end of a stream: until then it could still write into its bucket."""
    firehose = account.client("firehose")
    until = time.monotonic() + PATIENCE_S
    while (status := _stream_status(firehose, name)) is not None:
        if time.monotonic() > until:
            raise TimeoutError(f"it is still {status} after {PATIENCE_S} seconds")
        time.sleep(PAUSE_S)


def _remove_bucket(account: Account, name: str, **how: bool) -> None:
    s3 = account.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for version in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
            s3.delete_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"], **how)
    s3.delete_bucket(Bucket=name)


def _remove_role(account: Account, name: str) -> None:
    iam = account.client("iam")
    # The policy is missing when the probe was interrupted between the two.
    with contextlib.suppress(iam.exceptions.NoSuchEntityException):
        iam.delete_role_policy(RoleName=name, PolicyName="probe")
    iam.delete_role(RoleName=name)


def _remove_api(account: Account, title: str) -> None:
    gateway = account.client("apigateway")
    for page in gateway.get_paginator("get_rest_apis").paginate():
        for api in page["items"]:
            if api["name"] == title:
                gateway.delete_rest_api(restApiId=api["id"])


REMOVERS: Mapping[str, Callable[[Account, str], None]] = {
    "stream": _await_stream_gone,
    "bucket": _remove_bucket,
    # S3 refuses the bypass on a bucket without Object Lock.
    "locked bucket": partial(_remove_bucket, BypassGovernanceRetention=True),
    "role": _remove_role,
    "function": lambda account, name: account.client("lambda").delete_function(FunctionName=name),
    "database": lambda account, name: account.client("glue").delete_database(Name=name),
    "workgroup": lambda account, name: account.client("athena").delete_work_group(
        WorkGroup=name, RecursiveDeleteOption=True
    ),
    "api": _remove_api,
}
"""How each kind of thing is removed; that it is not there is no failure."""
