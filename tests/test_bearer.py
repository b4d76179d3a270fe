"""The header that carries a bearer token."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.bearer import bearer
from auditlake.errors import SendError


@pytest.mark.parametrize("token", ["s3cret", "s3cret\n", "  s3cret\r\n"])
def test_what_a_file_adds_is_left_out(token: str) -> None:
    """A token that was read from a file may end in a newline."""
    assert bearer(token) == "Bearer s3cret"


@pytest.mark.parametrize("token", ["", " \n", "s3\ncret", "s3 cret", "s3\0cret", "ſecret", None, 5, b"s3cret"])
def test_what_no_header_can_carry_is_refused_without_being_told(token: object) -> None:
    """The sentence may end in a log, so the token is not in it."""
    with pytest.raises(SendError) as caught:
        bearer(token)
    assert "cret" not in str(caught.value)


@given(st.text())
def test_what_is_not_refused_can_be_sent(token: str) -> None:
    """Whatever passes is a header that HTTP carries as it is."""
    try:
        value = bearer(token)
    except SendError:
        return
    request = httpx.Request("GET", "http://127.0.0.1", headers={"Authorization": value})
    assert request.headers["Authorization"] == value
    assert not set(value) & set("\r\n\0")
