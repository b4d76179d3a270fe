"""Compiled mapping templates beside the interpreter: the same text, the same changes, the same errors."""

import copy
import re
from typing import Any

import airspeed
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from auditlake.runtime import vtl
from auditlake.runtime.plan import Plan
from auditlake.runtime.vtl_compile import compile_template
from auditlake.runtime.vtl_values import JavaList, JavaMap

NAMES = st.sampled_from(["a", "b", "context", "input", "util", "missing"])
MEMBERS = st.sampled_from(
    [
        *("x", "y", "body", "list", "text", "size()", "toUpperCase()", "length()", "contains('x')", "get('x')"),
        *("isEmpty()", "put('x', 1)", "replaceAll('x', \"$a\")", "base64Encode($b)", "json('$')", "path('$.x')"),
        *("nothing()", "add(1)", "substring(1)", "path('$.[')", "split(',')", "toString()"),
    ]
)
TEXTS = st.text(st.sampled_from("xy {}[]()!,;:=.\n\té§'"), max_size=6)
REFERENCES = st.builds(
    lambda form, name, members: form % ".".join([name, *members]),
    st.sampled_from(["$%s", "$!%s", "${%s}", "$!{%s}", "${%s|'other'}", "${%s|$a}"]),
    NAMES,
    st.lists(MEMBERS, max_size=3),
)
QUOTED = st.lists(st.one_of(TEXTS.filter(lambda text: '"' not in text), REFERENCES), max_size=4).map(
    lambda parts: '"' + "".join(parts) + '"'
)
VALUES = st.one_of(
    st.sampled_from(["1", "-2", "0.5", "true", "false", "null", "'single $a'", "(1 + 2)", "!true", "not $a", "[1, 2]"]),
    REFERENCES,
    QUOTED,
)
OPERATORS = st.sampled_from(["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||", "and", "gt"])
EXPRESSIONS = st.builds(
    lambda first, rest: first + "".join(f" {operator} {value}" for operator, value in rest),
    VALUES,
    st.lists(st.tuples(OPERATORS, VALUES), max_size=3),
)
TARGETS = st.sampled_from(
    ["a", "b", "q", "context.x", "context.override.status", "context['text']", "a.b.c", "missing.x"]
)
SETS = st.builds(lambda target, value: f"#set(${target} = {value})", TARGETS, EXPRESSIONS)
PLAIN = st.one_of(
    TEXTS, REFERENCES, SETS, st.sampled_from(["## comment\n", "#* more *#", "#ffffff", "$", "\\$a", "$1"])
)


def branches(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """An #if over blocks of `inner`."""
    blocks = st.lists(inner, max_size=3).map("".join)
    return st.builds(
        lambda condition, then, other, second, last: f"#if({condition}){then}#elseif({other}){second}#else{last}#end",
        EXPRESSIONS,
        blocks,
        EXPRESSIONS,
        blocks,
        blocks,
    )


STATEMENTS = st.one_of(PLAIN, PLAIN, branches(st.one_of(PLAIN, PLAIN, branches(PLAIN))))
TEMPLATES = st.lists(STATEMENTS, min_size=1, max_size=6).map("".join)


def names() -> dict[str, Any]:
    """Variables of every kind that a template meets."""
    context = JavaMap(x="xyx", y=None, list=JavaList(["x", 1]), text="line", override=vtl.Overrides(), m=JavaMap(x=1))
    return {
        "a": "x",
        "context": context,
        "input": vtl.Input('{"x": {"y": [1, null]}, "body": "b"}', {"header": {"x": "h"}}),
        "util": vtl.Util(),
    }


def outcome(render: Any, given: dict[str, Any]) -> tuple[str, str, str]:  # noqa: ANN401 - either way to render
    """What a rendering gives: its text or its error, and what it made of the context."""
    try:
        text, error = render(given), ""
    except Exception as raised:  # noqa: BLE001 - both ways must fail in the same way
        text, error = "", f"{type(raised).__name__}: {raised}"
    return text, error, re.sub("0x[0-9a-f]+", "address", repr(given["context"]))


def parsed(template: str) -> airspeed.Template:
    """A parsed template."""
    found = airspeed.Template(template)
    found.ensure_compiled()
    return found


@settings(max_examples=300, deadline=None, derandomize=True)
@given(TEMPLATES)
@example("#set($q = '\"')#set($q = 1)$q")
@example("$q#set($q = 'late')$q")
@example("#if(true)#set($q = 'in')#end$q")
@example('#set($q = \'a\')"$q"#set($b = "$q$q")$b')
@example("#set($a = 1 - 2 - 3 * 4)$a #set($a = $missing + 1)")
def test_a_compiled_template_does_what_the_interpreter_does(template: str) -> None:
    """Text, error and every change of the context are the interpreter's, whatever the template."""
    try:
        read = parsed(template)
    except airspeed.TemplateSyntaxError:
        return
    compiled = compile_template(read)
    if compiled is None:
        return

    assert outcome(compiled, names()) == outcome(read.merge, names())


def test_the_plans_templates_are_compiled(plan: Plan) -> None:
    """Nothing in the templates of the default document needs the interpreter, and each renders as it does there."""
    context = JavaMap(
        identity=JavaMap(userArn='o\'neil "x"', sourceIp="10.1.2.3"),
        authorizer=JavaMap(),
        extendedRequestId="ext=",
        requestTimeEpoch=1,
        responseOverride=vtl.Overrides(),
    )
    count = 0
    for path in plan.api.document["paths"].values():
        for definition in path.values():
            integration = definition["x-amazon-apigateway-integration"]
            texts = list(integration.get("requestTemplates", {}).values())
            for response in integration.get("responses", {}).values():
                texts += response.get("responseTemplates", {}).values()
            for text in texts:
                read = parsed(text)
                compiled = compile_template(read)
                assert compiled is not None, text
                for body in ('{"__type": "ThrottlingException"}', '{"RecordId": "r"}', ""):
                    given = {"input": vtl.Input(body), "util": vtl.Util(), "context": context, "stageVariables": {}}
                    assert outcome(compiled, copy.deepcopy(given)) == outcome(read.merge, copy.deepcopy(given))
                count += 1
    assert count == 6


@pytest.mark.parametrize(
    "template",
    [
        "#foreach($x in $a)$x#end",
        "#macro(m)x#end#m()",
        "#set($x = [1, 2])",
        "#set($x = {})",
        "$a[0]",
        "$context['x']",
        "#stop",
        '#set($x = "#if(true)a#end")',
        "#define($d)x#end",
        "#return('x')",
        "#evaluate('x')",
    ],
)
def test_what_is_not_compiled_stays_with_the_interpreter(template: str) -> None:
    """Loops, macros, arrays and directives inside of quotes are not half understood."""
    assert compile_template(parsed(template)) is None
