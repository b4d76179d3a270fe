"""The command line, as its users type it."""

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tests import command_line
from tests.conftest import Running

EVENTS = [
    {"id": f"cli-{n}", "eventType": kind, "timestamp": "2026-11-24T03:00:00Z", "actor": {"userId": "ana"}}
    for n, kind in enumerate(["login", "login", "logout"])
]


@pytest.fixture(scope="module")
def asked(running: Running) -> Running:
    """A runtime that holds three events, sent and stored by the command line."""
    sent = running.auditlake("send", "-", "--json", stdin="\n".join(map(json.dumps, EVENTS)))
    assert sent.returncode == 0, sent.stderr
    assert json.loads(sent.stdout)["accepted"] == len(EVENTS)
    flushed = running.auditlake("flush")
    assert flushed.stdout == "3 rows stored, in 2 objects.\n", flushed.stderr
    return running


def auditlake(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command against nothing."""
    command = [sys.executable, "-m", "auditlake", *arguments]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def test_query_prints_a_table_and_what_it_read(asked: Running) -> None:
    """Rows go to standard output, the files and bytes read to standard error."""
    done = asked.auditlake("query", "SELECT event_id, audit_type FROM events WHERE audit_type = 'logout'")

    assert done.returncode == 0
    assert "cli-2" in done.stdout
    assert "Read 1 of 2 files" in done.stderr


def test_query_prints_json_and_csv_for_scripts(asked: Running) -> None:
    """Standard output is one document and nothing else."""
    sql = "SELECT event_id FROM events ORDER BY event_id"

    assert json.loads(asked.auditlake("query", sql, "--json").stdout) == [{"event_id": f"cli-{n}"} for n in range(3)]
    rows = list(csv.reader(io.StringIO(asked.auditlake("query", sql, "--csv").stdout)))
    assert rows == [["event_id"], ["cli-0"], ["cli-1"], ["cli-2"]]


def test_a_saved_query_takes_its_parameters_by_name(asked: Running) -> None:
    """The named values find their places."""
    done = asked.auditlake(
        "query", "--saved", "one_type_on_one_day", "--param", "audit_type=login", "--param", "date=2026-11-24", "--json"
    )
    assert sorted(row["event_id"] for row in json.loads(done.stdout)) == ["cli-0", "cli-1"], done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("query",), "Give either SQL or --saved NAME"),
        (("query", "--saved", "nope"), "There is no saved query nope; there are: "),
        (("query", "--saved", "logins_of_user"), "needs the parameter user"),
        (("query", "--saved", "logins_of_user", "--param", "x"), "--param x is not NAME=VALUE"),
        (("query", "SELEC 1"), "SELEC"),
        (("query", "DROP TABLE events"), "DROP"),
        (("send", "no-such-file.ndjson"), "no-such-file.ndjson cannot be read"),
        (("send", "--map", "nope", "-"), "nope"),
        (("path", "--plan", "no-such-plan.json"), "no-such-plan.json cannot be read"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_1(asked: Running, arguments: tuple[str, ...], words: str) -> None:
    """No traceback: what came, what is allowed, what to do next."""
    done = asked.auditlake(*arguments, stdin="")

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("auditlake: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_flush_tells_of_records_that_failed(asked: Running) -> None:
    """Zero rows with everything under errors/ is not told as if all were well."""
    call = {"DeliveryStreamName": "auditlake-events", "Record": {"Data": "e30="}}
    target = {"x-amz-target": "Firehose_20150804.PutRecord", "content-type": "application/x-amz-json-1.1"}
    assert httpx.post(asked.url, json=call, headers=target).status_code == httpx.codes.OK
    done = asked.auditlake("flush")

    assert "1 records failed and lie under errors/" in done.stderr
    assert "failed" not in asked.auditlake("flush").stderr


def test_status_shows_what_is_stored(asked: Running) -> None:
    """A table for people, JSON for scripts."""
    assert "auditlake-events" in asked.auditlake("status").stdout
    assert json.loads(asked.auditlake("status", "--json").stdout)["stored"]["rows"] >= len(EVENTS)


def test_send_exits_with_1_and_keeps_what_was_rejected(asked: Running, tmp_path: Path) -> None:
    """A rejected event is in a file with its reason, and the others are accepted."""
    rejected = tmp_path / "rejected.ndjson"
    lines = [json.dumps(EVENTS[0]), '{"eventType": "login"}']
    done = asked.auditlake("send", "-", "--rejected", str(rejected), "--json", stdin="\n".join(lines))

    assert done.returncode == 1
    assert json.loads(done.stdout)["accepted"] == 1
    (entry,) = map(json.loads, rejected.read_text().splitlines())
    assert entry["index"] == 1
    assert "timestamp" in entry["reason"]
    assert entry["event"] == {"eventType": "login"}


def test_path_and_queries_need_no_runtime() -> None:
    """The eight stages and the saved queries are read from the plan."""
    stages = json.loads(auditlake("path", "--json").stdout)
    queries = json.loads(auditlake("queries", "--json").stdout)

    assert [stage["stage"] for stage in stages][0::7] == ["post", "query"]
    assert {"name": "logins_of_user", "parameters": ["user"]}.items() <= next(
        query for query in queries if query["name"] == "logins_of_user"
    ).items()
    assert "partition" in auditlake("path").stdout
    assert "logins_of_user" in auditlake("queries", COLUMNS="200").stdout


def test_every_command_has_help_with_an_example() -> None:
    """Help is there for each command, and shows how it is typed."""
    commands = ("up", "send", "flush", "status", "explain", "query", "queries", "objects", "path", "doctor")
    for command in (*commands, "errors", "redrive", "reconcile"):
        example = command_line.auditlake(Path(), command, "--help", COLUMNS="200").stdout.rpartition("Example: ")[2]
        assert f"auditlake {command}" in example


def test_version_is_the_packages() -> None:
    """As pip shows it."""
    done = auditlake("--version")
    assert (done.returncode, done.stdout) == (0, f"auditlake {version('auditlake')}\n")


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("auditlake query --saved logins", "logins_of_user"),
        ("auditlake send --map git", "github"),
        ("auditlake redrive --map cloud", "cloudtrail"),
        ("auditlake query --plan no-such-file --saved logins", ""),
    ],
)
def test_names_are_completed(typed: str, completed: str) -> None:
    """Saved queries of the plan, shipped mappings; a plan that cannot be read completes nothing."""
    script = str(Path(sys.executable).parent / "auditlake")
    environment = {
        **os.environ,
        "_AUDITLAKE_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    done = subprocess.run([script], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == (completed, "")


def test_ctrl_c_at_any_moment_of_the_start_is_no_traceback() -> None:
    """While modules are imported as well: the signal comes as Python looks for one of them."""
    program = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == sys.argv[1]:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from auditlake.cli import main\n"
        "main()\n"
    )
    for module in ("typer", "rich.console", "httpx", "auditlake.send", "auditlake.cli.redriving"):
        command = [sys.executable, "-c", program, module]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (130, "", ""), module


def test_send_asks_no_proxy_for_this_machine(asked: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment could not reach this machine's loopback."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert asked.auditlake("send", "-", stdin=json.dumps(EVENTS[0])).returncode == 0


def test_send_writes_a_receipt_of_what_was_accepted(asked: Running, tmp_path: Path) -> None:
    """Rejected events are not in it."""
    receipt = tmp_path / "receipt.ndjson"
    lines = [json.dumps(EVENTS[0]), '{"eventType": "login"}']
    asked.auditlake("send", "-", "--rejected", str(tmp_path / "r"), "--receipt", str(receipt), stdin="\n".join(lines))
    (line,) = map(json.loads, receipt.read_text().splitlines())
    assert (line["id"], line["sha256"]) == ("cli-0", sha256(lines[0].encode()).hexdigest())


def test_a_runtime_that_is_not_there_is_a_sentence() -> None:
    """The sentence says how to start one."""
    done = auditlake("status", "--url", "http://127.0.0.1:1")

    assert done.returncode == 1
    assert "auditlake up" in done.stderr


def test_up_refuses_another_address_without_a_token(tmp_path: Path) -> None:
    """The refusal names the option."""
    done = auditlake("up", "--host", "0.0.0.0", "--data", str(tmp_path / "d"))  # noqa: S104 - the point of the test

    assert done.returncode == 1
    assert "--token" in done.stderr
    assert not (tmp_path / "d").exists()


def test_up_tells_what_it_does_and_does_not(running: Running) -> None:
    """The first lines say where to POST, where it is stored, and what is not as on AWS."""
    assert running.process.stdout is not None
    lines = "".join(running.process.stdout.readline() for _ in range(8))

    assert f"POST {running.url}/events" in lines
    assert "auditlake flush" in lines
    assert "The buffer is new." in lines
    assert "nothing expires or moves to another class of storage" in lines
    assert "NO AUTHENTICATION" in lines
    assert "Object Lock" in lines
    assert httpx.get(f"{running.url}/health").json() == {"status": "ok"}


def test_status_goes_on_until_it_is_interrupted(asked: Running) -> None:
    """`status --watch` shows the status again and again, and Ctrl-C ends it without an error."""
    command = [sys.executable, "-m", "auditlake", "status", "--watch"]
    environment = {**os.environ, "AUDITLAKE_URL": asked.url, "COLUMNS": "200"}
    for options, shown in ((["--json"], '"stream": "auditlake-events"'), ([], "Delivery stream auditlake-events")):
        # On a terminal, which is where it shows the status in place.
        terminal, its_output = pty.openpty()
        watch = subprocess.Popen([*command, *options], env=environment, stdout=its_output, stderr=subprocess.PIPE)
        os.close(its_output)
        with open(terminal, "rb", buffering=0) as output:  # noqa: PTH123 - a descriptor
            seen = b""
            while seen.count(shown.encode()) < 2:
                seen += output.read(4096)
            watch.send_signal(signal.SIGINT)
            _, errors = watch.communicate(timeout=30)
        assert (watch.returncode, errors) == (0, b"")
