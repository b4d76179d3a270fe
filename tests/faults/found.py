"""Looks for events where a runtime delivers them: in the table and under the error prefix."""

import base64
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lambda_src.common import envelope
from tests.faults.events import Found


def find(data: Path) -> Found:
    """Read the rows of every object of the table and the records of every error object below a data directory."""
    found = Found()
    for bucket in (path for path in data.iterdir() if path.is_dir()):
        for path in sorted(path for path in (bucket / "events").rglob("*") if path.is_file()):
            _read_rows(path, found)
        for path in sorted(path for path in (bucket / "errors").rglob("*") if path.is_file()):
            _read_errors(path, found)
    return found


def find_twice(data: Path) -> Found:
    """Look where `find` looks and into the source backup: an event is found that is in both."""
    delivered, backup = find(data), find_backup(data)
    both = Found(unreadable=[*delivered.unreadable, *backup.unreadable])
    for one in delivered.times.keys() & backup.times.keys():
        both.times[one] = max(delivered.times[one], backup.times[one])
        both.bodies[one] = delivered.bodies[one] | backup.bodies[one]
    return both


def find_backup(data: Path) -> Found:
    """Read the records of every object of the source backup below a data directory."""
    found = Found()
    for path in sorted(path for path in data.glob("*/raw/**/*") if path.is_file()):
        try:
            content = gzip.decompress(path.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            found.unreadable.append(f"the object {path.name} cannot be read: {error}")
            continue
        # Records stand one after the other with nothing between them, and each of a trial's is an envelope.
        for event_id, body in events_of(content.replace(b'}{"auditlake":', b'}\n{"auditlake":')):
            found.add(event_id, body)
    return found


def _read_rows(path: Path, found: Found) -> None:
    try:
        table = pq.read_table(path, columns=["event_id", "raw"], partitioning=None)
    except (pa.ArrowException, OSError) as error:
        found.unreadable.append(f"the object {path.name} cannot be read: {error}")
        return
    for event_id, raw in zip(table.column("event_id").to_pylist(), table.column("raw").to_pylist(), strict=True):
        found.add(event_id, raw.encode())


def _read_errors(path: Path, found: Found) -> None:
    for line in path.read_bytes().splitlines():
        for event_id, body in events_of(base64.b64decode(json.loads(line)["rawData"])):
            found.add(event_id, body)


def events_of(record: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield id and bytes of each event of a record: of envelopes, rows or bare events, one a line."""
    for line in record.split(b"\n"):
        if not line.strip():
            continue
        if envelope.is_envelope(line):
            body = envelope.decode(line).body
            yield str(json.loads(body).get("id")), body
            continue
        members = json.loads(line)
        yield str(members.get("event_id") or members.get("id")), members.get("raw", line.decode()).encode()
