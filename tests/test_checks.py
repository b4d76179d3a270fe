"""All checks together."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditlake.checks import REFUSALS, WARNINGS, check_creation
from auditlake.errors import PlanError
from auditlake.runtime.planned import read_resources
from tests.broken_plans import Draft

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def test_the_default_plan_has_no_finding() -> None:
    """AWS takes the plan of the defaults, and nothing in it is known to do harm."""
    assert Draft().findings() == []


def test_every_check_has_a_name_of_its_own() -> None:
    """A finding's name leads to one check."""
    names = [check.name for check in (*REFUSALS, *WARNINGS)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("check", [*REFUSALS, *WARNINGS], ids=lambda check: check.name)
def test_what_a_check_says_is_one_sentence(check: Any) -> None:  # noqa: ANN401 - parametrised
    """What is wrong and what to do are whole sentences."""
    for words in (check.says, check.advice):
        assert words[0].isupper() or words[0] == "`"
        assert words.endswith(".")
        assert ". " not in words


def test_a_plan_that_aws_would_refuse_is_refused_with_its_message() -> None:
    """Each refusal is a line with the resource, the attribute, what came, AWS's words and what to do."""
    draft = Draft()
    draft.s3["buffering_size"] = 5
    draft.s3["compression_format"] = "GZIP"
    with pytest.raises(PlanError) as caught:
        check_creation(draft.resources)

    assert str(caught.value).splitlines()[0] == "AWS would refuse this plan:"
    assert str(caught.value).splitlines()[1] == (
        "  module.delivery.aws_kinesis_firehose_delivery_stream.events: extended_s3_configuration.buffering_size = 5: "
        'AWS: "BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled." '
        "Set buffering_size between 64 and 128."
    )
    assert len(str(caught.value).splitlines()) == 3


def test_what_does_harm_is_not_refused() -> None:
    """A plan with nothing but traps starts."""
    draft = Draft()
    draft.values("aws_s3_bucket", ".events")["force_destroy"] = True
    check_creation(draft.resources)


def test_the_checks_need_none_of_the_resources() -> None:
    """A plan of something else altogether has no finding."""
    check_creation(read_resources('{"planned_values": {"root_module": {}}}', "an empty plan"))


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_value_of_a_free_form_stops_the_checks(data: st.DataObject) -> None:
    """Whatever stands in the API's document or in a policy, the checks answer."""
    draft = Draft()
    api = draft.values("aws_api_gateway_rest_api")
    document = json.loads(api["body"])
    holder, key = data.draw(st.sampled_from(_members(document)))
    holder[key] = data.draw(JSON)
    api["body"] = json.dumps(document)
    draft.values("aws_s3_bucket_policy", '["events"]')["policy"] = json.dumps(data.draw(JSON))
    draft.findings()


def _members(value: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 - any JSON
    """Return every place in a JSON value, as its holder and its key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [place for key in keys for place in _members(value[key])]
