"""The issuer's public keys: fetched when needed, kept for a while, fetched again when a token names another.

Fetching is bounded, so that tokens with made-up key ids cannot turn this function against the issuer.
"""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

MAX_AGE_S = 3_600.0
"""Keys are fetched again after so long, so that one which the issuer withdrew does not count for ever."""
STALE_S = 86_400.0
"""While the issuer does not answer, keys that were fetched count so long."""
RETRY_S = 30.0
"""Between two attempts to fetch, while there are keys; a new key is known this late at worst."""
RETRY_EMPTY_S = 1.0
"""Between two attempts while there are none and nobody can be let in."""
TIMEOUT_S = 3.0
MAX_BYTES = 262_144
MIN_RSA_BITS = 2048

Key = Any
"""One of joserfc's keys."""


class KeysUnavailableError(Exception):
    """The issuer's keys cannot be had, so that no token can be judged; the message says why."""


class UnknownKeyError(Exception):
    """The issuer has no key with this id for this algorithm."""


class KeyStore:
    """The keys of one issuer."""

    def __init__(
        self, fetch: Callable[[], KeySet], monotonic: Callable[[], float], warn: Callable[[str], object]
    ) -> None:
        """Start without keys.

        Args:
            fetch: gets the keys; raises KeysUnavailableError.
            monotonic: a clock in seconds.
            warn: is told when old keys are used because new ones cannot be had.
        """
        self._fetch = fetch
        self._monotonic = monotonic
        self._warn = warn
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None

    def find(self, key_id: str | None, algorithm: str) -> Key:
        """Return the key that verifies; raises UnknownKeyError or KeysUnavailableError."""
        if self._keys is None or self._monotonic() - self._fetched_at > MAX_AGE_S:
            self._refresh()
        key = self._lookup(key_id, algorithm)
        if key is None and self._refresh():
            key = self._lookup(key_id, algorithm)
        if key is None:
            raise UnknownKeyError
        return key

    def _lookup(self, key_id: str | None, algorithm: str) -> Key | None:
        if self._keys is None:
            return None
        try:
            return self._keys.get_by_kid(key_id, {"alg": algorithm, "use": "sig"})
        except JoseError:
            return None

    def _refresh(self) -> bool:
        """Fetch the keys unless that was tried a moment ago; returns whether it was done."""
        now = self._monotonic()
        wait = RETRY_S if self._keys else RETRY_EMPTY_S
        if self._tried_at is not None and now - self._tried_at < wait:
            if self._keys is None:
                raise KeysUnavailableError("The keys could not be had a moment ago.")
            return False
        self._tried_at = now
        try:
            self._keys = self._fetch()
        except KeysUnavailableError as error:
            if self._keys is None or now - self._fetched_at > STALE_S:
                self._keys = None
                raise
            self._warn(str(error))
            return False
        self._fetched_at = now
        return True


def fetch_keys(issuer: str, jwks_url: str) -> KeySet:
    """Fetch the keys from `jwks_url`, or where the issuer's discovery document says; raises KeysUnavailableError."""
    return parse_keys(_get(jwks_url or _discovered(issuer)))


def read_keys(path: Path) -> KeySet:
    """Read the keys from a file; raises KeysUnavailableError."""
    try:
        return parse_keys(path.read_bytes())
    except OSError as error:
        raise KeysUnavailableError(f"The key set {path} cannot be read: {error.strerror}.") from None


def parse_keys(text: bytes) -> KeySet:
    """Return the usable keys of a JSON Web Key Set (RFC 7517); raises KeysUnavailableError where it has none.

    A shared secret is none, because who verifies could sign; neither is an RSA key too short to be safe.
    """
    try:
        keys = [key for key in KeySet.import_key_set(json.loads(text)).keys if _usable(key)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, JoseError):
        keys = []
    if not keys:
        raise KeysUnavailableError("The key set holds no public key for signatures.")
    return KeySet(keys)


def _usable(key: Key) -> bool:
    if isinstance(key, RSAKey) and key.raw_value.key_size < MIN_RSA_BITS:
        return False
    return key.key_type in ("RSA", "EC", "OKP")


def _discovered(issuer: str) -> str:
    """Return where the issuer says that its keys are (OpenID Connect Discovery 1.0)."""
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        found = json.loads(_get(url))
        named, jwks_url = found["issuer"], found["jwks_uri"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise KeysUnavailableError(f"{url} is no discovery document.") from None
    if named != issuer:
        raise KeysUnavailableError(f"{url} is the document of another issuer.")
    return str(jwks_url)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: keys come from where they were said to be, and only by TLS."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401  # urllib's own
        """Refuse."""


def _get(url: str) -> bytes:
    if not url.startswith("https://"):
        raise KeysUnavailableError(f"{url} does not begin with https://.")
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            body: bytes = answer.read(MAX_BYTES + 1)
    except HTTPError as error:
        error.close()
        raise KeysUnavailableError(f"{url} answers {error.code}.") from None
    except (URLError, OSError, ValueError) as error:
        raise KeysUnavailableError(f"{url} does not answer with keys: {error}.") from None
    if len(body) > MAX_BYTES:
        raise KeysUnavailableError(f"{url} answers with more than {MAX_BYTES:,} bytes.")
    return body
