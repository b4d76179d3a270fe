"""The faults of `make faults`, by the numbers of the list that they come from, and those that do not apply here."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults import (
    client_faults,
    damage_faults,
    delivery_faults,
    disk_faults,
    power_faults,
    process_faults,
    request_faults,
    time_faults,
    trace,
    transform_faults,
)
from tests.faults.trial import Outcome, Trial

Unavailable = Callable[[], str | None]


def _available() -> None:
    return None


@dataclass(frozen=True)
class Fault:
    """A fault: its number in the list with a letter, a name, what it befalls, and what makes it happen.

    `run` returns what came of it; `quick` says that `make test` has it too, with fewer cases; `unavailable` says why it
    cannot be made to happen on this machine.
    """

    id: str
    name: str
    subject: str
    run: Callable[[Trial], Outcome]
    quick: bool = False
    unavailable: Unavailable = _available

    @property
    def what(self) -> str:
        """Return in a sentence what is done."""
        return " ".join((self.run.__doc__ or "").partition("\n\n")[0].split())


@dataclass(frozen=True)
class NotApplicable:
    """A fault of the list that cannot befall what there is, and why."""

    id: str
    name: str
    why: str


NARROW = "buffer, stream, store"
BACKUP = "source backup"
SERVER = "auditlake up"
CLIENT = "client"
TRANSFORM = "transform"

FAULTS: tuple[Fault, ...] = (
    Fault("1a", "kill -9 at each call", NARROW, process_faults.killed_at_each_call, True, trace.unavailable),
    Fault("1b", "kill -9 at a call", SERVER, process_faults.server_killed_at_each_call, False, trace.unavailable),
    Fault("1c", "kill -9 at each call", CLIENT, client_faults.killed_at_each_call, True, trace.unavailable),
    Fault(
        "1d", "kill -9 at each call", BACKUP, process_faults.killed_at_each_call_of_a_backup, True, trace.unavailable
    ),
    Fault("2", "SIGTERM while requests are open", SERVER, process_faults.stopped_with_open_requests, True),
    Fault("3", "SIGSTOP, then SIGCONT", SERVER, process_faults.frozen),
    Fault("4", "two instances on one data directory", SERVER, process_faults.started_twice, True),
    Fault("5", "kill -9 of the functions' processes", SERVER, process_faults.workers_killed),
    Fault("6", "restart storm", SERVER, process_faults.restart_storm),
    Fault("7a", "disk full at each write", NARROW, disk_faults.full_at_each_write, True, trace.unavailable),
    Fault("7b", "disk full from each write on", NARROW, disk_faults.full_from_each_write, False, trace.unavailable),
    Fault("7c", "a full disk", SERVER, disk_faults.full_disk, True, disk_faults.mount_unavailable),
    Fault("7d", "disk full at each write", CLIENT, client_faults.full_at_each_write, False, trace.unavailable),
    Fault("7e", "disk full from each write on", CLIENT, client_faults.full_from_each_write, False, trace.unavailable),
    Fault(
        "8a",
        "I/O error at each write and sync",
        NARROW,
        disk_faults.error_at_each_write_and_sync,
        True,
        trace.unavailable,
    ),
    Fault("8b", "I/O error from each sync on", NARROW, disk_faults.error_from_each_sync, False, trace.unavailable),
    Fault("8c", "I/O error at each read", NARROW, disk_faults.error_at_each_read, False, trace.unavailable),
    Fault(
        "8d", "I/O error at each rename, link, unlink", NARROW, disk_faults.error_at_each_name, False, trace.unavailable
    ),
    Fault("8e", "I/O error at syncs", SERVER, disk_faults.server_sync_fails, False, trace.unavailable),
    Fault("8f", "I/O error at each call", CLIENT, client_faults.error_at_each_call, False, trace.unavailable),
    Fault("9a", "torn tail of the journal", NARROW, damage_faults.torn_tail, True),
    Fault("9b", "torn tail of a segment", CLIENT, client_faults.torn_tail),
    Fault("10a", "flipped bit in the journal", NARROW, damage_faults.flipped_bit_in_journal, True),
    Fault("10b", "flipped bit in the index", NARROW, damage_faults.flipped_bit_in_index, True),
    Fault("10c", "flipped bit in a segment", CLIENT, client_faults.flipped_bit, True),
    Fault("10d", "flipped bit in an object", SERVER, damage_faults.flipped_bit_in_object),
    Fault("10e", "flipped bit in what is settled", CLIENT, client_faults.flipped_bit_in_settled, True),
    Fault("11", "lost index", NARROW, damage_faults.lost_index, True),
    Fault("12a", "read-only file system", SERVER, disk_faults.read_only, False, disk_faults.mount_unavailable),
    Fault("12b", "data directory that is none", SERVER, disk_faults.unusable_directory),
    Fault("13a", "no free descriptor", SERVER, disk_faults.out_of_descriptors),
    Fault(
        "13b",
        "no free descriptor at each open",
        NARROW,
        disk_faults.out_of_descriptors_at_each_open,
        False,
        trace.unavailable,
    ),
    Fault(
        "13c",
        "no free descriptor at each open",
        CLIENT,
        client_faults.out_of_descriptors_at_each_open,
        False,
        trace.unavailable,
    ),
    Fault("13d", "interrupted call", NARROW, disk_faults.interrupted_at_each_call, False, trace.unavailable),
    Fault("13e", "interrupted call", CLIENT, client_faults.interrupted_at_each_call, False, trace.unavailable),
    Fault("13f", "short write", NARROW, disk_faults.short_writes, True),
    Fault("13g", "short write", CLIENT, client_faults.short_writes),
    Fault(
        "14a", "kill -9 before a directory's sync", NARROW, process_faults.killed_before_syncs, False, trace.unavailable
    ),
    Fault("14b", "loss of power (modelled)", NARROW, power_faults.power_cut, True, trace.unavailable),
    Fault(
        "14c",
        "failed sync, loss of power",
        NARROW,
        power_faults.power_cut_after_failed_sync,
        True,
        trace.unavailable,
    ),
    Fault("14d", "kill -9, loss of power", NARROW, power_faults.power_cut_after_kill, True, trace.unavailable),
    Fault("14e", "loss of power (modelled)", CLIENT, power_faults.client_power_cut, True, trace.unavailable),
    Fault("14f", "loss of power (modelled)", BACKUP, power_faults.power_cut_with_a_backup, True, trace.unavailable),
    Fault("15", "exception", TRANSFORM, transform_faults.throws),
    Fault("16", "time-out", TRANSFORM, transform_faults.times_out),
    Fault("17", "hang", TRANSFORM, transform_faults.hangs),
    Fault("18", "partial result", TRANSFORM, transform_faults.answers_partly),
    Fault("19", "Dropped", TRANSFORM, transform_faults.drops),
    Fault("20", "answer over 6 MB", TRANSFORM, transform_faults.answers_too_much),
    Fault("21", "answer that cannot be read", TRANSFORM, transform_faults.answers_no_json),
    Fault("22", "one bad event among many", TRANSFORM, transform_faults.one_among_many),
    Fault("23", "an event that kills the process", TRANSFORM, transform_faults.poison),
    Fault("24", "fails, then works", TRANSFORM, transform_faults.passes_after_a_while),
    Fault("25", "exchanged in mid-batch", TRANSFORM, transform_faults.changes_version),
    Fault("26a", "the store refuses", SERVER, delivery_faults.store_refuses),
    Fault("26b", "the store's answer is lost", SERVER, delivery_faults.answer_lost),
    Fault("27", "part of a PutRecordBatch fails", "receiver", delivery_faults.part_of_a_batch_fails),
    Fault("28", "more than 500 partitions", SERVER, delivery_faults.too_many_partitions),
    Fault("29", "the object's key exists", SERVER, delivery_faults.object_exists),
    Fault("30", "outage of 24 h", NARROW, delivery_faults.long_outage),
    Fault("31", "broken bodies (with 34, 35)", SERVER, request_faults.broken_bodies),
    Fault("32a", "sizes of bodies, gzip bombs", SERVER, request_faults.body_sizes),
    Fault("32b", "wrong Content-Length, chunks without end", SERVER, request_faults.wrong_lengths),
    Fault("32c", "smuggled requests", SERVER, request_faults.smuggled_requests),
    Fault("32d", "slow and hung clients", SERVER, request_faults.slow_clients),
    Fault("33", "events of the largest size", SERVER, request_faults.largest_events),
    Fault("36", "the same id again, same and other bytes", SERVER, request_faults.repeated_events),
    Fault("37a", "clock back 1 h, forward 10 years", NARROW, time_faults.clock_jumps, True),
    Fault("37b", "times of events", SERVER, time_faults.event_times),
)

_NO_DIGEST = "there is no digest yet: nothing signs or chains what is stored"
NOT_APPLICABLE: tuple[NotApplicable, ...] = (
    NotApplicable("38", "crash between manifest and checkpoint", _NO_DIGEST),
    NotApplicable("39", "two digesters", _NO_DIGEST),
    NotApplicable("40", "late object", _NO_DIGEST),
    NotApplicable("41", "object removed between list and hash", _NO_DIGEST),
    NotApplicable("42", "signer unavailable", _NO_DIGEST),
    NotApplicable("43", "key rotation in mid-chain", _NO_DIGEST),
)
"""34 (unknown fields and types, versions of the future) and 35 (line ends and escapes) are cases of 31."""
