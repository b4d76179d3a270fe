"""The soak, for a few seconds."""

import subprocess
import sys

from tests.conftest import ROOT


def test_every_record_of_a_short_soak_is_in_exactly_one_place() -> None:
    """Each way of failing is drawn, and afterwards no record is lost, there twice, or where it should not be."""
    command = [sys.executable, "bench/soak.py", "--minutes", "0.05", "--seed", "12"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed 12" in done.stdout
    for code in ("MissingRecordId", "DuplicatedRecordId", "InvalidReturnFormat", "PartitioningFailed", "ParseError"):
        assert code in done.stdout
    assert "nowhere, as it was Dropped" in done.stdout
