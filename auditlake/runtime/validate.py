"""validate: the request validator: JSON Schema draft 4 over the model of the OpenAPI document, and parameters (F3)."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import msgspec

from auditlake.errors import PlanError
from auditlake.runtime.exchange import GatewayError, Operation, Request

NOT_VALIDATED = {
    "discriminator": "is not supported in any schema",
    "exclusiveMinimum": "is not supported",
    "maxItems": "is not included in simple request validation",
    "minItems": "is not included in simple request validation",
    "readOnly": "is not supported",
}
"""Keywords of draft 4 and OpenAPI that API Gateway's notes except for an imported document (F3, documented).

A model that relies on one checks less on AWS than its author thinks, so it is refused; `oneOf` is excepted for
OpenAPI 2.0 only.
"""

_ANNOTATIONS = frozenset({"default", "description", "example", "title"})
"""Keywords that ask for nothing."""
_SHALLOW = _ANNOTATIONS | {"maxLength", "minLength", "pattern", "properties", "required", "type"}
"""Keywords that look at a value and its named members only, and at nothing else that it holds."""

Reader = Callable[[memoryview], Any]
"""Decodes JSON; raises what msgspec raises."""

_SMALL_BYTES = 16 * 1024
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_VALUE = msgspec.json.Decoder(msgspec.Raw)
_TYPE_NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
_PLACES = {"header": "header", "query": "querystring", "path": "path"}


@dataclass(frozen=True)
class _Model:
    """A model: what checks a body against it, and what decodes the body for that."""

    validator: "jsonschema_rs.Draft4Validator"
    read: Reader


class Validator:
    """Checks the parameters and bodies of one operation; bodies against the model of their content type."""

    def __init__(self, document: Mapping[str, Any], operation: Operation) -> None:
        """Compile the models; raises PlanError for a validator or schema that is not there or would not be checked."""
        self._models: dict[str, _Model] = {}
        self._required: list[tuple[str, str]] = []
        name = operation.definition.get("x-amazon-apigateway-request-validator")
        if name is None:
            return
        asked = document.get("x-amazon-apigateway-request-validators", {}).get(name)
        if asked is None:
            raise PlanError(
                f"{operation.method} {operation.path} names the request validator {name!r}, which the document lacks."
            )
        if asked.get("validateRequestParameters"):
            self._required = list(_required_parameters(document, operation))
        if asked.get("validateRequestBody"):
            for media_type, content in operation.definition.get("requestBody", {}).get("content", {}).items():
                components = document.get("components", {})
                validator = compile_model(content["schema"], components)
                self._models[media_type.lower()] = _Model(validator, body_reader(content["schema"], components))

    def check(self, request: Request, parameters: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """Raise GatewayError when a required parameter is missing or blank, or the body does not fit its model.

        Args:
            request: the request, unpacked.
            parameters: its `header`, `querystring` and `path`.
        """
        given = parameters or {}
        missing = [name for place, name in self._required if not given.get(place, {}).get(name, "").strip()]
        if missing:
            message = f"Missing required request parameters: [{', '.join(missing)}]"
            raise GatewayError("BAD_REQUEST_PARAMETERS", message, message)
        model = self._models.get(request.content_type)
        if model is not None:
            _check_body(model, request.body)


def compile_model(schema: Mapping[str, Any], components: Mapping[str, Any]) -> "jsonschema_rs.Draft4Validator":
    """Return the validator of a model, whose `$ref`s point into `components`.

    Raises:
        PlanError: it refers to another file, which API Gateway does not take, or uses a keyword of NOT_VALIDATED.
    """
    for keyword in sorted(_keywords(schema, components, set())):
        if keyword in NOT_VALIDATED:
            raise PlanError(
                f"A model of the API uses {keyword}, which {NOT_VALIDATED[keyword]} by API Gateway: what it asks for "
                "would not be checked there; leave it out of the model."
            )
    try:
        return jsonschema_rs.Draft4Validator({**schema, "components": components}, retriever=_no_other_document)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise PlanError(
            f"A model of the API is not a JSON Schema of draft 4 in one document: {str(error).splitlines()[0]}"
        ) from None


def _no_other_document(uri: str) -> Any:  # noqa: ANN401 - it returns nothing, and the library asks for a document
    raise ValueError(f"API Gateway takes no $ref to another document, such as {uri}")


def _keywords(schema: object, components: Mapping[str, Any], seen: set[str]) -> Iterator[str]:
    """Yield the keywords of a schema and of what it refers to in `components`."""
    if not isinstance(schema, Mapping):
        return
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        seen.add(reference)
        yield from _keywords(_component(reference, components), components, seen)
    for keyword, value in schema.items():
        yield keyword
        if keyword in ("properties", "patternProperties", "definitions"):
            for member in value.values() if isinstance(value, Mapping) else ():
                yield from _keywords(member, components, seen)
        elif keyword in ("enum", "default", "example", "required"):
            continue
        else:
            for member in value if isinstance(value, list) else [value]:
                yield from _keywords(member, components, seen)


def _component(reference: str, components: Mapping[str, Any]) -> object:
    found: object = {"components": components}
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _required_parameters(document: Mapping[str, Any], operation: Operation) -> Iterator[tuple[str, str]]:
    """Yield place and name of the parameters that must be there and not blank (F3, documented)."""
    shared = document["paths"].get(operation.path, {}).get("parameters", [])
    for given in [*shared, *operation.definition.get("parameters", [])]:
        parameter = _component(given["$ref"], document.get("components", {})) if "$ref" in given else given
        if not isinstance(parameter, Mapping):
            raise PlanError(f"{operation.method} {operation.path} refers to {given['$ref']}, which is not there.")
        if parameter.get("required") and parameter.get("in") in _PLACES:
            name = str(parameter["name"])
            yield _PLACES[parameter["in"]], name.lower() if parameter["in"] == "header" else name


def body_reader(
    schema: Mapping[str, Any], components: Mapping[str, Any], within: frozenset[str] = frozenset()
) -> Reader:
    """Return what decodes a body as far as a model looks into it; of the rest only that it is JSON is made sure.

    What a model says nothing about would be decoded and copied in vain, which for 10 MB of it takes seconds. A model
    with a keyword that is not of _SHALLOW is given everything.

    Args:
        schema: the model.
        components: where its `$ref`s point into.
        within: the references that are being followed.
    """
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = _component(reference, components)
        if reference in within or not isinstance(target, Mapping):
            return msgspec.json.decode
        return body_reader(target, components, within | {reference})
    if set(schema) - _SHALLOW:
        return msgspec.json.decode
    if set(schema) <= _ANNOTATIONS:
        return _anything
    members = dict.fromkeys(schema.get("required", ()), _anything)
    members |= {name: body_reader(member, components, within) for name, member in schema.get("properties", {}).items()}
    return _member_reader(members)


def _anything(_: memoryview) -> None:
    """Decode nothing: only whether something is there matters."""


def _member_reader(members: Mapping[str, Reader]) -> Reader:
    def read(raw: memoryview) -> object:
        match bytes(raw[:1]):
            case b"{":
                given = _OBJECT.decode(raw)
                return {name: members[name](memoryview(member)) for name, member in given.items() if name in members}
            case b"[":
                _VALUE.decode(raw)
                return []  # no keyword of _SHALLOW looks into an array
            case _:
                return msgspec.json.decode(raw)

    return read


def _check_body(model: _Model, raw: bytes) -> None:
    if not raw:
        raise _invalid("the body is empty")
    try:
        body = _decoded(model, raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _invalid(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise _invalid("the body is nested too deeply") from None
    try:
        complaints = _complaints(list(model.validator.iter_errors(body)))
    except ValueError as error:
        raise _invalid(f"the body cannot be checked: {error}") from None
    if complaints:
        raise _invalid(", ".join(complaints))


def _decoded(model: _Model, raw: bytes) -> object:
    """Decode a body for its model: a small one as a whole, which is quicker than looking what matters of it."""
    # msgspec takes bytes that are not UTF-8 where it does not look at them.
    text = raw.decode("utf-8")
    if len(raw) <= _SMALL_BYTES:
        with contextlib.suppress(msgspec.ValidationError):  # a number that no double holds, where nobody may look
            return msgspec.json.decode(text)
    return model.read(memoryview(raw.strip(b" \t\r\n")))


def _invalid(complaint: str) -> GatewayError:
    return GatewayError("BAD_REQUEST_BODY", "Invalid request body", f"[{complaint}]")


def _complaints(errors: list["jsonschema_rs.ValidationError"]) -> list[str]:
    """Word complaints as API Gateway's validator does; that it names the path in this form is unverified (F3)."""
    missing: dict[str, list[str]] = {}
    others = []
    for error in errors:
        if error.kind.name == "required":
            missing.setdefault(_where(error), []).append(str(error.kind.as_dict()["property"]))
        else:
            others.append(_sentence(error))
    return [
        f"{where}object has missing required properties ({json.dumps(sorted(names), separators=(',', ':'))})"
        for where, names in missing.items()
    ] + others


def _where(error: "jsonschema_rs.ValidationError") -> str:
    path = "/".join(str(step) for step in error.instance_path)
    return f"Path '/{path}' " if path else ""


def _sentence(error: "jsonschema_rs.ValidationError") -> str:
    where = _where(error)
    kind = error.kind.as_dict()
    match error.kind.name:
        case "type":
            came = _TYPE_NAMES.get(type(error.instance), "null")
            allowed = json.dumps(kind["types"])
            return f"{where}instance type ({came}) does not match any allowed primitive type (allowed: {allowed})"
        case "minLength":
            return f"{where}string is too short (length: {len(str(error.instance))}, required minimum: {kind['limit']})"
        case "pattern":
            return f"{where}regex does not match the input string"
        case _:
            return where + error.message
