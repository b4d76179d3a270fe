"""Mapping templates."""

import base64
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.runtime import vtl


def recorded_cases(shared_data: Path) -> list[tuple[str, str, str, str]]:
    """Read the recorded table: template, payload, status code, result."""
    rows = re.findall(
        r"^`(.*)`\|`None`\|`(.*)`\|`(\d+)`\|`(.*)`$",
        (shared_data / "conformance" / "vtl-recorded.md").read_text(),
        re.MULTILINE,
    )
    return [(template, payload, status, result) for template, payload, status, result in rows]


def test_every_recorded_template_renders_as_the_service_rendered_it(shared_data: Path) -> None:
    """Each template that was recorded against API Gateway gives the recorded text or the recorded refusal."""
    cases = recorded_cases(shared_data)
    assert len(cases) == 15
    for template, payload, status, result in cases:
        if status == "400":
            with pytest.raises(vtl.PayloadError, match="Could not process payload"):
                vtl.render(template, payload, {})
        else:
            assert vtl.render(template, payload, {}) == result, (template, payload)


@pytest.mark.parametrize(
    ("template", "body", "rendered"),
    [
        ("$input.path('$.a')", '{"a": {"b": [1, "x", null, true]}}', "{b=[1, x, null, true]}"),
        ("$input.json('$.a')", '{"a": {"b": "é"}}', '{"b": "é"}'),
        ("$input.path('$.a').size()", '{"a": [1, 2]}', "2"),
        ("$input.path('$.a').get(1)", '{"a": [1, 2]}', "2"),
        ("$input.path('$').keySet() $input.path('$').containsKey('a')", '{"a": [1, 2]}', "[a] true"),
        ("$util.urlEncode('a b&c')", "", "a+b%26c"),
        ("$util.urlDecode('a+b%26c')", "", "a b&c"),
        ("$util.base64Decode('aGk=')", "", "hi"),
        ("$util.parseJson('{\"k\": 3}').k", "", "3"),
        ("#foreach($x in $input.path('$.a'))$x#if($foreach.hasNext),#end#end", '{"a": [1, 2]}', "1,2"),
        ("$!context.identity.userArn.", "", "."),
    ],
)
def test_documented_functions(template: str, body: str, rendered: str) -> None:
    """The documented functions give what the documentation says."""
    assert vtl.render(template, body, {"identity": {}}) == rendered


def test_escape_javascript_escapes_the_apostrophe_as_the_service_does() -> None:
    """An apostrophe comes out as a JavaScript escape, which a template must replace back for JSON."""
    assert vtl.escape_javascript('o\'neil "x"\n') == 'o\\\'neil \\"x\\"\\n'


@given(st.text(st.characters(codec="utf-8")))
def test_escaped_text_is_json_once_the_apostrophe_is_put_back(text: str) -> None:
    """What the principal's escaping in our template does keeps every text whole."""
    assert json.loads('"' + vtl.escape_javascript(text).replace("\\'", "'") + '"') == text


@given(st.text(st.characters(codec="utf-8")))
def test_the_body_goes_through_base64_unchanged(body: str) -> None:
    """`$util.base64Encode($input.body)` keeps every body exactly."""
    assert base64.b64decode(vtl.render("$util.base64Encode($input.body)", body, {})).decode() == body


def test_a_response_override_is_found_in_the_context() -> None:
    """A template's override of status and header reaches the caller."""
    context: dict[str, object] = {"responseOverride": {"header": {}}}
    vtl.render(
        '#set($context.responseOverride.status = 413)#set($context.responseOverride.header.Retry-After = "1")',
        "",
        context,
    )
    assert context["responseOverride"] == {"status": 413, "header": {"Retry-After": "1"}}


def test_parameters_are_found_by_place_and_headers_whatever_their_case() -> None:
    """`$input.params` looks in path, query string and headers."""
    parameters = {"header": {"X-Trace": "t"}, "querystring": {"q": "1"}}
    assert vtl.render("$input.params('x-trace') $input.params('q')", "", {}, parameters) == "t 1"


def test_a_wrong_template_is_a_sentence() -> None:
    """A template that cannot be parsed says so."""
    with pytest.raises(vtl.TemplateError, match="cannot be rendered"):
        vtl.render("#if($x", "", {})


def test_a_wrong_json_path_is_a_sentence() -> None:
    """A JSONPath that cannot be parsed is named."""
    with pytest.raises(vtl.TemplateError, match="JSONPath"):
        vtl.render("$input.path('$.[')", "{}", {})


def test_a_template_over_the_limit_is_refused() -> None:
    """A template longer than API Gateway takes is refused, naming the limit."""
    with pytest.raises(vtl.TemplateError, match="307200 bytes"):
        vtl.render("x" * (vtl.MAX_TEMPLATE_BYTES + 1), "", {})
