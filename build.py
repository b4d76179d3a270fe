"""Build the Lambda packages: `python build.py` makes dist/transform.zip, dist/receiver.zip,
dist/canary.zip and dist/authorizer.zip.

Needs only the standard library, pip, and a package index (or PIP_NO_INDEX and PIP_FIND_LINKS naming a folder of
wheels).

The same sources give the same bytes on every machine: entries are sorted, their times and permissions fixed, and they
are stored rather than compressed, because zlib and zlib-ng compress the same bytes differently. Bytecode is the one
choice a machine can make: with a CPython 3.13 at hand it is added, which halves the cold start; without one the zips
hold sources only. The two kinds differ, so the output says which one was built.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
FUNCTIONS = ("transform", "receiver", "canary", "authorizer")
PYTHON_VERSION = "3.13"
ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""Lambda's names and the wheels'."""
PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")
"""What Amazon Linux 2023, with glibc 2.34, can run."""
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold

# Left out of the packages, since nothing that the functions run imports it (tests/test_build.py runs them).
PRUNED = re.compile(
    r"(^|/)(tests?|__pycache__)/"
    r"|\.(pyi|pyc|c|h|exe)$"
    r"|\.dist-info/(RECORD|INSTALLER|WHEEL|entry_points\.txt|top_level\.txt)$"
    r"|^aws_lambda_powertools/(event_handler|tracing/.*xray|utilities/(?!jmespath_utils|__init__))"
)


class BuildError(Exception):
    """The packages cannot be built; the message is a sentence."""


@dataclass(frozen=True)
class Package:
    """A zip that was built."""

    path: Path
    files: int
    size: int
    sha256: str


def main() -> None:
    """Build the packages and print what they hold."""
    parser = argparse.ArgumentParser(description="Build the Lambda packages, byte-identical on every machine.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the zips (default: dist)")
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="arm64", help="Lambda's (default: arm64)")
    parser.add_argument(
        "--bytecode",
        action=argparse.BooleanOptionalAction,
        default=None,
        help=f"ship bytecode of CPython {PYTHON_VERSION}: insist, or do without (default: when one is found)",
    )
    arguments = parser.parse_args()
    try:
        python = None if arguments.bytecode is False else find_python(PYTHON_VERSION, os.environ)
        if arguments.bytecode and python is None:
            raise BuildError(
                f"There is no Python {PYTHON_VERSION} on this machine to compile bytecode with: install one as "
                f"python{PYTHON_VERSION} on the PATH or under pyenv, or build without bytecode by --no-bytecode."
            )
        if python is not None:
            print(f"bytecode: compiled by {version_of(python)}, {python}")
        else:
            reason = "as asked" if arguments.bytecode is False else f"no Python {PYTHON_VERSION} found"
            print(f"bytecode: none, {reason}; a cold start takes about twice as long")
        for name in FUNCTIONS:
            package = build(name, arguments.out, arguments.architecture, python)
            print(f"{package.path}: {package.size:,} bytes, {package.files} files, sha256 {package.sha256}")
    except BuildError as error:
        sys.exit(f"build.py: {error}")


def build(
    function: str, out: Path, architecture: str, python: Path | None, python_version: str = PYTHON_VERSION
) -> Package:
    """Build one function's zip, with bytecode when a Python is given to compile it; raises BuildError."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        requirements = ROOT / "lambda_src" / function / "requirements.txt"
        for wheel in download(requirements, Path(folder), architecture, python_version):
            unpack(wheel, tree)
        copy_sources(function, tree)
        if python is not None:
            compile_tree(python, tree)
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"{function}.zip"
        files = write_zip(tree, path)
    return Package(path, files, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


def find_python(version: str, environ: Mapping[str, str]) -> Path | None:
    """Find a CPython of the Lambda's version: the running one, on the PATH, or one of pyenv's."""
    home = environ.get("HOME")
    pyenv = environ.get("PYENV_ROOT") or (home and f"{home}/.pyenv")
    on_path = shutil.which(f"python{version}", path=environ.get("PATH", ""))
    candidates = [Path(sys.executable), *([Path(on_path)] if on_path else [])]
    if pyenv:
        candidates += sorted(Path(pyenv).glob(f"versions/{version}.*/bin/python{version}"), reverse=True)
    for candidate in candidates:
        # Asked rather than trusted: pyenv puts names on the PATH that answer only when that version is switched on.
        if version_of(candidate).startswith(f"cpython {version}."):
            return candidate
    return None


def version_of(python: Path) -> str:
    """Ask a Python which it is, e.g. `cpython 3.13.0`; empty when it does not answer."""
    script = "import sys; print(sys.implementation.name, '%d.%d.%d' % sys.version_info[:3])"
    try:
        return _run([str(python), "-I", "-c", script]).stdout.strip()
    except OSError:
        return ""


def _run(command: list[str], environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)  # noqa: S603  # no shell


def download(requirements: Path, folder: Path, architecture: str, python_version: str) -> list[Path]:
    """Fetch the pinned wheels for the Lambda's platform, each checked against its hash; raises BuildError."""
    wheels = folder / "wheels"
    machine = ARCHITECTURES[architecture]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements)]
    command += ["--dest", str(wheels), "--python-version", python_version, "--implementation", "cp"]
    for platform in PLATFORMS:
        command += ["--platform", f"{platform}_{machine}"]
    done = _run(command)
    if done.returncode != 0:
        lines = done.stderr.splitlines() or ["pip gave no reason"]
        reason = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1])
        raise BuildError(
            f"pip could not fetch the wheels that {requirements.relative_to(ROOT)} pins ({reason.strip()}): connect "
            "to a package index, or let PIP_NO_INDEX=1 and PIP_FIND_LINKS name a folder that holds them."
        )
    return sorted(wheels.iterdir())


def unpack(wheel: Path, tree: Path) -> None:
    """Unpack a wheel's modules and licences."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if not name.endswith("/") and ".data/" not in name and not PRUNED.search(name):
                archive.extract(name, tree)


def copy_sources(function: str, tree: Path) -> None:
    """Copy what one function runs: its own folder and what both share."""
    for source in [ROOT / "lambda_src" / "__init__.py", *(ROOT / "lambda_src").glob("*/*.py")]:
        relative = source.relative_to(ROOT)
        if len(relative.parts) == 2 or relative.parts[1] in ("common", function):
            target = tree / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


_COMPILE = """
import py_compile, sys
from pathlib import Path
tree = Path(sys.argv[1])
for source in sorted(tree.rglob("*.py")):
    place = "/var/task/" + source.relative_to(tree).as_posix()
    py_compile.compile(str(source), dfile=place, doraise=True, optimize=0,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""


def compile_tree(python: Path, tree: Path) -> None:
    """Put bytecode beside every source; raises BuildError.

    Unchecked, because files in Lambda carry other times and hashing reads every source. Not optimized: such bytecode
    has another name, which an interpreter without -O never looks for.
    """
    environ = {"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", "")}
    command = [str(python), "-I", "-c", _COMPILE, str(tree)]
    done = _run(command, environ)
    if done.returncode != 0:
        raise BuildError(f"{python} could not compile the package: {done.stderr.strip()[-300:]}.")


def write_zip(tree: Path, path: Path) -> int:
    """Write the files of a folder as a zip whose bytes depend on nothing but theirs; give their number."""
    files = {file.relative_to(tree).as_posix(): file for file in tree.rglob("*") if file.is_file()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.create_system = 3  # Unix, whatever the machine
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name].read_bytes())
    return len(files)


if __name__ == "__main__":
    main()
