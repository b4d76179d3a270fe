"""Where a runtime keeps its data, where it listens, and whom it lets in."""

import resource
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from auditlake.errors import AuditlakeError
from auditlake.runtime.authenticate import Authentication, Mode, load_authentication
from auditlake.runtime.store_location import Location


@dataclass(frozen=True)
class Settings:
    """Where the runtime keeps its data and listens.

    `token` is the bearer token that it asks for, None for none; `store` is where objects go, None for where they went
    until now, at first the data directory. `auth` says whom it lets in, None for who has the token, or everybody where
    there is none; `credentials` and `jwks` are the files that the mode `plan` checks against.
    """

    data: Path
    host: str
    port: int
    token: str | None
    store: Location | None = None
    auth: Mode | None = None
    credentials: Path | None = None
    jwks: Path | None = None

    def authentication(self) -> Authentication:
        """Return whom the runtime lets in; raises AuditlakeError for options that do not fit or let anybody in."""
        authentication = load_authentication(self.auth, self.token, self.credentials, self.jwks)
        if _is_loopback(self.host):
            return authentication
        if authentication.mode is Mode.NONE:
            raise AuditlakeError(
                f"The address {self.host} can be reached from other machines: add --token TOKEN, which every request "
                "must then carry as `Authorization: Bearer TOKEN`, or --auth plan, or listen on 127.0.0.1."
            )
        if authentication.token is None:
            raise AuditlakeError(
                f"The address {self.host} can be reached from other machines, and the plan guards its API only: add "
                "--token TOKEN for the runtime's own status and flush, or listen on 127.0.0.1."
            )
        return authentication

    def url(self, port: int) -> str:
        """Return the URL at which the runtime listens on `port`."""
        return f"http://[{self.host}]:{port}" if ":" in self.host else f"http://{self.host}:{port}"


OWN_FILES = 128
"""Files that a runtime has open besides connections, at most: its buffer, its objects, the pipes to its functions."""


@dataclass(frozen=True)
class Limits:
    """What the HTTP server takes at most; beyond it a client is told so, and nobody else waits for it."""

    head_s: float = 10
    """Seconds from the first byte of a request to the end of its headers."""
    body_s: float = 20
    """Seconds from there to the end of its body."""
    head_bytes: int = 65_536
    """Bytes of a request line and its headers; API Gateway's own limit for the headers' values is lower (F1)."""
    connections: int = 2_048
    """Connections that are open at once."""
    requests: int = 1_024
    """Requests that are being answered at once."""
    held_bytes: int = 64 * 1024 * 1024
    """Bytes of bodies that are in memory at once; each is held some five times on its way through a function."""
    discarded_bytes: int = 16 * 1024 * 1024
    """Bytes of a refused body that are read and thrown away, so that the client gets to read its answer."""
    discard_s: float = 5
    """Seconds for that."""


def default_limits() -> Limits:
    """Return the limits, with no more connections than this process may have files open, some kept for its own."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return Limits()
    return Limits(connections=min(Limits.connections, max(16, files - OWN_FILES)))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
