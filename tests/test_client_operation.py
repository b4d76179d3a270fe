"""Operations: one event each, with how it ended."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auditlake.client import AuditClient, SpoolError, current_operation, pending_events


@pytest.fixture
def client(tmp_path: Path) -> Iterator[AuditClient]:
    """A client whose events stay in its spool."""
    with AuditClient("http://127.0.0.1:9", tmp_path, exit_timeout_s=0) as made:
        yield made


def recorded(client: AuditClient) -> list[dict[str, Any]]:
    """The events in the spool."""
    return [json.loads(body) for body in pending_events(client.spool)]


def test_an_operation_that_ends_well_is_a_success(client: AuditClient) -> None:
    """The event is recorded at the end, with what became known on the way, and how long it took."""
    with client.operation(
        event_type="invoice.pay", actor="ana", action={"resource": "invoice"}, metadata={"source": "shop"}
    ) as operation:
        assert recorded(client) == []
        operation.set(entity_id="i-1", metadata={"amount": 3}, action={"operation": "pay"})
    (event,) = recorded(client)
    assert event["action"] == {"resource": "invoice", "operation": "pay", "status": "success"}
    assert event["entityId"] == "i-1"
    assert event["metadata"].pop("durationMs") >= 0
    assert event["metadata"] == {"source": "shop", "amount": 3}


def test_an_exception_is_a_failure_and_goes_on(client: AuditClient) -> None:
    """The class of the exception is recorded, never its message, and it goes on to the caller."""
    with pytest.raises(ValueError, match="secret"), client.operation(event_type="login", actor="ana"):
        raise ValueError("secret")
    (event,) = recorded(client)
    assert event["action"] == {"status": "failure"}
    assert event["metadata"]["error"] == "ValueError"
    assert "secret" not in json.dumps(event)


def test_a_decorated_function_is_recorded_at_each_call(client: AuditClient) -> None:
    """Each call is an operation of its own, by the actor that its arguments say; the function can add to it."""

    @client.operation(event_type="invoice.pay", actor=lambda user, **_: user)
    def pay(user: str, *, invoice: str) -> str:
        """Pay."""
        current_operation().set(entity_id=invoice)
        return f"{user} paid {invoice}"

    assert pay("ana", invoice="i-1") == "ana paid i-1"
    assert pay("bob", invoice="i-2") == "bob paid i-2"
    assert pay.__doc__ == "Pay."
    assert [(event["actor"]["userId"], event["entityId"]) for event in recorded(client)] == [
        ("ana", "i-1"),
        ("bob", "i-2"),
    ]
    with pytest.raises(LookupError, match="No operation runs here"):
        current_operation()


def test_coroutine_functions_are_recorded(client: AuditClient) -> None:
    """A decorated coroutine function and `async with` record when they end; two at a time do not mix."""

    @client.operation(event_type="invoice.pay", actor=lambda user: user)
    async def pay(user: str) -> None:
        current_operation().set(entity_id=f"of {user}")
        await asyncio.sleep(0)
        current_operation().set(request_id=f"by {user}")
        if user == "eve":
            raise PermissionError

    async def service() -> None:
        outcomes = await asyncio.gather(pay("ana"), pay("eve"), return_exceptions=True)
        assert isinstance(outcomes[1], PermissionError)
        async with client.operation(event_type="report", actor="ana"):
            pass

    asyncio.run(service())
    found = {(e["eventType"], e["actor"]["userId"]): e for e in recorded(client)}
    assert found["invoice.pay", "eve"]["action"] == {"status": "failure"}
    assert found["invoice.pay", "ana"]["entityId"] == "of ana"
    assert found["invoice.pay", "ana"]["requestId"] == "by ana"
    assert found["report", "ana"]["action"] == {"status": "success"}


def test_what_cannot_be_recorded_does_not_hide_the_operation_s_own_exception(client: AuditClient) -> None:
    """The operation's exception goes on with a note; an operation that ended well raises that it is not recorded."""
    client.close(0)
    with pytest.raises(ValueError, match="mine") as caught, client.operation(event_type="login", actor="ana"):
        raise ValueError("mine")
    assert "not in the audit log" in caught.value.__notes__[0]
    with pytest.raises(SpoolError, match="closed"), client.operation(event_type="login", actor="ana"):
        pass

    async def service() -> None:
        with pytest.raises(SpoolError, match="closed"):
            async with client.operation(event_type="login", actor="ana"):
                pass
        with pytest.raises(ValueError, match="mine"):
            async with client.operation(event_type="login", actor="ana"):
                raise ValueError("mine")

    asyncio.run(service())
