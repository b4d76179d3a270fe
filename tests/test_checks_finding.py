"""How checks read the values of a plan: what is not known is not the same as what is not set."""

import pytest

from auditlake.checks.finding import Known, Planned, not_set, number, outside
from auditlake.parity import KNOWN
from auditlake.runtime.planned import Resource, block, blocks


def bucket(name: str, **values: object) -> Resource:
    """A bucket of a plan."""
    return Resource(f"aws_s3_bucket.{name}", "aws_s3_bucket", {"bucket": name, **values})


def policy(name: str, **values: object) -> Resource:
    """A bucket policy of a plan."""
    return Resource(f"aws_s3_bucket_policy.{name}", "aws_s3_bucket_policy", values)


def test_a_block_is_the_first_of_its_list() -> None:
    """A path leads through blocks; where one is missing, null or empty, what lies below is empty."""
    values = {"a": [{"b": [{"c": 1}, {"c": 2}], "d": None, "e": []}]}
    assert block(values, "a", "b") == {"c": 1}
    assert blocks(block(values, "a"), "b") == [{"c": 1}, {"c": 2}]
    assert block(values, "a", "d") == block(values, "a", "e") == block(values, "z", "b") == {}


def test_what_is_missing_is_not_known_and_what_is_null_is_not_set() -> None:
    """Terraform leaves out of the planned values what it knows only after the apply."""
    assert not_set({"a": None}, "a")
    assert not_set({"a": ""}, "a")
    assert not not_set({}, "a")
    assert not not_set({"a": "x"}, "a")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(5, 5), ("5", 5), ("0.2", 0.2), (2.0, 2), (True, None), ("many", None), (None, None), ([5], None)],
)
def test_numbers_may_be_written_as_text(value: object, expected: float | None) -> None:
    """Parameters of processors are strings; a whole number stays whole, and a boolean is none."""
    found = number(value)
    assert found == expected
    assert type(found) is type(expected)


def test_only_a_number_can_lie_outside_a_range() -> None:
    """What is not known, or no number, is not judged; the ends of the range lie inside."""
    assert outside(0, 1)
    assert outside(129, 1, 128)
    assert not any(outside(value, 1, 128) for value in (1, 128, None, "x", True))


def test_resources_belong_to_the_bucket_that_they_name() -> None:
    """A resource that names its bucket is that bucket's, whatever else the plan holds."""
    planned = Planned((bucket("a"), bucket("b"), policy("one", bucket="a"), policy("two", bucket="b")))
    assert [r.address for r in planned.beside(bucket("a"), "aws_s3_bucket_policy") or ()] == [
        "aws_s3_bucket_policy.one"
    ]


def test_a_resource_of_unknown_bucket_belongs_to_the_only_one() -> None:
    """With one bucket it is that bucket's; with two the plan does not say, and so says None."""
    alone = Planned((bucket("a"), policy("one")))
    assert [r.address for r in alone.beside(bucket("a"), "aws_s3_bucket_policy") or ()] == ["aws_s3_bucket_policy.one"]

    several = Planned((bucket("a"), bucket("b"), policy("one")))
    assert several.beside(bucket("a"), "aws_s3_bucket_policy") is None


def test_how_well_a_fact_is_known_is_said_in_the_parity_tables_words() -> None:
    """`doctor` and docs/parity.md use the same words for the same thing."""
    assert {known.value for known in Known} == set(KNOWN)
