"""The log of a function, inside of its process."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
from auditlake.runtime.function_log import FunctionLog
log = FunctionLog(Path(sys.argv[1]), max_bytes=20)
for text in sys.argv[2:]:
    log.write(text)
log.flush()
"""


def write(log: Path, *texts: str) -> None:
    """Write texts as a function's process does, with a limit of 20 bytes."""
    with log.open("ab") as out:
        subprocess.run([sys.executable, "-c", PROGRAM, log, *texts], stderr=out, check=True)


def test_lines_are_written_whole_and_the_rest_at_the_end(tmp_path: Path) -> None:
    """Pieces of a line are put together; what is no line yet comes with the flush, whatever characters it has."""
    write(tmp_path / "log", "one", " line\n", "tw", "\udc80o")

    assert (tmp_path / "log").read_text() == "one line\ntw\\udc80o"


def test_a_full_log_is_kept_once(tmp_path: Path) -> None:
    """What is written after the limit goes to a new file, and only the last full one is kept."""
    write(tmp_path / "log", *(f"{number} {'x' * 18}\n" for number in range(4)))

    assert (tmp_path / "log").read_text().startswith("3 ")
    assert (tmp_path / "log.1").read_text().startswith("2 ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1"]


@pytest.mark.parametrize("target", ["/dev/full", "/dev/null"])
def test_a_log_that_takes_nothing_raises_nothing(tmp_path: Path, target: str) -> None:
    """The function goes on."""
    (tmp_path / "log").symlink_to(target)
    write(tmp_path / "log", "line\n")
