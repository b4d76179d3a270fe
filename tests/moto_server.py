"""An AWS over HTTP for tests that make what they need there by boto3."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from moto.server import ThreadedMotoServer


@contextmanager
def moto_server() -> Iterator[str]:
    """Serve an empty moto on a free port of loopback while the block runs; gives its URL.

    What moto holds is the process's: another test of it may have left a stream or a bucket of the same name.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        httpx.post(f"{url}/moto-api/reset", trust_env=False, timeout=60).raise_for_status()
        yield url
    finally:
        server.stop()
