"""Imports that cost less of a cold start: what the libraries want of typing_extensions, Python 3.13 has itself."""

import sys
import typing
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

NAME = "typing_extensions"


@contextmanager
def without_typing_extensions() -> Iterator[None]:
    """Give what is imported within Python's own `typing` and `warnings.deprecated` instead of `typing_extensions`.

    msgspec and aws-lambda-powertools use nothing else of it, and loading it takes 6 ms. Before Python 3.13, or where it
    is loaded already, nothing is changed; afterwards whoever asks for it gets the real one.
    """
    if NAME in sys.modules or sys.version_info < (3, 13):
        yield
        return
    stand_in = ModuleType(NAME)
    vars(stand_in).update(vars(typing), deprecated=warnings.deprecated, __name__=NAME)
    sys.modules[NAME] = stand_in
    try:
        yield
    finally:
        del sys.modules[NAME]
