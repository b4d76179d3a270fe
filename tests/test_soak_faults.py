"""The soak with faults, for a few seconds."""

import re
import subprocess
import sys

from tests.conftest import ROOT


def test_no_event_of_a_short_soak_is_missing() -> None:
    """Both sides are killed or run out of disk, and afterwards every recorded event is found once or more."""
    command = [sys.executable, "bench/soak_faults.py", "--minutes", "0.1", "--seed", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed 3" in done.stdout
    assert re.search(r"reconcile: missing +│ 0 ", done.stdout)
