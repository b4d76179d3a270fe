"""What is safe to print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.terminal import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode, 日本", "plain, ünïcode, 日本"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("pay\u202etxt.exe", r"pay\u202etxt.exe"),
        ("\ud800", r"\ud800"),
    ],
    ids=["plain", "colour", "lines", "direction", "surrogate"],
)
def test_what_acts_on_a_terminal_is_an_escape(text: str, shown: str) -> None:
    """Letters stay, controls and what hides or turns text are written out."""
    assert visible(text) == shown


@given(st.text())
def test_what_is_shown_stays_as_it_is(text: str) -> None:
    """Made visible twice is made visible once, and holds no control character."""
    once = visible(text)
    assert visible(once) == once
    assert all(ord(character) >= 0x20 for character in once)
