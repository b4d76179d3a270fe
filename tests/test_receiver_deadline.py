"""A limit of time for a call."""

from threading import Event

import pytest

from lambda_src.receiver.deadline import within


def test_the_result_comes_back() -> None:
    """What the call gives is given, None as well."""
    assert within(10, lambda: 5) == 5
    assert within(10, lambda: None) is None


def test_what_is_raised_comes_back() -> None:
    """What the call raises is raised where it was asked for."""

    def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        within(10, fail)


def test_a_call_that_takes_longer_is_given_up() -> None:
    """After its time a call is a TimeoutError, though it still runs."""
    ending, ended = Event(), Event()

    def hang() -> None:
        ending.wait(10)
        ended.set()

    with pytest.raises(TimeoutError, match=r"longer than 0\.01 seconds"):
        within(0.01, hang)
    ending.set()
    assert ended.wait(10)
