"""Makes audit events of an imaginary shop and its back office: for demos, examples and first tries."""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Event = dict[str, Any]

# Events lie between six days before `now` and `now`, so that none is late when it is sent at once.
_DAYS = 6
_LATE_DAYS = 30


@dataclass(frozen=True)
class _Person:
    user_id: str
    role: str
    ip_address: str
    user_agent: str


_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
_SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15"
)
_PHONE = "ShopApp/7.2 (Android 15; Pixel 9)"

# Documentation addresses (RFC 5737, RFC 3849) and invented people.
_PEOPLE = (
    _Person("maria.lopez", "admin", "192.0.2.10", _FIREFOX),
    _Person("jürgen.weiß", "support", "192.0.2.23", _FIREFOX),
    _Person("chloé.martin", "accountant", "198.51.100.7", _SAFARI),
    _Person("山田.太郎", "warehouse", "198.51.100.44", _SAFARI),
    _Person("amara.okafor", "customer", "203.0.113.5", _PHONE),
    _Person("li.wei", "customer", "203.0.113.77", _PHONE),
    _Person("olga.petrova", "customer", "2001:db8::17", _SAFARI),
    _Person("sam.taylor", "customer", "203.0.113.142", _FIREFOX),
)
_STAFF = _PEOPLE[:4]
_ADDRESSES = (
    "Rue de la Paix 4, Paris",
    "Hauptstraße 12, Köln",
    "12 High Street, Leeds",
    "東京都渋谷区1-2-3",
    "Ulica Długa 7, Gdańsk",
)
_DOCUMENTS = ("invoice-2026-114.pdf", "Übersicht Q3.xlsx", "contract-ACME.docx", "payroll-october.csv")
_SETTINGS = (
    ("session.timeoutMinutes", 30, 15),
    ("password.minLength", 10, 14),
    ("export.requireApproval", False, True),
    ("mail.sender", "shop@example.com", "no-reply@example.com"),
)


def sample_events(count: int, seed: int, now: datetime) -> list[Event]:
    """Return `count` events in order of time, the same for the same arguments; `now` must be aware (UTC is best).

    Of a hundred events about four have a wrong optional field (stored, with problems), two are of a type that no
    default list of audit types names (partition `other`); of the whole, one is late (from 30 days before `now`) when
    `count` is at least 20.
    """
    if now.tzinfo is None:
        raise ValueError("now must be aware of its time zone, e.g. datetime.now(UTC).")
    chance = random.Random(seed)  # noqa: S311  # sample data, no secret
    now = now.astimezone(UTC)
    offsets = sorted((chance.random() * _DAYS * 86_400 for _ in range(count)), reverse=True)
    events = [_event(chance, now - timedelta(seconds=offset)) for offset in offsets]
    for event in chance.sample(events, k=count // 25):
        chance.choice(_MISTAKES)(event)
    if count >= 20:
        events[0]["timestamp"] = _text(now - timedelta(days=_LATE_DAYS))
    return events


def _event(chance: random.Random, at: datetime) -> Event:
    kind, weight = zip(*_KINDS, strict=True)
    event_type, make, people = chance.choices(kind, weights=weight)[0]
    person = chance.choice(people)
    return {
        "id": _uuid7(chance, at),
        "eventType": event_type,
        "timestamp": _text(at),
        "actor": {"userId": person.user_id, "role": person.role},
        **make(chance, person),
        "requestId": f"req-{chance.getrandbits(48):012x}",
        "context": {"ipAddress": person.ip_address, "userAgent": person.user_agent},
        "metadata": {"source": "back-office" if person in _STAFF else "shop", "release": "2026.11.2"},
    }


def _session(operation: str, status: str) -> "_Make":
    def make(chance: random.Random, person: _Person) -> Event:  # noqa: ARG001  # the makers share one signature
        return {"action": _action("session", operation, status), "entityType": "user", "entityId": person.user_id}

    return make


def _user_updated(chance: random.Random, person: _Person) -> Event:
    before, after = chance.sample(_ADDRESSES, k=2)
    return _changed("user", person.user_id, [("address", before, after)])


def _role_granted(chance: random.Random, person: _Person) -> Event:
    subject = chance.choice([other for other in _PEOPLE if other is not person])
    return _changed("user", subject.user_id, [("role", subject.role, "admin"), ("mfaRequired", False, True)])


def _order_created(chance: random.Random, person: _Person) -> Event:  # noqa: ARG001  # the makers share one signature
    total = chance.randint(900, 45_000) / 100
    order = f"A-{chance.randint(10_000, 99_999)}"
    return {
        **_done("order", "create", order),
        "order": {"total": total, "currency": "EUR", "items": chance.randint(1, 9)},
    }


def _order_shipped(chance: random.Random, person: _Person) -> Event:  # noqa: ARG001  # the makers share one signature
    return _changed("order", f"A-{chance.randint(10_000, 99_999)}", [("status", "paid", "shipped")])


def _payment(status: str) -> "_Make":
    def make(chance: random.Random, person: _Person) -> Event:  # noqa: ARG001  # the makers share one signature
        payment = f"pay_{chance.getrandbits(40):010x}"
        action = _action(
            "payment", "refund" if status == "refunded" else "capture", "failure" if status == "declined" else "success"
        )
        return {"action": action, "entityType": "payment", "entityId": payment}

    return make


def _document(operation: str) -> "_Make":
    def make(chance: random.Random, person: _Person) -> Event:  # noqa: ARG001  # the makers share one signature
        return _done("document", operation, chance.choice(_DOCUMENTS))

    return make


def _config_changed(chance: random.Random, person: _Person) -> Event:  # noqa: ARG001  # the makers share one signature
    name, before, after = chance.choice(_SETTINGS)
    return _changed("setting", name, [(name, before, after)])


def _export(chance: random.Random, person: _Person) -> Event:  # noqa: ARG001  # the makers share one signature
    return {
        **_done("export", "create", f"exp-{chance.randint(100, 999)}"),
        "export": {"rows": chance.randint(10, 250_000)},
    }


def _label_printed(chance: random.Random, person: _Person) -> Event:  # noqa: ARG001  # the makers share one signature
    return _done("label", "print", f"lbl-{chance.randint(1000, 9999)}")


_Make = Callable[[random.Random, _Person], Event]
_Kind = tuple[str, _Make, tuple[_Person, ...]]

# (event type, what makes its particulars, who does it) and how often of a hundred.
_KINDS: tuple[tuple[_Kind, int], ...] = (
    (("login", _session("login", "success"), _PEOPLE), 24),
    (("login.failed", _session("login", "failure"), _PEOPLE), 9),
    (("logout", _session("logout", "success"), _PEOPLE), 12),
    (("user.updated", _user_updated, _PEOPLE), 7),
    (("role.granted", _role_granted, _STAFF[:1]), 3),
    (("order.created", _order_created, _PEOPLE[4:]), 12),
    (("order.shipped", _order_shipped, _STAFF), 9),
    (("payment.captured", _payment("captured"), _PEOPLE[4:]), 7),
    (("payment.declined", _payment("declined"), _PEOPLE[4:]), 3),
    (("payment.refunded", _payment("refunded"), _STAFF[2:3]), 2),
    (("document.viewed", _document("view"), _STAFF), 5),
    (("document.deleted", _document("delete"), _STAFF), 1),
    (("config.changed", _config_changed, _STAFF[:1]), 2),
    (("export.created", _export, _STAFF), 2),
    (("label.printed", _label_printed, _STAFF[3:]), 2),
)


def _numeric_address(event: Event) -> None:
    event["context"]["ipAddress"] = 3221225994


def _context_as_text(event: Event) -> None:
    event["context"] = "batch job"


def _role_as_list(event: Event) -> None:
    event["actor"]["role"] = [event["actor"]["role"], "auditor"]


_MISTAKES = (_numeric_address, _context_as_text, _role_as_list)


def _action(resource: str, operation: str, status: str) -> Event:
    return {"resource": resource, "operation": operation, "status": status}


def _done(entity_type: str, operation: str, entity_id: str) -> Event:
    return {"action": _action(entity_type, operation, "success"), "entityType": entity_type, "entityId": entity_id}


def _changed(entity_type: str, entity_id: str, changes: list[tuple[str, Any, Any]]) -> Event:
    details = {
        "entityType": entity_type,
        "entityId": entity_id,
        "changeType": "update",
        "changes": [{"field": name, "oldValue": before, "newValue": after} for name, before, after in changes],
    }
    return {**_done(entity_type, "update", entity_id), "details": details}


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _uuid7(chance: random.Random, at: datetime) -> str:
    """Return a UUIDv7 (RFC 9562) of that time; Python makes them itself only from 3.14 on, and not from a seed."""
    milliseconds = int(at.timestamp() * 1000)
    bits = milliseconds << 80 | 0x7 << 76 | chance.getrandbits(12) << 64 | 0b10 << 62 | chance.getrandbits(62)
    return str(uuid.UUID(int=bits))
