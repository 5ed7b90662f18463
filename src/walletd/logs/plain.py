"""A peer's words on a terminal: nothing in them moves the cursor, turns the direction of writing or begins a line.

    plain("a\\x1b[2J\\u202e")                            # the same letters, with each unprintable one escaped

Whatever Unicode calls unprintable is escaped: the control characters C0 and C1, the controls of bidirectional text, the
separators of lines and paragraphs, spaces that look like the common one, unpaired surrogates, unassigned characters.
"""

import re

_NOT_PLAIN_ASCII = re.compile(r"[^\x20-\x7e]")


def plain(words: str) -> str:
    """The words on one line, with every unprintable character escaped as Python writes it."""
    if words.isprintable():
        return words
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in words)


def plain_lines(text: str) -> str:
    """The same for a text of several lines."""
    return text if text.isprintable() else "\n".join(map(plain, text.split("\n")))


def plain_json(document: str) -> str:
    """A JSON document on one line, with every unprintable character escaped; it means the same."""
    if document.isprintable():
        return document
    return "".join(letter if letter.isprintable() else _unicode_escape(letter) for letter in document)


def ascii_json(document: str) -> str:
    """A JSON document on one line in printable ASCII; it means the same."""
    return _NOT_PLAIN_ASCII.sub(lambda found: _unicode_escape(found.group()), document)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _unicode_escape(letter: str) -> str:
    """As JSON writes it: a character beyond the first plane is two surrogates."""
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
