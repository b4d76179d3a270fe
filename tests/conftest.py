"""What all tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real events and conformance cases beside the project; absent, the test skips (fails under CI=true)."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        reason = "the folder ../shared/data with real events is not beside the project"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
