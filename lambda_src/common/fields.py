"""Reading JSON field by field: what is wrong in one field costs only that field.

This is the path for what the typed decoder refuses. It is slower, and says of each field what was expected and what
came.
"""

import re
from collections.abc import Mapping

import msgspec

MAX_PROBLEMS = 100  # bounds the row: a list of a million wrong elements would otherwise outgrow every limit after it

_STRING = msgspec.json.Decoder(str)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_ESCAPE = (
    # A whole surrogate pair, a lone surrogate, or any other escape (so that the second half of `\\` starts nothing).
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|[^u])"
)
_KINDS = {b"{": "an object", b"[": "an array", b'"': "a string", b"t": "true", b"f": "false", b"n": "null"}


class RefusedError(ValueError):
    """The bytes are no audit event; the message is a sentence that names the field and quotes nothing."""


def readable(data: bytes) -> tuple[bytes, list[str]]:
    """Replace what no text can hold, so that the rest can be read; give the JSON text and what was replaced."""
    problems = []
    if data.startswith(b"\xef\xbb\xbf"):
        problems.append("the event: expected no byte order mark, got one")
        data = data[3:]
    try:
        data.decode()
    except UnicodeDecodeError as error:
        problems.append(f"the event: expected UTF-8, got another byte at {error.start}; raw holds the bytes as base64")
        data = data.decode(errors="replace").encode()
    repaired = replace_lone_surrogates(data)
    if repaired != data:
        problems.append("the event: expected surrogates in pairs, got a lone one; it reads as U+FFFD")
    return repaired, problems


def replace_lone_surrogates(data: bytes) -> bytes:
    """Write U+FFFD, as an escape of the same length, where JSON escapes a surrogate that has no other half."""
    return re.sub(_ESCAPE, lambda match: rb"\ufffd" if match[1] else match[0], data)


def kind(value: bytes) -> str:
    """Name the kind of a JSON value for a sentence, e.g. `a number`."""
    return _KINDS.get(value[:1], "a number")


class Fields:
    """The members of one JSON object, read one by one; problems are collected, requirements raise `RefusedError`."""

    def __init__(self, members: Mapping[str, msgspec.Raw], path: str, problems: list[str]) -> None:
        self._members = {name: bytes(value) for name, value in members.items()}
        self._path = path
        self._problems = problems

    def _name(self, name: str) -> str:
        return f"{self._path}{name}"

    def _value(self, name: str) -> bytes | None:
        """Give the JSON text of a member; null counts as absent."""
        value = self._members.get(name)
        return None if value is None or value == b"null" else value

    def _problem(self, name: str, expected: str, got: str) -> None:
        self._problems.append(f"{self._name(name)}: expected {expected}, got {got}")

    def json(self, name: str) -> bytes:
        """Give a member's JSON text as it was sent; `null` when absent."""
        return self._value(name) or b"null"

    def text(self, name: str) -> str | None:
        """Give a string; another scalar as its JSON text, with a problem; anything else not at all, with a problem."""
        value = self._value(name)
        if value is None:
            return None
        if value.startswith(b'"'):
            return _STRING.decode(value)
        self._problem(name, "a string", kind(value))
        return None if value[:1] in (b"{", b"[") else value.decode()

    def key(self, name: str) -> str | None:
        """Give a string that must not be empty to be of use, else None with a problem."""
        value = self.text(name)
        if value == "":
            self._problem(name, "a string that is not empty", "an empty one")
        return value or None

    def required_text(self, name: str) -> str:
        """Give a string that is not empty; raises RefusedError."""
        value = self._members.get(name)
        if value is None:
            raise RefusedError(f"{self._name(name)}: expected a string, got nothing: the field is required.")
        if not value.startswith(b'"'):
            raise RefusedError(f"{self._name(name)}: expected a string, got {kind(value)}.")
        if value == b'""':
            raise RefusedError(f"{self._name(name)}: expected a string that is not empty, got an empty one.")
        return _STRING.decode(value)

    def required_object(self, name: str) -> "Fields":
        """Give the members of an object; raises RefusedError."""
        value = self._members.get(name)
        if value is None:
            raise RefusedError(f"{self._name(name)}: expected an object, got nothing: the field is required.")
        if not value.startswith(b"{"):
            raise RefusedError(f"{self._name(name)}: expected an object, got {kind(value)}.")
        return Fields(_OBJECT.decode(value), f"{self._name(name)}.", self._problems)

    def object(self, name: str) -> "Fields | None":
        """Give the members of an object; anything else not at all, with a problem."""
        value = self._value(name)
        if value is None:
            return None
        if not value.startswith(b"{"):
            self._problem(name, "an object", kind(value))
            return None
        return Fields(_OBJECT.decode(value), f"{self._name(name)}.", self._problems)

    def objects(self, name: str) -> "list[Fields] | None":
        """Give the objects of an array; what is no array or no object is left out, with a problem."""
        value = self._value(name)
        if value is None:
            return None
        if not value.startswith(b"["):
            self._problem(name, "an array", kind(value))
            return None
        found = []
        for index, element in enumerate(_ARRAY.decode(value)):
            if bytes(element).startswith(b"{"):
                found.append(Fields(_OBJECT.decode(element), f"{self._name(name)}[{index}].", self._problems))
            else:
                self._problem(f"{name}[{index}]", "an object", kind(bytes(element)))
        return found


def parse_object(text: bytes, problems: list[str]) -> Fields:
    """Read the members of a JSON object; raises RefusedError for anything else."""
    try:
        return Fields(_OBJECT.decode(text), "", problems)
    except msgspec.ValidationError:
        raise RefusedError(f"The event must be a JSON object, got {kind(text.lstrip())}.") from None
    except msgspec.DecodeError as error:
        raise RefusedError(f"The event is not valid JSON: {error}.") from None
    except RecursionError:
        raise RefusedError("The event is nested too deeply to be read.") from None
