"""Operations: one event each, with how it ended."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auditlake.client import AuditClient, EventError, SpoolError, current_operation, pending_events


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


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"entityId": "x"}, r"set: entityId is not known; allowed are event_type, actor, action, entity_type, entity_id"),
    ({"metadata": {"when": object()}}, "cannot be written as JSON"),
    ({"metadata": {"rate": float("nan")}}, r"metadata.rate: expected a number that JSON has, got nan"),
    ({"action": "pay"}, "action: expected a mapping of its members, got 'pay'"),
    ({"timestamp": "nonsense"}, "timestamp: expected a datetime with its zone, got 'nonsense'"),
    ({"extra": {"actor": "eve"}}, "extra: actor is a member that the event has already"),
]
WRONG_IDS = ["unknown", "no JSON", "NaN", "no mapping", "no time", "extra"]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=WRONG_IDS)
def test_set_refuses_at_once_and_the_operation_is_recorded_without_it(
    client: AuditClient, arguments: dict[str, Any], words: str
) -> None:
    """The sentence comes where the mistake is; what was set before and after is recorded, with the outcome."""
    with client.operation(event_type="pay", actor="ana", metadata={"source": "shop"}) as operation:
        operation.set(entity_id="i-1")
        with pytest.raises(EventError, match=words):
            operation.set(request_id="r-1", **arguments)
        operation.set(metadata={"amount": 3})
    (event,) = recorded(client)
    assert (event["entityId"], event["action"]) == ("i-1", {"status": "success"})
    assert "requestId" not in event, "a call of set is taken whole or not at all"
    assert {**event["metadata"], "durationMs": 0} == {"source": "shop", "amount": 3, "durationMs": 0}


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=WRONG_IDS)
def test_a_wrong_set_ends_the_block_as_a_recorded_failure(
    client: AuditClient, arguments: dict[str, Any], words: str
) -> None:
    """An EventError that nobody catches leaves the block like any exception: the failure is recorded."""
    with pytest.raises(EventError, match=words), client.operation(event_type="pay", actor="ana") as operation:
        operation.set(**arguments)
    (event,) = recorded(client)
    assert (event["action"]["status"], event["metadata"]["error"]) == ("failure", "EventError")


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=WRONG_IDS)
def test_a_wrong_operation_is_refused_before_its_work(
    client: AuditClient, arguments: dict[str, Any], words: str
) -> None:
    """What cannot be recorded is told where the operation is made, not when the work is done."""
    with pytest.raises(EventError, match=words.replace("set:", "operation:")):
        client.operation(event_type="pay", actor="ana", **arguments)
    with pytest.raises(EventError, match="operation: event_type is missing"):
        client.operation(actor="ana")  # type: ignore[call-arg]  # wrong on purpose
    with pytest.raises(EventError, match="actor: expected a user's id"):
        client.operation(event_type="pay", actor="")
    assert recorded(client) == []


def test_what_is_changed_after_set_cannot_cost_the_event(client: AuditClient) -> None:
    """The values are those of the call: what the caller's mapping becomes later, no JSON even, is not looked at."""
    metadata: dict[str, Any] = {"step": 1}
    with client.operation(event_type="pay", actor="ana", metadata=metadata) as operation:
        metadata["step"] = object()
        operation.set(details={"entityId": "e"})
    (event,) = recorded(client)
    assert event["metadata"]["step"] == 1


def test_an_event_of_the_largest_size_has_room_for_its_outcome(client: AuditClient) -> None:
    """Set takes no more than what can still be recorded at the end, with the longest name of an exception."""
    long_named = type("E" * 100_000, (Exception,), {})
    largest, refused = 0, 1 << 24
    operation = client.operation(event_type="pay", actor="ana")
    while refused - largest > 1:
        size = (largest + refused) // 2
        try:
            operation.set(entity_id="x" * size)
        except EventError:
            refused = size
        else:
            largest = size
    with pytest.raises(long_named), operation:
        raise long_named
    (event,) = recorded(client)
    assert len(event["entityId"]) == largest > 16_000_000
    assert event["metadata"]["error"].startswith("EEEE")


def test_the_body_s_own_exception_wins_over_whatever_recording_raises(
    client: AuditClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even over an exception that nobody foresaw; it is told in a note."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("nobody foresaw it")

    async def service() -> None:
        async with client.operation(event_type="login", actor="ana"):
            raise ValueError("mine")

    monkeypatch.setattr(client._writer, "write", fail)
    with pytest.raises(ValueError, match="mine") as caught, client.operation(event_type="login", actor="ana"):
        raise ValueError("mine")
    assert "nobody foresaw it" in caught.value.__notes__[0]
    with pytest.raises(ValueError, match="mine"):
        asyncio.run(service())


def test_the_actor_may_become_known_in_the_operation(client: AuditClient) -> None:
    """Set takes each argument of record, the actor too; a function of no arguments says it where the block begins."""
    with client.operation(event_type="login", actor="unknown") as operation:
        operation.set(actor="ana", event_type="login.succeeded")
    with client.operation(event_type="job", actor=lambda: "cron"):
        pass
    with pytest.raises(EventError, match="actor: expected"), client.operation(event_type="job", actor=lambda: ""):
        pytest.fail("the work was begun")
    first, second = recorded(client)
    assert (first["eventType"], first["actor"], second["actor"]) == (
        "login.succeeded",
        {"userId": "ana"},
        {"userId": "cron"},
    )


def _rows() -> Iterator[int]:
    yield 1


async def _async_rows() -> AsyncIterator[int]:
    yield 1


class _CallableRows:
    def __call__(self) -> Iterator[int]:
        yield 1


@pytest.mark.parametrize(
    "function",
    [_rows, _async_rows, functools.partial(_rows), staticmethod(_rows), _CallableRows()],
    ids=["generator", "async generator", "partial", "staticmethod", "callable"],
)
def test_a_generator_function_is_refused_where_it_is_decorated(
    client: AuditClient, function: Callable[[], object]
) -> None:
    """Calling one does none of its work, so that a success would be recorded before the body ran."""
    with pytest.raises(EventError, match=r"generator function: .* use `with client.operation"):
        client.operation(event_type="export", actor="ana")(function)
    with pytest.raises(EventError, match="expected a function to decorate, got 5"):
        client.operation(event_type="export", actor="ana")(5)  # type: ignore[arg-type]  # wrong on purpose


def test_coroutine_functions_are_known_behind_what_wraps_them(client: AuditClient) -> None:
    """A callable object with an async call, and a partial, are recorded when they end, not when they are called."""

    class Pay:
        async def __call__(self) -> None:
            await asyncio.sleep(0)
            raise PermissionError

    for function in (Pay(), functools.partial(Pay())):
        with pytest.raises(PermissionError):
            asyncio.run(client.operation(event_type="pay", actor="ana")(function)())
    assert [event["action"]["status"] for event in recorded(client)] == ["failure", "failure"]
