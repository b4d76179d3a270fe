"""The runtime against its own OpenAPI document, as a fuzzer reads it."""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.transport import Response

from auditlake.runtime.plan import Plan
from tests.http_servers import Served, serving

CASES = int(os.environ.get("AUDITLAKE_CASES", "200")) // 4
"""For each of two operations and modes: what fits the document, and what breaks it. AUDITLAKE_CASES=2000 by hand."""


@pytest.fixture(scope="module")
def served(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A runtime of the default plan."""
    with serving(plan, tmp_path_factory.mktemp("data")) as served:
        yield served


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "breaking"])
@pytest.mark.parametrize("path", ["/events", "/events/batch"])
def test_every_answer_is_one_of_the_document(served: Served, plan: Plan, path: str, mode: GenerationMode) -> None:
    """Whatever comes, no answer is a 5xx, each is declared for its method, and its body is as declared."""
    operation = schemathesis.openapi.from_dict(dict(plan.api.document))[path]["POST"]
    declared = plan.api.document["paths"][path]["post"]["responses"]
    seen: Counter[int] = Counter()

    @settings(
        max_examples=CASES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def check(case: Case[Any]) -> None:
        answer: Response = case.call(base_url=served.url)
        assert answer.status_code < 500, answer.text
        assert str(answer.status_code) in declared, answer.text
        content_type = answer.headers["content-type"][0].partition(";")[0]
        assert content_type in declared[str(answer.status_code)]["content"], answer.text
        case.operation.validate_response(answer)
        seen[answer.status_code] += 1

    check()
    assert seen.total() >= CASES // 2
    if mode is GenerationMode.POSITIVE and path == "/events":
        assert seen[202], seen
