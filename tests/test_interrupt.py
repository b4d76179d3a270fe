"""Ctrl-C between two steps."""

import signal

import pytest

from auditlake.interrupt import Interrupt


def test_the_first_ctrl_c_asks_and_the_second_stops() -> None:
    """After the first the work goes on and a sleep ends at once; the second is KeyboardInterrupt."""
    with Interrupt() as interrupt:
        assert not interrupt.requested
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested
        interrupt.sleep(3600)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_afterwards_ctrl_c_does_what_it_did_before() -> None:
    """The handler that was there is put back, after an error too."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="work"), Interrupt():
        raise ValueError("work")
    assert signal.getsignal(signal.SIGINT) is before
