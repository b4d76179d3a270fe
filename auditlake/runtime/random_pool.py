"""Random bytes of the kernel, many at a time: one call of the kernel a request would cost more than its parsing."""

import os
import threading
import uuid

POOL_BYTES = 8192
"""How many bytes are fetched at once."""

_lock = threading.Lock()
_pool = b""
_used = 0


def random_bytes(count: int) -> bytes:
    """Return `count` random bytes, at most POOL_BYTES, which nobody was given before."""
    global _pool, _used
    with _lock:
        if _used + count > len(_pool):
            _pool, _used = os.urandom(POOL_BYTES), 0
        _used += count
        return _pool[_used - count : _used]


def _forget() -> None:
    """A child has its parent's pool: without this both would give the same bytes."""
    global _pool, _lock
    _pool, _lock = b"", threading.Lock()


os.register_at_fork(after_in_child=_forget)


def random_uuid() -> str:
    """Return a random UUID (version 4)."""
    return str(uuid.UUID(bytes=random_bytes(16), version=4))
