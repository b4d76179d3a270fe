"""Where failed records lie: the objects under the error prefix, in a directory laid out like the bucket or in S3."""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol

from auditlake.errors import AuditlakeError, StoreError
from auditlake.runtime.object_key import key_problem

_EXPRESSION = re.compile(r"!\{([^}]*)\}")
_TYPE = "firehose:error-output-type"
_IN_MEMORY_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class ErrorObject:
    """An object under the error prefix.

    `version` tells one content of a key from another (S3's ETag, or the size and time of a file); `error_type` is what
    `!{firehose:error-output-type}` was.
    """

    key: str
    version: str
    size: int
    modified: datetime
    error_type: str


class ErrorStore(Protocol):
    """Something that holds error objects; both methods raise StoreError in words."""

    def objects(self) -> Iterator[ErrorObject]:
        """Yield the objects under the error prefix, in the order of their keys."""

    def open(self, found: ErrorObject) -> AbstractContextManager[IO[bytes]]:
        """Open the bytes of an object."""


class ErrorPrefix:
    """An ErrorOutputPrefix, read the other way round: which type of error a key was written for."""

    def __init__(self, text: str) -> None:
        """Read the prefix as a stream has it, e.g. `errors/!{firehose:error-output-type}/`."""
        self.literal = text.partition("!{")[0]
        pattern, position = "", 0
        for match in _EXPRESSION.finditer(text):
            pattern += re.escape(text[position : match.start()])
            # A timestamp evaluates to as many parts as its pattern has.
            parts = "/".join(["[^/]+?"] * (match[1].count("/") + 1))
            pattern += "(?P<type>[^/]+?)" if match[1] == _TYPE else parts
            position = match.end()
        rest = re.escape(text[position:])
        self._pattern = re.compile(f"{pattern}{rest}" + ("" if text.endswith("/") else "(?=-|$|/)"))

    def error_type(self, key: str) -> str:
        """Return the type of error that an object's key names; `unknown` when it names none.

        AWS's list of types is not complete (C4), so that any is taken.
        """
        match = self._pattern.match(key)
        return match["type"] if match else "unknown"


class DirectoryErrors:
    """The error objects of a local bucket, or of a copy of one."""

    def __init__(self, root: Path, prefix: ErrorPrefix) -> None:
        """Read below `root`, the bucket's directory; raises StoreError when it is not there."""
        if not root.is_dir():
            raise StoreError(
                f"There is no bucket in {root}; give the directory that `auditlake up --data` was given with --data, "
                "and another stack's plan with --plan."
            )
        self._root = root
        self._prefix = prefix

    def objects(self) -> Iterator[ErrorObject]:
        """Yield the objects under the error prefix, in the order of their keys."""
        folder = self._root / self._prefix.literal.rpartition("/")[0]
        for path in sorted(folder.rglob("*")):
            key = path.relative_to(self._root).as_posix()
            if path.is_file() and key.startswith(self._prefix.literal) and not key.startswith("."):
                status = path.stat()
                modified = datetime.fromtimestamp(status.st_mtime, UTC)
                # Keys hold a UUID and are never written twice: size and key tell contents apart well enough here, and
                # a copied file keeps both, which its time may not be.
                yield ErrorObject(key, str(status.st_size), status.st_size, modified, self._prefix.error_type(key))

    @contextlib.contextmanager
    def open(self, found: ErrorObject) -> Iterator[IO[bytes]]:
        """Open the bytes of an object; raises StoreError."""
        if problem := key_problem(found.key):
            raise StoreError(f"The object {found.key} cannot be read from a directory: {problem}.")
        try:
            stream = (self._root / found.key).open("rb")
        except OSError as error:
            raise StoreError(f"The object {found.key} cannot be read: {error.strerror}.") from None
        with stream:
            yield stream


class S3Errors:
    """The error objects of a bucket in S3, or behind another endpoint."""

    def __init__(self, client: Any, bucket: str, prefix: ErrorPrefix, below: str = "") -> None:  # noqa: ANN401 - boto3's
        """Read `bucket` with boto3's S3 client; `below` comes before every key, empty or with a slash at its end."""
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._below = below

    def objects(self) -> Iterator[ErrorObject]:
        """Yield the objects under the error prefix, in the order of their keys; raises StoreError."""
        prefix = self._below + self._prefix.literal
        with self._explained(f"s3://{self._bucket}/{prefix} cannot be listed", "s3:ListBucket"):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for one in page.get("Contents", ()):
                    key = one["Key"].removeprefix(self._below)
                    version, size = one["ETag"].strip('"'), one["Size"]
                    yield ErrorObject(key, version, size, one["LastModified"], self._prefix.error_type(key))

    @contextlib.contextmanager
    def open(self, found: ErrorObject) -> Iterator[IO[bytes]]:
        """Download an object, whole, so that slow work on it breaks no connection; raises StoreError."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
            with self._explained(f"s3://{self._bucket}/{self._below}{found.key} cannot be read", "s3:GetObject"):
                answer = self._client.get_object(
                    Bucket=self._bucket, Key=self._below + found.key, IfMatch=f'"{found.version}"'
                )
                for chunk in answer["Body"].iter_chunks(1024 * 1024):
                    file.write(chunk)
            file.seek(0)
            yield file

    @contextlib.contextmanager
    def _explained(self, what: str, permission: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
            hint = f"; these credentials need {permission}" if code in ("403", "AccessDenied") else ""
            raise StoreError(f"{what}: {code}: {message.rstrip('.')}{hint}.") from None
        except BotoCoreError as error:
            raise StoreError(f"{what}: {str(error).rstrip('.')}.") from None


def aws_client(service: str, endpoint: str | None, region: str | None, **config: Any) -> Any:  # noqa: ANN401 - boto3's
    """Return boto3's client of a service, with the credentials that the AWS CLI would use.

    `endpoint` is None for AWS itself; `config` is botocore's. A proxy of the environment is not asked for this machine.
    Raises AuditlakeError when boto3 is not installed, or knows no region.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ModuleNotFoundError:
        raise AuditlakeError(
            "This talks to AWS with boto3, which is not installed: pip install 'auditlake[aws]'"
        ) from None
    from auditlake.loopback import is_loopback

    if endpoint and is_loopback(endpoint):
        config["proxies"] = {}
    if service == "s3" and endpoint:
        config["s3"] = {
            "addressing_style": "path"
        }  # other endpoints than AWS's seldom answer at a name for each bucket
    make: Any = boto3.Session().client  # not the one of before, which keeps its credentials
    try:
        return make(service, endpoint_url=endpoint, region_name=region, config=Config(**config))
    except (BotoCoreError, ValueError) as error:
        raise AuditlakeError(
            f"The AWS client for {service} cannot be made: {str(error).rstrip('.')}; see --region, AWS_REGION and "
            "AWS_PROFILE."
        ) from None
