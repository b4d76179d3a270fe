"""Turns another product's event into ours by a mapping: a YAML file of JMESPath expressions.

    description: AWS CloudTrail records, one an event.
    records: Records              # optional: the key of the array in a document that holds many events
    define:                       # optional: named expressions, evaluated in order; names begin with `_`
      _who: userIdentity.arn || userIdentity.principalId
    event:                        # our event; each leaf is an expression over the other product's event
      id: eventID || digest()
      eventType: join('.', ['aws', before(eventSource, '.'), eventName])
      actor: {userId: _who}
      metadata: {source: "'cloudtrail'"}

Literals and fallbacks are JMESPath's own ('text', `1`, a || b). An expression that yields null leaves its field out.
Added to JMESPath's functions: digest(), received(), before(text, separator), from_epoch(number, unit).
The other product's event is kept whole, byte for byte, as our event's last member `original`.
"""

import hashlib
import json
from collections.abc import Mapping as AbstractMapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import jmespath
import yaml
from jmespath import functions
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

from auditlake.errors import MappingError

REQUIRED = (("eventType",), ("timestamp",), ("actor", "userId"))

_OPEN_OBJECTS = ("actor", "metadata")
_CLOSED_FIELDS = frozenset(
    [
        ("id",),
        ("eventType",),
        ("timestamp",),
        ("action", "resource"),
        ("action", "operation"),
        ("action", "status"),
        ("entityType",),
        ("entityId",),
        ("requestId",),
        ("context", "ipAddress"),
        ("context", "userAgent"),
        ("details", "entityType"),
        ("details", "entityId"),
        ("details", "changeType"),
        ("details", "changes"),
    ]
)
_TOP_LEVEL_KEYS = ("description", "records", "define", "event")
_EPOCH_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class UnmappableEvent(ValueError):  # noqa: N818  # it is an event that is reported, not an error of the program
    """One event that a mapping cannot turn into ours; its message is the reason."""


@dataclass(frozen=True)
class Expression:
    """One JMESPath expression and where its value goes: a field's path, or one name of `define`."""

    target: tuple[str, ...]
    text: str

    @cached_property
    def parsed(self) -> ParsedResult:
        """The compiled expression; raises JMESPathError when the text is no JMESPath."""
        return jmespath.compile(self.text)


@dataclass(frozen=True)
class Mapping:
    """A mapping as loaded: every expression compiled, every target known to our event."""

    name: str
    description: str
    records: str | None
    definitions: tuple[Expression, ...]
    fields: tuple[Expression, ...]


def shipped_mappings() -> list[str]:
    """Return the names of the mappings in the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml"))


def load_mapping(name_or_path: str) -> Mapping:
    """Return the mapping of that name in the package, else of that file.

    Raises MappingError naming file and key when there is no such mapping or it is wrong.
    """
    if name_or_path in shipped_mappings():
        text = (_folder() / f"{name_or_path}.yaml").read_text(encoding="utf-8")
        return parse_mapping(text, name_or_path, f"mapping {name_or_path}")
    path = Path(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        shipped = ", ".join(shipped_mappings())
        raise MappingError(
            f"{name_or_path!r} is neither a mapping of the package ({shipped}) nor a file that can be read "
            f"({error.strerror}); name one of these or give the path of a YAML file."
        ) from error
    except UnicodeDecodeError as error:
        raise MappingError(f"{path}: a mapping is YAML in UTF-8; this file is not UTF-8 ({error}).") from error
    return parse_mapping(text, path.stem, str(path))


def parse_mapping(text: str, name: str, where: str) -> Mapping:
    """Return the mapping that a YAML text holds; `where` names the file in errors; raises MappingError."""
    document = _load_yaml(text, where)
    unknown = [key for key in document if key not in _TOP_LEVEL_KEYS]
    if unknown:
        raise MappingError(f"{where}: the key {unknown[0]!r} is unknown; allowed are {', '.join(_TOP_LEVEL_KEYS)}.")
    description = document.get("description", "")
    records = document.get("records")
    if not isinstance(description, str) or not isinstance(records, str | None):
        key, came = ("description", description) if not isinstance(description, str) else ("records", records)
        raise MappingError(f"{where}: {key}: expected a string, got {_kind(came)}.")
    definitions = _definitions(document.get("define", {}), where)
    fields = _fields(document.get("event"), where)
    missing = [path for path in REQUIRED if path not in {field.target for field in fields}]
    if missing:
        raise MappingError(f"{where}: event.{'.'.join(missing[0])} is missing; our event requires it.")
    return Mapping(name, description, records, definitions, fields)


def map_event(mapping: Mapping, original: bytes, received: datetime) -> bytes:
    """Return our event as JSON bytes, made of another product's event, whose bytes follow as the member `original`.

    `received` is what the function received() yields. An optional field whose expression fails on this event is left
    out, and `metadata.mappingProblems` says why. Raises UnmappableEvent when `original` is no JSON object, or when a
    required field comes out null or as anything but a string with text.
    """
    event = _parse_event(original)
    options = jmespath.Options(custom_functions=_Functions(original, received))
    problems: list[str] = []
    for definition in mapping.definitions:
        event[definition.target[0]] = _evaluate(definition, event, options, problems)
    ours: dict[str, Any] = {}
    for field in mapping.fields:
        value = _evaluate(field, event, options, problems)
        if value is not None:
            _put(ours, field.target, value)
    for path in REQUIRED:
        _check_required(ours, path, problems)
    if problems:
        ours.setdefault("metadata", {})["mappingProblems"] = problems
    try:
        text = json.dumps(ours, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise UnmappableEvent(f"a mapped number is too large for JSON ({error})") from error
    # Spliced, not re-encoded: integers over 2**53, the digits of fractions and repeated keys stay as they came.
    return text[:-1].encode("ascii") + b',"original":' + original + b"}"


class _Functions(functions.Functions):
    """JMESPath's functions and ours, for one event."""

    def __init__(self, original: bytes, received: datetime) -> None:
        self._original = original
        self._received = received

    @functions.signature()
    def _func_digest(self) -> str:
        """SHA-256 of the original event's bytes in hexadecimal: the id of an event whose product gives it none."""
        return hashlib.sha256(self._original).hexdigest()

    @functions.signature()
    def _func_received(self) -> str:
        """The time by which the event had surely happened: when its file was last written, or sending began."""
        return _rfc3339(self._received)

    @functions.signature({"types": ["string"]}, {"types": ["string"]})
    def _func_before(self, text: str, separator: str) -> str:
        """The part of a text before the first separator; all of it when there is none."""
        return text.partition(separator)[0] if separator else text

    @functions.signature({"types": ["number", "string"]}, {"types": ["string"]})
    def _func_from_epoch(self, number: float | str, unit: str) -> str:
        """An RFC 3339 time from a number since 1970-01-01 UTC in s, ms, us or ns; cut to microseconds."""
        if unit not in _EPOCH_UNITS:
            raise ValueError(f"from_epoch's unit must be one of {', '.join(_EPOCH_UNITS)}, got {unit!r}")
        try:
            microseconds = int(Decimal(str(number)) * 10**6 / _EPOCH_UNITS[unit])
            return _rfc3339(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds))
        except ArithmeticError as error:
            raise ValueError(f"from_epoch cannot read {number!r} as a time") from error


_CHECKED_FUNCTIONS = _Functions.FUNCTION_TABLE


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML that refuses a repeated key, which plain YAML would resolve to the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build one mapping; raises yaml.constructor.ConstructorError at a repeated key."""
        keys = [self.construct_object(key_node, deep=True) for key_node, _ in node.value]
        repeated = next((key for key in keys if keys.count(key) > 1), None)
        if repeated is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {repeated!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _folder() -> Traversable:
    return resources.files("auditlake") / "mappings"


def _load_yaml(text: str, where: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506  # derived from SafeLoader
    except yaml.YAMLError as error:
        raise MappingError(
            f"{where}: this is not YAML as a mapping needs it: {' '.join(str(error).split())}."
        ) from error
    if not isinstance(document, dict):
        raise MappingError(f"{where}: a mapping is a YAML object with the key `event`, got {_kind(document)}.")
    return document


def _definitions(block: object, where: str) -> tuple[Expression, ...]:
    if not isinstance(block, dict):
        raise MappingError(f"{where}: define: expected an object of named expressions, got {_kind(block)}.")
    for name in block:
        if not isinstance(name, str) or not name.startswith("_"):
            raise MappingError(f"{where}: define.{name}: the name must begin with `_`, so that it hides no field.")
    return tuple(_expression((name,), text, f"{where}: define.{name}") for name, text in block.items())


def _fields(block: object, where: str) -> tuple[Expression, ...]:
    if not isinstance(block, dict):
        raise MappingError(f"{where}: event: expected an object with our event's fields, got {_kind(block)}.")
    leaves: list[tuple[tuple[str, ...], object]] = []
    for name, value in block.items():
        if isinstance(value, dict):
            leaves += [((str(name), str(inner)), text) for inner, text in value.items()]
        else:
            leaves.append(((str(name),), value))
    for path, _ in leaves:
        if path not in _CLOSED_FIELDS and not (len(path) == 2 and path[0] in _OPEN_OBJECTS):
            allowed = sorted(".".join(known) for known in _CLOSED_FIELDS) + [f"{name}.*" for name in _OPEN_OBJECTS]
            raise MappingError(
                f"{where}: event.{'.'.join(path)} is no field of our event; allowed are {', '.join(allowed)}."
            )
    return tuple(_expression(path, text, f"{where}: event.{'.'.join(path)}") for path, text in leaves)


def _expression(target: tuple[str, ...], text: object, where: str) -> Expression:
    """Return the compiled expression; raises MappingError for wrong syntax, unknown functions and argument counts."""
    if not isinstance(text, str):
        hint = f"; write the literal as `{json.dumps(text)}` in backticks" if isinstance(text, int | float) else ""
        raise MappingError(f"{where}: expected a JMESPath expression as a string, got {_kind(text)}{hint}.")
    expression = Expression(target, text)
    try:
        tree = expression.parsed.parsed
    except JMESPathError as error:
        raise MappingError(f"{where}: {text!r} is no JMESPath expression: {' '.join(str(error).split())}.") from error
    _check_functions(tree, where)
    return expression


def _check_functions(node: AbstractMapping[str, Any], where: str) -> None:
    """Look at every call of an expression; JMESPath itself would complain only once an event reaches it."""
    if node["type"] == "function_expression":
        name, given = node["value"], len(node["children"])
        if name not in _CHECKED_FUNCTIONS:
            raise MappingError(
                f"{where}: the function {name}() is unknown; there are {', '.join(sorted(_CHECKED_FUNCTIONS))}."
            )
        signature: Sequence[AbstractMapping[str, Any]] = _CHECKED_FUNCTIONS[name]["signature"]
        variadic = bool(signature) and signature[-1].get("variadic", False)
        if given < len(signature) or (given > len(signature) and not variadic):
            raise MappingError(f"{where}: {name}() takes {len(signature)} arguments, got {given}.")
    for child in node["children"]:
        if isinstance(child, dict):
            _check_functions(child, where)


def _parse_event(original: bytes) -> dict[str, Any]:
    """Return the event for the expressions; bytes that are no UTF-8 show as U+FFFD there, and stay in `original`."""
    try:
        event = json.loads(original.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise UnmappableEvent(f"the event is not JSON: {error}") from error
    if not isinstance(event, dict):
        raise UnmappableEvent(f"expected a JSON object, got {_kind(event)}")
    return event


def _evaluate(expression: Expression, event: dict[str, Any], options: jmespath.Options, problems: list[str]) -> Any:  # noqa: ANN401  # JSON
    try:
        return expression.parsed.search(event, options)
    except (ValueError, OverflowError) as error:  # JMESPathError is a ValueError
        problems.append(f"{'.'.join(expression.target)}: {error}")
        return None


def _put(event: dict[str, Any], path: tuple[str, ...], value: Any) -> None:  # noqa: ANN401  # JSON
    for name in path[:-1]:
        event = event.setdefault(name, {})
    event[path[-1]] = value


def _check_required(event: dict[str, Any], path: tuple[str, ...], problems: list[str]) -> None:
    value: Any = event
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, str) and value:
        return
    target = ".".join(path)
    why = next((problem for problem in problems if problem.startswith(f"{target}: ")), None)
    raise UnmappableEvent(why or f"{target}: the mapping yields {_kind(value)}, a string with text is required")


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _kind(value: object) -> str:
    """Return the word for a value's JSON type."""
    if isinstance(value, str):
        return "a string" if value else "an empty string"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    return {list: "an array", dict: "an object", type(None): "null"}.get(type(value), type(value).__name__)
