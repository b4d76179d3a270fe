"""Mapping templates: Apache Velocity with API Gateway's `$input`, `$util` and `$context` (F1, F2).

What is documented is followed; where the service was recorded, the recording is followed (`tests/test_runtime_vtl.py`).
"""

import base64
import json
import re
import urllib.parse
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import airspeed
from jsonpath_ng.exceptions import JsonPathParserError
from jsonpath_ng.ext.parser import parse as parse_json_path

MAX_TEMPLATE_BYTES = 300 * 1024
"""The longest mapping template that API Gateway takes (F1, documented)."""


class TemplateError(Exception):
    """A mapping template cannot be rendered; API Gateway answers with a gateway response of its own."""


class PayloadError(TemplateError):
    """The body looks like a JSON object or array and is none (recorded: `{a` is answered with 400)."""


class JavaMap(dict[str, Any]):
    """A JSON object as a template sees it: it prints as `{a=1, b=x}` and has the methods of java.util.Map."""

    def size(self) -> int:
        """The number of members."""
        return len(self)

    def keySet(self) -> "JavaList":  # noqa: N802 - Java's name
        """The members' names."""
        return JavaList(self)

    def containsKey(self, key: str) -> bool:  # noqa: N802 - Java's name
        """Whether a member has this name."""
        return key in self

    def __str__(self) -> str:
        return "{" + ", ".join(f"{key}={_java_text(value)}" for key, value in self.items()) + "}"


class JavaList(list[Any]):
    """A JSON array as a template sees it: it prints as `[1, x]` and has the methods of java.util.List."""

    def size(self) -> int:
        """The number of elements."""
        return len(self)

    def get(self, index: int) -> Any:  # noqa: ANN401 - any JSON value
        """The element at `index`, from 0."""
        return self[index]

    def contains(self, value: object) -> bool:
        """Whether an element equals `value`."""
        return value in self

    def __str__(self) -> str:
        return "[" + ", ".join(_java_text(value) for value in self) + "]"


def _java_text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _java_value(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return JavaMap((key, _java_value(member)) for key, member in value.items())
    if isinstance(value, list):
        return JavaList(_java_value(member) for member in value)
    return value


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
        self.path = _Method(lambda expression: _java_value(self._select(expression)))
        self.json = _Method(lambda expression: json.dumps(self._select(expression), ensure_ascii=False))
        self.params = _Method(self._params)
        # Velocity reads `$input.params.keySet` as a property of the function.
        self.params.keySet = _Method(list)  # type: ignore[attr-defined]  # recorded: prints as {}

    def _select(self, expression: str) -> Any:  # noqa: ANN401 - any JSON value
        if self._document is _UNREAD:
            self._document = parse_payload(self.body)
        if expression == "$":
            return self._document
        found = [match.value for match in _json_path(expression).find(self._document)]
        return found[0] if len(found) == 1 else (found or None)

    def _params(self, name: str | None = None) -> Any:  # noqa: ANN401 - a string or the map of maps
        if name is None:
            return _java_value({place: dict(values) for place, values in self._parameters.items()})
        for place in ("path", "querystring", "header"):
            for key, value in self._parameters.get(place, {}).items():
                if key == name or (place == "header" and key.lower() == name.lower()):
                    return value
        return ""


class Util(_Object):
    """`$util`: the documented functions (F1)."""

    def __init__(self) -> None:
        self.base64Encode = _Method(lambda text: base64.b64encode(str(text).encode()).decode())
        self.base64Decode = _Method(lambda text: base64.b64decode(str(text)).decode())
        self.urlEncode = _Method(lambda text: urllib.parse.quote_plus(str(text), safe="*-._"))
        self.urlDecode = _Method(lambda text: urllib.parse.unquote_plus(str(text)))
        self.escapeJavaScript = _Method(lambda text: escape_javascript(str(text)))
        self.parseJson = _Method(lambda text: _java_value(json.loads(text)))


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
def _json_path(expression: str) -> Any:  # noqa: ANN401 - jsonpath_ng is untyped
    try:
        return parse_json_path(expression)
    except (JsonPathParserError, ValueError) as error:
        raise TemplateError(f"The JSONPath {expression!r} cannot be read: {error}.") from None


@lru_cache(maxsize=64)
def _template(text: str) -> Any:  # noqa: ANN401 - airspeed is untyped
    if len(text.encode()) > MAX_TEMPLATE_BYTES:
        raise TemplateError(
            f"The mapping template is longer than {MAX_TEMPLATE_BYTES} bytes; API Gateway takes no more."
        )
    return airspeed.Template(text)


def render(
    template: str,
    body: str,
    context: dict[str, Any],
    parameters: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """Render a mapping template over a body; what it sets under `$context.responseOverride` is found in `context`.

    Args:
        template: Velocity text; parsed once, whatever number of times it is rendered.
        body: the request's or the integration's body.
        context: `$context`; must hold `responseOverride` with a `header` map for a response template.
        parameters: request parameters by place: `path`, `querystring`, `header`.

    Raises:
        PayloadError: the template looks into a body that is broken JSON.
        TemplateError: the template is wrong.
    """
    names = {"input": Input(body, parameters), "util": Util(), "context": context}
    try:
        return str(_template(template).merge(names))
    except TemplateError:
        raise
    except Exception as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, PayloadError):
            raise cause from None
        raise TemplateError(f"The mapping template cannot be rendered: {error}.") from error
