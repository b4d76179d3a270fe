"""The OpenX JSON SerDe: a record's JSON documents as rows of the Glue table, value by value (D2 to D5).

This is the exact path of the conversion. It decides alone what a record becomes; Arrow's reader is only ever a faster
way to the same rows.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

import pyarrow as pa

from auditlake.runtime.plan import OpenX
from auditlake.runtime.serde_values import Json, MismatchError, Number, Reader, scalar_reader, wrong_kind

MALFORMED_DATA = "DataFormatConversion.MalformedData"
PARSE_ERROR = "DataFormatConversion.ParseError"

WHITESPACE = " \t\r\n"
_GAP = re.compile(f"[{WHITESPACE}]*")

Row = Mapping[str, object]
"""A row's values by column, as Arrow takes them: a timestamp is microseconds, a date days, a map a list of pairs."""


class RecordError(Exception):
    """A record that cannot be converted: AWS's code, and a message that is AWS's where that is known."""

    def __init__(self, code: str, message: str) -> None:
        """Keep code and message."""
        super().__init__(message)
        self.code = code
        self.message = message


class OpenXSerde:
    """Deserializes records for one table with one set of options."""

    def __init__(self, schema: pa.Schema, options: OpenX) -> None:
        """Prepare the readers of every column of `schema`, the schema that is written."""
        self._decoder = json.JSONDecoder(
            # Numbers stay text: a decimal keeps every digit, and Python refuses to read an integer of 5,000 digits.
            parse_int=Number,
            parse_float=Number,
            parse_constant=_no_constant,
            object_pairs_hook=_folded if options.case_insensitive else _exact,
        )
        self._columns = _members_reader(list(schema), "", _Keys(options))

    def rows(self, record: bytes) -> list[Row]:
        """Return one row a document of the record, in order; raises RecordError.

        A record of several documents (D2, documented) fails whole if one of them is bad, so that no row is stored twice
        when it is redriven (UNV: AWS may do otherwise).
        """
        try:
            documents = list(self._documents(record.decode("utf-8")))
            if not documents:
                # D2, observed in a real error object.
                raise RecordError(MALFORMED_DATA, "The record was empty or contained only whitespace.")
            return [self._row(document) for document in documents]
        except ValueError as error:
            # D5: the sentence is AWS's and ends with Jackson's message; what follows it here is Python's (UNV).
            raise RecordError(PARSE_ERROR, f"Encountered malformed JSON. {error}") from None
        except RecursionError:
            # UNV: how deep AWS reads.
            message = "Encountered malformed JSON. The document is nested deeper than this runtime reads."
            raise RecordError(PARSE_ERROR, message) from None
        except MismatchError as error:
            raise RecordError(MALFORMED_DATA, f"Data does not match the schema. {error}") from None

    def _documents(self, text: str) -> Iterator[Json]:
        """Yield each document, newlines between them or not (D2, documented); raises ValueError, RecursionError."""
        position = _end_of_gap(text, 0)
        while position < len(text):
            value, end = self._decoder.raw_decode(text, position)
            yield value
            position = _end_of_gap(text, end)

    def _row(self, document: Json) -> Row:
        if isinstance(document, dict):
            return self._columns(document)
        if isinstance(document, list):
            # D2, documented as no valid input; the words are ours (UNV).
            message = "The input JSON contained an array at the top level. A record must hold one or more objects."
            raise RecordError(MALFORMED_DATA, message)
        # D2, third party.
        message = "The input JSON contained a primitive at the top level. The top level must be an object or array."
        raise RecordError(MALFORMED_DATA, message)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _end_of_gap(text: str, position: int) -> int:
    match = _GAP.match(text, position)
    return match.end() if match else position


def _folded(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Return an object with its keys in lower case, at every depth, also where it is kept as text (D3, probed)."""
    return _without_duplicates({key.lower(): value for key, value in pairs}, pairs)


def _exact(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    return _without_duplicates(dict(pairs), pairs)


def _without_duplicates(members: dict[str, Json], pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Refuse an object in which one key would hide another, as the published SerDe does (third party; UNV on AWS)."""
    if len(members) != len(pairs):
        raise MismatchError(
            "An object has two keys that are the same, or the same but for their case: "
            f"{', '.join(key for key, _ in pairs)}."[:200]
        )
    return members


class _Keys:
    """Where in a JSON object the value of a column or member stands, by the options of D3."""

    def __init__(self, options: OpenX) -> None:
        self._dots = options.convert_dots_in_json_keys_to_underscores
        fold = str.lower if options.case_insensitive else str
        self._mappings = {column: fold(key) for column, key in options.column_to_json_key_mappings}

    def finder(self, name: str) -> Callable[[dict[str, Json]], Json]:
        """Return a function that takes the value out of an object, None when it is missing or null.

        A mapping applies to members of structs too (third party). With dots converted, a key with dots is looked for
        only when the plain key is missing, and the first one counts (third party); keys of maps keep their dots (UNV).
        """
        key = self._mappings.get(name, name)
        if not self._dots:
            return lambda members: members.get(key)

        def find(members: dict[str, Json]) -> Json:
            if key in members:
                return members[key]
            dotted = ((other, value) for other, value in members.items() if "." in other)
            return next((value for other, value in dotted if other.replace(".", "_") == name), None)

        return find


def _reader(kind: pa.DataType, path: str, keys: _Keys) -> Reader:
    if pa.types.is_struct(kind):
        return _struct_reader(kind, path, keys)
    if pa.types.is_list(kind):
        return _list_reader(_reader(kind.value_type, f"{path}[]", keys))
    if pa.types.is_map(kind):
        return _map_reader(_reader(kind.item_type, f"{path}{{}}", keys), path)
    return scalar_reader(kind, path)


def _members_reader(fields: list[pa.Field], path: str, keys: _Keys) -> Callable[[dict[str, Json]], Row]:
    """Return a reader of an object: what is missing is null, what is in no column is dropped without a trace (D5)."""
    members = [
        (field.name, keys.finder(field.name), _reader(field.type, f"{path}{field.name}", keys)) for field in fields
    ]

    def read(document: dict[str, Json]) -> Row:
        return {
            name: None if (value := find(document)) is None else read_value(value) for name, find, read_value in members
        }

    return read


def _struct_reader(kind: pa.StructType, path: str, keys: _Keys) -> Reader:
    """Return a reader of a struct: by name from an object, by position from an array, extras dropped (D3, probed).

    An empty object is a struct of nulls (D5, probed), and so is blank text (third party). Any other scalar fails, with
    the message that was probed, its double space included; the class names of what is not an integer are inferred.
    """
    from_object = _members_reader(list(kind), f"{path}.", keys)
    readers = [(member.name, _reader(member.type, f"{path}.{member.name}", keys)) for member in kind]

    def read(value: Json) -> object:
        if isinstance(value, dict):
            return from_object(value)
        if isinstance(value, str) and not value.strip():
            value = []
        if not isinstance(value, list):
            raise MismatchError(f"Data is not JSONObject  but {_java_class(value)} with value {_java_text(value)}")
        padded = [*value, *[None] * (len(readers) - len(value))]
        return {
            name: None if element is None else read_value(element)
            for (name, read_value), element in zip(readers, padded, strict=False)
        }

    return read


def _list_reader(read_element: Reader) -> Reader:
    """Return a reader of an array: what is no array becomes its one element (D3, probed); "" is null (third party)."""

    def read(value: Json) -> object:
        if isinstance(value, list):
            return [None if element is None else read_element(element) for element in value]
        return None if value == "" else [read_element(value)]

    return read


def _map_reader(read_value: Reader, path: str) -> Reader:
    """Return a reader of a map from an object; blank text is null (third party), all else fails (probed; words UNV)."""

    def read(value: Json) -> object:
        if isinstance(value, dict):
            return [(key, None if member is None else read_value(member)) for key, member in _encodable(value, path)]
        if isinstance(value, str) and not value.strip():
            return None
        raise wrong_kind(path, value, "map")

    return read


def _encodable(members: dict[str, Json], path: str) -> Iterator[tuple[str, Json]]:
    read_key = scalar_reader(pa.string(), path)
    return ((str(read_key(key)), member) for key, member in members.items())


def _java_class(value: Json) -> str:
    if isinstance(value, bool):
        return "java.lang.Boolean"
    if isinstance(value, Number):
        return "java.lang.Long" if value.lstrip("-").isdigit() else "java.lang.Double"
    return "java.lang.String"


def _java_text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
