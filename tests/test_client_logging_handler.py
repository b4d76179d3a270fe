"""Log records that carry an event are events."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auditlake.client import AuditClient, AuditHandler, EventError, SpoolError, pending_events


@pytest.fixture
def client(tmp_path: Path) -> Iterator[AuditClient]:
    """A client whose events stay in its spool."""
    with AuditClient("http://127.0.0.1:9", tmp_path, exit_timeout_s=0) as made:
        yield made


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """A logger without handlers."""
    logger = logging.getLogger("shop.audit")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger
    logger.handlers.clear()


def recorded(client: AuditClient) -> list[dict[str, Any]]:
    """The events in the spool."""
    return [json.loads(body) for body in pending_events(client.spool)]


def test_a_record_with_an_event_is_recorded(client: AuditClient, log: logging.Logger) -> None:
    """`extra={"audit": ...}` are the arguments of record; the message is in metadata; other log records are not."""
    log.addHandler(AuditHandler(client))
    log.info("nothing to see")
    log.info(
        "%s paid", "ana", extra={"audit": {"event_type": "invoice.pay", "actor": "ana", "metadata": {"source": "shop"}}}
    )
    (event,) = recorded(client)
    assert (event["eventType"], event["actor"]["userId"]) == ("invoice.pay", "ana")
    assert event["metadata"] == {"source": "shop", "message": "ana paid", "logger": "shop.audit", "level": "INFO"}


def test_with_an_actor_every_record_is_an_event(client: AuditClient, log: logging.Logger) -> None:
    """They are of the type log; an exception's class is recorded; the level filters as for any handler."""
    log.addHandler(AuditHandler(client, actor="shop-worker", level=logging.WARNING))
    log.info("too little")
    try:
        raise KeyError("x")
    except KeyError:
        log.exception("failed")
    (event,) = recorded(client)
    assert (event["eventType"], event["actor"]["userId"], event["metadata"]["error"]) == (
        "log",
        "shop-worker",
        "KeyError",
    )


def test_what_cannot_be_recorded_is_not_silent(
    client: AuditClient, log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """An event that was asked for raises to who logged it; a mere log line is reported on stderr, as logging does."""
    log.addHandler(AuditHandler(client, actor="shop"))
    with pytest.raises(EventError, match="extra\\['audit'\\]: expected the arguments of record"):
        log.info("wrong", extra={"audit": "login"})
    with pytest.raises(EventError, match="event_type: expected"):
        log.info("wrong", extra={"audit": {"event_type": "", "actor": "ana"}})
    with pytest.raises(EventError, match=r"extra\['audit'\]: userId is not known; allowed are event_type, actor, "):
        log.info("wrong", extra={"audit": {"event_type": "login", "actor": "ana", "userId": "ana"}})
    with pytest.raises(EventError, match=r"extra\['audit'\]: actor is missing"):
        log.info("wrong", extra={"audit": {"event_type": "login"}})
    with pytest.raises(EventError, match=r"extra\['audit'\]: metadata: expected a mapping of its members, got 'x'"):
        log.info("wrong", extra={"audit": {"event_type": "login", "actor": "ana", "metadata": "x"}})
    with pytest.raises(EventError, match=r"extra\['audit'\]: timestamp: expected a datetime"):
        log.info("wrong", extra={"audit": {"event_type": "login", "actor": "ana", "timestamp": "x"}})
    with pytest.raises(EventError, match=r"extra\['audit'\]: 5 is not known"):
        log.info("wrong", extra={"audit": {"event_type": "login", "actor": "ana", 5: "x"}})
    client.close(0)
    with pytest.raises(SpoolError, match="closed"):
        log.info("late", extra={"audit": {"event_type": "login", "actor": "ana"}})
    log.info("a mere line")
    assert "this client is closed" in capsys.readouterr().err


def test_what_the_client_logs_is_never_recorded(client: AuditClient) -> None:
    """A handler at the root does not record what sending logs: recording that would send for ever."""
    handler = AuditHandler(client, actor="shop")
    own = logging.LogRecord("auditlake.client", logging.WARNING, __file__, 1, "sent again", (), None)
    of_sender = logging.LogRecord("httpx", logging.INFO, __file__, 1, "HTTP Request", (), None)
    of_sender.thread = client.sender_thread
    other = logging.LogRecord("httpx", logging.INFO, __file__, 1, "HTTP Request", (), None)
    for record in (own, of_sender, other):
        handler.emit(record)
    assert [event["metadata"]["logger"] for event in recorded(client)] == ["httpx"]
