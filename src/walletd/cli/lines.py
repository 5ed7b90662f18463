"""The lines of every command: a sentence on stderr, a JSON document on stdout.

say("walletd: there is no wallet bob")
write_json({"error": {"reason": "usage"}})
"""

import io
import sys
from typing import Any

from walletd.logs.plain import ascii_json, plain


def say(sentence: str, end: str = "\n") -> None:
    """One line on stderr, or the beginning of one, with the words of a peer made plain."""
    sys.stderr.write(f"{plain(sentence)}{end}")
    sys.stderr.flush()


def write_json(document: Any) -> None:
    """One JSON document on one line of stdout: in UTF-8 (RFC 8259), whatever the locale; for a terminal in ASCII."""
    import msgspec

    line = msgspec.json.encode(document) + b"\n"
    if sys.stdout.isatty():
        line = ascii_json(line.decode()[:-1]).encode() + b"\n"
    sys.stdout.flush()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.buffer.write(line)
    else:
        sys.stdout.write(line.decode())
    sys.stdout.flush()
