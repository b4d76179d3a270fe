"""The path's eight stages."""

from pathlib import Path

from auditlake import runtime
from auditlake.runtime.path import STAGES
from auditlake.runtime.plan import Plan


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


def test_every_stage_tells_the_plans_settings(plan: Plan) -> None:
    """The settings shown are the plan's own."""
    settings = {stage.name: stage.settings(plan) for stage in STAGES}

    assert plan.stream.name in settings["deliver"]
    assert plan.stream.prefix == settings["partition"]
    assert plan.bucket.name in settings["store"]
    assert all(settings.values())
