"""Imports that cost less of a cold start: what nobody uses is not loaded, nor typing_extensions."""

import sys
import typing
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
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


@contextmanager
def loading_lazily(*names: str) -> Iterator[None]:
    """Have the named modules read and run only when somebody uses them, if they are first imported within.

    This is importlib's own LazyLoader, put before Python's finders. A second import of such a module counts as use.
    """
    finder = _LazyFinder(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _LazyFinder:
    """Finds the named modules as Python does, and puts off loading them."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec, if it is one of the named; None leaves it to Python's own finders."""
        if name not in self._names:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec
