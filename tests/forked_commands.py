"""Commands for shell scripts of tests, without the second that each takes to start.

A process that has loaded the AWS CLI and ours forks for each command; scripts named `aws` and `auditlake` hand it their
arguments and folder and pass on what it says. The commands are the real ones, with the environment of the process.
"""

import base64
import os
import socketserver
import stat
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3
from awscli.clidriver import main as aws  # type: ignore[import-untyped]  # it has no types

from auditlake import cli

_CLIENT = """#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/{port} || exit 125
words=$(printf '%s\\0' {name} "$PWD" "$@" | base64 | tr -d '\\n')
[[ " $* " != *" - "* ]] || input=$(base64 | tr -d '\\n')  # only a command that is told to reads its standard input
echo "$words -$input" >&3
read -r code out err <&3
printf %s "${{out#-}}" | base64 -d
printf %s "${{err#-}}" | base64 -d >&2
exit "$code"
"""


@contextmanager
def forked_commands(folder: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """Serve the commands with `environment` while the block runs; gives the folder to put at the head of PATH."""
    command = [sys.executable, "-m", "tests.forked_commands"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        for name in ("aws", "auditlake"):
            path = folder / name
            path.write_text(_CLIENT.format(port=port, name=name), encoding="utf-8")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        try:
            yield folder
        finally:
            server.kill()


class _Handler(socketserver.StreamRequestHandler):
    """Runs one command in a fork and answers with its exit code and what it printed."""

    def handle(self) -> None:
        words, given = (base64.b64decode(part.lstrip(b"-")) for part in self.rfile.readline().split())
        name, folder, *arguments = words.decode().split("\0")[:-1]
        with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            file.write(given)
            file.seek(0)
            child = os.fork()
            if child == 0:
                os.dup2(file.fileno(), 0)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                os.chdir(folder)
                _run(name, arguments)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            printed = []
            for said in (out, err):
                said.seek(0)
                printed.append(
                    "-" + base64.b64encode(said.read()).decode()
                )  # the dash keeps a word that would be empty
        self.wfile.write(f"{code} {' '.join(printed)}\n".encode())


def _run(name: str, arguments: list[str]) -> None:
    """Run the command as its own script does, and end this process, whatever happens."""
    code = 70
    try:
        sys.argv = [name, *arguments]
        sys.exit(aws() if name == "aws" else cli.main())
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except BaseException:  # noqa: BLE001  # of whatever kind, it belongs to the command
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    boto3.Session().client("s3")  # loads what all clients need
    with socketserver.TCPServer(("127.0.0.1", 0), _Handler) as server:
        print(server.server_address[1], flush=True)  # noqa: T201  # who started it reads the port
        server.serve_forever()


if __name__ == "__main__":
    _serve()
