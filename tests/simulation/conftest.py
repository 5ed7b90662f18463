"""The core over the journal in memory, as the tests of the wallets have it."""

from tests.wallets.conftest import core, journal

__all__ = ["core", "journal"]
