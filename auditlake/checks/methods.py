"""The methods of a plan's REST APIs, from an OpenAPI document or from resources, as the checks see them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from auditlake.checks.finding import Place, Planned, Values, text
from auditlake.runtime.planned import Resource

API = "aws_api_gateway_rest_api"
INTEGRATION = "x-amazon-apigateway-integration"
VERBS = ("get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method")

# The attributes of aws_api_gateway_integration by their names in OpenAPI.
_ATTRIBUTES = {
    "type": "type",
    "uri": "uri",
    "credentials": "credentials",
    "httpMethod": "integration_http_method",
    "timeoutInMillis": "timeout_milliseconds",
    "passthroughBehavior": "passthrough_behavior",
    "requestTemplates": "request_templates",
    "requestParameters": "request_parameters",
}


@dataclass(frozen=True)
class Integration:
    """What stands behind a method.

    `values` has OpenAPI's names; as everywhere, what is missing is not known and what is null is not set. `attributes`
    says where in the resource each of them stands.
    """

    resource: Resource
    values: Values
    attributes: Mapping[str, str]
    responses: Values

    @property
    def type(self) -> str:
        """The type in lower case: aws, aws_proxy, http, http_proxy or mock."""
        return text(self.values.get("type")).lower()

    @property
    def service(self) -> str:
        """The AWS service that an integration calls, e.g. firehose; empty when it calls none."""
        parts = text(self.values.get("uri")).split(":")
        return parts[4] if self.type in ("aws", "aws_proxy") and len(parts) > 5 and parts[2] == "apigateway" else ""

    def at(self, name: str, came: object = None, **words: str) -> Place:
        """Return the place of an attribute, by its OpenAPI name."""
        return Place(self.resource, self.attributes.get(name, name), came, **words)

    def templates(self) -> Iterator[tuple[str, str]]:
        """Yield the mapping templates: where each stands, and its text."""
        for media_type, template in _mapping(self.values.get("requestTemplates")).items():
            yield f"{self.attributes['requestTemplates']}.{media_type}", text(template)
        for pattern, response in self.responses.items():
            for media_type, template in _mapping(_mapping(response).get("responseTemplates")).items():
                yield f"{self.attributes['responses']}.{pattern}.{media_type}", text(template)


@dataclass(frozen=True)
class Operation:
    """A method of an OpenAPI document; `definition` is its object."""

    resource: Resource
    document: Values
    path: str
    verb: str
    definition: Values

    @property
    def name(self) -> str:
        """How it is called in findings, e.g. `POST /events`."""
        return f"{self.verb.upper()} {self.path}"

    @property
    def integration(self) -> Integration | None:
        """What stands behind it, None where the document says nothing."""
        found = self.definition.get(INTEGRATION)
        if not isinstance(found, Mapping):
            return None
        values = {name: found.get(name) for name in _ATTRIBUTES}
        attributes = {name: f"body.{self.name}.{name}" for name in (*_ATTRIBUTES, "responses")}
        return Integration(self.resource, values, attributes, _mapping(found.get("responses")))

    @property
    def open(self) -> bool:
        """Whether anybody may call it: neither the method nor the document asks for authentication."""
        return not self.definition.get("security", self.document.get("security"))

    def response(self, status: str) -> Values | None:
        """Return the method response of a status, None where it is not declared."""
        found = _mapping(self.definition.get("responses")).get(status)
        return None if found is None else _mapping(resolve(self.document, found))

    def at(self, name: str, came: object = None, **words: str) -> Place:
        """Return a place in the method's definition."""
        return Place(self.resource, f"body.{self.name}.{name}", came, **words)


def documents(planned: Planned) -> Iterator[tuple[Resource, Values]]:
    """Yield the REST APIs whose document the plan knows, with it: JSON or YAML."""
    for resource in planned.of(API):
        document = _parsed(text(resource.values.get("body")))
        if isinstance(document, Mapping):
            yield resource, document


def unreadable(planned: Planned) -> Iterator[Place]:
    """Yield the APIs whose body is no document at all."""
    readable = [resource.address for resource, _ in documents(planned)]
    for resource in planned.of(API):
        if text(resource.values.get("body")) and resource.address not in readable:
            yield Place(resource, "body", text(resource.values["body"])[:40])


def operations(planned: Planned) -> Iterator[Operation]:
    """Yield the methods of the documents."""
    for resource, document in documents(planned):
        for path, verbs in _mapping(document.get("paths")).items():
            for verb, definition in _mapping(verbs).items():
                if verb in VERBS and isinstance(definition, Mapping):
                    yield Operation(resource, document, str(path), verb, definition)


def integrations(planned: Planned) -> Iterator[Integration]:
    """Yield what stands behind the methods, of documents and of resources."""
    for operation in operations(planned):
        if operation.integration is not None:
            yield operation.integration
    for resource in planned.of("aws_api_gateway_integration"):
        values = {name: resource.values[own] for name, own in _ATTRIBUTES.items() if own in resource.values}
        yield Integration(resource, values, _ATTRIBUTES, {})


def resolve(document: Values, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Follow a `$ref` within the document; None when it leads nowhere."""
    seen: set[str] = set()
    while isinstance(value, Mapping) and isinstance(value.get("$ref"), str):
        reference = value["$ref"]
        if reference in seen or not reference.startswith("#/"):
            return None
        seen.add(reference)
        value = document
        for part in reference[2:].split("/"):
            value = _mapping(value).get(part.replace("~1", "/").replace("~0", "~"))
    return value


def references(value: Any, path: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON value
    """Yield every `$ref` below a value: where it stands and where it leads."""
    if isinstance(value, Mapping):
        if isinstance(value.get("$ref"), str):
            yield path, value["$ref"]
        for name, member in value.items():
            yield from references(member, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from references(member, f"{path}.{index}")


def _parsed(body: str) -> object:
    """Return what a body holds; JSON is YAML too, but ten times as fast to read."""
    try:
        return json.loads(body)
    except ValueError:
        try:
            return yaml.safe_load(body)
        except yaml.YAMLError:
            return None


def _mapping(value: object) -> Values:
    return value if isinstance(value, Mapping) else {}
