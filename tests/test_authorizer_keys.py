"""The issuer's keys: fetched by HTTPS alone, kept, refreshed within bounds."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import KeySet, OctKey, RSAKey

from lambda_src.authorizer.keys import (
    MAX_AGE_S,
    MAX_BYTES,
    RETRY_EMPTY_S,
    RETRY_S,
    STALE_S,
    KeyStore,
    KeysUnavailableError,
    UnknownKeyError,
    fetch_keys,
    parse_keys,
    read_keys,
)
from tests.issuer import EC, OKP, RSA, Issuer, key_set, serve


class Source:
    """A place of keys that counts how often it is asked, and a clock."""

    def __init__(self, *keys: Any) -> None:  # noqa: ANN401  # any of joserfc's keys
        self.keys = keys
        self.asked = 0
        self.now = 1000.0
        self.warnings: list[str] = []
        self.store = KeyStore(self.fetch, lambda: self.now, self.warnings.append)

    def fetch(self) -> KeySet:
        """Answer, or fail where there is no key."""
        self.asked += 1
        if not self.keys:
            raise KeysUnavailableError("The issuer is away.")
        return parse_keys(json.dumps(key_set(*self.keys)).encode())


def test_keys_are_fetched_once() -> None:
    """Whatever token comes next is checked by the keys that are there."""
    source = Source(RSA, EC)
    assert source.store.find("rsa", "RS256").kid == "rsa"
    assert source.store.find("ec", "ES256").kid == "ec"
    assert source.asked == 1


def test_keys_grow_old() -> None:
    """A key that the issuer withdrew counts no longer than an hour."""
    source = Source(RSA, EC)
    source.store.find("ec", "ES256")
    source.keys = (RSA,)
    source.now += MAX_AGE_S + 1
    with pytest.raises(UnknownKeyError):
        source.store.find("ec", "ES256")
    assert source.asked == 2


def test_a_new_key_is_found_by_asking_again() -> None:
    """When the issuer rotates its keys, the first token by the new one is good."""
    source = Source(RSA)
    source.store.find("rsa", "RS256")
    source.keys = (RSA, EC)
    source.now += RETRY_S
    assert source.store.find("ec", "ES256").kid == "ec"
    assert source.asked == 2


def test_made_up_key_ids_do_not_become_requests() -> None:
    """Many tokens with unknown ids ask the issuer once in half a minute."""
    source = Source(RSA)
    for number in range(1001):
        source.now += RETRY_S / 999
        with pytest.raises(UnknownKeyError):
            source.store.find(f"made up {number}", "RS256")
    assert source.asked == 2


def test_old_keys_count_while_the_issuer_is_away() -> None:
    """An issuer that is away for an hour stops nobody, and is told of; after a day its keys count no more."""
    source = Source(RSA)
    source.store.find("rsa", "RS256")
    source.keys = ()
    source.now += MAX_AGE_S + 1
    assert source.store.find("rsa", "RS256").kid == "rsa"
    assert source.warnings == ["The issuer is away."]
    source.now += STALE_S
    with pytest.raises(KeysUnavailableError, match="away"):
        source.store.find("rsa", "RS256")


def test_without_any_keys_it_asks_again_soon() -> None:
    """As long as nobody can be let in, each second may ask, and no request more."""
    source = Source()
    for _ in range(10):
        with pytest.raises(KeysUnavailableError):
            source.store.find("rsa", "RS256")
    assert source.asked == 1
    source.keys = (RSA,)
    source.now += RETRY_EMPTY_S
    assert source.store.find("rsa", "RS256").kid == "rsa"


def test_a_key_is_used_only_as_it_says() -> None:
    """A key for encryption, or for another algorithm, verifies nothing."""
    other = RSAKey.import_key({**RSA.as_dict(private=False), "use": "enc", "kid": "enc"})
    bound = RSAKey.import_key({**RSA.as_dict(private=False), "alg": "PS256", "kid": "ps"})
    source = Source(other, bound)
    with pytest.raises(UnknownKeyError):
        source.store.find("enc", "RS256")
    with pytest.raises(UnknownKeyError):
        source.store.find("ps", "RS256")
    assert source.store.find("ps", "PS256").kid == "ps"


def test_a_token_without_key_id_is_matched_only_with_a_lone_key() -> None:
    """Of several keys none is guessed."""
    assert Source(RSA).store.find(None, "RS256").kid == "rsa"
    with pytest.raises(UnknownKeyError):
        Source(RSA, EC).store.find(None, "RS256")


def test_secrets_and_short_keys_are_no_keys() -> None:
    """A shared secret lets the verifier sign, a short RSA key can be broken; what is not known is passed by."""
    with pytest.warns(Warning, match="2048"):
        short = RSAKey.generate_key(1024, {"kid": "short"}).as_dict(private=False)
    secret = OctKey.generate_key(256, {"kid": "secret"}).as_dict(private=True)
    unknown = {"kty": "AKP", "kid": "later"}
    with pytest.warns(Warning, match="2048"):
        found = parse_keys(json.dumps({"keys": [short, secret, unknown, *key_set(RSA, OKP)["keys"]]}).encode())
    assert [key.kid for key in found.keys] == ["rsa", "okp"]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", '{"keys": []}', '{"keys": [1]}', '{"keys": [{"kty": "RSA"}]}', "[" * 5000, '{"keys": 1}'],
    ids=range(9),
)
def test_what_is_no_key_set_says_so(text: str) -> None:
    """An answer that holds no key is an error with a sentence."""
    with pytest.raises(KeysUnavailableError, match="no public key"):
        parse_keys(text.encode())


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    """Where there is no network the keys are a file."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(key_set(RSA)))
    assert [key.kid for key in read_keys(path).keys] == ["rsa"]
    with pytest.raises(KeysUnavailableError, match="cannot be read"):
        read_keys(tmp_path / "gone")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """An issuer on loopback whose certificate Python trusts."""
    with serve(tmp_path_factory.mktemp("issuer")) as served, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(served.certificate))
        yield served


def test_the_issuer_says_where_its_keys_are(issuer: Issuer) -> None:
    """Without a URL of the keys the discovery document leads to them; with one nothing else is asked."""
    issuer.publish(key_set(RSA))
    issuer.asked.clear()
    assert [key.kid for key in fetch_keys(issuer.url, "").keys] == ["rsa"]
    assert [key.kid for key in fetch_keys("https://elsewhere", f"{issuer.url}/keys").keys] == ["rsa"]
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys", "/keys"]


@pytest.mark.parametrize(
    ("discovery", "words"),
    [
        ({"issuer": "https://other"}, "another issuer"),
        ({"jwks_uri": "http://127.0.0.1/keys"}, "https://"),
        ({"jwks_uri": "file:///etc/passwd"}, "https://"),
    ],
    ids=["issuer", "http", "file"],
)
def test_a_discovery_document_cannot_lead_astray(issuer: Issuer, discovery: dict[str, str], words: str) -> None:
    """It must be the issuer's own, and keys come by TLS only."""
    issuer.publish(key_set(RSA), **discovery)
    with pytest.raises(KeysUnavailableError, match=words):
        fetch_keys(issuer.url, "")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, b"{}"), "404"),
        ((302, b"https://127.0.0.1:1/keys"), "302"),
        ((200, b" " * (MAX_BYTES + 1)), "more than"),
    ],
    ids=["absent", "redirect", "large"],
)
def test_an_answer_without_keys_is_told(issuer: Issuer, answer: tuple[int, bytes], words: str) -> None:
    """No redirect is followed, nothing endless read."""
    issuer.documents["/keys"] = answer
    with pytest.raises(KeysUnavailableError, match=words):
        fetch_keys(issuer.url, f"{issuer.url}/keys")


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b"[" * 5000], ids=range(4))
def test_what_is_no_discovery_document_is_told(issuer: Issuer, document: bytes) -> None:
    """A page that stands where the document should is an error with a sentence."""
    issuer.documents["/.well-known/openid-configuration"] = (200, document)
    with pytest.raises(KeysUnavailableError, match="no discovery document"):
        fetch_keys(issuer.url, "")


def test_an_issuer_that_nobody_vouches_for_is_not_asked(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that is not trusted ends the connection."""
    issuer.publish(key_set(RSA))
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(KeysUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_keys(issuer.url, "")
