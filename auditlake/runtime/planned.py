"""Resources of a Terraform plan in JSON, and their planned values."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from auditlake.errors import PlanError


@dataclass(frozen=True)
class Resource:
    """A resource of the plan: its address, its type and its planned values."""

    address: str
    type: str
    values: Mapping[str, Any]


def plan_text(path: Path | None = None) -> tuple[str, str]:
    """Return the JSON of the plan at `path`, or of the defaults, and what to call it in errors; raises PlanError."""
    if path is None:
        text = resources.files("auditlake.runtime").joinpath("default_plan.json").read_text(encoding="utf-8")
        return text, "the default plan"
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except OSError as error:
        raise PlanError(f"The plan {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise PlanError(
            f"{path} is not JSON; if it is a plan file, run: terraform show -json {path} > plan.json"
        ) from None


def read_resources(text: str, source: str) -> list[Resource]:
    """Return every managed resource of the plan with its planned values; raises PlanError when it is no plan."""
    try:
        document = json.loads(text)
        return list(_walk(document["planned_values"]["root_module"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PlanError(
            f"{source} is not a Terraform plan in JSON; make one with: "
            "terraform plan -out tfplan && terraform show -json tfplan > plan.json"
        ) from None


def _walk(module: Mapping[str, Any]) -> Iterator[Resource]:
    for resource in module.get("resources", ()):
        if resource.get("mode") == "managed":
            yield Resource(resource["address"], resource["type"], resource["values"])
    for child in module.get("child_modules", ()):
        yield from _walk(child)


def block(values: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the block at a path of blocks, empty where there is none; Terraform plans a block as a list of one."""
    for name in path:
        values = next(iter(blocks(values, name)), {})
    return values


def blocks(values: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the blocks of that name."""
    found = values.get(name)
    one_or_more = found if isinstance(found, list) else [found]
    return [one for one in one_or_more if isinstance(one, Mapping)]


def text_of(values: Mapping[str, Any], name: str) -> str:
    """Return a text that the runtime needs; raises KeyError when the plan does not know it."""
    if not isinstance(values.get(name), str):
        raise KeyError(name)
    return str(values[name])


def number_of(values: Mapping[str, Any], name: str) -> int:
    """Return a number that the runtime needs; raises KeyError when the plan does not know it."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise KeyError(name)
    return int(value)


def known_text(resource: Resource, attribute: str) -> str:
    """Return a text of the resource that the runtime needs; raises PlanError when the plan does not know it."""
    value = resource.values.get(attribute)
    if not isinstance(value, str):
        raise PlanError(
            f"{resource.address}: {attribute} is not known in the plan, and the runtime needs it: "
            "compose it from known names."
        )
    return value
