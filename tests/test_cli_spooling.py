"""`auditlake spool` on spools of all kinds, as a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auditlake.batch_endpoint import Answer
from auditlake.client import AuditClient, SpoolError
from auditlake.client.drain import drain_spool
from auditlake.client.post import Connection
from auditlake.errors import SendError
from tests.batch_receiver import running_receiver
from tests.conftest import ROOT
from tests.test_client_sender import Scripted, recorded, sender

UNREACHABLE = "http://127.0.0.1:9"


def spool(*arguments: str, prefix: tuple[str, ...] = ("-m", "auditlake")) -> subprocess.CompletedProcess[str]:
    """Run `auditlake spool`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUDITLAKE_")}
    command = [sys.executable, *prefix, "spool", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def waiting(directory: Path) -> None:
    """Record an event that any endpoint accepts."""
    client = AuditClient(UNREACHABLE, directory, exit_timeout_s=0)
    client.record(event_type="login", actor="ana")
    client.close(0)


def refused(directory: Path, *numbers: int) -> None:
    """Record events that the endpoint refuses."""
    recorded(directory, *numbers)
    sender(directory, Scripted(Answer(rejected=tuple((index, "bad") for index in range(len(numbers)))))).drain()


def test_the_commands_need_no_extra(tmp_path: Path) -> None:
    """Each works where what the extras `local` and `aws` install cannot be imported."""
    refused(tmp_path, 1)
    waiting(tmp_path)
    blocked = (
        "import sys\n"
        "for name in ('simplejson', 'pyarrow', 'duckdb', 'boto3', 'botocore', 'pybase64', 'uvicorn', 'sqlglot'):\n"
        "    sys.modules[name] = None\n"
        "from auditlake.cli import main\nmain()"
    )
    with running_receiver() as receiver:
        for arguments in (
            ("status", str(tmp_path)),
            ("dead-letters", str(tmp_path)),
            ("dead-letters", str(tmp_path), "--json"),
            ("send", str(tmp_path), "--url", receiver.url),
        ):
            done = spool(*arguments, prefix=("-c", blocked))
            assert (done.returncode, done.stderr if "error" in done.stderr.lower() else "") == (0, ""), arguments


@pytest.mark.parametrize("command", ["status", "send", "dead-letters"])
def test_a_directory_of_something_else_is_no_spool(tmp_path: Path, command: str) -> None:
    """It is told, with exit code 1, and nothing is written there."""
    (tmp_path / "passwd").write_text("root")
    done = spool(command, str(tmp_path))
    assert done.returncode == 1
    assert f"{tmp_path} is no spool" in " ".join(done.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["passwd"]
    with Connection(UNREACHABLE, None, 1.0) as connection, pytest.raises(SpoolError, match="is no spool"):
        drain_spool(tmp_path, connection)
    assert [path.name for path in tmp_path.iterdir()] == ["passwd"]


def test_a_fresh_spool_is_one(tmp_path: Path) -> None:
    """An empty directory is, and one that a client used, whatever else lies in it."""
    assert spool("status", str(tmp_path)).returncode == 0
    (tmp_path / "README").write_text("of the administrator")
    waiting(tmp_path)
    assert json.loads(spool("status", str(tmp_path), "--json").stdout)["pending"] == 1


@pytest.mark.parametrize("token", ["s3\ncret", "s3 cret"])
def test_a_token_that_no_header_carries_is_never_told(tmp_path: Path, token: str) -> None:
    """It is refused before anything is sent, by a sentence without it; one that a function returns is refused then."""
    done = spool("send", str(tmp_path), "--url", UNREACHABLE, "--token", token)
    assert done.returncode == 1
    assert "no header can carry" in " ".join(done.stderr.split())
    assert "cret" not in done.stderr + done.stdout
    with pytest.raises(SendError, match="no header can carry"):
        AuditClient(UNREACHABLE, tmp_path, token=token)
    client = AuditClient(UNREACHABLE, tmp_path, token=lambda: token, exit_timeout_s=0)
    client.record(event_type="login", actor="ana")
    client.flush(1.0)
    client.close(0)
    assert "no header can carry" in str(client.problem)
    assert "cret" not in str(client.problem)


def test_a_token_of_a_file_is_taken_without_its_newline(tmp_path: Path) -> None:
    """What `cat` of a file gives works."""
    waiting(tmp_path)
    with running_receiver() as receiver:
        assert spool("send", str(tmp_path), "--url", receiver.url, "--token", "s3cret\n").returncode == 0


@pytest.mark.parametrize(
    ("url", "timeout_s", "words"),
    [
        ("http://127.0.0.1:9/events", 1.0, "leave out /events"),
        ("http://127.0.0.1:9/v1/events/batch", 1.0, "leave out /events"),
        ("http://ana:s3cret@127.0.0.1:9", 1.0, "a password"),
        ("http://127.0.0.1:9?a=b", 1.0, "a query"),
        (UNREACHABLE, 0.0, "above 0"),
        (UNREACHABLE, -1.0, "above 0"),
    ],
)
def test_what_could_never_send_is_refused_at_once(tmp_path: Path, url: str, timeout_s: float, words: str) -> None:
    """An address or a time that no request could be made with is told when the client is made, without a password."""
    with pytest.raises(SendError, match=words) as caught:
        AuditClient(url, tmp_path, timeout_s=timeout_s)
    assert "s3cret" not in str(caught.value)


def test_no_directory_is_no_spool() -> None:
    """An empty name, as from a variable that is not set, is not the directory that the service happens to run in."""
    with pytest.raises(SpoolError, match="spool is empty"):
        AuditClient(UNREACHABLE, "")


def test_dead_letters_are_settled_by_their_ids(tmp_path: Path) -> None:
    """One that is settled is not listed any more unless it is asked for; the status counts the rest."""
    refused(tmp_path, 1, 2)
    settled = spool("settle", str(tmp_path), "e-1", "--how", "mended and sent again")
    assert (settled.returncode, settled.stderr.strip()) == (0, "1 dead letter settled, 1 left.")

    listed = json.loads(spool("dead-letters", str(tmp_path), "--json").stdout)
    assert [one["id"] for one in listed] == ["e-2"]
    assert len(json.loads(spool("dead-letters", str(tmp_path), "--settled", "--json").stdout)) == 2
    assert json.loads(spool("status", str(tmp_path), "--json").stdout)["dead_lettered"] == 1

    assert spool("settle", str(tmp_path), "--all").returncode == 0
    assert spool("status", str(tmp_path), "--strict").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("e-1", "e-9"), "has the id e-9"), ((), "the ids of their events, or --all"), (("e-1", "--all"), "or --all")],
)
def test_settling_what_is_not_there_settles_nothing(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    """An unknown id, none at all, or both is a sentence, and every dead letter stays listed."""
    refused(tmp_path, 1)
    done = spool("settle", str(tmp_path), *arguments)
    assert done.returncode == 1
    assert words in " ".join(done.stderr.split())
    assert len(json.loads(spool("dead-letters", str(tmp_path), "--json").stdout)) == 1


def test_the_status_says_why_events_wait(tmp_path: Path) -> None:
    """After a try that failed a person and a script read the reason, since when, and how often."""
    waiting(tmp_path)
    spool("send", str(tmp_path), "--url", UNREACHABLE, "--timeout", "2")
    problem = json.loads(spool("status", str(tmp_path), "--json").stdout)["problem"]
    assert problem["failures"] >= 1
    assert "127.0.0.1:9" in problem["reason"] or "refused" in problem["reason"]
    assert "why they wait" in spool("status", str(tmp_path)).stdout


def test_send_keeps_what_is_sent_where_the_client_does(tmp_path: Path) -> None:
    """Or reconcile would not know of events that a dead process had recorded."""
    waiting(tmp_path)
    (tmp_path / "sent").mkdir()
    with running_receiver() as receiver:
        assert spool("send", str(tmp_path), "--url", receiver.url).returncode == 0
    assert len(list((tmp_path / "sent").iterdir())) == 1
