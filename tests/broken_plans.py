"""Plans with faults: drafts of the default plan that a test spoils, and what the checks say of them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from auditlake.checks import refusals, warnings
from auditlake.checks.finding import Finding, Planned
from auditlake.default_plan import DEFAULT_PLAN
from auditlake.runtime.planned import Resource, read_resources

Values = dict[str, Any]


class Draft:
    """The default plan, to be changed in place."""

    def __init__(self) -> None:
        self.document: Values = json.loads(DEFAULT_PLAN.read_text(encoding="utf-8"))

    def _modules(self) -> Iterator[Values]:
        root = self.document["planned_values"]["root_module"]
        yield root
        yield from root["child_modules"]

    def values(self, resource_type: str, name: str = "") -> Values:
        """Return the values of a type's first resource whose address ends with `name`."""
        for module in self._modules():
            for resource in module.get("resources", ()):
                if resource["type"] == resource_type and resource["address"].endswith(name):
                    found: Values = resource["values"]
                    return found
        raise LookupError(f"{resource_type} {name}")

    def add(self, resource_type: str, **values: Any) -> None:  # noqa: ANN401 - any JSON
        """Add a resource to the root module."""
        resource = {
            "address": f"{resource_type}.added",
            "mode": "managed",
            "type": resource_type,
            "name": "added",
            "values": values,
        }
        self.document["planned_values"]["root_module"].setdefault("resources", []).append(resource)

    def drop(self, resource_type: str, name: str = "") -> None:
        """Remove the resources of a type whose addresses end with `name`."""
        for module in self._modules():
            module["resources"] = [
                resource
                for resource in module.get("resources", ())
                if resource["type"] != resource_type or not resource["address"].endswith(name)
            ]

    @property
    def stream(self) -> Values:
        """The delivery stream's values."""
        return self.values("aws_kinesis_firehose_delivery_stream")

    @property
    def s3(self) -> Values:
        """The S3 configuration of the delivery stream."""
        found: Values = self.stream["extended_s3_configuration"][0]
        return found

    @property
    def conversion(self) -> Values:
        """The format conversion of the delivery stream."""
        found: Values = self.s3["data_format_conversion_configuration"][0]
        return found

    @property
    def processors(self) -> list[Values]:
        """The processors of the delivery stream."""
        found: list[Values] = self.s3["processing_configuration"][0]["processors"]
        return found

    def parameter(self, name: str, value: str) -> None:
        """Add a parameter to the Lambda processor."""
        self.processors[0]["parameters"].append({"parameter_name": name, "parameter_value": value})

    @property
    def table(self) -> Values:
        """The table of events."""
        return self.values("aws_glue_catalog_table", "events")

    def body(self, edit: Callable[[Values], object]) -> None:
        """Change the API's document."""
        api = self.values("aws_api_gateway_rest_api")
        document = json.loads(api["body"])
        edit(document)
        api["body"] = json.dumps(document)

    def post(self, edit: Callable[[Values], object]) -> None:
        """Change the operation POST /events."""
        self.body(lambda document: edit(document["paths"]["/events"]["post"]))

    def integration(self, **values: Any) -> None:  # noqa: ANN401 - any JSON
        """Set members of the integration of POST /events; None removes."""

        def edit(operation: Values) -> None:
            integration = operation["x-amazon-apigateway-integration"]
            integration.update(values)
            for name in [name for name, value in values.items() if value is None]:
                del integration[name]

        self.post(edit)

    @property
    def resources(self) -> list[Resource]:
        """The plan's resources, as the checks read them."""
        return read_resources(json.dumps(self.document), "the draft")

    @property
    def planned(self) -> Planned:
        """The plan as a check gets it."""
        return Planned(tuple(self.resources))

    def findings(self) -> list[Finding]:
        """Return what AWS would refuse and what would do harm."""
        return [*refusals(self.resources), *warnings(self.resources)]

    def write(self, folder: Path) -> Path:
        """Write the plan into a folder; returns its path."""
        path = folder / "plan.json"
        path.write_text(json.dumps(self.document), encoding="utf-8")
        return path


Edit = Callable[[Draft], object]


def names(edit: Edit) -> list[str]:
    """Return the names of the checks that find something in the default plan after an edit."""
    draft = Draft()
    edit(draft)
    return [finding.check for finding in draft.findings()]


def put(values: Values, **members: Any) -> None:  # noqa: ANN401 - any JSON
    """Set members of a block, for edits that are expressions."""
    values.update(members)


def both(*edits: Edit) -> Edit:
    """Return the edit that makes all of these."""

    def made(draft: Draft) -> None:
        for edit in edits:
            edit(draft)

    return made
