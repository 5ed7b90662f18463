"""A wallet's metadata on the command line: ``tier=gold``."""

from collections.abc import Iterable

from walletd.cli.failures import UsageError


def metadata_of(words: Iterable[str]) -> dict[str, str]:
    """The metadata from ``key=value`` words.  Raises UsageError."""
    return dict(_pair(word) for word in words)


def _pair(word: str) -> tuple[str, str]:
    key, sign, value = word.partition("=")
    if not (key and sign):
        raise UsageError(f"{word!r} must be a key and a value, such as tier=gold")
    return key, value
