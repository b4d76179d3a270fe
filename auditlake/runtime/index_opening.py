"""Opens the index of the buffer, or makes it anew from what the journal knows."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from auditlake.errors import StoreError
from auditlake.runtime.damage import DAMAGED
from auditlake.runtime.index import Index, IndexDamagedError
from auditlake.runtime.journal import keep_aside
from auditlake.runtime.journal_format import FileHeader

logger = logging.getLogger("auditlake")


def open_index(path: Path, known: FileHeader | None) -> tuple[Index, list[str]]:
    """Open the index, or make it anew of the journal when it is damaged; returns what is to be told of it.

    `known` is what a file of the journal says. Raises StoreError.
    """
    buffer_id, created_ms = (known.buffer_id.hex(), known.created_ms) if known else (None, None)
    missing = known is not None and not path.exists()
    try:
        index = Index(path, buffer_id, created_ms)
    except IndexDamagedError as damage:
        if known is None:
            raise StoreError(f"The buffer {path} cannot be opened: {damage}.") from None
        moment = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                keep_aside(part, path.parent / DAMAGED, f"{path.stem}-{moment}.sqlite{suffix}")
        sentence = (
            f"The buffer's index was damaged ({damage}) and is kept as {DAMAGED}/{path.stem}-{moment}.sqlite; it is "
            "made anew of the journal, so that nothing is lost; some records may be stored twice (with one event_id)."
        )
        logger.error("%s", sentence)
        return Index(path, buffer_id, created_ms), [sentence]
    if missing:
        return index, [f"The buffer's index {path} was gone and is made anew of the journal; rows may be stored twice."]
    return index, []


def unopened(path: Path, error: OSError) -> str:
    """Return the sentence for a buffer that could not be opened because a file could not be read or made."""
    why = error.strerror or str(error)
    if error.filename is None or not str(error.filename).endswith(".journal"):
        return f"The buffer {path} cannot be opened: {why}."
    return (
        f"The buffer {path} cannot be opened: {error.filename} cannot be read: {why}. Start again when the disk "
        "reads it, or move that file aside: the others are then delivered, and what it held is told as damaged."
    )
