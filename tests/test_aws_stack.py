"""The names of a stack, by its plan or by its outputs."""

import json
from pathlib import Path

import pytest

from auditlake.aws_ask import Aws
from auditlake.aws_stack import load_promise, names_of_plan, plan_region, read_outputs, read_plan_file
from auditlake.errors import PlanError
from tests.moto_server import moto_server


def test_the_default_plan_is_read_for_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a plan the promises are the defaults', in the region that is asked."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    with moto_server() as url:
        aws = Aws(url, "eu-central-1")
        names = names_of_plan(load_promise(read_plan_file(None), aws), aws)
    assert (names.stream, names.bucket) == ("auditlake-events", "auditlake-events-123456789012")
    assert names.topic == "arn:aws:sns:eu-central-1:123456789012:auditlake-alarms"
    assert "auditlake-delivery-gives-up" in names.alarms


def test_a_plan_says_its_region() -> None:
    """A plan that is given need not be told --region; that of the defaults has none of its own."""
    default = Path(__file__).parent.parent / "auditlake" / "runtime" / "default_plan.json"
    assert (plan_region(read_plan_file(default)), plan_region(read_plan_file(None))) == ("us-east-1", None)


def test_outputs_say_the_names(tmp_path: Path) -> None:
    """Region and account are those of the stream's ARN."""
    stream = {"name": "n-events", "arn": "arn:aws:firehose:eu-west-1:111122223333:deliverystream/n-events"}
    values = {"stream": stream, "bucket": "n", "endpoint": "https://e/v1", "alarms": {"latency": "n-latency"}}
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps({name: {"value": value} for name, value in values.items()}))
    names = read_outputs(path)
    assert (names.region, names.account_id, names.stream) == ("eu-west-1", "111122223333", "n-events")
    assert (names.alarms, names.topic) == (("n-latency",), "")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stream": {"value": {"arn": "x"}}}'])
def test_what_is_no_outputs_is_refused(tmp_path: Path, text: str) -> None:
    """In a sentence that says how to make them."""
    path = tmp_path / "outputs.json"
    path.write_text(text)
    with pytest.raises(PlanError, match="terraform -chdir=terraform output -json"):
        read_outputs(path)
