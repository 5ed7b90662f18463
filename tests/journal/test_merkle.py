"""The Merkle tree is that of RFC 6962, whatever its size and however it was reached."""

from hashlib import sha256

import pytest

from walletd.journal.merkle import EMPTY_ROOT, Frontier, leaf_hash, node_hash

# The eight leaves and roots with which the Certificate Transparency project tests its own trees.
PUBLISHED_LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
PUBLISHED_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def naive_root(leaves: list[bytes]) -> bytes:
    """The definition in section 2.1 of the RFC, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


def test_the_root_of_nothing_is_the_hash_of_the_empty_string() -> None:
    assert Frontier().root() == EMPTY_ROOT == sha256(b"").digest()


def test_the_published_roots_are_reached() -> None:
    frontier = Frontier()
    for leaf, root in zip(PUBLISHED_LEAVES, PUBLISHED_ROOTS, strict=True):
        frontier.append(leaf_hash(bytes.fromhex(leaf)))
        assert frontier.root().hex() == root


def test_every_size_has_the_root_of_the_recursive_definition() -> None:
    frontier = Frontier()
    leaves: list[bytes] = []
    for size in range(301):
        assert frontier.size == size
        assert frontier.root() == naive_root(leaves)
        leaves.append(leaf_hash(b"%d" % size))
        frontier.append(leaves[-1])


def test_a_leaf_is_never_a_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


def test_a_frontier_survives_being_stored_at_every_size() -> None:
    frontier = Frontier()
    for size in range(70):
        assert Frontier.from_bytes(frontier.to_bytes()) == frontier
        frontier.append(leaf_hash(b"%d" % size))


@pytest.mark.parametrize("stored", [b"", b"\0" * 7, b"\0" * 9, (3).to_bytes(8, "big") + b"\0" * 32])
def test_bytes_that_cannot_be_a_frontier_are_refused(stored: bytes) -> None:
    if stored == b"":
        stored = (1).to_bytes(8, "big")
    with pytest.raises(ValueError, match="cannot be the frontier"):
        Frontier.from_bytes(stored)


def test_a_copy_goes_its_own_way() -> None:
    frontier = Frontier()
    frontier.append(leaf_hash(b"a"))
    root = frontier.root()
    twin = frontier.copy()
    twin.append(leaf_hash(b"b"))

    assert frontier.root() == root
    assert twin.root() != root
    assert (frontier.size, twin.size) == (1, 2)


def test_memory_is_one_hash_for_each_set_bit_of_the_size() -> None:
    frontier = Frontier()
    for number in range(1023):
        frontier.append(leaf_hash(b"%d" % number))
    assert len(frontier.to_bytes()) == 8 + 10 * 32
