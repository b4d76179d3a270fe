"""What stands in for typing_extensions while the transform's libraries are imported."""

import importlib
import sys
import typing
import warnings

import pytest

from lambda_src.common.quick_import import NAME, without_typing_extensions


def test_within_it_is_pythons_own_and_afterwards_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python 3.13 on what both libraries ask for is typing's and warnings', and the stand-in leaves no trace."""
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    monkeypatch.setattr(sys, "version_info", (3, 13))
    monkeypatch.setattr(warnings, "deprecated", "Python's", raising=False)

    with without_typing_extensions():
        module = importlib.import_module(NAME)
        assert (module.NotRequired, module.get_type_hints) == (typing.NotRequired, typing.get_type_hints)
        assert module.deprecated == "Python's"
    assert NAME not in sys.modules
    assert hasattr(importlib.import_module(NAME), "TypeIs")


@pytest.mark.parametrize(("version", "loaded"), [((3, 13), True), ((3, 12), False)])
def test_nothing_stands_in_where_it_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], loaded: bool
) -> None:
    """What is loaded already stays, and an older Python has not all that is asked for."""
    real = importlib.import_module(NAME)
    monkeypatch.setattr(sys, "version_info", version)
    if not loaded:
        monkeypatch.delitem(sys.modules, NAME)

    with without_typing_extensions():
        assert sys.modules.get(NAME) is (real if loaded else None)
