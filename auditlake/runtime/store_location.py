"""Where the objects of a data directory go: into a directory, or into a bucket behind an S3 endpoint."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from auditlake.directories import make_directories, sync_directory
from auditlake.errors import StoreError

STORE_FILE = "store.json"
"""The file of the data directory that says where its objects go, when that is elsewhere."""


@dataclass(frozen=True)
class S3Location:
    """A bucket behind an S3 endpoint; `prefix` is empty or ends with a slash, `endpoint` is None for AWS itself."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None

    def __str__(self) -> str:
        """Return the URL, e.g. `s3://bucket/prefix/`."""
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True)
class _Told:
    """What the file of the data directory says: `--store` and `--store-endpoint`."""

    store: str
    endpoint: str | None


Location = Path | S3Location
"""Where the bucket is: the directory that holds the bucket's own, or a bucket behind an S3 endpoint."""


def parse_location(store: str, endpoint: str | None) -> Location:
    """Read `--store`, a directory or `s3://bucket[/prefix]`, and `--store-endpoint`; raises StoreError."""
    if not store.startswith("s3:"):
        if "://" in store:
            raise StoreError(f"--store {store} is neither a directory nor s3://BUCKET[/PREFIX].")
        if endpoint is not None:
            raise StoreError(f"--store-endpoint is for --store s3://BUCKET[/PREFIX], and --store is {store}.")
        return Path(store)
    url = urlsplit(store)
    prefix = url.path.strip("/")
    if not store.startswith("s3://") or not url.netloc or url.query or url.fragment:
        raise StoreError(f"--store {store} does not name a bucket: write s3://BUCKET or s3://BUCKET/PREFIX.")
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        raise StoreError(f"--store-endpoint {endpoint} is no URL, e.g. http://127.0.0.1:9000")
    return S3Location(url.netloc, f"{prefix}/" if prefix else "", endpoint)


def location_of(data: Path) -> Location:
    """Return where the objects of a data directory go: where it was once told, else into itself; raises StoreError."""
    try:
        told = msgspec.json.decode((data / STORE_FILE).read_bytes(), type=_Told)
        return parse_location(told.store, told.endpoint)
    except FileNotFoundError:
        return data
    except (OSError, msgspec.MsgspecError) as error:
        raise StoreError(f"{data / STORE_FILE}, which says where the objects are, cannot be read: {error}.") from None


def bucket_directory(data: Path, bucket: str) -> Path:
    """Return the directory of a bucket whose objects go into one; raises StoreError when they go to S3."""
    location = location_of(data)
    if isinstance(location, S3Location):
        endpoint = f" --endpoint-url {location.endpoint}" if location.endpoint else ""
        raise StoreError(
            f"The objects of the data directory {data} are in {location}, and this reads directories only. Ask there, "
            f"or copy them: aws s3 sync{endpoint} {location} COPY/{bucket} and then give --data COPY."
        )
    return location / bucket


def choose_location(data: Path, bucket: str, wanted: Location | None) -> Location:
    """Return where the objects go, and keep it in the data directory; None is where they went until now.

    Raises StoreError when they went elsewhere: some would be here and some there, and a query would miss some.
    """
    before = location_of(data)
    if wanted is None:
        return before
    chosen = wanted if isinstance(wanted, S3Location) else wanted.resolve()
    if chosen == (before if isinstance(before, S3Location) else before.resolve()):
        return before
    if (data / STORE_FILE).exists() or (data / bucket).exists():
        raise StoreError(
            f"The data directory {data} has its objects in {_place(before)}, and would have the next in "
            f"{_place(chosen)}: give the same --store, or choose another --data. If both are one and the same, change "
            f"{data / STORE_FILE}."
        )
    endpoint = chosen.endpoint if isinstance(chosen, S3Location) else None
    try:
        make_directories(data)
        _write_durably(data / STORE_FILE, msgspec.json.encode(_Told(str(chosen), endpoint)))
    except OSError as error:
        raise StoreError(f"The data directory {data} cannot be used: {error.strerror}.") from None
    return chosen


def _write_durably(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: half of it would keep the next process from starting."""
    written = path.with_name(f"{path.name}.new")
    with written.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)
    sync_directory(path.parent)


def _place(location: Location) -> str:
    at = f" at {location.endpoint}" if isinstance(location, S3Location) and location.endpoint else ""
    return f"{location}{at}"
