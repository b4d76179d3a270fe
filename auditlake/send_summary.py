"""What became of the events of a `send`, as numbers, as JSON and as sentences."""

import json
from dataclasses import asdict, dataclass

INTERRUPTED_EXIT_CODE = 130
"""A shell's exit code for what Ctrl-C ended."""


@dataclass
class Summary:
    """What became of the events; `settled` of the input are accepted or in the rejected file, and `--skip` takes it.

    `retried` counts events POSTed again, `ids_given` those that came without an id; bytes are of bodies before and
    after gzip, elapsed is in seconds.
    """

    read: int = 0
    skipped: int = 0
    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    retried: int = 0
    ids_given: int = 0
    requests: int = 0
    body_bytes: int = 0
    gzip_bytes: int = 0
    elapsed_s: float = 0.0
    settled: int = 0
    interrupted: bool = False
    failure: str | None = None
    rejected_file: str | None = None

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C; 0 only when every event that was read was accepted; else 1."""
        if self.interrupted:
            return INTERRUPTED_EXIT_CODE
        return 0 if self.failure is None and self.accepted == self.read else 1

    def to_json(self) -> str:
        """Return the summary as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def lines(self) -> list[str]:
        """Return the summary as sentences."""
        text = [
            f"{self.accepted:,} of {counted(self.read, 'event')} accepted in {self.elapsed_s:.1f} s: "
            f"{counted(self.requests, 'request')}, {self.body_bytes:,} bytes, {self.gzip_bytes:,} after gzip."
        ]
        if self.retried:
            text.append(f"{counted(self.retried, 'event')} sent again.")
        if self.ids_given:
            text.append(f"{counted(self.ids_given, 'event')} came without an id and got one.")
        if self.rejected:
            text.append(f"{counted(self.rejected, 'event')} rejected, with the reason in {self.rejected_file}.")
        if self.failure:
            text.append(self.failure)
        if self.interrupted or self.failure:
            text.append(f"To go on where this stopped: the same command with --skip {self.settled}.")
        return text


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, e.g. `1 event`, `1,200 events`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
