"""The Lambda packages."""

import os
import platform
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import build

ROOT = Path(__file__).resolve().parent.parent
MACHINE = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), "x86_64")


def run_build(out: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run build.py as a user does."""
    command = [sys.executable, str(ROOT / "build.py"), "--out", str(out), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environ)


def names(package: Path) -> list[str]:
    """List the entries of a zip."""
    with zipfile.ZipFile(package) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both packages without bytecode, which every machine can."""
    out = tmp_path_factory.mktemp("dist")
    done = run_build(out, "--no-bytecode")
    assert done.returncode == 0, done.stderr
    for name in build.FUNCTIONS:
        size = (out / f"{name}.zip").stat().st_size
        assert f"{name}.zip: {size:,} bytes" in done.stdout
    return out


def test_same_bytes_wherever_built(built: Path, tmp_path: Path) -> None:
    """Another run, folder, umask, time zone, language and hash seed give the same bytes."""
    umask = os.umask(0o077)
    try:
        done = run_build(
            tmp_path, "--no-bytecode", TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="7", TMPDIR=str(tmp_path)
        )
    finally:
        os.umask(umask)

    assert done.returncode == 0, done.stderr
    for name in build.FUNCTIONS:
        assert (tmp_path / f"{name}.zip").read_bytes() == (built / f"{name}.zip").read_bytes()


def test_bytecode_is_the_same_too(tmp_path: Path) -> None:
    """Compiled twice by one Python, in different folders, the packages are the same bytes."""
    packages = [build.build("transform", tmp_path / place, "arm64", Path(sys.executable)) for place in ("a", "b")]

    assert packages[0].sha256 == packages[1].sha256


def test_bytecode_is_what_an_interpreter_loads(tmp_path: Path) -> None:
    """With its source made unreadable a module of the package still imports, so its bytecode is found and unchecked."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    package = build.build("transform", tmp_path, MACHINE, Path(sys.executable), version)
    with zipfile.ZipFile(package.path) as archive:
        archive.extractall(tmp_path / "task")
    (tmp_path / "task" / "lambda_src" / "common" / "settings.py").write_text("this is no Python")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'task')!r})\n"
        "import lambda_src.common.settings; print(lambda_src.common.settings.__doc__)"
    )
    done = subprocess.run([sys.executable, "-I", "-B", "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "settings" in done.stdout.lower()


@pytest.mark.parametrize(
    ("function", "other"),
    [("transform", "receiver"), ("receiver", "transform"), ("canary", "receiver"), ("authorizer", "receiver")],
)
def test_contents(built: Path, function: str, other: str) -> None:
    """A package holds its function, what both share, and libraries for arm64 with their licences; no boto3."""
    found = names(built / f"{function}.zip")

    assert f"lambda_src/{function}/handler.py" in found
    assert "lambda_src/common/event.py" in found
    assert not any(name.startswith((f"lambda_src/{other}/", "boto", "tests/", "auditlake/")) for name in found)
    assert any(name.startswith("msgspec/_core") and "aarch64" in name for name in found)
    assert any(name.startswith("msgspec-") and "LICENSE" in name for name in found)
    assert found == sorted(found)
    assert not any(name.endswith((".pyc", ".pyi")) for name in found)


def test_pins_are_the_projects() -> None:
    """The libraries in the packages have the versions that the project is developed and tested with."""
    project = (ROOT / "pyproject.toml").read_text()
    for function in build.FUNCTIONS:
        lines = (ROOT / "lambda_src" / function / "requirements.txt").read_text().splitlines()
        pins = [line.split(" ")[0] for line in lines if "==" in line]
        assert len(pins) == {"canary": 4, "authorizer": 8}.get(function, 5)
        for pin in pins:
            name, _, version = pin.partition("==")
            # What a library brings is not pinned by the project, but the tests run with it.
            assert f'"{pin}"' in project or metadata.version(name) == version, pin


@pytest.mark.parametrize("function", build.FUNCTIONS)
def test_packages_run(function: str, tmp_path: Path) -> None:
    """Unpacked, with only boto3 in reach beside it, each package's handler answers: what was left out is not needed."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    package = build.build(function, tmp_path, MACHINE, None, version)
    with zipfile.ZipFile(package.path) as archive:
        archive.extractall(tmp_path / "task")
    script = f"""
import json, sys
sys.path.insert(0, {str(tmp_path / "task")!r})
if {function != "transform"}:
    import boto3, botocore.config  # as from the Lambda runtime, before what is in the package
from lambda_src.{function} import handler
assert handler.__file__.startswith({str(tmp_path)!r})
import msgspec, aws_lambda_powertools
assert all(module.__file__.startswith({str(tmp_path)!r}) for module in (msgspec, aws_lambda_powertools))
broken = {{"recordId": "r", "approximateArrivalTimestamp": 0, "data": "e30="}}
if {function == "transform"}:
    print(handler.handle({{"records": [broken]}}, None))
elif {function == "canary"}:
    print(handler.event(0))
elif {function == "authorizer"}:
    try:
        handler.handle({{"methodArn": "a", "authorizationToken": "Bearer " + "eyJhbGciOiJub25lIn0.e30."}}, None)
    except handler.UnauthorizedError as error:
        print(repr(error))
else:
    context = {{"requestId": "r", "requestTimeEpoch": 0, "identity": {{}}}}
    print(handler.handle({{"resource": "/events", "body": "{{}}", "requestContext": context}}, None))
"""
    environ = {
        "AUDIT_TYPES": "login",
        "EVENT_DAYS_BACK": "7",
        "EVENT_DAYS_AHEAD": "1",
        "DELIVERY_STREAM_NAME": "s",
        "ENDPOINT": "https://api.example/v1",
        "INTERVAL_S": "900",
        "WORKGROUP": "w",
        "DATABASE": "d",
        "TABLE": "t",
        "AUDIT_TYPE": "other",
        "PACKING": "true",
        "ISSUER": "https://issuer.example",
        "AUDIENCES": '["audit"]',
        "REQUIRED_CLAIMS": "{}",
        "REQUIRED_SCOPES": "[]",
        "PRINCIPAL_CLAIM": "sub",
        "CLOCK_SKEW_S": "60",
        "POWERTOOLS_SERVICE_NAME": "s",
        "POWERTOOLS_METRICS_NAMESPACE": "n",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    # Without -I the receiver finds boto3 where the tests do; the package comes before it on the path.
    flags = ["-I", "-S"] if function == "transform" else ["-P"]
    done = subprocess.run(
        [sys.executable, *flags, "-c", script], capture_output=True, text=True, check=False, env=environ, cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    answers = {
        "transform": "ProcessingFailed",
        "receiver": "'statusCode': 400",
        "authorizer": "UnauthorizedError('Unauthorized')",
        "canary": "canary-1970-01-01T00:00:00Z",
    }
    assert answers[function] in done.stdout


def test_no_package_index(tmp_path: Path) -> None:
    """Without a package index the build ends with a sentence that names the file and what to do, no traceback."""
    environ = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    done = run_build(tmp_path / "dist", "--no-bytecode", **environ)

    assert done.returncode == 1
    assert done.stderr.startswith(
        "build.py: pip could not fetch the wheels that lambda_src/transform/requirements.txt pins ("
    )
    assert "connect to a package index" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "dist").exists()


def test_wrong_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that is not the pinned one is refused."""
    pinned = ROOT / "lambda_src" / "transform" / "requirements.txt"
    changed = tmp_path / "requirements.txt"
    changed.write_text("jmespath==1.1.0 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setattr(build, "ROOT", tmp_path)

    assert "--hash=sha256:" in pinned.read_text()
    with pytest.raises(build.BuildError, match=r"requirements\.txt pins"):
        build.download(changed, tmp_path, "arm64", "3.13")


def test_python_is_asked_for_its_version(tmp_path: Path) -> None:
    """A name on the PATH that does not answer, or is another version, is not taken; one that answers is."""
    (tmp_path / "python3.99").write_text("#!/bin/sh\necho cpython 3.13.0\n")
    (tmp_path / "python3.99").chmod(0o755)
    assert build.find_python("3.99", {"PATH": str(tmp_path)}) is None

    pyenv = tmp_path / "pyenv" / "versions" / "3.99.1" / "bin"
    pyenv.mkdir(parents=True)
    (pyenv / "python3.99").write_text("#!/bin/sh\necho cpython 3.99.1\n")
    (pyenv / "python3.99").chmod(0o755)
    assert (
        build.find_python("3.99", {"PATH": str(tmp_path), "PYENV_ROOT": str(tmp_path / "pyenv")})
        == pyenv / "python3.99"
    )


def test_insisting_on_bytecode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Insisting on bytecode without a Python 3.13 ends with a sentence; otherwise the output says there is none."""
    monkeypatch.setattr(build, "find_python", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["build.py", "--out", str(tmp_path), "--bytecode"])
    with pytest.raises(SystemExit, match=r"There is no Python 3\.13 on this machine .* --no-bytecode"):
        build.main()

    monkeypatch.setattr(sys, "argv", ["build.py", "--out", str(tmp_path)])
    build.main()
    assert "bytecode: none, no Python 3.13 found" in capsys.readouterr().out
