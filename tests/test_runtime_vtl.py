"""Mapping templates."""

import base64
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.runtime import vtl
from auditlake.runtime.plan import Plan
from auditlake.runtime.vtl_values import Claims


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
        ("$context", "", "{identity={}}"),
        ("$input.path('$.a').isEmpty() $input.path('$.b').isEmpty()", '{"a": [], "b": {"c": 1}}', "true false"),
        ("#foreach($e in $input.path('$').entrySet())$e.key=$e.value;#end", '{"a": 1, "b": "x"}', "a=1;b=x;"),
        ("$input.path('$').values() $input.path('$').remove('a')", '{"a": 1}', "[1] 1"),
        ("#set($m = {})#set($n = $m.put('k', 1))$m.k", "", "1"),
        ("#set($l = $input.path('$'))#set($n = $l.add(3))$l.toString()", "[1]", "[1, 3]"),
        ("$input.body.toUpperCase().trim().concat('!')", " a ", "A!"),
        ("$input.body.split(',').get(1) $input.body.indexOf('x') $input.body.endsWith('b')", "a,b", "b -1 true"),
        (
            "$input.body.equalsIgnoreCase('AB') $input.body.equals('AB') $input.body.lastIndexOf('b')",
            "ab",
            "true false 1",
        ),
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
    context: dict[str, object] = {"responseOverride": vtl.Overrides()}
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
    assert len(vtl.render("x" * vtl.MAX_TEMPLATE_BYTES, "", {})) == vtl.MAX_TEMPLATE_BYTES
    with pytest.raises(vtl.TemplateError, match="307200 bytes"):
        vtl.render("x" * (vtl.MAX_TEMPLATE_BYTES + 1), "", {})


def test_a_loop_runs_a_thousand_times_and_no_more() -> None:
    """At the limit it runs; beyond it the request fails, rather than losing the rest in silence."""
    template = "#foreach($x in $input.path('$'))$x#end"
    assert vtl.render(template, json.dumps([1] * vtl.MAX_ITERATIONS), {}) == "1" * vtl.MAX_ITERATIONS

    with pytest.raises(vtl.TemplateError, match="runs 1001 times; API Gateway takes 1000"):
        vtl.render(template, json.dumps([1] * (vtl.MAX_ITERATIONS + 1)), {})
    with pytest.raises(vtl.TemplateError, match="runs 2000 times"):
        vtl.render("#if(true)#foreach($i in [1..2000])$i#end#end", "", {})


@pytest.mark.parametrize(
    "template",
    [
        "#set($context.responseOverride.status = 400)#set($context.responseOverride.status = 400)",
        "#set($context.responseOverride.header.A = 1)#set($context.responseOverride.header.a = 2)",
    ],
)
def test_a_parameter_is_overridden_once(template: str) -> None:
    """A second override of one parameter fails the request, a header's whatever its case."""
    with pytest.raises(vtl.TemplateError, match="twice"):
        vtl.render(template, "", {"responseOverride": vtl.Overrides()})


PASSTHROUGH = """
{
"params" : {
#set($all = $input.params())
#foreach($place in $all.keySet())
#set($given = $all.get($place))
"$place" : {
#foreach($name in $given.keySet())
"$name" : "$util.escapeJavaScript($given.get($name))"#if($foreach.hasNext),#end

#end
}#if($foreach.hasNext),#end

#end
},
"stage" : {
#foreach($key in $stageVariables.keySet())
"$key" : "$util.escapeJavaScript($stageVariables.get($key))"#if($foreach.hasNext),#end

#end
},
"one" : "$stageVariables.table ${stageVariables['table']}",
"header" : "$util.urlEncode($input.params().header.get('x-trace'))"
}
"""
"""Everything that a template can ask of the parameters and the stage variables."""


def test_all_parameters_and_stage_variables_can_be_walked() -> None:
    """The maps of `$input.params()` and `$stageVariables` have Java's methods, in the order path, query, header."""
    parameters = {"header": {"x-trace": 't"'}, "querystring": {"q": "1", "r": ""}, "path": {"id": "7"}}
    rendered = json.loads(vtl.render(PASSTHROUGH, "", {}, parameters, {"table": "events"}))

    assert list(rendered["params"]) == ["path", "querystring", "header"]
    assert rendered["params"] == parameters
    assert (rendered["stage"], rendered["one"], rendered["header"]) == ({"table": "events"}, "events events", "t%22")


def test_a_claim_is_found_while_all_claims_are_null() -> None:
    """Each claim is text under its name, also one with a colon; the map itself prints nothing."""
    context = {"authorizer": {"claims": Claims({"sub": "s", "custom:role": "r"})}}
    template = "$context.authorizer.claims.sub $context.authorizer.claims['custom:role'] [$context.authorizer.claims]"
    assert vtl.render(template, "", context) == "s r []"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("#if($input.path('$').a.hashCode() == 1)x#end", r"hashCode\(\)"),
        ("#foreach($x in $input.path('$').subList(0, 1))x#end", r"subList\(\)"),
        ("#if((1 == 1) && $input.body.codePointAt(0))x#end", r"codePointAt\(\)"),
        ("$util.base64Encode($input.body.getBytes())", r"getBytes\(\)"),
        ('"$input.body.strip()"', r"strip\(\)"),
        ('#set($a = "x $input.body.getBytes()")', r"getBytes\(\)"),
        ("#set($context.requestOverride.header.X = 1)", "requestOverride"),
        ("line\n#if($x", r"cannot be parsed: line 2, column 7: expected"),
    ],
)
def test_what_a_template_asks_in_vain_is_named(template: str, words: str) -> None:
    """A method that Velocity would find in Java, and an override of the request, are refused before any event."""
    with pytest.raises(vtl.TemplateError, match=words):
        vtl.check(template)


def test_the_plans_templates_pass_the_check(plan: Plan) -> None:
    """Nothing that the default document uses is refused."""
    for path in plan.api.document["paths"].values():
        for definition in path.values():
            integration = definition["x-amazon-apigateway-integration"]
            for template in integration.get("requestTemplates", {}).values():
                vtl.check(template)
