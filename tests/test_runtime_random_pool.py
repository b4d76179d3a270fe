"""Random bytes from a pool."""

import os
import uuid

from auditlake.runtime.random_pool import POOL_BYTES, random_bytes, random_uuid


def test_no_bytes_are_given_twice_when_the_pool_is_fetched_again() -> None:
    """Over several pools all pieces are as long as asked for and differ."""
    pieces = [random_bytes(39) for _ in range(4 * POOL_BYTES // 39)]
    assert {len(piece) for piece in pieces} == {39}
    assert len(set(pieces)) == len(pieces)


def test_a_forked_process_has_bytes_of_its_own() -> None:
    """Child and parent, which began with one pool, are given different bytes."""
    random_bytes(1)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, random_bytes(16))
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as given:
        assert given.read() not in (b"", random_bytes(16))


def test_a_uuid_is_of_version_4() -> None:
    """It reads as a random UUID of RFC 9562, and the next is another."""
    assert (uuid.UUID(random_uuid()).version, uuid.UUID(random_uuid()).variant) == (4, uuid.RFC_4122)
    assert random_uuid() != random_uuid()
