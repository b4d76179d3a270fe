"""What AWS refuses of a stream's prefixes: each fault, planted alone, is found once by its name."""

import pytest

from auditlake.checks.prefix_refusals import REFUSALS
from tests.broken_plans import Draft, Edit, names, put

FAULTS: list[tuple[str, Edit]] = [
    ("partitioning-without-namespace", lambda d: put(d.s3, prefix="events/!{timestamp:yyyy}/")),
    ("namespace-without-partitioning", lambda d: put(d.s3, dynamic_partitioning_configuration=[])),
    ("error-prefix-missing", lambda d: put(d.s3, error_output_prefix=None)),
    ("error-prefix-without-type", lambda d: put(d.s3, error_output_prefix="errors/!{timestamp:yyyy}/")),
    ("error-prefix-without-type", lambda d: put(d.s3, error_output_prefix="errors/")),
    (
        "error-prefix-with-keys",
        lambda d: put(d.s3, error_output_prefix="errors/!{firehose:error-output-type}/!{partitionKeyFromLambda:year}/"),
    ),
    ("prefix-with-error-type", lambda d: put(d.s3, prefix=d.s3["prefix"] + "!{firehose:error-output-type}/")),
    (
        "prefix-stored-length",
        lambda d: put(d.s3, prefix="events/!{partitionKeyFromLambda:year}/!{timestamp:" + "'x'" * 400 + "}/"),
    ),
    ("prefix-evaluated-length", lambda d: put(d.s3, prefix=d.s3["prefix"] + "x" * 500)),
    ("prefix-expression-syntax", lambda d: put(d.s3, prefix=d.s3["prefix"] + "!{timestamp:yyyy/")),
    ("prefix-expression-syntax", lambda d: put(d.s3, prefix=d.s3["prefix"] + "!{random-string}/")),
    ("prefix-expression-namespace", lambda d: put(d.s3, prefix=d.s3["prefix"] + "!{time:yyyy}/")),
    ("prefix-expression-value", lambda d: put(d.s3, prefix=d.s3["prefix"] + "!{firehose:random}/")),
    ("prefix-expression-value", lambda d: put(d.s3, prefix=d.s3["prefix"] + "!{timestamp:yyyy/Tbb}/")),
]

FINE: list[tuple[str, Edit]] = [
    ("quoted text in a timestamp", lambda d: put(d.s3, prefix=d.s3["prefix"] + "!{timestamp:'Tbb'yyyy}/")),
    ("a prefix that is not known yet", lambda d: d.s3.pop("prefix")),
    ("an error prefix that is not known yet", lambda d: d.s3.pop("error_output_prefix")),
]


@pytest.mark.parametrize(("name", "edit"), FAULTS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(FAULTS)])
def test_a_planted_fault_is_found_once_by_its_name(name: str, edit: Edit) -> None:
    """The default plan with one fault has one finding, the fault."""
    assert names(edit) == [name]


@pytest.mark.parametrize("edit", [edit for _, edit in FINE], ids=[what for what, _ in FINE])
def test_what_aws_takes_is_not_found(edit: Edit) -> None:
    """Values at the edge of what AWS takes, and values that are not known before the apply, have no finding."""
    assert names(edit) == []


def test_every_check_has_a_planted_fault() -> None:
    """No check is without a plan that it finds something in."""
    assert {check.name for check in REFUSALS} == {name for name, _ in FAULTS}


@pytest.mark.parametrize(
    ("suffix", "words"),
    [
        ("!{time:yyyy}/", "Namespace to the left of colon (time) is an invalid keyword!"),
        ("!{firehose:random}/", "Invalid conversion character used in the value of the expression in Prefix"),
        ("x" * 500, "Length of evaluated prefix cannot be greater than 512"),
    ],
)
def test_the_words_of_a_prefix_are_those_of_its_fault(suffix: str, words: str) -> None:
    """Where AWS's message names what came, ours does too."""
    draft = Draft()
    draft.s3["prefix"] += suffix
    assert [finding.aws for finding in draft.findings()] == [words]
