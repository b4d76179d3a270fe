"""What a mapping template holds in its hands: JSON values with the methods and the print of Java's."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import airspeed.operators as velocity


class JavaMap(dict[str, Any]):
    """A JSON object as a template sees it: it prints as `{a=1, b=x}` and has the methods of java.util.Map."""

    def size(self) -> int:
        """The number of members."""
        return len(self)

    def isEmpty(self) -> bool:  # noqa: N802 - Java's name
        """Whether there is no member."""
        return not self

    def keySet(self) -> "JavaList":  # noqa: N802 - Java's name
        """The members' names."""
        return JavaList(self)

    def entrySet(self) -> "JavaList":  # noqa: N802 - Java's name
        """The members, each with `key` and `value`."""
        return JavaList(JavaMap(key=key, value=value) for key, value in self.items())

    def values(self) -> "JavaList":  # type: ignore[override]  # Java's gives a collection with size()
        """The members' values."""
        return JavaList(super().values())

    def containsKey(self, key: str) -> bool:  # noqa: N802 - Java's name
        """Whether a member has this name."""
        return key in self

    def put(self, key: str, value: object) -> object:
        """Set a member and return what it was."""
        before = self.get(key)
        self[key] = value
        return before

    def remove(self, key: str) -> object:
        """Remove a member and return what it was."""
        return self.pop(key, None)

    def toString(self) -> str:  # noqa: N802 - Java's name
        """The map as it prints."""
        return str(self)

    def __str__(self) -> str:
        return "{" + ", ".join(f"{key}={java_text(value)}" for key, value in self.items()) + "}"


class JavaList(list[Any]):
    """A JSON array as a template sees it: it prints as `[1, x]` and has the methods of java.util.List."""

    def size(self) -> int:
        """The number of elements."""
        return len(self)

    def isEmpty(self) -> bool:  # noqa: N802 - Java's name
        """Whether there is no element."""
        return not self

    def get(self, index: int) -> Any:  # noqa: ANN401 - any JSON value
        """The element at `index`, from 0."""
        return self[index]

    def contains(self, value: object) -> bool:
        """Whether an element equals `value`."""
        return value in self

    def add(self, value: object) -> bool:
        """Add an element; true, which a template prints unless it sets a variable to it."""
        self.append(value)
        return True

    def toString(self) -> str:  # noqa: N802 - Java's name
        """The list as it prints."""
        return str(self)

    def __str__(self) -> str:
        return "[" + ", ".join(java_text(value) for value in self) + "]"


class Claims(JavaMap):
    """The claims of a token: each is found by its name, while the map itself is null (F2, documented)."""

    def __str__(self) -> str:
        return ""


def java_text(value: object) -> str:
    """Return a value as Java prints it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def java_value(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value as a template sees it; a class of one's own stays as it is."""
    if isinstance(value, JavaMap | JavaList) or (isinstance(value, dict) and type(value) is not dict):
        return value
    if isinstance(value, Mapping):
        return JavaMap((key, java_value(member)) for key, member in value.items())
    if isinstance(value, list | tuple):
        return JavaList(java_value(member) for member in value)
    return value


_STRING_METHODS: dict[str, Callable[..., Any]] = {
    "concat": lambda text, other: text + other,
    "endsWith": lambda text, suffix: text.endswith(suffix),
    "equals": lambda text, other: text == other,
    "equalsIgnoreCase": lambda text, other: isinstance(other, str) and text.lower() == other.lower(),
    "indexOf": lambda text, other: text.find(other),
    "isEmpty": lambda text: not text,
    "lastIndexOf": lambda text, other: text.rfind(other),
    "split": lambda text, pattern: JavaList(re.split(pattern, text)),
    "toLowerCase": lambda text: text.lower(),
    "toString": lambda text: text,
    "toUpperCase": lambda text: text.upper(),
    "trim": lambda text: text.strip(),
}
velocity.__additional_methods__[str].update(_STRING_METHODS)
