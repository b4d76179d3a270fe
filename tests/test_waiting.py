"""What waits in a data directory is found with its id, wherever it waits."""

from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from auditlake.errors import ReconcileError
from auditlake.waiting import Waiting, waiting_events
from lambda_src.common.partition import rule
from lambda_src.transform.record import record_rows
from tests.conftest import Running
from tests.failures import ARRIVAL_MS, enveloped, event
from tests.wire import client


def digest(body: bytes) -> str:
    """Return SHA-256 in hexadecimal."""
    return sha256(body).hexdigest()


def test_what_waits_for_the_transform_has_the_id_that_it_will_give(running: Running) -> None:
    """Of an envelope, of a bare event, and of one without an id."""
    records = [
        enveloped(event("own"), "servers") + b"\n" + enveloped(event(None), "servers"),
        event("bare"),
        event(None),
        b'{"auditlake":1}',
    ]
    with closing(client(running)) as firehose:
        put = firehose.put_record_batch(
            DeliveryStreamName="auditlake-events", Records=[{"Data": data} for data in records]
        )
    record_id = put["RequestResponses"][2]["RecordId"]
    made = record_rows(event(None), record_id, ARRIVAL_MS, rule(["login"], 7, 1)).data

    waiting = list(waiting_events(running.data))
    assert waiting[:3] == [
        Waiting("own", digest(event("own"))),
        Waiting("servers", digest(event(None))),
        Waiting("bare", digest(event("bare"))),
    ]
    (nameless,) = waiting[3:]
    assert f'"event_id":"{nameless.id}"'.encode() in made


def test_a_directory_without_a_buffer_is_a_sentence(tmp_path: Path) -> None:
    """It names the option."""
    with pytest.raises(ReconcileError, match="--data"):
        list(waiting_events(tmp_path))
