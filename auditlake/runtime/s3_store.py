"""A bucket behind an S3 endpoint, as the store of a stream.

What the endpoint enforces is never assumed: each put carries a checksum and asks not to overwrite, and the bucket's
own settings are read and told, not made.
"""

import base64
import hashlib
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from auditlake.errors import ObjectExistsError, StoreError
from auditlake.runtime.plan import ObjectLock
from auditlake.runtime.store_location import S3Location

ATTEMPTS = 4
"""How often botocore sends a request at most before the stream keeps the records and tries again later."""

NOT_CONDITIONAL = ("NotImplemented", "501", "InvalidArgument", "InvalidRequest")
"""How endpoints refuse a put for `If-None-Match`, known to S3 since 2024; if it was not that, it is refused again."""

PERMISSIONS = (
    "s3:ListBucket, s3:GetBucketVersioning, s3:GetBucketObjectLockConfiguration, s3:PutObject and s3:GetObject"
)


class S3Store:
    """A bucket behind an S3 endpoint; credentials and region come from where boto3 looks for them."""

    def __init__(self, location: S3Location, promised: ObjectLock | None) -> None:
        """Find the bucket and read its settings; raises StoreError when it is not there, for it is never made here."""
        self._location = location
        self._is_conditional = True
        config = Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            # Endpoints other than AWS seldom answer at a name for each bucket.
            s3={"addressing_style": "path" if location.endpoint else "auto"},
        )
        try:
            self._client: Any = boto3.client("s3", endpoint_url=location.endpoint, config=config)
            self._client.head_bucket(Bucket=location.bucket)
        except (ClientError, BotoCoreError, ValueError) as error:
            raise StoreError(f"The store {location} cannot be used: {self._reason(error)}.") from None
        self._notices = (self._versioning(), self._object_lock(promised))

    def put(self, key: str, body: bytes) -> None:
        """Store an object with its SHA-256, and only where there is none of its key.

        An endpoint that does not know `If-None-Match` is asked before each put whether the object is there.

        Raises StoreError, and ObjectExistsError when other bytes are stored under the key.
        """
        name = self._location.prefix + key
        try:
            if not self._is_conditional:
                if self._is_there(name, body):
                    return
                self._put(name, body)
                return
            self._put(name, body, IfNoneMatch="*")
        except (ClientError, BotoCoreError) as error:
            # The answer to an earlier attempt may have been lost: then what is there is what was sent.
            if _code(error) == "PreconditionFailed" and self._is_there(name, body):
                return
            if self._is_conditional and _code(error) in NOT_CONDITIONAL:
                self._is_conditional = False
                self.put(key, body)
                return
            raise StoreError(
                f"The object {name} cannot be written to {self._location}: {self._reason(error)}."
            ) from None

    def _put(self, name: str, body: bytes, **condition: str) -> None:
        sha256 = base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")
        self._client.put_object(
            Bucket=self._location.bucket,
            Key=name,
            Body=body,
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=sha256,
            **condition,
        )

    def _is_there(self, name: str, body: bytes) -> bool:
        """Return whether the bucket has an object of this name with these bytes.

        Raises ObjectExistsError when it has other bytes, StoreError when the endpoint does not say.
        """
        where = {"Bucket": self._location.bucket, "Key": name}
        try:
            found = self._client.head_object(**where, ChecksumMode="ENABLED")
            if "ChecksumSHA256" in found:
                same = found["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")
            else:  # an endpoint that keeps no checksums: what it holds is compared itself
                same = self._client.get_object(**where)["Body"].read() == body
        except (ClientError, BotoCoreError) as error:
            if _code(error) in ("404", "NoSuchKey"):
                return False
            raise StoreError(
                f"Whether the object {name} is in {self._location} cannot be read: {self._reason(error)}."
            ) from None
        if not same:
            raise ObjectExistsError(
                f"The object {name} is in {self._location} with other bytes, and is not overwritten."
            )
        return True

    def notices(self) -> tuple[str, ...]:
        """Return what the bucket's versioning and Object Lock were found to be, beside what the plan promises."""
        return self._notices

    def _versioning(self) -> str:
        promise = "the plan promises Enabled"
        try:
            status = self._client.get_bucket_versioning(Bucket=self._location.bucket).get("Status", "off")
        except (ClientError, BotoCoreError) as error:
            return f"Versioning of {self._location} cannot be read ({self._reason(error)}); {promise}."
        return f"Versioning of {self._location} is {status}; {promise}."

    def _object_lock(self, promised: ObjectLock | None) -> str:
        promise = (
            f"the plan promises {promised.mode} for {promised.days} days" if promised else "the plan promises none"
        )
        subject = f"Object Lock of {self._location}"
        try:
            found = self._client.get_object_lock_configuration(Bucket=self._location.bucket)
        except (ClientError, BotoCoreError) as error:
            if _code(error) == "ObjectLockConfigurationNotFoundError":
                return f"{subject} is off; {promise}."
            return f"{subject} cannot be read ({self._reason(error)}); {promise}."
        default = found["ObjectLockConfiguration"].get("Rule", {}).get("DefaultRetention", {})
        if not default:
            return f"{subject} is on without a default retention, so objects are not retained; {promise}."
        # Some endpoints answer both, one of them 0.
        length = f"{default['Days']} days" if default.get("Days") else f"{default.get('Years')} years"
        return f"{subject} is by default {default['Mode']} for {length}; {promise}."

    def _reason(self, error: Exception) -> str:
        """Return what went wrong as the end of a sentence, with what to do where that is known."""
        code = _code(error)
        endpoint = self._location.endpoint or "AWS"
        if code in ("404", "NoSuchBucket"):
            return f"{endpoint} has no bucket {self._location.bucket}, and auditlake makes none: make it first"
        if code in ("403", "AccessDenied"):
            return f"access is denied; these credentials need {PERMISSIONS}"
        if isinstance(error, ClientError):
            message = error.response.get("Error", {}).get("Message", "")
            return f"{endpoint} answers {code}: {message}".rstrip(".: ")
        return str(error).rstrip(".")


def _code(error: Exception) -> str:
    """Return the code of an S3 error; empty when the error is none of S3's."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""
