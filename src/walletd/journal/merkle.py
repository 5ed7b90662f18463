"""The part of the Merkle tree of RFC 6962 that an append-only journal needs: its right edge.

The promise: ``Frontier`` knows the root over every leaf ever appended, in O(log n) memory and amortised O(1) per
append, and the root equals the Merkle Tree Hash of RFC 6962, section 2.1, so that any public tool can check it.

    frontier = Frontier()
    frontier.append(leaf_hash(b'{"n":1}'))
    assert frontier.root() == leaf_hash(b'{"n":1}')
"""

from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()

_LEAF_PREFIX: Final = b"\x00"
_NODE_PREFIX: Final = b"\x01"
_SIZE_BYTES: Final = 8


def leaf_hash(record: bytes) -> bytes:
    """SHA-256 of 0x00 and the record.  The prefix distinguishes a leaf from an inner node."""
    return sha256(_LEAF_PREFIX + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and the two child hashes."""
    return sha256(_NODE_PREFIX + left + right).digest()


class Frontier:
    """The right edge of the tree: one hash per complete subtree, largest first, one for each set bit of the size.

    A frontier is cheap to copy: an append that may be taken back is tried on a copy, which is kept only if the append
    stands.
    """

    __slots__ = ("_peaks", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._peaks: list[bytes] = []

    @property
    def size(self) -> int:
        """The number of leaves of the tree."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash (not a record) at the right.  Complete subtrees of equal size merge, like carries."""
        assert len(leaf) == HASH_BYTES
        merges = self._size
        peak = leaf
        while merges & 1:
            peak = node_hash(self._peaks.pop(), peak)
            merges >>= 1
        self._peaks.append(peak)
        self._size += 1

    def root(self) -> bytes:
        """The Merkle Tree Hash over all leaves; for no leaves, SHA-256 of the empty string, as in the RFC."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> "Frontier":
        """An independent frontier of the same tree."""
        twin = Frontier()
        twin._size = self._size
        twin._peaks = self._peaks.copy()
        return twin

    def to_bytes(self) -> bytes:
        """The frontier for a checkpoint: 8 bytes of size, big-endian, then the peaks, largest subtree first."""
        return self._size.to_bytes(_SIZE_BYTES, "big") + b"".join(self._peaks)

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Frontier":
        """The inverse of ``to_bytes``.  Raises ValueError if the length does not fit the size that it claims."""
        size = int.from_bytes(stored[:_SIZE_BYTES], "big")
        if len(stored) != _SIZE_BYTES + HASH_BYTES * size.bit_count():
            raise ValueError(f"{len(stored)} bytes cannot be the frontier of a tree of {size} leaves")
        frontier = cls()
        frontier._size = size
        frontier._peaks = [stored[at : at + HASH_BYTES] for at in range(_SIZE_BYTES, len(stored), HASH_BYTES)]
        return frontier

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frontier):
            return NotImplemented
        return self._size == other._size and self._peaks == other._peaks

    __hash__ = None  # type: ignore[assignment]  # a frontier changes, so it must not be a key

    def __repr__(self) -> str:
        return f"<Frontier of {self._size} leaves, root {self.root().hex()[:16]}>"
