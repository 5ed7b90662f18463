"""A text message in several frames: bounded, and valid UTF-8 at every step.

    text = FragmentedText()
    assert text.add(b"caf\\xc3", is_final=False) is None
    assert text.add(b"\\xa9", is_final=True) == b"caf\\xc3\\xa9"

The library bounds the bytes of a message but not its frames: it would accept and keep 200,000 empty ones.
"""

import codecs

MAX_FRAGMENTS = 128
"""The default limit per message.  A client has no reason to split a request of a few hundred bytes at all."""


class TooManyFragments(Exception):
    """The message has more frames than are accepted."""


class FragmentedText:
    """One unfinished message."""

    __slots__ = ("_decoder", "_fragments", "_limit", "size")

    def __init__(self, limit: int = MAX_FRAGMENTS) -> None:
        self._limit = limit
        self.size = 0
        """The number of bytes so far."""
        self._fragments: list[bytes] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def add(self, data: bytes, is_final: bool) -> bytes | None:
        """The whole message, if this was its last frame.

        Raises UnicodeDecodeError with the first byte that cannot be UTF-8, and TooManyFragments.
        """
        self._decoder.decode(data, is_final)
        self._fragments.append(data)
        self.size += len(data)
        if len(self._fragments) > self._limit:
            raise TooManyFragments
        return b"".join(self._fragments) if is_final else None
