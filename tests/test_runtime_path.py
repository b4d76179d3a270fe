"""The path's eight stages."""

import json
from pathlib import Path

from auditlake import runtime
from auditlake.runtime.path import STAGES
from auditlake.runtime.plan import Plan
from auditlake.runtime.plan_reader import parse_plan
from auditlake.runtime.planned import plan_text, read_resources
from tests.wire import Resource, write_plan


def test_the_path_is_the_eight_words_in_order() -> None:
    """The words are the design's, everywhere the same."""
    assert [stage.name for stage in STAGES] == [
        "post", "validate", "deliver", "transform", "partition", "convert", "store", "query",
    ]  # fmt: skip


def test_every_stage_has_its_file() -> None:
    """Each stage names a file that is there, and is named for it."""
    package = Path(runtime.__file__).parent.parent
    for stage in STAGES:
        assert (package / stage.file).is_file()
        assert Path(stage.file).stem == stage.name


def of_stages(text: str) -> dict[str, tuple[str, str]]:
    """Return what does each stage on AWS, and its settings."""
    plan, resources = parse_plan(text, "the plan"), read_resources(text, "the plan")
    return {stage.name: (stage.resource(plan, resources), stage.settings(plan)) for stage in STAGES}


def test_every_stage_names_addresses_of_the_plan() -> None:
    """What is shown can be given to `terraform state show`."""
    text, source = plan_text()
    addresses = {resource.address for resource in read_resources(text, source)}
    shown = of_stages(text)
    named = {
        word.strip(";,") for resource, _ in shown.values() for word in resource.split() if word.startswith("module.")
    }

    assert named <= addresses
    assert shown["store"][0] == "module.storage.aws_s3_bucket.events"
    assert shown["transform"][0] == "module.delivery.aws_lambda_function.transform"
    assert shown["validate"][0] == (
        "/events: request validator and model in the body of module.ingest.aws_api_gateway_rest_api.events; "
        "/events/batch: module.ingest.aws_lambda_function.receiver"
    )
    assert "/events: service integration of module.ingest.aws_api_gateway_rest_api.events" in shown["deliver"][0]
    assert "/events without a Lambda" in shown["deliver"][1]


def test_in_receiver_mode_the_receiver_validates_and_delivers(tmp_path: Path) -> None:
    """No service integration and no validator of the API is shown where the plan has none."""

    def through_the_receiver(kind: str, values: Resource) -> None:
        if kind == "aws_api_gateway_rest_api":
            document = json.loads(values["body"])
            document["paths"]["/events"]["post"] = document["paths"]["/events/batch"]["post"]
            values["body"] = json.dumps(document)

    shown = of_stages(write_plan(tmp_path / "plan.json", through_the_receiver).read_text(encoding="utf-8"))
    receiver = "module.ingest.aws_lambda_function.receiver"
    for stage in ("validate", "deliver"):
        assert shown[stage][0] == f"/events: {receiver}; /events/batch: {receiver}"
        assert "JSON Schema" not in shown[stage][1]
    assert "each route through the receiver Lambda" in shown["deliver"][1]


def test_every_stage_tells_the_plans_settings(plan: Plan) -> None:
    """The settings shown are the plan's own."""
    settings = {stage.name: stage.settings(plan) for stage in STAGES}

    assert plan.stream.name in settings["deliver"]
    assert plan.stream.prefix == settings["partition"]
    assert plan.bucket.name in settings["store"]
    assert all(settings.values())
