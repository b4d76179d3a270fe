"""Mapping templates: Apache Velocity with API Gateway's `$input`, `$util`, `$context`, `$stageVariables` (F1, F2).

What is documented is followed; where the service was recorded, the recording is followed (`tests/test_runtime_vtl.py`).
Header names are looked up whatever their case; API Gateway's notes say that it minds the case (F1, documented), but
HTTP servers here hand names on in lower case.
"""

import base64
import json
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any

import airspeed
import airspeed.operators as velocity
import pybase64
from jsonpath_ng import Child, Fields, Root
from jsonpath_ng.exceptions import JsonPathParserError
from jsonpath_ng.ext.parser import parse as parse_json_path

from auditlake.runtime.vtl_compile import compile_template
from auditlake.runtime.vtl_values import JavaList, JavaMap, java_value

MAX_TEMPLATE_BYTES = 300 * 1024
"""The longest mapping template that API Gateway takes (F1, documented)."""
MAX_ITERATIONS = 1000
"""How often a `#foreach` may run (F1, documented)."""


class TemplateError(Exception):
    """A mapping template cannot be rendered; API Gateway answers with a gateway response of its own."""


class PayloadError(TemplateError):
    """The body looks like a JSON object or array and is none (recorded: `{a` is answered with 400)."""


class Overrides(dict[str, Any]):
    """What a template sets under `$context.responseOverride`: `status` and `header.NAME`, each at most once.

    A second override of one parameter is answered with a 5XX (F4, documented; which one is unverified).
    """

    def __init__(self, *, nested: bool = True) -> None:
        super().__init__()
        if nested:
            super().__setitem__("header", Overrides(nested=False))

    def __setitem__(self, name: str, value: object) -> None:
        if name.lower() in (given.lower() for given in self):
            raise TemplateError(f"The mapping template overrides {name} twice; API Gateway takes one override each.")
        super().__setitem__(name, value)


_METHODS = (
    {name for kind in (JavaMap, JavaList) for name in vars(kind) if not name.startswith("_")}
    | {*velocity.__additional_methods__[str], "get", "replace"}
    | {"path", "json", "params"}
    | {"escapeJavaScript", "parseJson", "urlEncode", "urlDecode", "base64Encode", "base64Decode"}
)


class _Method:
    """A function of `$input` or `$util`; printed without its parentheses it shows as `{}` (recorded)."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401 - the arguments and result of a template's call
        return self._function(*arguments)

    def __str__(self) -> str:
        return "{}"


class _Object:
    """`$input` or `$util`, which print as `{}` (recorded)."""

    def __str__(self) -> str:
        return "{}"


class Input(_Object):
    """`$input`: the body, and JSONPath expressions over it."""

    def __init__(self, body: str, parameters: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.body = body
        self._document: Any = _UNREAD
        self._parameters = parameters or {}

    @cached_property
    def path(self) -> _Method:
        """`$input.path(x)`: what a JSONPath selects, as an object."""
        return _Method(lambda expression: java_value(self._select(expression)))

    @cached_property
    def json(self) -> _Method:
        """`$input.json(x)`: what a JSONPath selects, as JSON."""
        return _Method(lambda expression: json.dumps(self._select(expression), ensure_ascii=False))

    @cached_property
    def params(self) -> _Method:
        """`$input.params()`, `$input.params(name)`."""
        method = _Method(self._params)
        # Velocity reads `$input.params.keySet` as a property of the function.
        method.keySet = _Method(list)  # type: ignore[attr-defined]  # recorded: prints as {}
        return method

    def _select(self, expression: str) -> Any:  # noqa: ANN401 - any JSON value
        if self._document is _UNREAD:
            self._document = parse_payload(self.body)
        if expression == "$":
            return self._document
        path, names = _json_path(expression)
        if names is None:
            found = [match.value for match in path.find(self._document)]
            return found[0] if len(found) == 1 else (found or None)
        value = self._document
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def _params(self, name: str | None = None) -> Any:  # noqa: ANN401 - a string or the map of maps
        if name is None:
            return java_value({place: self._parameters.get(place, {}) for place in _PLACES})
        for place in _PLACES:
            for key, value in self._parameters.get(place, {}).items():
                if key == name or (place == "header" and key.lower() == name.lower()):
                    return value
        return ""


class Util(_Object):
    """`$util`: the documented functions (F1)."""

    def __init__(self) -> None:
        self.base64Encode = _Method(lambda text: pybase64.b64encode_as_string(str(text).encode()))
        self.base64Decode = _Method(lambda text: base64.b64decode(str(text)).decode())
        self.urlEncode = _Method(lambda text: urllib.parse.quote_plus(str(text), safe="*-._"))
        self.urlDecode = _Method(lambda text: urllib.parse.unquote_plus(str(text)))
        self.escapeJavaScript = _Method(lambda text: escape_javascript(str(text)))
        self.parseJson = _Method(lambda text: java_value(json.loads(text)))


_PLACES = ("path", "querystring", "header")
"""Where `$input.params(x)` looks, in this order (F1, documented)."""
_UNREAD = object()
_ESCAPES = {
    "\b": "\\b", "\n": "\\n", "\t": "\\t", "\f": "\\f", "\r": "\\r", "'": "\\'", '"': '\\"', "\\": "\\\\", "/": "\\/",
}  # fmt: skip
_ESCAPED = re.compile(r"[\x00-\x1f'\"\\/]|[^\x00-\x7e]")


def escape_javascript(text: str) -> str:
    r"""Escape `text` for a JavaScript string; `'` becomes `\'`, which JSON does not know (F1, documented trap)."""

    def escape(match: re.Match[str]) -> str:
        character = match.group()
        if character in _ESCAPES:
            return _ESCAPES[character]
        units = character.encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[i] << 8 | units[i + 1]:04X}" for i in range(0, len(units), 2))

    return _ESCAPED.sub(escape, text)


def parse_payload(body: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the body as API Gateway reads it for `$input.path`: JSON, else the text itself; an empty body is `{}`.

    Recorded, not documented. Raises PayloadError for what begins as an object or array and does not end as one.
    """
    text = body.strip()
    if not text:
        return {}
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        if text[0] in "{[":
            raise PayloadError(f"Could not process payload: {error}.") from None
        return body


@lru_cache(maxsize=256)
def _json_path(expression: str) -> tuple[Any, tuple[str, ...] | None]:
    """Return a parsed JSONPath, and the names of members where it is nothing but these, as `$.a.b` is."""
    try:
        path = parse_json_path(expression)
    except (JsonPathParserError, ValueError) as error:
        raise TemplateError(f"The JSONPath {expression!r} cannot be read: {error}.") from None
    return path, _member_names(path)


def _member_names(path: Any) -> tuple[str, ...] | None:  # noqa: ANN401 - jsonpath_ng is untyped
    names: list[str] = []
    while isinstance(path, Child):
        last = path.right
        if type(last) is not Fields or len(last.fields) != 1 or last.fields[0] == "*":
            return None
        names.insert(0, last.fields[0])
        path = path.left
    return tuple(names) if isinstance(path, Root) else None


class _AtMost:
    """The value that a `#foreach` runs over, which may not be longer than MAX_ITERATIONS.

    Whether API Gateway then stops in silence, as Velocity does, or fails is not documented (F1, unverified). Stopping
    would lose what comes after, so it fails here.
    """

    def __init__(self, value: "velocity.Value") -> None:
        self._value = value

    def calculate(self, namespace: object, loader: object) -> Any:  # noqa: ANN401 - any value of a template
        found = self._value.calculate(namespace, loader)
        if found is not None and hasattr(found, "__len__") and len(found) > MAX_ITERATIONS:
            raise TemplateError(
                f"A #foreach of the mapping template runs {len(found)} times; API Gateway takes {MAX_ITERATIONS}."
            )
        return found


_UTIL = Util()


@lru_cache(maxsize=64)
def _template(text: str) -> tuple[Any, Callable[[dict[str, Any]], str]]:
    """Return a template's elements and what renders it: compiled where that is possible, else the interpreter."""
    if len(text.encode()) > MAX_TEMPLATE_BYTES:
        raise TemplateError(
            f"The mapping template is longer than {MAX_TEMPLATE_BYTES} bytes; API Gateway takes no more."
        )
    template = airspeed.Template(text)
    template.ensure_compiled()
    for element in list(_elements(template.root_element)):
        if isinstance(element, velocity.ForeachDirective):
            element.value = _AtMost(element.value)
    return template, compile_template(template) or template.merge


def _elements(element: "velocity._Element | _AtMost") -> Iterator["velocity._Element | _AtMost"]:
    """Yield an element of a parsed template and all below it."""
    yield element
    for value in vars(element).values():
        # A parenthesis keeps its inner expression as the bound method that calculates it.
        for part in _flat(getattr(value, "__self__", value)):
            if isinstance(part, velocity._Element | _AtMost) and part is not element:
                yield from _elements(part)


def _flat(value: object) -> Iterator[object]:
    if isinstance(value, list | tuple):
        for member in value:
            yield from _flat(member)
    else:
        yield value


def check(template: str) -> None:
    """Refuse what a template asks for and the runtime does not do: an unknown method, or an override of the request.

    Velocity prints nothing for a method that is not there, which would be a silent lesser behaviour. A template that
    cannot be parsed is refused too: API Gateway takes it and fails each request (F1, assumed), here the start fails.

    Raises:
        TemplateError: it names what is not implemented, or where the template cannot be parsed.
    """
    try:
        parsed, _ = _template(template)
    except velocity.TemplateSyntaxError as error:
        raise TemplateError(f"it cannot be parsed: {error}") from None
    if "requestOverride" in template:
        raise TemplateError("$context.requestOverride is not implemented")
    for element in _elements(parsed.root_element):
        if isinstance(element, velocity.NameOrCall) and element.parameters is not None and element.name not in _METHODS:
            raise TemplateError(f"the method {element.name}() is not implemented")


def render(
    template: str,
    body: str,
    context: Mapping[str, Any],
    parameters: Mapping[str, Mapping[str, str]] | None = None,
    stage_variables: Mapping[str, str] | None = None,
) -> str:
    """Render a mapping template over a body; what it sets under `$context.responseOverride` is found in `context`.

    Args:
        template: Velocity text; parsed once, whatever number of times it is rendered.
        body: the request's or the integration's body.
        context: `$context`; holds `responseOverride` (Overrides) for a response template.
        parameters: request parameters by place: `path`, `querystring`, `header`.
        stage_variables: `$stageVariables`.

    Raises:
        PayloadError: the template looks into a body that is broken JSON.
        TemplateError: the template is wrong.
    """
    names = {
        "input": Input(body, parameters),
        "util": _UTIL,
        "context": java_value(context),
        "stageVariables": JavaMap(stage_variables or {}),
    }
    try:
        _, rendered = _template(template)
        return rendered(names)
    except TemplateError:
        raise
    except Exception as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, TemplateError):
            raise cause from None
        raise TemplateError(f"The mapping template cannot be rendered: {error}.") from error
