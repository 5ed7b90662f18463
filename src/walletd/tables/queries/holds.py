"""The order of expiries: what the timers ask the read tables for."""

from datetime import datetime

from walletd.vocabulary.identifiers import HoldId, WalletId

Expiry = tuple[datetime, WalletId, HoldId]
"""When a hold expires, of which wallet it is, and which it is."""

Key = tuple[datetime, int, int]
"""A moment, and the place of a hold: expiries are in this order."""
