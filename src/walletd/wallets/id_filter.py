"""A Bloom filter over the command ids that were used: "surely never" in half a microsecond and ten bits an id.

    filter = IdFilter(expected=1_000_000)
    filter.add("operator", "order-17")
    filter.may_have("operator", "order-18")            # False: surely never added; True: probably it was

It forgets nothing and misses nothing: what was added is always found.  It lives in memory only, for Python's hashes of
text differ from process to process.
"""

from typing import Final

BITS_PER_ID: Final = 10
"""With three probes, some 2 % of the new ids are taken for used ones, and then looked up."""

_LEAST_IDS: Final = 65_536


class IdFilter:
    """Bits for so many ids; above ``capacity`` it still misses nothing, but tells less and less apart."""

    __slots__ = ("_bits", "_mask", "added", "capacity")

    def __init__(self, expected: int) -> None:
        size = 1 << (max(expected, _LEAST_IDS) * BITS_PER_ID - 1).bit_length()
        self._bits = bytearray(size // 8)
        self._mask = size - 1
        self.capacity = size // BITS_PER_ID
        self.added = 0
        """How many were added, those that were added twice counted twice."""

    def add(self, principal: str, command_id: str) -> None:
        """From now on this id is found."""
        bits, mask = self._bits, self._mask
        hashed = hash((principal, command_id))
        for place in (hashed & mask, (hashed >> 20) & mask, (hashed * 0x9E3779B1 >> 24) & mask):
            bits[place >> 3] |= 1 << (place & 7)
        self.added += 1

    def may_have(self, principal: str, command_id: str) -> bool:
        """Whether the id was added; False is certain."""
        bits, mask = self._bits, self._mask
        hashed = hash((principal, command_id))
        place = hashed & mask
        if not bits[place >> 3] >> (place & 7) & 1:
            return False
        place = (hashed >> 20) & mask
        if not bits[place >> 3] >> (place & 7) & 1:
            return False
        place = (hashed * 0x9E3779B1 >> 24) & mask
        return bool(bits[place >> 3] >> (place & 7) & 1)
