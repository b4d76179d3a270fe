"""What a disk holds when the power fails: files and names as they were last synced, and by chance some of the rest.

The calls of a process, as strace lists them with all their bytes, are played to a model of a disk that keeps no more
than POSIX promises: the bytes of a file at its last fsync, and the names in a directory at the directory's last fsync.
After an fsync that failed, the bytes that it was to write never reach the disk (what Linux does).
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import trace

LISTED = (*trace.CHANGES, "open", "openat", "rmdir")
OPTIONS = ["-f", "-y", "-xx", "-s", "4000000", *trace.listing(LISTED)[1:]]
"""strace's options for a log that can be played."""
PAGE_BYTES = 4096
_LINE = re.compile(r"^(\d+) +(?:<\.\.\. (\w+) resumed>)?(.*)$")
_NAME = re.compile(r"^(\w+)\(")
_TEXT = re.compile(r"[<\"]((?:\\x[0-9a-f]{2})*)[>\"]")
_UNFINISHED = "<unfinished ...>"


@dataclass(frozen=True)
class Played:
    """A call as a log has it: its texts (paths and bytes) in order, the whole line, and what it returned."""

    name: str
    texts: tuple[bytes, ...]
    line: str
    result: int


def played(log: Path) -> Iterator[Played]:
    """Yield the calls of a log in the order in which they returned."""
    unfinished: dict[str, str] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread, resumed, rest = match.groups()
        if resumed:
            rest = unfinished.pop(thread, "") + rest
        if rest.endswith(_UNFINISHED):
            unfinished[thread] = rest.removesuffix(_UNFINISHED)
            continue
        name = _NAME.match(rest)
        result = re.search(r"\) += (-?\d+)", rest)
        if name and result:
            texts = tuple(bytes.fromhex(one.replace("\\x", "")) for one in _TEXT.findall(rest))
            yield Played(name[1], texts, rest, int(result[1]))


@dataclass
class _File:
    """A file: what programs read, what is on the disk, and the writes that are not there yet."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    waiting: list[tuple[int, bytes]] = field(default_factory=list)
    """Offset and bytes; an offset of -1 - size is a truncation to `size`."""

    def write(self, offset: int, data: bytes) -> None:
        _apply(self.content, offset, data)
        self.waiting.append((offset, data))

    def sync(self, *, failed: bool) -> None:
        if not failed:
            for offset, data in self.waiting:
                _apply(self.durable, offset, data)
        self.waiting.clear()

    def after_power_cut(self, chance: random.Random | None) -> bytes:
        """Return what is on the disk; with `chance`, some pages of what was not synced are there too, in any order."""
        content = bytearray(self.durable)
        for offset, data in self.waiting if chance else ():
            pages = range(0, max(1, len(data)), PAGE_BYTES)
            for at in pages:
                if chance and chance.random() < 0.5:
                    part = data[at : at + PAGE_BYTES]
                    _apply(content, offset if offset < 0 else offset + at, part)
        return bytes(content)


def _apply(content: bytearray, offset: int, data: bytes) -> None:
    if offset < 0:
        size = -1 - offset
        content[size:] = bytes(max(0, size - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


@dataclass
class Disk:
    """The files and directories below a root, whose own name is durable."""

    root: bytes
    names: dict[bytes, _File | None] = field(default_factory=dict)
    """By path; None is a directory."""
    durable_names: dict[bytes, _File | None] = field(default_factory=dict)

    def begin_with(self, place: Path, folder: Path) -> None:
        """Hold at `place` what a folder holds, all of it durable."""
        self.names[bytes(place)] = None
        files: dict[int, _File] = {}  # by inode: names that are links of one file stay so
        for path in sorted(folder.rglob("*")):
            name = bytes(place) + bytes(path)[len(bytes(folder)) :]
            if path.is_dir():
                self.names[name] = None
                continue
            content = path.read_bytes()
            self.names[name] = files.setdefault(path.stat().st_ino, _File(bytearray(content), bytearray(content)))
        self.durable_names = dict(self.names)

    def play(self, call: Played) -> None:
        """Do what a call did; one that failed does nothing, but for a sync."""
        paths = [text for text in call.texts if text.startswith(self.root + b"/")]
        if call.name in trace.SYNCS and call.texts:
            self._sync(call.texts[0].removesuffix(b" (deleted)"), failed=call.result < 0)
        elif call.result < 0 or not paths:
            return
        elif call.name in trace.WRITES:
            self._write(paths[0], call)
        elif call.name in ("open", "openat"):
            self._open(paths[-1], call.line)
        elif call.name == "ftruncate":
            size = int(call.line.rpartition(")")[0].rpartition(",")[2])
            self._file(paths[0]).write(-1 - size, b"")
        else:
            self._rename(call.name, paths)

    def _write(self, path: bytes, call: Played) -> None:
        file = self._file(path)
        # All that the project writes without an offset it appends.
        offset = len(file.content) if call.name == "write" else int(call.line.rpartition(")")[0].rpartition(",")[2])
        file.write(offset, call.texts[1][: call.result])

    def _file(self, path: bytes) -> _File:
        """Return a file; one that is not there any more is nobody's."""
        return self.names.get(path) or _File()

    def _open(self, path: bytes, line: str) -> None:
        if "O_CREAT" in line and path not in self.names:
            self.names[path] = _File()
        if "O_TRUNC" in line:
            self._file(path).write(-1, b"")

    def _sync(self, path: bytes, *, failed: bool) -> None:
        file = self.names.get(path)
        if file is not None:
            file.sync(failed=failed)
        elif not failed and (path == self.root or path in self.names):
            self._sync_directory(path)

    def _sync_directory(self, path: bytes) -> None:
        for name in {*self.names, *self.durable_names}:
            if name.rpartition(b"/")[0] != path:
                continue
            if name in self.names:
                self.durable_names[name] = self.names[name]
            else:
                del self.durable_names[name]

    def _rename(self, call: str, paths: list[bytes]) -> None:
        if call.startswith("mkdir"):
            self.names.setdefault(paths[-1], None)
        elif call.startswith(("unlink", "rmdir")):
            self.names.pop(paths[-1], None)
        elif call.startswith("link"):
            self.names[paths[1]] = self.names[paths[0]]
        elif call.startswith("rename"):
            self.names[paths[1]] = self.names.pop(paths[0])

    def write_to(self, folder: Path, chance: random.Random | None) -> None:
        """Write what is left after the power was cut; with `chance` also some of what was not synced."""
        names = dict(self.durable_names)
        for name in sorted({*self.names, *self.durable_names}) if chance else ():
            if self.names.get(name, 0) is not self.durable_names.get(name, 0) and chance and chance.random() < 0.5:
                if name in self.names:
                    names[name] = self.names[name]
                else:
                    names.pop(name, None)
        folder.mkdir()
        written: dict[int, Path] = {}
        for name, file in sorted(names.items()):
            path = folder / name[len(self.root) + 1 :].decode()
            if not path.parent.is_dir():
                continue  # the name of a directory above is not on the disk
            if file is None:
                path.mkdir(exist_ok=True)
            elif id(file) in written:
                path.hardlink_to(written[id(file)])
            elif not name.endswith(b"-shm"):  # SQLite makes it anew: it is memory that processes share
                path.write_bytes(file.after_power_cut(chance))
                written[id(file)] = path
