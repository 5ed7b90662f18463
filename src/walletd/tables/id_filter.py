"""A Bloom filter over the used command ids: "surely never" in half a microsecond and ten bits per id.

    filter = IdFilter(expected=1_000_000)
    filter.add("operator", "order-17")
    filter.may_have("operator", "order-18")            # False: surely never added; True: probably added

It forgets nothing and misses nothing: an added id is always found.  It lives in memory only, because Python's hashes of
text differ from process to process.
"""

from typing import Final

BITS_PER_ID: Final = 10
"""With three probes, some 2 % of the new ids are taken for used ones, and then looked up."""

_LEAST_IDS: Final = 65_536


GROWTH: Final = 4
"""The factor by which each further array of bits exceeds the one before: few arrays to probe, however many ids."""


class IdFilter:
    """Arrays of bits, each for a number of ids; the last one receives new ids."""

    __slots__ = ("_arrays", "_bits", "_mask", "_room", "added")

    def __init__(self, expected: int) -> None:
        self._arrays: list[tuple[bytearray, int]] = []
        """Each with its mask, the largest first: a used id is most likely there."""
        self.added = 0
        """The number of added ids, counting repetitions."""
        self._grow(expected)

    @property
    def bits(self) -> int:
        """Its size in memory, in bits."""
        return 8 * sum(len(bits) for bits, _ in self._arrays)

    def _grow(self, expected: int) -> None:
        size = 1 << (max(expected, _LEAST_IDS) * BITS_PER_ID - 1).bit_length()
        self._bits = bytearray(size // 8)
        self._mask = size - 1
        self._room = size // BITS_PER_ID
        self._arrays.insert(0, (self._bits, self._mask))

    def add(self, principal: str, command_id: str) -> None:
        """Add this id."""
        if not self._room:
            self._grow(GROWTH * (self._mask + 1) // BITS_PER_ID)
        bits, mask = self._bits, self._mask
        hashed = hash((principal, command_id))
        for place in (hashed & mask, (hashed >> 20) & mask, (hashed * 0x9E3779B1 >> 24) & mask):
            bits[place >> 3] |= 1 << (place & 7)
        self.added += 1
        self._room -= 1

    def may_have(self, principal: str, command_id: str) -> bool:
        """True if the id was probably added; False is certain."""
        hashed = hash((principal, command_id))
        for bits, mask in self._arrays:
            place = hashed & mask
            if not bits[place >> 3] >> (place & 7) & 1:
                continue
            place = (hashed >> 20) & mask
            if not bits[place >> 3] >> (place & 7) & 1:
                continue
            place = (hashed * 0x9E3779B1 >> 24) & mask
            if bits[place >> 3] >> (place & 7) & 1:
                return True
        return False
