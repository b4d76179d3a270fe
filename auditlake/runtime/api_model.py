"""Requests of an AWS API, read by the service model that AWS publishes and botocore ships.

The model knows each operation's members, their types and their limits; a request that breaks one is refused in the
words that AWS uses for all its services. The model is read once: what is left of it is a function for each shape.
"""

import binascii
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import msgspec
import pybase64
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

from auditlake.runtime.exchange import Response

CONTENT_TYPE = "application/x-amz-json-1.1"

Reader = Callable[[Any, str, list[str]], Any]
"""Reads a value of a shape at a path; adds to the list which limits are broken, raises ApiError for a wrong type."""


class ApiError(Exception):
    """An error of the API: its AWS code, message and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def request_shapes(service: str, operations: Iterable[str]) -> dict[str, Reader]:
    """Return what reads the request of each operation of a service, e.g. of `PutRecord` of `firehose`."""
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    shapes = {operation: model.operation_model(operation).input_shape for operation in operations}
    return {operation: _reader(shape) for operation, shape in shapes.items() if shape is not None}


def response(content: Mapping[str, Any], request_id: str, status: int = 200) -> Response:
    """Return an answer of the JSON 1.1 protocol (A2, documented)."""
    headers = {"content-type": CONTENT_TYPE, "x-amzn-requestid": request_id}
    return Response(status, msgspec.json.encode(content), headers)


def error_response(error: ApiError, request_id: str) -> Response:
    """Return an error in the form that the SDKs turn into their exceptions."""
    return response({"__type": error.code, "message": error.message}, request_id, error.status)


def read_request(shape: Reader, body: bytes | str) -> dict[str, Any]:
    """Return the parameters of a request, blobs decoded; raises ApiError.

    A member of the wrong type is a SerializationException, limits that are broken are one ValidationException that
    names them all (the words as AWS's services write them; third party for this API, A3). Unknown members are ignored.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError("SerializationException", f"The request is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ApiError("SerializationException", "The request is not a JSON object")
    broken: list[str] = []
    parameters: dict[str, Any] = shape(document, "", broken)
    if broken:
        count = f"{len(broken)} validation error{'s' if len(broken) > 1 else ''} detected: "
        raise ApiError("ValidationException", count + "; ".join(broken))
    return parameters


def _reader(shape: Shape) -> Reader:
    match shape.type_name:
        case "structure":
            return _structure_reader(shape)
        case "list":
            return _list_reader(shape)
        case "blob":
            return _blob_reader(shape)
        case "integer":
            return _integer_reader(shape)
        case "boolean":
            return _boolean
        case _:
            return _text_reader(shape)


def _typed(value: object, kind: type, path: str) -> Any:  # noqa: ANN401 - of the type asked for
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ApiError("SerializationException", f"{path or 'The request'} is no {kind.__name__}")
    return value


def _structure_reader(shape: Shape) -> Reader:
    required = frozenset(shape.required_members)
    members = [
        (name, f"{name[0].lower()}{name[1:]}", name in required, _reader(member))
        for name, member in shape.members.items()  # type: ignore[attr-defined]  # a StructureShape
    ]

    def read(value: Any, path: str, broken: list[str]) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        given = _typed(value, dict, path)
        found: dict[str, Any] = {}
        for name, shown, is_required, read_member in members:
            member = given.get(name)
            if member is not None:
                found[name] = read_member(member, f"{path}.{shown}" if path else shown, broken)
            elif is_required:
                place = f"{path}.{shown}" if path else shown
                broken.append(f"Value null at '{place}' failed to satisfy constraint: Member must not be null")
        return found

    return read


def _list_reader(shape: Shape) -> Reader:
    read_member = _reader(shape.member)  # type: ignore[attr-defined]  # a ListShape

    def read(value: Any, path: str, broken: list[str]) -> list[Any]:  # noqa: ANN401 - any JSON
        items = _typed(value, list, path)
        _check_size(shape, len(items), f"Value at '{path}'", broken)
        return [read_member(item, f"{path}.{place}.member", broken) for place, item in enumerate(items, 1)]

    return read


def _blob_reader(shape: Shape) -> Reader:
    def read(value: Any, path: str, broken: list[str]) -> bytes:  # noqa: ANN401 - any JSON
        try:
            data: bytes = pybase64.b64decode(_typed(value, str, path), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ApiError("SerializationException", f"{path} is not base64: {error}") from None
        _check_size(shape, len(data), f"Value at '{path}'", broken)
        return data

    return read


def _boolean(value: Any, path: str, _broken: list[str]) -> bool:  # noqa: ANN401 - any JSON
    if not isinstance(value, bool):
        raise ApiError("SerializationException", f"{path} is no bool")
    return value


def _integer_reader(shape: Shape) -> Reader:
    def read(value: Any, path: str, broken: list[str]) -> int:  # noqa: ANN401 - any JSON
        number: int = _typed(value, int, path)
        _check_range(shape, number, path, broken)
        return number

    return read


def _text_reader(shape: Shape) -> Reader:
    limits = shape.metadata
    smallest, largest = limits.get("min", 0), limits.get("max", sys.maxsize)
    pattern = _pattern(limits["pattern"]) if "pattern" in limits else None
    allowed = limits.get("enum")

    def read(value: Any, path: str, broken: list[str]) -> str:  # noqa: ANN401 - any JSON
        text: str = _typed(value, str, path)
        if (
            not smallest <= len(text) <= largest
            or (pattern is not None and not pattern.fullmatch(text))
            or (allowed and text not in allowed)
        ):
            _check_text(shape, text, path, broken)
        return text

    return read


def _check_size(shape: Shape, size: int, subject: str, broken: list[str]) -> None:
    smallest, largest = shape.metadata.get("min"), shape.metadata.get("max")
    if largest is not None and size > largest:
        broken.append(
            f"{subject} failed to satisfy constraint: Member must have length less than or equal to {largest}"
        )
    if smallest is not None and size < smallest:
        broken.append(
            f"{subject} failed to satisfy constraint: Member must have length greater than or equal to {smallest}"
        )


def _check_range(shape: Shape, number: int, path: str, broken: list[str]) -> None:
    subject = f"Value '{number}' at '{path}' failed to satisfy constraint: Member must have value"
    smallest, largest = shape.metadata.get("min"), shape.metadata.get("max")
    if largest is not None and number > largest:
        broken.append(f"{subject} less than or equal to {largest}")
    if smallest is not None and number < smallest:
        broken.append(f"{subject} greater than or equal to {smallest}")


def _check_text(shape: Shape, text: str, path: str, broken: list[str]) -> None:
    subject = f"Value '{text}' at '{path}'"
    _check_size(shape, len(text), subject, broken)
    allowed, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
    if allowed and text not in allowed:
        broken.append(
            f"{subject} failed to satisfy constraint: Member must satisfy enum value set: [{', '.join(allowed)}]"
        )
    if pattern and not _pattern(pattern).fullmatch(text):
        broken.append(
            f"{subject} failed to satisfy constraint: Member must satisfy regular expression pattern: {pattern}"
        )


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of the model, which is Java's: Python names letters, numbers and separators otherwise."""
    for java, python in ((r"\p{L}", r"\w"), (r"\p{N}", r"\w"), (r"\p{Z}", r"\s")):
        pattern = pattern.replace(java, python)
    return re.compile(pattern)
