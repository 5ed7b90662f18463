"""The settings for the parts of the daemon, as plain values.

engine = Engine(store, recovered, queries, head, engine_limits(settings))
"""

from typing import NamedTuple

from walletd.protocol.envelope import SessionLimits
from walletd.sessions.budgets import Defaults
from walletd.settings.settings import Settings
from walletd.tables.file import Caches
from walletd.vocabulary.budgets import STRANGERS, TRUSTED, Budget

MEBIBYTE = 1024 * 1024


class EngineLimits(NamedTuple):
    """The engine's limits on work and on memory."""

    max_warm_wallets: int
    max_mailbox: int
    idle_wallet_seconds: float
    max_queued_entries: int
    max_unprojected_entries: int
    heartbeat_seconds: float
    reader_cache_kibibytes: int


def engine_limits(settings: Settings) -> EngineLimits:
    """The settings of the engine, by the same names."""
    return EngineLimits(*(getattr(settings, name) for name in EngineLimits._fields))


def budgets_of(settings: Settings) -> Defaults:
    """The budgets of clients that have none of their own."""
    requests = Budget(requests_per_second=settings.max_requests_per_second_of_principal)
    return Defaults(
        strangers=Budget(**settings.budget).over(requests.over(STRANGERS)),
        trusted=Budget(**settings.trusted_budget).over(requests.over(TRUSTED)),
    )


def caches_of(settings: Settings) -> Caches:
    """The share of the read tables that each connection keeps in memory."""
    return Caches(settings.writer_cache_kibibytes, settings.reader_cache_kibibytes, settings.rebuild_cache_kibibytes)


def session_limits(settings: Settings) -> SessionLimits:
    """The limits that a session is told in its hello."""
    return SessionLimits(
        max_frame_bytes=settings.max_frame_bytes,
        max_in_flight=settings.max_in_flight,
        max_subscriptions=settings.max_subscriptions,
        rate=settings.max_requests_per_second,
        principal_rate=settings.max_requests_per_second_of_principal,
        guest_rate=settings.max_requests_per_second_of_guest,
        max_in_flight_bytes=settings.max_in_flight_bytes,
        max_fragments=settings.max_fragments,
        pings_per_second=settings.max_pings_per_second,
        authentication_ms=int(settings.authentication_seconds * 1000),
        write_stall_ms=int(settings.write_stall_seconds * 1000),
    )
