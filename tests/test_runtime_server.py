"""The runtime as a process: start, stop, who may talk to it, and what survives."""

import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from joserfc import jwt
from joserfc.jwk import RSAKey

from auditlake.errors import AuditlakeError, PlanError
from auditlake.runtime.authenticate import Mode
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.plan import Function, Plan
from auditlake.runtime.planned import read_resources
from auditlake.runtime.query import run_query
from auditlake.runtime.settings import Settings
from auditlake.runtime.wiring import Runtime
from auditlake.sigv4 import SigV4
from tests.conftest import Running, Up
from tests.http_servers import serving
from tests.wire import Resource, client, write_plan

EVENT = {"id": "e", "eventType": "login", "timestamp": "2026-11-24T03:00:00Z", "actor": {"userId": "u"}}


def stored(running: Running, plan: Plan) -> list[Path]:
    """The Parquet objects of a runtime's store."""
    return list((running.data / plan.bucket.name / "events").rglob("*.parquet"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_delivers_what_is_buffered(up: Up, plan: Plan, number: signal.Signals) -> None:
    """Ctrl-C and a service manager's stop both drain, say so as their last words, and end with 0."""
    running = up()
    assert httpx.post(f"{running.url}/events", json=EVENT).status_code == httpx.codes.ACCEPTED
    running.process.send_signal(number)
    output, _ = running.process.communicate(timeout=60)

    assert running.process.returncode == 0, output
    assert "what is buffered is delivered now" in output
    assert " ".join(output.split()).endswith("leaves it in the buffer for the next start.")
    assert len(stored(running, plan)) == 1


def test_a_killed_runtime_delivers_after_its_next_start(up: Up, plan: Plan) -> None:
    """What was acknowledged before kill -9 is stored by the next process."""
    running = up()
    assert httpx.post(f"{running.url}/events", json=EVENT).status_code == httpx.codes.ACCEPTED
    running.process.kill()
    running.process.communicate()
    assert stored(running, plan) == []

    again = up(data=running.data)
    again.flush()
    assert len(stored(again, plan)) == 1


def test_two_processes_never_share_a_data_directory(up: Up) -> None:
    """The second process is refused with a sentence and changes nothing."""
    running = up()
    command = [sys.executable, "-m", "auditlake", "up", "--port", "0", "--data", str(running.data)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert second.returncode == 1
    assert "Another process runs on the data directory" in second.stderr
    assert httpx.get(f"{running.url}/health").status_code == httpx.codes.OK


def test_a_port_in_use_is_a_sentence(up: Up) -> None:
    """The sentence names the port and the option that changes it."""
    port = str(urlsplit(up().url).port)
    command = [sys.executable, "-m", "auditlake", "up", "--port", port, "--data", "unused"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert second.returncode == 1
    assert f"port {port}" in second.stderr
    assert "--port" in second.stderr


def test_another_address_needs_a_token() -> None:
    """What other machines can reach is never open to all of them, nor is the runtime's own control."""
    for host, token in (("127.0.0.1", None), ("::1", None), ("localhost", None), ("0.0.0.0", "t")):  # noqa: S104 - the point
        Settings(Path("d"), host, 0, token).authentication()
    for host in ("0.0.0.0", "::", "audit.example.com"):  # noqa: S104 - the point of the test
        for auth in (None, Mode.NONE, Mode.PLAN):
            with pytest.raises(AuditlakeError, match="--token"):
                Settings(Path("d"), host, 0, None, auth=auth).authentication()
    Settings(Path("d"), "0.0.0.0", 0, "t", auth=Mode.PLAN).authentication()  # noqa: S104 - the point of the test


def test_a_token_guards_every_door(up: Up) -> None:
    """With --token the API, the control and the stream's own API ask for it; the receiver still delivers."""
    running = up("--token", "s3cret")
    bearer = {"authorization": "Bearer s3cret"}
    target = {"x-amz-target": "Firehose_20150804.PutRecord"}

    assert httpx.post(f"{running.url}/events", json=EVENT).status_code == httpx.codes.FORBIDDEN
    assert httpx.post(f"{running.url}/_auditlake/flush").status_code == httpx.codes.UNAUTHORIZED
    assert httpx.post(running.url, json={}, headers=target).json()["__type"] == "MissingAuthenticationTokenException"
    named = {**target, "authorization": "AWS4-HMAC-SHA256 Credential=AUDITLAKE/", "x-amz-date": "20261124T000000Z"}
    assert httpx.post(running.url, json={}, headers=named).json()["__type"] == "MissingAuthenticationTokenException"
    assert httpx.post(f"{running.url}/events", json=EVENT, headers=bearer).status_code == httpx.codes.ACCEPTED
    batch = httpx.post(f"{running.url}/events/batch", json=[EVENT], headers=bearer)
    assert (batch.status_code, batch.json()["accepted"]) == (httpx.codes.ACCEPTED, 1)
    flushed = httpx.post(f"{running.url}/_auditlake/flush", headers=bearer, timeout=60)
    assert flushed.json()["rows"] == 2


KEYS = """
[alice]
aws_access_key_id = AKIDALICE
aws_secret_access_key = alices-secret
principal_arn = arn:aws:iam::123456789012:user/alice
[bob]
aws_access_key_id = AKIDBOB
aws_secret_access_key = bobs-secret
principal_arn = arn:aws:iam::123456789012:user/bob
allowed = GET/*
"""


@pytest.fixture(scope="module")
def guarded(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """A runtime that asks for what the plan of the defaults asks for: IAM."""
    credentials = tmp_path_factory.mktemp("keys") / "credentials"
    credentials.write_text(KEYS)
    return up("--auth", "plan", "--credentials", str(credentials))


def send(guarded: Running, profile: str, file: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """`auditlake send --auth sigv4` with a profile of a credentials file, as a user of the AWS CLI has one."""
    credentials = file.parent / "credentials"
    credentials.write_text(KEYS.replace("principal_arn", "# principal_arn"))
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AUDITLAKE_"))}
    own["COLUMNS"] = "1000"
    aws = {"AWS_SHARED_CREDENTIALS_FILE": str(credentials), "AWS_PROFILE": profile, "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-m", "auditlake", "send", str(file), "--url", guarded.url, "--auth", "sigv4", *options]
    return subprocess.run(command, env={**own, **aws}, capture_output=True, text=True, timeout=60, check=False)


def principals(running: Running) -> set[tuple[str, str]]:
    """Event ids with their principals, after a flush."""
    running.flush()
    found = running.auditlake("query", "SELECT event_id, principal FROM events", "--json")
    return {(row["event_id"], row["principal"]) for row in json.loads(found.stdout)}


def test_send_signs_and_the_row_names_the_signer(guarded: Running, plan: Plan, tmp_path: Path) -> None:
    """Events that `send` signed with a profile are stored with the principal of its key, over both routes."""
    file = tmp_path / "events.ndjson"
    file.write_text("\n".join(json.dumps({**EVENT, "id": f"signed-{number}"}) for number in range(3)))
    sent = send(guarded, "alice", file, "--region", plan.region)
    assert sent.returncode == 0, sent.stderr

    signer = SigV4(Credentials("AKIDALICE", "alices-secret"), plan.region)
    one = httpx.post(f"{guarded.url}/events", json={**EVENT, "id": "direct"}, auth=signer)
    assert one.status_code == httpx.codes.ACCEPTED, one.text
    alice = "arn:aws:iam::123456789012:user/alice"
    assert principals(guarded) >= {(name, alice) for name in ("signed-0", "signed-1", "signed-2", "direct")}


def test_send_without_the_right_key_is_told_why(guarded: Running, plan: Plan, tmp_path: Path) -> None:
    """Another region, a principal that may not call, and no signature at all are each refused with a sentence."""
    file = tmp_path / "events.ndjson"
    file.write_text(json.dumps(EVENT))

    assert "credentials of the request do not match" in send(guarded, "alice", file, "--region", "eu-west-1").stderr
    assert "let its policy allow" in send(guarded, "bob", file, "--region", plan.region).stderr
    unsigned = httpx.post(f"{guarded.url}/events", json=EVENT)
    assert (unsigned.status_code, "not authenticated" in unsigned.text) == (httpx.codes.FORBIDDEN, True)
    assert httpx.get(f"{guarded.url}/health").status_code == httpx.codes.OK


def test_the_wire_verifies_signatures(guarded: Running, plan: Plan) -> None:
    """A producer with a given key puts by the AWS SDK; one with a wrong secret or none is refused as AWS does."""

    def put(secret: str) -> str:
        client = boto3.client(
            "firehose",
            endpoint_url=guarded.url,
            region_name=plan.region,
            aws_access_key_id="AKIDALICE",
            aws_secret_access_key=secret,
        )
        answer = client.put_record(DeliveryStreamName=plan.stream.name, Record={"Data": json.dumps(EVENT).encode()})
        return str(answer["RecordId"])

    assert put("alices-secret")
    with pytest.raises(ClientError, match="InvalidSignatureException"):
        put("another-secret")


def test_a_user_pools_token_is_the_principal(up: Up, tmp_path: Path) -> None:
    """With a plan that asks for Cognito the token's subject is in the row; without a token the answer is 401."""
    key = RSAKey.generate_key(2048, {"kid": "k"})
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    running = up("--auth", "plan", "--jwks", str(tmp_path / "jwks.json"), "--plan", str(cognito_plan(tmp_path)))
    claims = {
        "sub": "carol",
        "iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_x",
        "exp": int(time.time()) + 600,
        "token_use": "id",
    }
    bearer = {"authorization": "Bearer " + jwt.encode({"alg": "RS256", "kid": "k"}, claims, key)}

    assert httpx.post(f"{running.url}/events", json=EVENT).status_code == httpx.codes.UNAUTHORIZED
    for path, name in (("events", "direct"), ("events/batch", "batch")):
        answer = httpx.post(f"{running.url}/{path}", json={**EVENT, "id": name}, headers=bearer)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    assert principals(running) == {("direct", "carol"), ("batch", "carol")}


def cognito_plan(folder: Path) -> Path:
    """The plan of the defaults with a Cognito authorizer in its document."""
    text = resources.files("auditlake.runtime").joinpath("default_plan.json").read_text(encoding="utf-8")
    content = json.loads(text)
    (api,) = (r for r in read_resources(text, "the default plan") if r.type == "aws_api_gateway_rest_api")
    document = json.loads(api.values["body"])
    document["components"]["securitySchemes"] = {
        "cognito": {
            "type": "apiKey",
            "name": "Authorization",
            "in": "header",
            "x-amazon-apigateway-authtype": "cognito_user_pools",
            "x-amazon-apigateway-authorizer": {
                "type": "cognito_user_pools",
                "providerARNs": ["arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_x"],
            },
        }
    }
    for route in ("/events", "/events/batch"):
        document["paths"][route]["post"]["security"] = [{"cognito": []}]
    path = folder / "plan.json"
    changed = json.dumps(content).replace(json.dumps(api.values["body"]), json.dumps(json.dumps(document)))
    assert changed != json.dumps(content)
    path.write_text(changed)
    return path


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"host": "evil.example"}],
    ids=["origin", "site", "rebinding"],
)
@pytest.mark.parametrize("path", ["/events", "/_auditlake/flush", "/"])
def test_a_page_in_a_browser_cannot_write(running: Running, path: str, headers: dict[str, str]) -> None:
    """Neither the API, nor the control, nor the stream's API takes what a page can have a browser send."""
    target = {"x-amz-target": "Firehose_20150804.PutRecord"} if path == "/" else {}
    answer = httpx.post(f"{running.url}{path}", content=json.dumps(EVENT), headers={**headers, **target})

    assert answer.status_code == httpx.codes.FORBIDDEN
    assert "--auth" in answer.json()["detail"]


def test_starting_says_loudly_that_nothing_is_asked_for(up: Up, tmp_path: Path) -> None:
    """Without authentication the announcement says so in capitals; contradicting options are a sentence."""
    running = up()
    assert running.process.stdout is not None
    said = [running.process.stdout.readline() for _ in range(5)]
    assert any("NO AUTHENTICATION" in line for line in said), said

    command = [sys.executable, "-m", "auditlake", "up", "--port", "0", "--data", str(tmp_path)]
    for options, words in (
        (["--auth", "none", "--token", "t"], "leave one of them out"),
        (["--auth", "token"], "add --token TOKEN"),
        (["--auth", "plan"], "--credentials"),
        (["--auth", "plan", "--credentials", "gone"], "cannot be read"),
    ):
        refused = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)
        said_words = " ".join(refused.stderr.split())
        assert (refused.returncode, words in said_words) == (1, True), said_words


def test_a_body_that_never_ends_is_cut_off(running: Running) -> None:
    """More than 10 MB is answered with 413 before it is all there, and the connection closes."""
    address = urlsplit(running.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    connection.putrequest("POST", "/events")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(10**9))
    connection.endheaders()
    connection.send(b" " * (10 * 1024 * 1024 + 1))
    response = connection.getresponse()

    assert response.status == http.client.REQUEST_ENTITY_TOO_LARGE
    assert json.loads(response.read()) == {"message": "Request Too Long"}
    connection.close()


def test_a_client_that_hangs_up_costs_nothing(running: Running) -> None:
    """A request that ends early is not stored, and the next one is served."""
    address = urlsplit(running.url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=10) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    assert httpx.post(f"{running.url}/events", json=EVENT).status_code == httpx.codes.ACCEPTED


def test_the_control_knows_what_it_can_do(running: Running) -> None:
    """Anything else below the control's path is a 404 with a sentence."""
    answer = httpx.get(f"{running.url}/_auditlake/nope")

    assert answer.status_code == httpx.codes.NOT_FOUND
    assert "POST flush here" in answer.json()["detail"]


def test_explain_asks_which_event(running: Running) -> None:
    """Without an id there is nothing to look for, and the answer says how to give one."""
    answer = httpx.get(f"{running.url}/_auditlake/explain")

    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert "event_id=ID" in answer.json()["detail"]


def test_a_runtime_stops_while_a_function_hangs(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second Ctrl-C ends it at once, and the record on which the function hangs stays for the next start."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))

    def change(resource_type: str, values: Resource) -> None:
        if resource_type == "aws_lambda_function":
            values.update(handler="functions.scripted", timeout=100)

    running = up("--plan", str(write_plan(tmp_path / "plan.json", change)))
    client(running).put_record(DeliveryStreamName="auditlake-events", Record={"Data": b'{"do":"hang"}'})
    running.process.send_signal(signal.SIGINT)
    assert running.process.stdout is not None
    while "what is buffered is delivered now" not in running.process.stdout.readline():
        assert running.process.poll() is None
    running.process.send_signal(signal.SIGINT)
    running.process.wait(timeout=30)
    buffer = Buffer(running.data / "buffer.sqlite")
    assert [record.data for record in buffer.next_batch(1000, 10)] == [b'{"do":"hang"}']
    buffer.close()


def test_a_function_that_is_not_installed_stops_the_runtime(plan: Plan, tmp_path: Path) -> None:
    """A plan with somebody else's handler is refused by its name, before the first event."""
    transform = plan.function(plan.stream.processor.function_arn)
    other = Function(transform.name, transform.arn, "their_package.handler", {}, 3)
    functions = tuple(other if function is transform else function for function in plan.functions)

    with pytest.raises(PlanError, match=r"their_package\.handler.*No module named 'their_package'"):
        Runtime(replace(plan, functions=functions), Settings(tmp_path, "127.0.0.1", 0, None), 0)


def test_a_start_that_failed_leaves_the_directory_free(plan: Plan, tmp_path: Path) -> None:
    """After a refused plan the same process can start another on the same directory."""
    settings = Settings(tmp_path, "127.0.0.1", 0, None)
    with pytest.raises(PlanError):
        Runtime(Plan(**{**plan.__dict__, "functions": ()}), settings, 0)

    with Runtime(plan, settings, 0) as runtime:
        assert runtime.worker.flush().result(timeout=20).rows == 0


def test_a_buffer_of_another_making_is_refused(tmp_path: Path, plan: Plan) -> None:
    """A file named buffer.sqlite that holds something else is not overwritten."""
    with sqlite3.connect(tmp_path / "buffer.sqlite") as connection:
        connection.execute("CREATE TABLE accepted (something TEXT)")
    connection.close()

    with pytest.raises(AuditlakeError, match="cannot be opened"):
        Runtime(plan, Settings(tmp_path, "127.0.0.1", 0, None), 0)


def test_a_forwarded_address_is_not_believed(running: Running, plan: Plan) -> None:
    """The row's source_ip is the address that connected, whatever X-Forwarded-For says."""
    event = {**EVENT, "id": "forwarded"}
    httpx.post(f"{running.url}/events", json=event, headers={"x-forwarded-for": "203.0.113.99"})
    running.flush()

    with run_query(running.data, plan, "SELECT source_ip FROM events WHERE event_id = 'forwarded'") as result:
        assert list(result.rows()) == [("127.0.0.1",)]


def test_an_index_that_cannot_be_trusted_ends_the_process_and_loses_nothing(up: Up) -> None:
    """It stops with exit code 1 and a sentence, and the next start has what was accepted."""
    running = up()
    httpx.post(f"{running.url}/events", json={**EVENT, "id": "kept"})
    with contextlib.closing(sqlite3.connect(running.data / "buffer.sqlite", isolation_level=None)) as connection:
        connection.execute("DROP TABLE answered")
    assert httpx.post(f"{running.url}/_auditlake/flush").status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert running.process.stdout is not None
    said = " ".join(running.process.stdout.read().split())

    assert running.process.wait(timeout=30) == 1
    assert "What was accepted is in the journal; start auditlake again, which recovers it." in said
    assert "Traceback" not in said
    again = up(data=running.data)
    assert again.flush()["rows"] == 1
    told = again.auditlake("status").stdout
    assert "The last process did not stop cleanly; recovered from the buffer: 1 accepted record" in told


def test_a_stop_lets_an_open_batch_finish(up: Up, plan: Plan) -> None:
    """A batch that is under way when SIGTERM comes is answered 202 and stored; who connects meanwhile is refused."""
    running = up()
    address = (str(urlsplit(running.url).hostname), int(urlsplit(running.url).port or 0))
    body = json.dumps([{**EVENT, "id": f"open-{number}"} for number in range(300)]).encode()
    head = f"POST /events/batch HTTP/1.1\r\nhost: x.localhost\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(head + body[:-1])
        assert httpx.get(f"{running.url}/health").status_code == httpx.codes.OK
        running.process.send_signal(signal.SIGTERM)
        while is_open(address):
            assert running.process.poll() is None
        connection.sendall(body[-1:])
        received = b""
        while part := connection.recv(65_536):
            received += part
    output, _ = running.process.communicate(timeout=60)

    assert received.startswith(b"HTTP/1.1 202 "), received
    assert json.loads(received.partition(b"\r\n\r\n")[2])["accepted"] == 300
    assert running.process.returncode == 0, output
    with run_query(running.data, plan, "SELECT count(*) FROM events WHERE event_id LIKE 'open-%'") as result:
        assert list(result.rows()) == [(300,)]


def is_open(address: tuple[str, int]) -> bool:
    """Whether somebody listens."""
    try:
        with socket.create_connection(address, timeout=5):
            return True
    except OSError:
        return False


def test_the_functions_listener_takes_nothing_but_their_key(plan: Plan, tmp_path: Path) -> None:
    """On it there is no API and no control, and no producer's key, nor none, may put."""
    with serving(plan, tmp_path) as served:
        wire = "http://{}:{}".format(*served.runtime.wire_listener.getsockname())
        for path in ("/events", "/health", "/_auditlake/flush"):
            assert httpx.post(wire + path, json=EVENT).json()["__type"] == "UnknownOperationException"
        target = {"x-amz-target": "Firehose_20150804.PutRecord"}
        assert httpx.post(wire, json={}, headers=target).json()["__type"] == "MissingAuthenticationTokenException"
        client = boto3.client(
            "firehose",
            endpoint_url=wire,
            region_name=plan.region,
            aws_access_key_id="any",
            aws_secret_access_key="any",  # noqa: S106 - the runtime knows no such key
        )
        with pytest.raises(ClientError, match="InvalidSignatureException"):
            client.put_record(DeliveryStreamName=plan.stream.name, Record={"Data": b"{}"})
        assert httpx.post(f"{served.url}/events/batch", json=[EVENT]).json()["accepted"] == 1


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        ("lambda_src.transform.handler.nope", "no attribute 'nope'"),
        ("lambda_src.transform.handler.logger", "logger is no function"),
        ("lambda_src.gone.handle", "No module named 'lambda_src.gone'"),
    ],
    ids=["name", "kind", "module"],
)
def test_a_handler_that_cannot_be_loaded_stops_the_start(plan: Plan, tmp_path: Path, handler: str, words: str) -> None:
    """The function, its handler and the reason are named before the first event."""
    transform = plan.function(plan.stream.processor.function_arn)
    functions = tuple(replace(one, handler=handler) if one is transform else one for one in plan.functions)
    with pytest.raises(PlanError, match=f"auditlake-transform has the handler {handler}.*{words}"):
        Runtime(replace(plan, functions=functions), Settings(tmp_path, "127.0.0.1", 0, None), 0)


def test_a_handler_that_lacks_its_settings_stops_the_start(plan: Plan, tmp_path: Path) -> None:
    """What the function itself says while it loads is passed on."""
    functions = tuple(replace(one, environment={}) for one in plan.functions)
    with pytest.raises(PlanError, match=r"cannot be loaded here: .*The environment variable"):
        Runtime(replace(plan, functions=functions), Settings(tmp_path, "127.0.0.1", 0, None), 0)


def test_a_second_ctrl_c_ends_it_in_the_middle_of_a_long_explain(up: Up) -> None:
    """A look through a large table, or on a disk that hangs, holds nobody up; who asked for it is told."""
    running = up()
    # A disk that does not answer: reading waits until somebody writes, which nobody does.
    hanging = running.data / "buffer.journal" / f"{10**18:020d}.journal"
    os.mkfifo(hanging)
    command = [sys.executable, "-m", "auditlake", "explain", "e-1", "--url", running.url]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as asking,
        ThreadPoolExecutor(1) as pool,
        pool.submit(hanging.open, "wb").result(timeout=60),  # returns once the look reads it
    ):
        running.process.send_signal(signal.SIGINT)
        assert running.process.stdout is not None
        while "what is buffered is delivered now" not in running.process.stdout.readline():
            assert running.process.poll() is None
        assert running.process.poll() is None
        running.process.send_signal(signal.SIGINT)
        output, _ = running.process.communicate(timeout=20)
        said, _ = asking.communicate(timeout=20)
    assert "Traceback" not in output
    assert (asking.returncode, "Traceback" in said) == (1, False), said
    assert said.startswith("auditlake: "), said


def test_ctrl_c_ends_a_long_explain_of_a_directory(up: Up) -> None:
    """One is enough, and there is no traceback."""
    running = up()
    hanging = running.data / "buffer.journal" / f"{10**18:020d}.journal"
    os.mkfifo(hanging)
    command = [sys.executable, "-m", "auditlake", "explain", "e-1", "--data", str(running.data)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as looking,
        ThreadPoolExecutor(1) as pool,
        pool.submit(hanging.open, "wb").result(timeout=60),
    ):
        looking.send_signal(signal.SIGINT)
        output, _ = looking.communicate(timeout=20)
    assert (looking.returncode, output) == (130, "")
