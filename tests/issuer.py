"""An OpenID Connect issuer on loopback, by HTTPS with a certificate of its own, and the tokens that it signs."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

NOW = 1_774_951_333
"""2026-03-31 10:02:13 UTC."""
AUDIENCE = "audit"
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
OKP = OKPKey.generate_key("Ed25519", {"kid": "okp"})


def key_set(*keys: Any) -> dict[str, Any]:  # noqa: ANN401  # any of joserfc's keys
    """Return what an issuer publishes of its keys."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def claims(issuer: str, now: int = NOW, **others: Any) -> dict[str, Any]:  # noqa: ANN401  # any claim
    """Return the claims of a good token, with others instead; None leaves one out."""
    good = {"iss": issuer, "sub": "0192-alice", "aud": AUDIENCE, "iat": now - 10, "nbf": now - 10, "exp": now + 600}
    return {name: value for name, value in {**good, **others}.items() if value is not None}


def signed(content: dict[str, Any], key: Any = RSA, algorithm: str = "RS256", **header: Any) -> str:  # noqa: ANN401
    """Return a token; `kid` is the key's unless the header says otherwise, None leaves it out."""
    members = {"alg": algorithm, "kid": key.kid, **header}
    return jwt.encode(
        {name: value for name, value in members.items() if value is not None}, content, key, algorithms=[algorithm]
    )


@dataclass
class Issuer:
    """What is served: documents by path, each a status with a body, and which were asked for."""

    url: str
    certificate: Path
    documents: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def publish(self, keys: dict[str, Any], **discovery: Any) -> None:  # noqa: ANN401  # any member
        """Serve these keys, and a discovery document that leads to them."""
        document = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **discovery}
        self.documents["/.well-known/openid-configuration"] = (200, json.dumps(document).encode())
        self.documents["/keys"] = (200, json.dumps(keys).encode())


@contextmanager
def serve(folder: Path) -> Iterator[Issuer]:
    """Serve an issuer on a free port while the block runs; its certificate is written into `folder`."""
    certificate, key = _certificate(folder)
    served = Issuer("", certificate)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            status, body = served.documents.get(self.path, (404, b"{}"))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", body.decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False  # a thread is joined when the server is closed

        def handle_error(self, *_: object) -> None:
            """Say nothing: a client that does not trust the certificate hangs up."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    served.url = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate_file, key_file = folder / "issuer.pem", folder / "issuer.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate_file, key_file
