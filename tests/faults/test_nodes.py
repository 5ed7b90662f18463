"""Row 19: whatever happens to the nodes of a ledger, their clients see one history."""

import json
import random
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests import postgresql
from tests.daemon.forked import ran
from tests.daemon.process import transfer
from tests.faults.claims import Reading, Told, Transfer, violations
from tests.faults.nodes import FAULTS, TOKEN, Fault, Node, Nodes, cluster
from tests.faults.planted import BUGS_OF_NODES
from tests.faults.rows import figure
from tests.faults.tally import tally
from walletd.client import Client, ClientError, NotReachable, Refused, connect
from walletd.vocabulary.states import DaemonState

FAULTS_OF_NODES = figure("TEST_TAKEOVERS")
WALLETS = [f"w{number}" for number in range(12)]
FUNDS = 5000
CLIENTS, TASKS = 3, 4
DEADLINE_SECONDS = 10.0
"""Of a call; one that gets no answer, on a slow machine, is made again under its id."""
SHORT_DEADLINE_SECONDS = 2.0
ACTS_LEASE_SECONDS = 2
"""Where a take-over that a slow machine causes would hide the bug."""


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with postgresql.running() as server:
        yield server


class Payers:
    """Clients that pay and look, and what they were told."""

    def __init__(self, nodes: Nodes, chance: random.Random, *, is_patient: bool = True) -> None:
        """Unless patient, they look at the nodes when a call gets no answer."""
        self.is_patient = is_patient
        self.transfers: list[Transfer] = []
        self.readings: list[Reading] = []
        self.answers: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        """Each command's params and first answer."""
        self.overdue = 0
        self._nodes = nodes
        self._chance = chance
        self._tick = count()
        self._is_over = False

    async def work(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Pay and look until ``stop``."""
        async with self.connected() as client:
            await furnish(client)
        task_status.started()
        async with trio.open_nursery() as nursery:
            for _ in range(CLIENTS):
                nursery.start_soon(self._client)

    def stop(self) -> None:
        """Ask nothing new."""
        self._is_over = True

    def connected(self, address: str | None = None) -> Any:
        """A client of all nodes, or of one."""
        addresses = self._nodes.addresses if address is None else [address]
        seconds = DEADLINE_SECONDS if self.is_patient else SHORT_DEADLINE_SECONDS
        return connect(addresses, token=TOKEN, deadline_seconds=seconds)

    async def pay(self, client: Client) -> None:
        """One transfer, asked for until it is answered."""
        payer, payee = self._chance.sample(WALLETS, 2)
        invoked = next(self._tick)
        params = transfer(f"c{invoked}", payer, payee, self._chance.randint(1, 400))
        body, available = await self._asked(client, "transfer.post", params)
        self.answers[f"c{invoked}"] = params, body
        amount = int(params["postings"][0]["amount"])
        balances = () if available is not None else tuple(_told(balance) for balance in body["balances"])
        self.transfers.append(
            Transfer(payer, payee, amount, invoked, next(self._tick), body["sequence"], available, balances)
        )

    async def look(self, client: Client, *, is_of_one_node: bool = False) -> None:
        """One reading.  A client of one node may be answered by a follower, once it is connected again: that is no
        reading of a leader.
        """
        connection = client.hello.connection
        invoked = next(self._tick)
        body, _ = await self._asked(client, "balance.get", {"wallet": self._chance.choice(WALLETS), "asset": "EUR"})
        is_follower = client.hello.connection != connection or client.hello.lifecycle is DaemonState.FOLLOWING
        if is_of_one_node and is_follower:
            return
        self.readings.append(Reading(_told(body["balances"][0]), invoked, next(self._tick), body["sequence"]))

    async def settle(self) -> None:
        """Repeat every command, which must get its first answer, as a repetition."""
        async with self.connected() as client:
            for params, first in self.answers.values():
                again, _ = await self._asked(client, "transfer.post", params)
                assert again.pop("replayed", False), f"{params} was acknowledged and is gone"
                first.pop("replayed", None)
                assert again == first, f"{params} got two answers"
            assert (await client.call("daemon.audit"))["violations"] == []

    async def _client(self) -> None:
        async with self.connected() as client, trio.open_nursery() as nursery:
            for _ in range(TASKS):
                nursery.start_soon(self._pay_and_look, client)

    async def _pay_and_look(self, client: Client) -> None:
        while not self._is_over:
            await (self.look if self._chance.random() < 0.2 else self.pay)(client)

    async def _asked(self, client: Client, method: str, params: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
        while True:
            try:
                return await client.call(method, **params), None
            except Refused as refused:
                return refused.facts, int(refused.facts["available"])
            except ClientError:
                self.overdue += 1
                if not self.is_patient:
                    await self._nodes.ready()  # It fails if a node has ended by itself.


async def furnish(client: Client) -> None:
    """Define EUR and open wallets with funds."""
    await client.define_asset("EUR", 2, command_id="define-EUR")
    for wallet in WALLETS:
        await client.open_wallet(wallet, command_id=f"open-{wallet}")
        await client.pay("@external", wallet, FUNDS, "EUR", command_id=f"fund-{wallet}")


def _told(balance: dict[str, Any]) -> Told:
    return Told(balance["wallet"], int(balance["posted"]), balance["version"])


async def the_leader_wakes_after_its_lease(nodes: Nodes, payers: Payers) -> None:
    """SIGSTOP; another leads and answers; the first wakes with a question of a client that knows only it."""
    async with AsyncExitStack() as stack:
        leader, stale = await _client_of_the_leader(nodes, payers, stack)
        since = len(leader.moves)
        leader.daemon.signal(signal.SIGSTOP)
        await nodes.next_leader(leader)
        async with payers.connected() as client:
            await payers.pay(client)
        async with trio.open_nursery() as nursery:
            for _ in range(TASKS):
                nursery.start_soon(partial(payers.look, stale, is_of_one_node=True))
            await trio.testing.wait_all_tasks_blocked()
            leader.daemon.signal(signal.SIGCONT)
            await leader.has_moved("following", since)
            nursery.cancel_scope.cancel()


async def _client_of_the_leader(nodes: Nodes, payers: Payers, stack: AsyncExitStack) -> tuple[Node, Client]:
    """The leader, and a client that knows only its address."""
    while True:
        leader, _ = await nodes.ready()
        with suppress(NotReachable):  # It leads no longer.
            return leader, await stack.enter_async_context(payers.connected(leader.address))


async def live(nodes: Nodes, chance: random.Random, faults: list[Fault | None]) -> Payers:
    """A life of the nodes with these faults, under load; what their clients were told."""
    payers = Payers(nodes, chance)
    async with trio.open_nursery() as nursery:
        await nursery.start(payers.work)
        for fault in faults:
            if fault is None:
                await the_leader_wakes_after_its_lease(nodes, payers)
            else:
                await fault(nodes)
            async with payers.connected() as client:
                await payers.pay(client)
        payers.stop()
    await payers.settle()
    await nodes.ready()
    return payers


def judge(payers: Payers) -> None:
    funds, versions = dict.fromkeys(WALLETS, FUNDS), dict.fromkeys(WALLETS, 2)
    assert list(violations(payers.transfers, payers.readings, funds, versions))[:3] == []


def verify(nodes: Nodes) -> None:
    """The journal is whole, once no node leads it."""
    for node in nodes.all:
        node.daemon.kill()
    nodes.server.execute("UPDATE walletd.ledger SET owner = NULL, lease_until = NULL")
    ended = ran(["verify", nodes.server.url(), "--ledger", nodes.ledger, "--json"])
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert json.loads(ended.stdout)


@pytest.mark.timeout(0)
async def test_whatever_happens_to_the_nodes_there_is_one_history(
    server: postgresql.Server, memory_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    every: list[Fault | None] = [*FAULTS, None]
    faults = [every[number % len(every)] for number in range(FAULTS_OF_NODES)]
    chance.shuffle(faults)
    async with cluster(server, memory_path) as nodes:
        payers = await live(nodes, chance, faults)
        judge(payers)
        verify(nodes)
        terms = server.execute(f"SELECT term FROM walletd.ledger WHERE name = '{nodes.ledger}'")
    tally(
        faults=len(faults),
        terms=int(str(terms[0][0])),
        commands=len(payers.transfers),
        readings=len(payers.readings),
        calls_beyond_their_deadline=payers.overdue,
    )


async def an_append_is_lost(nodes: Nodes) -> None:
    """The node asks the database, and writes it again."""
    payers = Payers(nodes, random.Random(1), is_patient=False)
    async with payers.connected() as client:
        await furnish(client)
        nodes.fate.arm("append lost")
        await payers.pay(client)
        await payers.pay(client)
    await payers.settle()
    judge(payers)


async def a_late_append_meets_the_next_leader(nodes: Nodes) -> None:
    """The append of a leader that was cut off arrives when another leads, which has written nothing yet."""
    payers = Payers(nodes, random.Random(1), is_patient=False)
    async with payers.connected() as client:
        await furnish(client)
        await nodes.ready()
        nodes.fate.arm("append held")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(payers.pay, client)
            await nodes.fate.has_happened.wait()
            nursery.cancel_scope.cancel()  # It is not asked for again.
        leader = next(node for node in nodes.all if node.way is nodes.fate.way)
        leader.way.cut()
        await nodes.next_leader(leader)
        nodes.fate.released.set()
        await nodes.fate.landed.wait()
        leader.way.mend()
        await payers.pay(client)
    await payers.settle()
    judge(payers)
    await nodes.ready()


BUGS = {
    "no term in the fence": a_late_append_meets_the_next_leader,
    "the head is not read again": an_append_is_lost,
}


@pytest.mark.parametrize("act", BUGS.values(), ids=lambda act: act.__name__)
async def test_the_acts_that_find_bugs_find_none_in_walletd(
    server: postgresql.Server, memory_path: Path, act: Any
) -> None:
    async with cluster(server, memory_path, lease_seconds=ACTS_LEASE_SECONDS) as nodes:
        await act(nodes)


@pytest.mark.parametrize("bug", BUGS)
async def test_a_planted_bug_is_found(server: postgresql.Server, memory_path: Path, bug: str) -> None:
    assert set(BUGS) == set(BUGS_OF_NODES)
    with pytest.RaisesGroup(AssertionError, flatten_subgroups=True, allow_unwrapped=True):
        async with cluster(server, memory_path, bug, lease_seconds=ACTS_LEASE_SECONDS) as nodes:
            await BUGS[bug](nodes)
