"""validate: the request validator, JSON Schema draft 4 over the model of the OpenAPI document (F3)."""

import json
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import msgspec

from auditlake.errors import PlanError
from auditlake.runtime.exchange import GatewayError, Operation, Request

_TYPE_NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


class Validator:
    """Checks bodies against the models of one operation, by content type."""

    def __init__(self, document: Mapping[str, Any], operation: Operation) -> None:
        """Compile the models; raises PlanError when the document names a validator or a schema that is not there."""
        self._models: dict[str, Any] = {}
        name = operation.definition.get("x-amazon-apigateway-request-validator")
        if name is None:
            return
        validators = document.get("x-amazon-apigateway-request-validators", {})
        if name not in validators:
            raise PlanError(
                f"{operation.method} {operation.path} names the request validator {name!r}, which the document lacks."
            )
        if validators[name].get("validateRequestParameters"):
            raise PlanError(
                f"The request validator {name!r} checks parameters; the local runtime implements checking bodies."
            )
        for media_type, content in operation.definition.get("requestBody", {}).get("content", {}).items():
            schema = {**content["schema"], "components": document.get("components", {})}
            self._models[media_type] = jsonschema_rs.Draft4Validator(schema)

    def check(self, request: Request) -> None:
        """Raise GatewayError BAD_REQUEST_BODY when a model applies to the content type and the body does not fit it."""
        model = self._models.get(request.content_type)
        if model is None:
            return
        try:
            body = msgspec.json.decode(request.body.decode("utf-8"))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _invalid(f"the body is not JSON: {error}") from None
        except RecursionError:
            raise _invalid("the body is nested too deeply") from None
        try:
            complaints = _complaints(list(model.iter_errors(body)))
        except ValueError as error:
            raise _invalid(f"the body cannot be checked: {error}") from None
        if complaints:
            raise _invalid(", ".join(complaints))


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
