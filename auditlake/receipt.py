"""The receipt of `send`: a line for each event that the endpoint accepted, which `auditlake reconcile --sent` reads."""

import io
import json
import os
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from auditlake.errors import SendError
from auditlake.outgoing import Outgoing


class ReceiptFile:
    """Lines {"id", "sha256", "accepted_at"}, added to what the file holds; no path, no file.

    `sha256` is of the exact bytes that were POSTed. An event whose id only the server knows has an empty one.
    """

    def __init__(self, path: Path | None) -> None:
        """Open the file to add to it; raises SendError when it cannot be written, before anything is sent."""
        self._path = path
        self._file: io.FileIO | None = None
        if path is None:
            return
        try:
            is_new = not path.exists()
            self._file = io.FileIO(path, "a+")
            if is_new:
                _sync_directory(path.parent)
            self._end_torn_line()
        except OSError as error:
            raise self._failed(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def add(self, accepted: Sequence[Outgoing], now: datetime) -> None:
        """Write events that were accepted; they are on the disk when this returns. Raises SendError."""
        if self._file is None or not accepted:
            return
        at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        lines = [
            json.dumps({"id": event.id or "", "sha256": sha256(event.body).hexdigest(), "accepted_at": at}) + "\n"
            for event in accepted
        ]
        data = "".join(lines).encode()
        try:
            while data:
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from None

    def _end_torn_line(self) -> None:
        """End the line that a crash left without its end, so that the next one does not become part of it."""
        if self._file is None or self._file.seek(0, os.SEEK_END) == 0:
            return
        self._file.seek(-1, os.SEEK_END)
        if self._file.read(1) != b"\n":
            self._file.write(b"\n")

    def _failed(self, error: OSError) -> SendError:
        return SendError(
            f"The receipt {self._path} cannot be written ({error.strerror}); what was sent last may be accepted but "
            "not in it. Name another file, and send what it lacks again: the ids stay the same."
        )


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
