"""The examples of middleware, in the frameworks that they are for."""

import importlib.util
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from auditlake.client import AuditClient
from tests.batch_receiver import BatchReceiver, running_receiver
from tests.conftest import ROOT

EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchReceiver]:
    """The double of the endpoint, to which the examples send."""
    with running_receiver() as running:
        monkeypatch.setenv("AUDITLAKE_URL", running.url)
        monkeypatch.setenv("AUDIT_SPOOL", str(tmp_path / "spool"))
        yield running


def example(name: str) -> ModuleType:
    """Load an example anew, so that it reads its settings."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[str]:
    """Run a server on a free port until the block ends, and have it stop as its operators would."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", module, *(argument.format(port=port) for argument in arguments)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 60
            while not _answers(port):
                assert time.monotonic() < end
                assert process.poll() is None
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            stopped = process.wait(60)
    assert stopped in (0, -signal.SIGTERM)  # uvicorn ends by the signal once it has ended in order


def events(client: AuditClient, receiver: BatchReceiver) -> list[dict[str, Any]]:
    """What arrived once the client has sent everything."""
    assert client.close(30)
    return [json.loads(body) for body in receiver.taken]


def check(found: list[dict[str, Any]], resource: str) -> None:
    """Both requests that change something are there, and the one that only reads is not."""
    paid, missing = found
    assert paid["eventType"] == "http.post"
    assert paid["action"] == {"resource": resource, "operation": "POST", "status": "success"}
    assert paid["metadata"] == {"source": "shop", "httpStatus": 200}
    assert paid["context"]["userAgent"] == "curl/8"
    assert missing["action"]["status"] == "failure"
    assert missing["metadata"]["httpStatus"] == 404


def test_flask(receiver: BatchReceiver) -> None:
    """Flask's after_request records requests that change something."""
    module = example("flask_app")
    client = module.app.test_client()
    assert client.post("/invoices/7/pay", headers={"User-Agent": "curl/8"}).json == {"paid": "7"}
    assert client.get("/invoices/7/pay").status_code == 405
    assert client.post("/nothing").status_code == 404
    check(events(module.audit, receiver), "/invoices/<invoice>/pay")


def test_fastapi(receiver: BatchReceiver) -> None:
    """The ASGI middleware records requests that change something, and the lifespan's end sends them."""
    with serving("uvicorn", "--log-level", "warning", "--port", "{port}", "docs.examples.fastapi_app:app") as url:
        assert httpx.post(f"{url}/invoices/7/pay", headers={"User-Agent": "curl/8"}).json() == {"paid": "7"}
        assert httpx.get(f"{url}/invoices/7/pay").status_code == 405
        assert httpx.post(f"{url}/nothing").status_code == 404
    check([json.loads(body) for body in receiver.taken], "/invoices/{invoice}/pay")


def test_django(receiver: BatchReceiver, tmp_path: Path) -> None:
    """The middleware records requests that change something; in a process of its own, as Django's settings are one."""
    text = """
import json, sys
from django.conf import settings
settings.configure(
    ROOT_URLCONF="__main__", MIDDLEWARE=["docs.examples.django_audit.AuditMiddleware"], ALLOWED_HOSTS=["testserver"],
    AUDITLAKE_URL=sys.argv[1], AUDIT_SPOOL=sys.argv[2],
)
import django
from django.http import JsonResponse
from django.urls import path
django.setup()
def pay(request, invoice):
    return JsonResponse({"paid": invoice})
urlpatterns = [path("invoices/<invoice>/pay", pay)]
from django.test import Client
client = Client()
assert client.post("/invoices/7/pay", headers={"User-Agent": "curl/8"}).json() == {"paid": "7"}
assert client.get("/invoices/7/pay").status_code == 200
assert client.post("/nothing").status_code == 404
"""
    command = [sys.executable, "-c", text, receiver.url, str(tmp_path / "django-spool")]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    check([json.loads(body) for body in receiver.taken], "invoices/<invoice>/pay")


def test_gunicorn_forks_workers_of_a_loaded_application(receiver: BatchReceiver, tmp_path: Path) -> None:
    """With --preload the client is made before the fork; each worker records, and all arrives when it is stopped."""
    options = ("--preload", "--workers", "2", "--worker-tmp-dir", str(tmp_path), "--no-control-socket")
    with serving("gunicorn", *options, "--bind", "127.0.0.1:{port}", "docs.examples.flask_app:app") as url:
        answers = {httpx.post(f"{url}/invoices/{number}/pay").status_code for number in range(20)}
    assert answers == {200}
    assert len({json.loads(body)["id"] for body in receiver.taken}) == 20
