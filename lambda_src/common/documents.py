"""Taking a JSON document of many events apart into the exact bytes of each."""

import re

import msgspec

from lambda_src.common.fields import replace_lone_surrogates

BOM = b"\xef\xbb\xbf"

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What taking apart raises for bytes that are no JSON; a msgspec.ValidationError is JSON of another shape."""

_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def elements(document: bytes, key: str) -> list[bytes] | None:
    """Give the exact bytes of the elements of the array that a document is, or that it has under `key`.

    None for an object that is an event itself: it has no `key`, or it has an `eventType`. Raises one of `NOT_JSON`, a
    msgspec.ValidationError where something else stands than an object or an array. Bytes that are no UTF-8 and lone
    surrogates, which msgspec does not decode, are looked past: one such event must not cost the others.
    """
    try:
        return _elements(document, document, key)
    except msgspec.ValidationError:
        raise
    except NOT_JSON:
        text = decodable(document)
        if text == document:
            raise
    return _elements(text, document, key)


def decodable(document: bytes) -> bytes:
    """Replace what msgspec does not decode, byte for byte, so that everything stays in its place."""
    try:
        document.decode()
    except UnicodeDecodeError:
        document = re.sub("[\udc80-\udcff]", "?", document.decode(errors="surrogateescape")).encode()
    return replace_lone_surrogates(document)


def _elements(text: bytes, document: bytes, key: str) -> list[bytes] | None:
    """Find the elements in `text`, which is as long as `document`, and cut them out of `document`."""
    array = text
    if not text.lstrip().startswith(b"["):
        members = _OBJECT.decode(text)
        if key not in members or "eventType" in members:
            return None
        array = bytes(members[key])
    found = [bytes(element) for element in _ARRAY.decode(array)]
    if text is document:
        return found
    if text.count(array) != 1:
        raise msgspec.DecodeError("a character that no text can hold, and the list of events stands there twice")
    # Between two elements stand only commas and spaces, so the next place at which one is found is its own.
    place, bodies = text.index(array), []
    for element in found:
        place = text.index(element, place)
        bodies.append(document[place : place + len(element)])
        place += len(element)
    return bodies
