"""The local bucket as the command line shows and changes it."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditlake.errors import AuditlakeError
from auditlake.objects import listing, parse_retention, table, time_text
from auditlake.runtime.bucket import LocalBucket
from auditlake.runtime.object_lock import Retention, RetentionMode
from auditlake.runtime.plan import ObjectLock, Plan
from tests.conftest import Running

EVENT = {"id": "o", "eventType": "login", "timestamp": "2026-11-24T03:00:00Z", "actor": {"userId": "ana"}}
NOW = 1_795_489_200.0


@pytest.fixture(scope="module")
def stored(running: Running) -> Running:
    """A runtime that stored one object."""
    assert running.auditlake("send", "-", stdin=json.dumps(EVENT)).returncode == 0
    running.flush()
    return running


def listed(running: Running, *arguments: str) -> list[dict[str, object]]:
    """What `auditlake objects` lists."""
    done = running.auditlake("objects", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    entries: list[dict[str, object]] = json.loads(done.stdout)
    return entries


def test_every_field_of_a_version_is_listed(tmp_path: Path) -> None:
    """Bytes, UTC times to the second, the checksum as S3 writes it, and where the body is."""
    bucket = LocalBucket(tmp_path, lambda: NOW)
    bucket.open(ObjectLock("GOVERNANCE", 1))
    version = bucket.put("k", b"body", sha256=hashlib.sha256(b"body").digest())
    bucket.put_legal_hold("k", version.version_id, on=True)
    marker = bucket.delete("k")
    assert marker is not None

    first, second = listing(bucket, "", versions=True)

    assert listing(bucket, "", versions=False) == []
    assert (first["version_id"], first["is_delete_marker"], first["file"]) == (marker.version_id, True, None)
    assert second == {
        "key": "k",
        "version_id": version.version_id,
        "is_latest": False,
        "is_delete_marker": False,
        "size": 4,
        "last_modified": "2026-11-24T03:00:00Z",
        "checksum_sha256": base64.b64encode(hashlib.sha256(b"body").digest()).decode(),
        "mode": "GOVERNANCE",
        "retain_until": "2026-11-25T03:00:00Z",
        "legal_hold": True,
        "file": str(tmp_path / ".bucket" / "versions" / "k" / version.version_id),
    }
    cells = [list(column.cells) for column in table([first, second]).columns]
    assert cells[1:4] == [["", "4"], [marker.version_id, version.version_id], ["delete marker", "noncurrent"]]
    assert cells[-1] == ["", "on"]


@pytest.mark.parametrize(
    ("until", "moment"),
    [
        ("2030-01-01", datetime(2030, 1, 1, tzinfo=UTC)),
        ("2030-01-01T12:00:00Z", datetime(2030, 1, 1, 12, tzinfo=UTC)),
        ("2030-01-01T12:00:00+02:00", datetime(2030, 1, 1, 10, tzinfo=UTC)),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(until: str, moment: datetime) -> None:
    """A date is its first moment in UTC, and an offset is taken into account."""
    assert parse_retention("GOVERNANCE", until) == Retention(RetentionMode.GOVERNANCE, moment)
    assert time_text(moment).endswith("Z")


@pytest.mark.parametrize(("mode", "until"), [("governance", "2030-01-01"), ("GOVERNANCE", "tomorrow")])
def test_a_retention_that_is_none_is_told(mode: str, until: str) -> None:
    """The sentence says what there is."""
    with pytest.raises(AuditlakeError, match=r"there are: GOVERNANCE, COMPLIANCE|is no date, e\.g\. 2030-01-01"):
        parse_retention(mode, until)


def test_what_the_stream_stored_is_listed_with_its_lock(stored: Running, plan: Plan) -> None:
    """A stored object has a version id, the plan's mode and a time until when it is retained."""
    (entry,) = listed(stored, "events/audit_type=login/")
    assert plan.bucket.object_lock is not None

    assert entry["mode"] == plan.bucket.object_lock.mode
    assert entry["is_latest"] is True
    assert Path(str(entry["file"])) == stored.data / plan.bucket.name / str(entry["key"])
    assert str(entry["version_id"]) in stored.auditlake("objects").stdout
    assert listed(stored, "errors/") == []


def test_an_object_is_hidden_held_retained_and_shown_while_the_pipeline_runs(stored: Running) -> None:
    """The commands act as S3 does, and a query sees each change."""
    (entry,) = listed(stored)
    key, version = str(entry["key"]), str(entry["version_id"])

    def count() -> int:
        done = stored.auditlake("query", "SELECT count(*) AS n FROM events", "--json")
        return int(json.loads(done.stdout)[0]["n"])

    hidden = stored.auditlake("object", "delete", key)
    assert "is hidden by the delete marker" in hidden.stdout
    assert count() == 0
    marker, _ = listed(stored, "--versions")
    assert marker["is_delete_marker"] is True

    assert stored.auditlake("object", "legal-hold", key, "--version-id", version).returncode == 0
    refused = stored.auditlake("object", "delete", key, "--version-id", version, "--bypass-governance-retention")
    assert refused.returncode == 1
    assert "AccessDenied: Access Denied because object protected by object lock." in refused.stderr
    assert stored.auditlake("object", "legal-hold", key, "--version-id", version, "--off").returncode == 0

    kept = stored.auditlake(
        *("object", "retain", key, "--version-id", version, "--until", "2999-01-01", "--mode", "GOVERNANCE")
    )
    assert "is retained in GOVERNANCE mode until 2999-01-01T00:00:00Z" in kept.stdout, kept.stderr
    assert stored.auditlake("object", "delete", key, "--version-id", version).returncode == 1

    shown = stored.auditlake("object", "delete", key, "--version-id", str(marker["version_id"]))
    assert "is deleted" in shown.stdout
    assert count() == 1


def test_check_exits_with_1_when_a_file_was_changed(stored: Running, plan: Plan) -> None:
    """An intact bucket is said to be so; a changed one is named, and the exit code is for scripts."""
    intact = stored.auditlake("objects", "--check")
    assert (intact.returncode, intact.stdout) == (0, "Every version is as it was put, and nothing else is there.\n")

    foreign = stored.data / plan.bucket.name / "events" / "foreign"
    foreign.write_bytes(b"")
    changed = stored.auditlake("objects", "--check", "--json")
    foreign.unlink()
    assert changed.returncode == 1
    assert json.loads(changed.stdout) == ["events/foreign: the file was not put by the bucket; queries read it."]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("object", "legal-hold", "nope", "--version-id", "x"), "NoSuchVersion: There is no version x of nope"),
        (("object", "delete", "../x"), "cannot be stored in a directory"),
        (("objects", "--data", "no-such-directory"), "There is no bucket in no-such-directory"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_1(stored: Running, arguments: tuple[str, ...], words: str) -> None:
    """No traceback: what came, and what to do next."""
    done = stored.auditlake(*arguments)

    assert done.returncode == 1
    assert done.stderr.startswith("auditlake: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_version_that_is_not_there_is_said_to_be_so(stored: Running) -> None:
    """S3 answers success (observed: versitygw#1758); so does the command, and tells."""
    done = stored.auditlake("object", "delete", "k", "--version-id", "x")

    assert done.returncode == 0
    assert done.stdout == "k has no version x; nothing was deleted, and S3 would not say so.\n"
