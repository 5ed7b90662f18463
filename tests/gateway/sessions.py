"""Sessions on a real core without a socket: the daemon's own endpoints, over wires that can be made to stick.

async with open_desk(tmp_path, journal) as desk:
    client = desk.client()
    await client.call("asset.define", command_id="a", asset="EUR", scale=2)
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
import trio.testing

from tests.contract.witness import Witness
from tests.wallets.conftest import open_core
from walletd.daemon.engine import Engine
from walletd.gateway.admission import Admission
from walletd.gateway.endpoint import ClientEndpoint
from walletd.gateway.methods import dispatch
from walletd.gateway.services import About, Operator, Services, SessionTerms
from walletd.journal.store import JournalStore
from walletd.protocol.envelope import SessionLimits
from walletd.protocol.messages.journal import CompactionStatus
from walletd.protocol.messages.operator import DaemonStatus
from walletd.runtime.wall_clock import wall_clock
from walletd.sessions.access import Grant, TokenRegister
from walletd.sessions.session import Session
from walletd.vocabulary.identifiers import Principal
from walletd.vocabulary.states import DaemonState

ADMIN = Grant(Principal("admin"), ("admin",))
PATIENCE_SECONDS = 60


class Client:
    """A client and the wire to its endpoint.  While the wire sticks, what is sent stays queued."""

    def __init__(self, services: Services, grant: Grant | None) -> None:
        session = Session(services.admission.register, services.terms.limits, grant)
        self.endpoint = ClientEndpoint(services, session, self, "test", dispatch.answer)
        self.peer = "192.0.2.1"
        self.is_stuck = False
        self.most_queued = 0
        self.closed_with: tuple[int, str] | None = None
        self.replies: dict[int, dict[str, Any]] = {}
        self.order: list[int] = []
        self.pushed: list[dict[str, Any]] = []
        self._queue: list[bytes] = []
        self._asked = 0
        self._witness = Witness()
        self._arrived = trio.Event()
        self.endpoint.opened()

    # --- the wire ----------------------------------------------------------------------------------------------------

    @property
    def queued_bytes(self) -> int:
        return sum(map(len, self._queue))

    def send(self, payload: bytes) -> None:
        if self.is_stuck:
            self._queue.append(payload)
            self.most_queued = max(self.most_queued, self.queued_bytes)
        else:
            self._deliver(payload)

    def close(self, code: int, reason: str) -> None:
        self.closed_with = self.closed_with or (code, reason)
        self._tell()

    def read_on(self) -> None:
        pass

    def unstick(self) -> None:
        """Everything queued is delivered, and the wire is free."""
        self.peer = "192.0.2.1"
        self.is_stuck = False
        for payload in self._queue:
            self._deliver(payload)
        self._queue.clear()
        self.endpoint.drained()

    def trickle(self) -> None:
        """Everything queued is delivered, but the wire sticks again at once."""
        self.unstick()
        self.is_stuck = True

    def vanish(self) -> None:
        """The connection is gone."""
        self.endpoint.closed(1006)

    def _deliver(self, payload: bytes) -> None:
        self._witness.received(payload)
        message = json.loads(payload)
        if "method" in message:
            self.pushed.append(message)
        else:
            assert message["id"] not in self.replies, "a request is answered once"
            self.replies[message["id"]] = message
            self.order.append(message["id"])
        self._tell()

    def _tell(self) -> None:
        arrived, self._arrived = self._arrived, trio.Event()
        arrived.set()

    # --- requests ----------------------------------------------------------------------------------------------------

    def ask(self, *requests: tuple[str, dict[str, Any]]) -> list[int]:
        """Send these requests as one read of the socket brings them; their ids."""
        frames, ids = [], []
        for method, params in requests:
            self._asked += 1
            ids.append(self._asked)
            request = {"jsonrpc": "2.0", "id": self._asked, "method": method, "params": params}
            frames.append(json.dumps(request).encode())
            self._witness.sent(frames[-1])
        self.endpoint.received(frames)
        return ids

    async def reply(self, request_id: int) -> dict[str, Any]:
        """The response, once it is there."""
        with trio.fail_after(PATIENCE_SECONDS):
            while request_id not in self.replies:
                await self._arrived.wait()
        return self.replies[request_id]

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a request that succeeds."""
        (request_id,) = self.ask((method, params))
        response = await self.reply(request_id)
        assert "result" in response, response
        return dict(response["result"])

    async def refused(self, method: str, **params: Any) -> dict[str, Any]:
        """The data of the error of a request that does not."""
        (request_id,) = self.ask((method, params))
        response = await self.reply(request_id)
        assert "error" in response, response
        return dict(response["error"]["data"])

    async def all_replies(self, ids: list[int]) -> list[dict[str, Any]]:
        return [await self.reply(request_id) for request_id in ids]

    # --- streams -----------------------------------------------------------------------------------------------------

    def events(self, subscription: int = 1) -> list[dict[str, Any]]:
        return [
            message["params"]
            for message in self.pushed
            if message["method"] == "stream.event" and message["params"]["subscription"] == subscription
        ]

    def sequences(self, subscription: int = 1) -> list[int]:
        return [event["sequence"] for event in self.events(subscription)]

    def is_gap_free(self, start: int, subscription: int = 1) -> bool:
        """Whether each event names the one before it, the first what the stream began behind."""
        known = [start, *self.sequences(subscription)]
        return [event["previous_sequence"] for event in self.events(subscription)] == known[:-1]

    async def see(self, sequence: int, subscription: int = 1) -> None:
        """Return once this event is there."""
        with trio.fail_after(PATIENCE_SECONDS):
            while self.sequences(subscription)[-1:] < [sequence]:
                await self._arrived.wait()


class NoCompaction:
    """A compaction that has nothing to do."""

    status = CompactionStatus(step="idle", archived=0)

    def request(self, keep_entries: int | None = None) -> None:
        """Nothing begins."""


class Desk:
    """The services over a core, and the clients that come."""

    def __init__(self, core: Engine, **settings: Any) -> None:
        self.core = core
        clock = settings.get("clock", wall_clock)
        self.register = TokenRegister(core.wallets.clients, clock)
        self.admission = Admission(self.register, settings.get("authentication_seconds", 10))
        core.events.clients_changed.add(self.admission.review)
        self.lifecycle = DaemonState.SERVING
        self.audit_violations = 0
        limits = SessionLimits(256 * 1024, settings.get("max_in_flight", 4096), settings.get("max_subscriptions", 100))
        self.services = Services(
            core.wallets,
            core.stored,
            core.publisher.turns,
            core.publisher,
            self.admission,
            core.wallets.decisions.budgets,
            Operator(self, NoCompaction(), core.audits, lambda: self.lifecycle, self.status),
            About("0", core.store.instance, core.store.created_at, core.store.epoch),
            SessionTerms(limits, heartbeat_ms=10_000, max_event_bytes=settings.get("max_event_bytes", 256 * 1024)),
        )

    def log_level(self, component: str | None, level: str | None) -> dict[str, str]:
        """As an operator asks for it; there is one component here."""
        if component not in (None, "journal"):
            raise ValueError(f"there is no component {component!r}")
        return {"journal": level or "info"}

    def audited(self, violations: int) -> None:
        """The books were summed up."""
        self.audit_violations = violations

    def drain(self) -> None:
        """As an operator asks for it."""
        self.lifecycle = DaemonState.DRAINING

    def report(self) -> tuple[str, str | None]:
        """As an operator asks for it."""
        return "all is well", None

    def client(self, grant: Grant | None = ADMIN) -> Client:
        """A client that has just connected."""
        return Client(self.services, grant)

    def status(self) -> DaemonStatus:
        return DaemonStatus(
            lifecycle=self.lifecycle,
            server_version="0",
            instance=self.core.store.instance,
            epoch=self.core.store.epoch,
            head=self.core.writer.durable_head,
            projected=self.core.projector.sequence,
            warm_wallets=len(self.core.wallets.roster),
            sessions=len(self.services.admission.endpoints),
            started_at=wall_clock(),
        )


@asynccontextmanager
async def open_desk(directory: Path, journal: JournalStore, **settings: Any) -> AsyncIterator[Desk]:
    """The services at work over a core of their own."""
    of_core: dict[str, Any] = {
        name: settings.pop(name) for name in ("max_mailbox", "max_warm_wallets") if name in settings
    }
    if "clock" in settings:
        of_core["clock"] = settings["clock"]
    async with open_core(directory, journal, **of_core) as core, trio.open_nursery() as nursery:
        desk = Desk(core, **settings)
        await nursery.start(desk.services.run)
        yield desk
        nursery.cancel_scope.cancel()


def payment(command_id: str, to: str = "alice", amount: int = 1, source: str = "@external") -> dict[str, Any]:
    """The params of a transfer with one posting."""
    posting = {"from": source, "to": to, "asset": "EUR", "amount": str(amount)}
    return {"command_id": command_id, "postings": [posting]}


async def furnish(client: Client, *wallets: str) -> None:
    """EUR is defined and the wallets are open, in this order."""
    await client.call("asset.define", command_id="define-EUR", asset="EUR", scale=2)
    for wallet in wallets:
        await client.call("wallet.open", command_id=f"open-{wallet}", wallet=wallet)
