"""The official JSON Schema test suite, which comes with the source of jsonschema on PyPI and is not ours to copy."""

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PINNED = "jsonschema==4.26.0 --hash=sha256:0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326"
"""The release whose `json/` is the suite; pip compares the hash."""
ARCHIVE = "jsonschema-4.26.0.tar.gz"
FOLDER = "json/tests/draft4/"


@dataclass(frozen=True)
class Case:
    """One test: `data` is or is not `valid` by `schema`; `file`, `group` and `name` say where it stands."""

    file: str
    group: str
    name: str
    schema: dict[str, Any]
    data: Any
    valid: bool


def archive() -> Path:
    """Return the downloaded release, kept among the machine's temporary files; raises CalledProcessError."""
    cache = Path(tempfile.gettempdir()) / "auditlake-json-schema-suite"
    found = cache / ARCHIVE
    if not found.exists():
        cache.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as fresh:
            (Path(fresh) / "requirements.txt").write_text(PINNED + "\n")
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "jsonschema"]
            command += ["--require-hashes", "--dest", fresh, "--requirement", f"{fresh}/requirements.txt"]
            subprocess.run(command, check=True, capture_output=True, text=True)
            (Path(fresh) / ARCHIVE).rename(found)
    return found


def cases() -> Iterator[Case]:
    """Read all cases of draft 4, the optional ones too."""
    with tarfile.open(archive()) as release:
        for member in release.getmembers():
            _, found, file = member.name.partition(FOLDER)
            content = release.extractfile(member) if found and member.isfile() else None
            for group in json.load(content) if content else ():
                for test in group["tests"]:
                    yield Case(
                        file, group["description"], test["description"], group["schema"], test["data"], test["valid"]
                    )
