"""What makes the transform's imports cheaper: a stand-in for typing_extensions, and modules that are loaded on use."""

import importlib
import json
import subprocess
import sys
import typing
import warnings
from pathlib import Path

import pytest

from lambda_src.common.quick_import import NAME, loading_lazily, without_typing_extensions

ROOT = Path(__file__).resolve().parent.parent


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


def fresh_module(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Put a module on the path that nobody has imported; it notes in the list that is returned when it runs."""
    ran: list[str] = []
    monkeypatch.setattr(sys, "ran", ran, raising=False)
    (folder / f"{name}.py").write_text(f"import sys\nsys.ran.append({name!r})\nvalue = 7\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return ran


def test_a_lazy_module_runs_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing it runs nothing; the first use of a member does, once, long after."""
    ran = fresh_module(tmp_path, monkeypatch, "seldom_used")
    with loading_lazily("seldom_used"):
        module = importlib.import_module("seldom_used")
    assert ran == []
    assert (module.value, module.value, ran) == (7, 7, ["seldom_used"])


def test_others_are_loaded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is not named runs when it is imported, and one that is missing is missed."""
    ran = fresh_module(tmp_path, monkeypatch, "often_used")
    finders = list(sys.meta_path)
    with loading_lazily("seldom_used", "no_such_module"):
        importlib.import_module("often_used")
        assert ran == ["often_used"]
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            importlib.import_module("no_such_module")
    assert sys.meta_path == finders


ANSWER_ONCE = """
import json, sys
from lambda_src.transform import handler
broken = {"recordId": "1", "approximateArrivalTimestamp": 1769851800000, "data": "e30="}
answer = handler.handle({"invocationId": "i", "records": [broken]}, None)
assert answer["records"][0]["result"] == "ProcessingFailed", answer
lazy = [name for name in handler.UNUSED if type(sys.modules[name]).__name__ == "_LazyModule"]
print(json.dumps([lazy, handler.UNUSED]))
"""


def test_the_transform_answers_and_logs_without_what_it_calls_unused() -> None:
    """After an invocation with a failure, which is logged and counted, none of the lazy modules has been loaded."""
    environment = {
        "AUDIT_TYPES": "login",
        "EVENT_DAYS_BACK": "7",
        "EVENT_DAYS_AHEAD": "1",
        "POWERTOOLS_SERVICE_NAME": "transform",
        "POWERTOOLS_METRICS_NAMESPACE": "auditlake",
    }
    command = [sys.executable, "-c", ANSWER_ONCE]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    lazy, unused = json.loads(done.stdout.splitlines()[-1])
    # Before 3.13 inspect itself uses the two others.
    used = [] if sys.version_info >= (3, 13) else ["ast", "tokenize"]
    assert lazy == [name for name in unused if name not in used]
