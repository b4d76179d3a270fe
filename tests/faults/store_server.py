"""An S3 endpoint that keeps objects in a directory and refuses puts as it is told."""

import base64
import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.faults.http_server import Handler, serving

Fault = Callable[[int], str]
"""Tells by a put's number (from 1) what befalls it: `` (nothing), `503`, `403`, `lost answer` or `hang up`."""
_ERRORS = {503: "SlowDown", 403: "AccessDenied", 412: "PreconditionFailed", 404: "NoSuchKey"}


class StoreServer:
    """Keeps what the runtime puts; `injected` counts the puts that something befell."""

    def __init__(self, root: Path, fault: Fault) -> None:
        """Keep objects below `root`."""
        self.url = ""
        self.root = root
        self.injected = 0
        self._fault = fault
        self._puts = itertools.count(1)

    def path(self, target: str) -> Path:
        """Return the file of a request's target."""
        return self.root / unquote(urlsplit(target).path).lstrip("/")

    def next_fault(self) -> str:
        """Return what befalls the next put."""
        fault = self._fault(next(self._puts))
        self.injected += bool(fault)
        return fault

    def put(self, target: str, body: bytes) -> bool:
        """Keep an object unless there is one of its key; returns whether it was kept."""
        path = self.path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), path.open("xb") as file:
            file.write(body)
            return True
        return False


class _Objects(Handler):
    """Answers as S3 does what the runtime asks."""

    store: StoreServer

    def do_HEAD(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer for a bucket, or for an object with its checksum."""
        path = self.store.path(self.path)
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).digest()
            self.answer(200, b"", {"x-amz-checksum-sha256": base64.b64encode(digest).decode()})
        else:
            self.answer(200 if self.path.count("/") < 2 else 404, b"")

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """Say that the bucket has versioning; of its lock there is nothing to say."""
        if urlsplit(self.path).query.startswith("versioning"):
            self.answer(200, b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
        else:
            self._refuse(404)

    def do_PUT(self) -> None:  # noqa: N802 - the name that http.server calls
        """Keep an object, or fail."""
        body = self.body()
        fault = self.store.next_fault()
        if fault in ("503", "403"):
            self._refuse(int(fault))
            return
        self.close_connection = fault in ("hang up", "lost answer")
        if fault == "hang up":
            return
        is_stored = self.store.put(self.path, body)
        if fault == "lost answer":
            return
        if is_stored:
            self.answer(200, b"", {"etag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'})
        else:
            self._refuse(412)

    def _refuse(self, status: int) -> None:
        self.answer(status, f"<Error><Code>{_ERRORS[status]}</Code><Message>told to</Message></Error>".encode())


@contextmanager
def storing(root: Path, fault: Fault) -> Iterator[StoreServer]:
    """Serve while the block runs."""
    store_server = StoreServer(root, fault)

    class Objects(_Objects):
        store = store_server

    with serving(Objects) as store_server.url:
        yield store_server
