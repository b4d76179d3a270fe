"""Settings from the environment, read once at start; an error names the variable, what came and what is allowed."""

import json
import string
from collections.abc import Mapping

from lambda_src.common.partition import PartitionRule, rule

# What is safe inside an S3 key and a Hive partition value. No regular expression: compiling one costs every cold start.
_SAFE = frozenset("_.-" + string.ascii_letters + string.digits)


class SettingsError(ValueError):
    """An environment variable is missing or wrong; the message is a sentence that names it."""


def text(environ: Mapping[str, str], name: str) -> str:
    """Read a variable that must not be empty; raises SettingsError."""
    value = environ.get(name, "")
    if not value:
        raise SettingsError(f"The environment variable {name} is not set: it must hold a text that is not empty.")
    return value


def whole_number(environ: Mapping[str, str], name: str, lowest: int, highest: int) -> int:
    """Read a variable that holds a whole number within bounds; raises SettingsError."""
    value = text(environ, name)
    if not (value.isascii() and value.isdigit()) or len(value) > 9 or not lowest <= int(value) <= highest:
        raise SettingsError(
            f"The environment variable {name} is {value!r}: it must be a whole number from {lowest} to {highest}."
        )
    return int(value)


def true_or_false(environ: Mapping[str, str], name: str) -> bool:
    """Read a variable that holds `true` or `false`; raises SettingsError."""
    value = text(environ, name)
    if value not in ("true", "false"):
        raise SettingsError(f"The environment variable {name} is {value!r}: it must be true or false.")
    return value == "true"


def json_list(environ: Mapping[str, str], name: str, at_least: int = 0) -> list[str]:
    """Read a variable that holds a JSON array of texts, at least so many; raises SettingsError."""
    found = _json(text(environ, name))
    if not isinstance(found, list) or not all(isinstance(one, str) and one for one in found) or len(found) < at_least:
        raise SettingsError(
            f"The environment variable {name} must be a JSON array of at least {at_least} texts that are not empty."
        )
    return found


def json_texts(environ: Mapping[str, str], name: str) -> dict[str, str]:
    """Read a variable that holds a JSON object of texts; raises SettingsError."""
    found = _json(text(environ, name))
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise SettingsError(f"The environment variable {name} must be a JSON object whose values are texts.")
    return found


def _json(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return None


def partition_rule(environ: Mapping[str, str]) -> PartitionRule:
    """Read AUDIT_TYPES, EVENT_DAYS_BACK and EVENT_DAYS_AHEAD; raises SettingsError."""
    audit_types = text(environ, "AUDIT_TYPES").split(",")
    for audit_type in audit_types:
        if not _SAFE.issuperset(audit_type) or not audit_type[:1].isalnum() or len(audit_type) > 128:
            raise SettingsError(
                f"The environment variable AUDIT_TYPES holds {audit_type!r}: it must be a list with commas and without "
                "spaces, each type of letters, digits, dots, hyphens and underscores, beginning with a letter or digit."
            )
    return rule(
        audit_types,
        whole_number(environ, "EVENT_DAYS_BACK", 0, 366),
        whole_number(environ, "EVENT_DAYS_AHEAD", 0, 366),
    )
