"""A fake daemon, and a client that is connected to it over a memory stream."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.client.fake_daemon import FakeDaemon
from walletd.client import Client, connect

Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
async def daemon(nursery: Any) -> FakeDaemon:
    """A fake daemon that lives as long as the test."""
    return FakeDaemon(nursery)


@pytest.fixture
def connecting(daemon: FakeDaemon) -> Connect:
    """``connect`` to the fake daemon."""

    def to_the_fake(**options: Any) -> AbstractAsyncContextManager[Client]:
        return connect("ws://fake:1", token="secret", dial=daemon.dial, **options)

    return to_the_fake


@pytest.fixture
async def client(connecting: Connect) -> AsyncIterator[Client]:
    """A connected client."""
    async with connecting() as client:
        yield client
