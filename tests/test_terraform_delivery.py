"""The module delivery: its own tests, and the guards that hold together what is written in it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.terraform_runs import (
    MODULES,
    assert_every_rule_has_a_failing_run,
    assert_own_tests_pass,
    failure,
    initialised,
)

# What somebody might change in the module -> what the plan answers.
ENCRYPTED_TWICE = ("for_each = var.kinesis_stream == null ? [true] : []", "for_each = [true]")
MISTAKES = {
    ('compression_format = "UNCOMPRESSED"', 'compression_format = "GZIP"'): (
        "compression_format must be UNCOMPRESSED when record format conversion is enabled"
    ),
    ("processing_configuration {\n      enabled = true", "processing_configuration {\n      enabled = false"): (
        "Processing Configuration is not enabled when DataPartitioning is enabled."
    ),
    ('type = "Lambda"', 'type = "MetadataExtraction"'): (
        "Lambda should be present when S3 Prefix contains keys from partitionKeyFromLambda namespace"
    ),
    ("prefix              = local.events_prefix", 'prefix = "events/"'): (
        "S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled."
    ),
    ("${var.bucket.errors_prefix}!{firehose:error-output-type}/", "${var.bucket.errors_prefix}"): (
        "error_output_prefix must contain !{firehose:error-output-type}"
    ),
    ('parameter_name  = "LambdaArn"', 'parameter_name = "BufferSizeInMBs"'): (
        "BufferSizeInMBs and BufferIntervalInSeconds must be set together or not at all"
    ),
    # This the provider refuses by itself.
    ENCRYPTED_TWICE: '"server_side_encryption": conflicts with kinesis_source_configuration',
    ("timeout = 120", "timeout = 3"): "timeout must lie between 60 and 300 seconds",
}


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the module's plan answers when all mistakes of a file are made at once, file by file."""
    folder = initialised(tmp_path_factory.mktemp("stack"), "delivery")
    together = [mistake for mistake in MISTAKES if mistake != ENCRYPTED_TWICE]
    # Terraform skips the runs after the first that fails, and only a later one has a data stream.
    alone = _answer(folder, folder / "stream.tf", [ENCRYPTED_TWICE])
    return " ".join([alone, *(_answer(folder, folder / file, together) for file in ("stream.tf", "transform.tf"))])


def _answer(folder: Path, file: Path, mistakes: Sequence[tuple[str, str]]) -> str:
    right_text = wrong_text = file.read_text()
    for right, wrong in mistakes:
        wrong_text = wrong_text.replace(right, wrong, 1)
    file.write_text(wrong_text)
    try:
        return failure(folder, "test", "-no-color", "-filter=tests/delivery.tftest.hcl")
    finally:
        file.write_text(right_text)


def test_own_tests_pass(tmp_path: Path) -> None:
    """The runs in the module's tests pass with a mocked provider."""
    assert_own_tests_pass(initialised(tmp_path, "delivery"))


def test_every_rule_has_a_failing_run() -> None:
    """Each validation and precondition of the module is broken by a run of its tests."""
    assert_every_rule_has_a_failing_run(MODULES / "delivery")


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake[1].split("\n")[-1].strip())
def test_a_change_that_firehose_would_refuse_is_refused_by_the_plan(answer: str, mistake: tuple[str, str]) -> None:
    """Changing one half of what belongs together fails the plan with AWS's reason."""
    source = "".join((MODULES / "delivery" / file).read_text() for file in ("stream.tf", "transform.tf"))
    assert mistake[0] in source
    assert MISTAKES[mistake] in answer
