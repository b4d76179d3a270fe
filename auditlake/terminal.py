"""What is safe to print: text without the characters that act on a terminal or hide what it says."""

import re

# C0, DEL, C1 and lone surrogates; then what makes text invisible or turns its direction (bidi, zero width, BOM).
CONTROL = r"\x00-\x1f\x7f-\x9f\ud800-\udfff"
INVISIBLE = r"\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
UNSAFE = re.compile(f"[{CONTROL}{INVISIBLE}]")
_NAMES = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def visible(text: str) -> str:
    r"""Return the text with every character that could act on a terminal written as an escape, such as `\x1b`."""
    return UNSAFE.sub(escape, text)


def escape(match: re.Match[str]) -> str:
    """Return the escape of the character that was matched."""
    code = ord(match[0])
    return _NAMES.get(match[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
