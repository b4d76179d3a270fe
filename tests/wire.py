"""Speaks to a runtime as producers do, and reads what lies under its prefixes."""

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.model import ListShape, MapShape, Shape, StructureShape

from tests.conftest import Running

REGION = "us-east-1"
Resource = dict[str, Any]


def write_plan(path: Path, change: Callable[[str, Resource], None]) -> Path:
    """Write the plan of the defaults with each resource's values changed, given its type; return the path."""
    text = resources.files("auditlake.runtime").joinpath("default_plan.json").read_text(encoding="utf-8")
    document = json.loads(text)
    for resource in _resources(document["planned_values"]["root_module"]):
        change(resource["type"], resource["values"])
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _resources(module: Mapping[str, Any]) -> Iterator[Resource]:
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from _resources(child)


def s3_of(values: Resource) -> Resource:
    """The extended S3 configuration of a stream's values."""
    configuration: Resource = values["extended_s3_configuration"][0]
    return configuration


def parameters_of(values: Resource) -> list[dict[str, str]]:
    """The parameters of the Lambda processor of a stream's values."""
    parameters: list[dict[str, str]] = s3_of(values)["processing_configuration"][0]["processors"][0]["parameters"]
    return parameters


def client(running: Running) -> Any:  # noqa: ANN401 - botocore makes the class at run time
    """Return the SDK's client for a runtime, which tries nothing again."""
    return boto3.client(
        "firehose",
        endpoint_url=running.url,
        region_name=REGION,
        aws_access_key_id="any",
        aws_secret_access_key="any",  # noqa: S106 - the runtime asks for none
        config=Config(retries={"total_max_attempts": 1}),
    )


def post_signed(url: str, target: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send a request as a log shipper does: plain HTTP, signed with SigV4; return status, headers and body."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    request = AWSRequest("POST", url, headers=headers, data=body)
    SigV4Auth(Credentials("any", "any"), "firehose", REGION).add_auth(request)
    plain = urllib.request.Request(url, data=body, headers=dict(request.headers.items()), method="POST")  # noqa: S310 - the runtime under test
    try:
        with urllib.request.urlopen(plain, timeout=60) as answer:  # noqa: S310 - the runtime under test
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def misfits(shape: Shape, value: object, path: str = "answer") -> list[str]:
    """Return what in a value the service model does not allow: unknown, missing and wrong members."""
    match shape:
        case StructureShape():
            if not isinstance(value, dict):
                return [f"{path} is no structure"]
            missing = [f"{path}.{name} is missing" for name in shape.required_members if name not in value]
            unknown = [f"{path}.{name} is unknown" for name in value if name not in shape.members]
            known = [(member, value[name], f"{path}.{name}") for name, member in shape.members.items() if name in value]
            return [*missing, *unknown, *(fault for one in known for fault in misfits(*one))]
        case ListShape():
            if not isinstance(value, list):
                return [f"{path} is no list"]
            return [fault for n, one in enumerate(value) for fault in misfits(shape.member, one, f"{path}[{n}]")]
        case MapShape():
            return [] if isinstance(value, dict) else [f"{path} is no map"]
    kinds: dict[str, type | tuple[type, ...]] = {"integer": int, "boolean": bool, "timestamp": (int, float)}
    if not isinstance(value, kinds.get(shape.type_name, str)):
        return [f"{path} is no {shape.type_name}"]
    limits, size = shape.metadata, len(value) if isinstance(value, str) else value
    faults = []
    if "enum" in limits and value not in limits["enum"]:
        faults.append(f"{path} is none of {limits['enum']}")
    if shape.type_name in ("string", "integer") and not limits.get("min", 0) <= size <= limits.get("max", size):
        faults.append(f"{path} is outside {limits}")
    if "pattern" in limits and not re.fullmatch(limits["pattern"].replace(r"\p{L}\p{Z}\p{N}", r"\w\s"), str(value)):
        faults.append(f"{path} does not match {limits['pattern']}")
    return faults


@dataclass(frozen=True)
class ErrorObject:
    """One line of an object under the error prefix: the type that its key names, and its members in order."""

    kind: str
    members: dict[str, Any]

    @property
    def raw(self) -> bytes:
        """The record's bytes."""
        return base64.b64decode(self.members["rawData"])


def error_objects(running: Running, bucket: str) -> list[ErrorObject]:
    """Return every line of every object under `errors/`."""
    root = running.data / bucket / "errors"
    return [
        ErrorObject(path.relative_to(root).parts[0], json.loads(line))
        for path in sorted(root.rglob("*"))
        if path.is_file()
        for line in path.read_bytes().splitlines()
    ]
