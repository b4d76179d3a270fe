"""The probe of an AWS account, run whole against moto's server: it makes, asks, records and removes.

What moto answers is no fact of AWS, and nothing here looks at it.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.firehose.models import DeliveryStream

from auditlake import parity
from tests.conftest import ROOT
from tests.terraform_moto import moto

REGION = "us-east-1"
PREFIX = "auditlake-probe-"


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """An account to probe: moto's server, with as many streams as AWS allows."""
    with pytest.MonkeyPatch.context() as patch, moto() as url:
        patch.setattr(DeliveryStream, "MAX_STREAMS_PER_REGION", 100)
        yield url


def command(url: str, *arguments: str) -> list[str]:
    """Return the command line of the probe."""
    script = str(ROOT / "bench" / "probe_aws.py")
    return [
        sys.executable,
        "-u",
        script,
        "--region",
        REGION,
        "--endpoint-url",
        url,
        "--throttle-calls",
        "2",
        *arguments,
    ]


def environment() -> dict[str, str]:
    """Return an environment with credentials that no real account knows."""
    return {**os.environ, "AWS_ACCESS_KEY_ID": "probe", "AWS_SECRET_ACCESS_KEY": "probe"}


def run(url: str, folder: Path, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the probe to its end."""
    return subprocess.run(
        command(url, *arguments),
        cwd=folder,
        env=environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def client(url: str, service: str) -> Any:  # noqa: ANN401  # boto3 makes its clients at run time
    """Return a client of the account."""
    make: Any = boto3.client
    return make(service, region_name=REGION, endpoint_url=url, aws_access_key_id="probe", aws_secret_access_key="probe")  # noqa: S106  # not a real one


def in_account(url: str) -> set[str]:
    """Return the names of everything in the account of the kinds that the probe makes."""
    return {
        *client(url, "firehose").list_delivery_streams()["DeliveryStreamNames"],
        *(one["Name"] for one in client(url, "s3").list_buckets()["Buckets"]),
        *(one["RoleName"] for one in client(url, "iam").list_roles()["Roles"]),
        *(one["FunctionName"] for one in client(url, "lambda").list_functions()["Functions"]),
        *(one["Name"] for one in client(url, "glue").get_databases()["DatabaseList"]),
        *(one["name"] for one in client(url, "apigateway").get_rest_apis()["items"]),
        *(one["Name"] for one in client(url, "athena").list_work_groups()["WorkGroups"]),
    } - {"primary"}


@pytest.fixture(scope="module")
def ran(aws: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """A whole run: what it printed, and its file of answers."""
    folder = tmp_path_factory.mktemp("probe")
    done = run(aws, folder, "--yes", "--wait-minutes", "0", "--out", "answers.json")
    assert done.returncode == 0, done.stdout + done.stderr
    content: dict[str, Any] = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    return done.stdout, content


def test_the_cost_is_told_before_anything_is_made(ran: tuple[str, dict[str, Any]]) -> None:
    """The sum of the bill comes first, and is what the script says of itself: cents."""
    printed, _ = ran
    told, made = printed.index("USD  in all"), printed.index("Making what the experiments share")
    total = float(printed[:told].split()[-1])

    assert told < made
    assert 0 < total < 0.1


def test_every_experiment_is_answered_with_date_and_region(ran: tuple[str, dict[str, Any]]) -> None:
    """Each answer has its facts, its question, its date and evidence; none failed on the way."""
    _, content = ran
    named = {name for fact in parity.load().facts for name in fact.experiments}

    assert content["region"] == REGION
    assert named - {"compliance"} <= content["answers"].keys()
    for name, answer in content["answers"].items():
        assert not answer["summary"].startswith("failed"), f"{name}: {answer['summary']}"
        assert answer["evidence"], name
        assert answer["date"] >= content["date"], name


def test_experiments_and_facts_name_each_other(ran: tuple[str, dict[str, Any]]) -> None:
    """A fact that names an experiment is one of its facts, and each unverified fact of an experiment names one."""
    _, content = ran
    facts = {fact.id: fact for fact in parity.load().facts}

    for fact in facts.values():
        for name in fact.experiments:
            # The lock for good is asked only on demand.
            assert name == "compliance" or fact.id in content["answers"][name]["facts"]
    for name, answer in content["answers"].items():
        for fact_id in answer["facts"]:
            assert fact_id in facts, f"{name} settles {fact_id}, which is no fact"
            assert name in facts[fact_id].experiments or parity.UNVERIFIED not in facts[fact_id].known, fact_id


def test_nothing_is_left(aws: str, ran: tuple[str, dict[str, Any]]) -> None:
    """After a run the account holds nothing of it, and the file says so and names what was made."""
    _, content = ran

    assert not [name for name in in_account(aws) if name.startswith(PREFIX)]
    assert content["left"] == []
    assert {made["kind"] for made in content["made"]} == {
        *("role", "function", "database", "bucket", "locked bucket", "stream", "api", "workgroup")
    }


def test_without_a_yes_nothing_is_made(aws: str, tmp_path: Path) -> None:
    """The question is answered with anything but yes: nothing happens, and no file is written."""
    before = in_account(aws)
    done = run(aws, tmp_path, stdin="\n")

    assert done.returncode == 0
    assert "Nothing was made" in done.stdout
    assert in_account(aws) == before
    assert not list(tmp_path.iterdir())


def test_an_interrupt_cleans_up(aws: str, tmp_path: Path) -> None:
    """Ctrl-C in the middle removes what was made until then."""
    arguments = ("--yes", "--wait-minutes", "5", "--out", "answers.json")
    with subprocess.Popen(
        command(aws, *arguments), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        waiting = next((line for line in process.stdout if "waiting for" in line), None)
        made = {name for name in in_account(aws) if name.startswith(PREFIX)}
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    assert waiting is not None
    assert made, "the interrupt came after something was made"
    assert process.returncode == 130, rest
    assert "Interrupted" in rest
    assert not [name for name in in_account(aws) if name.startswith(PREFIX)]


def test_what_cannot_be_removed_is_listed(aws: str, tmp_path: Path) -> None:
    """An object that a lock holds keeps its bucket in the account; the probe says so, in the file too, and fails."""
    bucket = f"{PREFIX}held"
    s3 = client(aws, "s3")
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    version = s3.put_object(Bucket=bucket, Key="held", Body=b"x", ObjectLockLegalHoldStatus="ON")["VersionId"]
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"region": REGION, "made": [{"kind": "locked bucket", "name": bucket}]}))

    done = run(aws, tmp_path, "--remove", str(file))

    assert done.returncode == 1, done.stdout + done.stderr
    assert f"LEFT IN THE ACCOUNT: locked bucket {bucket}" in done.stdout
    assert bucket in in_account(aws)
    assert len(json.loads(file.read_text())["left"]) == 1

    s3.put_object_legal_hold(Bucket=bucket, Key="held", VersionId=version, LegalHold={"Status": "OFF"})
    assert run(aws, tmp_path, "--remove", str(file)).returncode == 0
    assert bucket not in in_account(aws)


def test_a_lock_for_good_is_made_only_on_demand(aws: str, ran: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """COMPLIANCE needs its own option, which says before the question what it costs."""
    _, content = ran
    asked = run(aws, tmp_path, "--with-compliance", stdin="n\n")

    assert not [made for made in content["made"] if "compliance" in made["name"]]
    assert "nobody, not even the account's root, can delete" in asked.stdout
    assert "Nothing was made" in asked.stdout
