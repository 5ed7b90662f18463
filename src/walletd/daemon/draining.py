"""The graceful end: requests in progress are answered, then every session is closed."""

import logging
import random

import trio

from walletd.daemon.engine import Engine
from walletd.daemon.operations import Operations
from walletd.gateway.network.server import LAST_WORDS_SECONDS, GatewayServer
from walletd.gateway.services import Services
from walletd.runtime.signals import Stop
from walletd.runtime.systemd import EXTENSION_SECONDS

log = logging.getLogger("walletd.daemon")


async def drain(engine: Engine, services: Services, server: GatewayServer, operations: Operations) -> None:
    """Answer the requests in progress, then close all connections; both within ``drain_seconds``, or at once on a
    second request.
    """
    seconds, begun = operations.settings.drain_seconds, trio.current_time()
    operations.manager.extend(seconds + EXTENSION_SECONDS)
    async with trio.open_nursery() as hurrying:
        patience = trio.CancelScope(deadline=begun + seconds)
        hurrying.start_soon(_hurry, operations.stop, patience, server)
        with patience:
            await engine.writer.drain()
            await services.admission.answered()
        left = 0 if operations.stop.hurried.is_set() else begun + seconds - trio.current_time()
        late = await server.drain(max(left, LAST_WORDS_SECONDS), random.Random())
        if late:
            log.warning("%d connections were cut off at the deadline", late)
        hurrying.cancel_scope.cancel()


async def _hurry(stop: Stop, patience: trio.CancelScope, server: GatewayServer) -> None:
    await stop.hurried.wait()
    patience.cancel()
    server.hurry()
