"""Where the objects of a data directory go."""

from pathlib import Path

import pytest

from auditlake.errors import StoreError
from auditlake.runtime.store_location import (
    STORE_FILE,
    S3Location,
    bucket_directory,
    choose_location,
    location_of,
    parse_location,
)

ENDPOINT = "http://127.0.0.1:9000"
BUCKET = "auditlake-events-123456789012"


@pytest.mark.parametrize(
    ("store", "endpoint", "location"),
    [
        ("data", None, Path("data")),
        ("/var/lib/s3", None, Path("/var/lib/s3")),
        ("s3://b", None, S3Location("b")),
        ("s3://b/", ENDPOINT, S3Location("b", "", ENDPOINT)),
        ("s3://b/one/two", "https://s3.example", S3Location("b", "one/two/", "https://s3.example")),
        ("s3://b/one/", None, S3Location("b", "one/")),
    ],
)
def test_a_store_is_a_directory_or_a_bucket(store: str, endpoint: str | None, location: Path | S3Location) -> None:
    """A prefix ends with one slash, an endpoint is kept as it is."""
    assert parse_location(store, endpoint) == location


@pytest.mark.parametrize(
    ("store", "endpoint", "words"),
    [
        ("s3:b", None, "does not name a bucket: write s3://BUCKET or s3://BUCKET/PREFIX"),
        ("s3://", None, "does not name a bucket"),
        ("s3:///prefix", None, "does not name a bucket"),
        ("s3://b?versionId=1", None, "does not name a bucket"),
        ("gs://b", None, "is neither a directory nor s3://BUCKET[/PREFIX]"),
        ("data", ENDPOINT, "--store-endpoint is for --store s3://BUCKET[/PREFIX], and --store is data"),
        ("s3://b", "127.0.0.1:9000", "--store-endpoint 127.0.0.1:9000 is no URL"),
    ],
)
def test_what_is_neither_is_told(store: str, endpoint: str | None, words: str) -> None:
    """The sentence says what came and how it is written."""
    with pytest.raises(StoreError) as caught:
        parse_location(store, endpoint)
    assert words in str(caught.value)


def test_objects_go_into_the_data_directory_unless_told_otherwise(tmp_path: Path) -> None:
    """Without a word nothing is written down."""
    data = tmp_path / "data"
    assert location_of(data) == data
    assert choose_location(data, BUCKET, None) == data
    assert choose_location(data, BUCKET, data) == data
    assert not data.exists()
    assert bucket_directory(data, BUCKET) == data / BUCKET


@pytest.mark.parametrize("store", ["elsewhere", "s3://b/p"])
def test_a_data_directory_remembers_where_its_objects_go(tmp_path: Path, store: str) -> None:
    """The next start needs not be told, and may be told the same."""
    data = tmp_path / "data"
    wanted = parse_location(store if "://" in store else str(tmp_path / store), ENDPOINT if "://" in store else None)

    assert choose_location(data, BUCKET, wanted) == wanted
    assert choose_location(data, BUCKET, None) == wanted
    assert choose_location(data, BUCKET, wanted) == wanted
    assert location_of(data) == wanted


def test_a_relative_directory_is_remembered_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was relative to where `up` ran is found from elsewhere."""
    monkeypatch.chdir(tmp_path)
    choose_location(tmp_path / "data", BUCKET, Path("objects"))
    monkeypatch.chdir("/")

    assert bucket_directory(tmp_path / "data", BUCKET) == tmp_path / "objects" / BUCKET


@pytest.mark.parametrize("other", [S3Location("b", "", ENDPOINT), S3Location("c"), Path("/elsewhere")])
def test_objects_never_go_to_two_places(tmp_path: Path, other: Path | S3Location) -> None:
    """A query would miss some of them: another store is refused, and the first stays."""
    choose_location(tmp_path, BUCKET, S3Location("b"))
    with pytest.raises(StoreError, match=r"has its objects in s3://b/, and would have the next in "):
        choose_location(tmp_path, BUCKET, other)
    assert location_of(tmp_path) == S3Location("b")

    in_itself = tmp_path / "other"
    (in_itself / BUCKET).mkdir(parents=True)
    with pytest.raises(StoreError, match="give the same --store, or choose another --data"):
        choose_location(in_itself, BUCKET, other)


def test_what_only_reads_directories_says_how_to_read_a_bucket(tmp_path: Path) -> None:
    """The sentence has the command that copies the bucket to where it can be read."""
    choose_location(tmp_path, BUCKET, S3Location("b", "p/"))
    with pytest.raises(
        StoreError, match=r"aws s3 sync s3://b/p/ COPY/auditlake-events-123456789012 and then"
    ) as caught:
        bucket_directory(tmp_path, BUCKET)
    assert "this reads directories only" in str(caught.value)

    choose_location(tmp_path / "other", BUCKET, S3Location("b", "", "http://127.0.0.1:9000"))
    with pytest.raises(StoreError, match=r"aws s3 sync --endpoint-url http://127.0.0.1:9000 s3://b/ COPY/"):
        bucket_directory(tmp_path / "other", BUCKET)


@pytest.mark.parametrize("wanted", [None, Path("data")], ids=["not told", "told"])
def test_a_relative_data_directory_is_its_own_store_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Path | None
) -> None:
    """`auditlake up --data data` starts a second time, and nothing is remembered that another folder would misread."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert choose_location(Path("data"), BUCKET, wanted) == Path("data")
        (tmp_path / "data" / BUCKET).mkdir(parents=True, exist_ok=True)

    assert not (tmp_path / "data" / "store.json").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"store": 1, "endpoint": null}', '{"store": "s3:b", "endpoint": null}']
)
def test_a_file_that_says_nothing_is_told(tmp_path: Path, text: str) -> None:
    """A broken note is a sentence, never a silent return to the default."""
    (tmp_path / STORE_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(StoreError):
        location_of(tmp_path)
