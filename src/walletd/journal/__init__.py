"""The journal: the only place where walletd keeps the truth.

Entry records enter as opaque bytes and leave, once durable, in sequence order as checked segments of one Merkle log.
It may import ``walletd.vocabulary``, the standard library, trio, aiosqlite and msgspec.
"""
