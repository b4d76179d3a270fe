"""How long a cold start takes: a fresh process, from the unpacked package to the first answer.

    python bench/cold_start.py

Compared are the transform, the same work with the standard library alone (bench/plain_transform.py), and a bare handler
that does nothing. Every process first loads Lambda's runtime client, as Lambda does before any handler; one column
shows the processes without it. The package is built for this machine, because the deployed one is for arm64. Needs
Linux.
"""

import base64
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

BENCH = Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH.parent))

import build  # noqa: E402  # found beside this folder
from lambda_src.common.envelope import Envelope, encode  # noqa: E402  # the same

RUNS = 21
SHOWN_MS = 1.0
"""Modules that take less to import, with what they import, are not listed."""
MACHINES = {"x86_64": "x86_64", "aarch64": "arm64"}
SETTINGS = {
    "AUDIT_TYPES": "login,update",
    "EVENT_DAYS_BACK": "7",
    "EVENT_DAYS_AHEAD": "1",
    "POWERTOOLS_SERVICE_NAME": "transform",
    "POWERTOOLS_METRICS_NAMESPACE": "auditlake",
}
HANDLERS = {
    "bare handler": "bare",
    "stdlib json, same work": "plain_transform",
    "transform": "lambda_src.transform.handler",
}
FLAGS = ("-I", "-B")
"""Nothing of this machine's settings, and no bytecode is written: in Lambda the package's folder is read-only."""
ANSWER = "answer: "
START = f"""
import sys
task, runtime, module = sys.argv[1:]
sys.path[:0] = [task]
if runtime:
    sys.path.append(runtime)
    import awslambdaric.bootstrap
    from awslambdaric.lambda_runtime_marshaller import to_json
else:
    from json import dumps as to_json
from importlib import import_module
from json import loads
handle = import_module(module).handle
print({ANSWER!r} + to_json(handle(loads(sys.stdin.read()), None)), flush=True)
"""


def main() -> None:
    """Build, measure, print the table."""
    machine = MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None:
        sys.exit("This benchmark runs the package that Lambda runs, so it needs Linux on x86_64 or arm64.")
    python = build.find_python(build.PYTHON_VERSION, os.environ) or Path(sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        try:
            task, runtime = prepare(Path(folder), machine, python)
        except build.BuildError as error:
            sys.exit(f"cold_start.py: {error}")
        with_client, alone = measure(python, task, str(runtime)), measure(python, task, "")
        imports = import_times(python, task, str(runtime))
    print_table(f"{build.version_of(python)}, {machine}", with_client, alone, imports)


def prepare(folder: Path, machine: str, python: Path) -> tuple[Path, Path]:
    """Build and unpack the package and the runtime client, both with bytecode, as in Lambda."""
    task, runtime = folder / "task", folder / "runtime"
    version = ".".join(build.version_of(python).removeprefix("cpython ").split(".")[:2])
    package = build.build("transform", folder, machine, python, version)
    with zipfile.ZipFile(package.path) as archive:
        archive.extractall(task)
    (task / "bare.py").write_text('def handle(event, context):\n    return {"records": []}\n')
    (task / "plain_transform.py").write_text((BENCH / "plain_transform.py").read_text())
    for wheel in build.download(BENCH / "runtime_client.txt", folder, machine, version):
        build.unpack(wheel, runtime)
    build.compile_tree(python, task)
    build.compile_tree(python, runtime)
    return task, runtime


def request() -> str:
    """Make an invocation by Firehose of one event in its envelope."""
    event = b'{"eventType":"login","timestamp":"2026-01-31T09:30:00Z","actor":{"userId":"u-1"}}'
    received_at = 1_769_851_800_000
    wrapped = encode(Envelope("id-1", "request-1", received_at, "203.0.113.9", "", event))
    record = {
        "recordId": "1",
        "approximateArrivalTimestamp": received_at,
        "data": base64.b64encode(wrapped).decode(),
    }
    return json.dumps({"invocationId": "bench", "records": [record]})


def first_answer(python: Path, task: Path, runtime: str, module: str) -> float:
    """Start a process and wait for its first answer; give the seconds."""
    command = [str(python), *FLAGS, "-c", START, str(task), runtime, module]
    started = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=SETTINGS) as process:
        assert process.stdin is not None  # noqa: S101  # said above
        assert process.stdout is not None  # noqa: S101  # said above
        process.stdin.write(request())
        process.stdin.close()
        for line in process.stdout:  # what the transform logs comes before
            if line.startswith(ANSWER):
                return time.perf_counter() - started
    sys.exit(f"The process of {module} ended with {process.returncode} and without an answer.")


def measure(python: Path, task: Path, runtime: str) -> dict[str, float]:
    """Give the median milliseconds of each handler, their processes by turns."""
    times: dict[str, list[float]] = {name: [] for name in HANDLERS}
    for _ in range(RUNS):
        for name, module in HANDLERS.items():
            times[name].append(first_answer(python, task, runtime, module))
    return {name: statistics.median(seen) * 1000 for name, seen in times.items()}


def import_times(python: Path, task: Path, runtime: str) -> list[tuple[str, float]]:
    """Give what importing the transform's modules takes, each with what it imports first, in milliseconds."""
    command = [str(python), *FLAGS, "-X", "importtime", "-c", START, str(task), runtime, HANDLERS["transform"]]
    done = subprocess.run(command, input=request(), capture_output=True, text=True, check=True, env=SETTINGS)
    lines = re.findall(r"import time: +\d+ \| +(\d+) \| ( *)(\S+)", done.stderr)
    after_client = lines[max(number for number, line in enumerate(lines) if line[2].startswith("awslambdaric")) + 1 :]
    return [
        (indent[1:] + name, int(microseconds) / 1000)
        for microseconds, indent, name in reversed(after_client)
        if int(microseconds) >= SHOWN_MS * 1000 and len(indent) <= 4
    ]


def print_table(
    title: str, with_client: dict[str, float], alone: dict[str, float], imports: list[tuple[str, float]]
) -> None:
    """Print one table: the handlers, then the transform's imports."""
    table = Table(title=f"cold start to the first answer, {title}: median milliseconds of {RUNS} processes")
    for heading in ("", "as in Lambda", "times bare", "without runtime client"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, milliseconds in with_client.items():
        ratio = milliseconds / with_client["bare handler"]
        table.add_row(name, f"{milliseconds:.0f}", f"{ratio:.2f}x", f"{alone[name]:.0f}")
    table.add_section()
    for module, milliseconds in imports:
        table.add_row(f"  import {module}", f"{milliseconds:.1f}", "", "")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
