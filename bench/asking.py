"""What a load asks: requests, one after the other."""

from typing import Protocol


class Asking(Protocol):
    """Makes requests: the payload of request ``number``, which follows the response ``after`` on its connection."""

    commands: int
    """How many commands one request is: a batch of a thousand is a thousand."""

    def __call__(self, number: int, after: bytes | None) -> bytes: ...
