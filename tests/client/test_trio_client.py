"""The trio client against a fake daemon: calls, reconnection, deadlines."""

from decimal import Decimal
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from tests.client.conftest import Connect
from tests.client.fake_daemon import FakeDaemon, FakeLink, applied, hello
from walletd.client import (
    AuthenticationFailed,
    Client,
    Leg,
    NotReachable,
    OutcomeUnknown,
    Refused,
    RequestFailed,
)
from walletd.vocabulary.reasons import Outcome, Reason, Retry

ASSETS = {"assets": [{"asset": "EUR", "scale": 2}, {"asset": "ETH", "scale": 18}]}


def decline(link: FakeLink, request: dict[str, Any]) -> None:
    """The token is not taken."""
    link.fail(request, Reason.AUTHENTICATION_FAILED.code, "authentication_failed")


def apply_all(daemon: FakeDaemon) -> None:
    """Every command is applied, and an asset list is there."""
    for method in ("asset.define", "wallet.open", "transfer.post"):
        daemon.answers[method] = lambda link, request: link.reply(request, applied(link.daemon.requests.index(request)))
    daemon.answers["asset.list"] = lambda link, request: link.reply(request, ASSETS)


async def test_the_token_travels_in_the_header_and_hello_is_there(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    assert daemon.links[0].authorization == "Bearer secret"
    assert client.hello.instance == "fake"


async def test_a_token_whose_header_was_lost_is_presented_first_on_every_connection(
    daemon: FakeDaemon, connecting: Connect, autojump_clock: MockClock
) -> None:
    daemon.hello = hello(auth={"required": True})
    daemon.answers["session.authenticate"] = lambda link, request: link.reply(
        request, {"principal": "operator", "scopes": []}
    )
    apply_all(daemon)
    async with connecting() as client:
        await client.open_wallet("alice")
        daemon.links[0].drop()
        await client.open_wallet("bob")
    methods = [request["method"] for request in daemon.requests]
    assert methods[:2] == ["session.authenticate", "wallet.open"]
    assert methods[-2:] == ["session.authenticate", "wallet.open"]


async def test_what_a_wallet_has_can_be_had_in_the_main_unit_exactly(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    apply_all(daemon)
    assert str(await client.main_units("-1250", "EUR")) == "-12.50"
    wei = 10**40 + 1
    assert str(await client.main_units(wei, "ETH")) == "10000000000000000000000.000000000000000001"
    with pytest.raises(RequestFailed, match="there is no asset XXX"):
        await client.main_units(1, "XXX")


async def test_a_payment_in_the_main_unit_is_converted_exactly(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    apply_all(daemon)
    result = await client.pay("alice", "bob", Decimal("12.50"), "EUR", reference="r", command_id="mine")
    assert result.command_id == "mine"
    await client.post([Leg("a", "b", Decimal("0.000000000000000001"), "ETH"), Leg("b", "c", 7, "EUR")])
    assert [request["method"] for request in daemon.requests] == ["asset.list", "transfer.post", "transfer.post"]
    assert daemon.requests[1]["params"] == {
        "command_id": "mine",
        "postings": [{"from": "alice", "to": "bob", "asset": "EUR", "amount": "1250"}],
        "reference": "r",
    }
    assert [posting["amount"] for posting in daemon.requests[2]["params"]["postings"]] == ["1", "7"]


async def test_an_amount_that_cannot_be_exact_is_refused_before_anything_is_sent(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    apply_all(daemon)
    with pytest.raises(TypeError, match=r"write Decimal\('12.5'\)"):
        await client.pay("alice", "bob", 12.5, "EUR")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at most 2 decimal places"):
        await client.pay("alice", "bob", Decimal("12.505"), "EUR")
    with pytest.raises(RequestFailed) as failed:
        await client.pay("alice", "bob", Decimal("1"), "XXX")
    assert failed.value.reason is Reason.ASSET_NOT_FOUND
    assert {request["method"] for request in daemon.requests} == {"asset.list"}


@pytest.mark.parametrize("amount", ["1250", "12.50", "", True])
async def test_an_amount_that_could_be_in_either_unit_is_refused_before_anything_is_sent(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock, amount: Any
) -> None:
    """To pay ``balance.posted`` of EUR as it is would have paid a hundred times as much."""
    apply_all(daemon)
    with pytest.raises(TypeError, match=r"int|Decimal"):
        await client.pay("alice", "bob", amount, "EUR")
    assert daemon.requests == []
    await client.pay("alice", "bob", int("1250"), "EUR")
    assert daemon.requests[0]["params"]["postings"][0]["amount"] == "1250"


async def test_a_generated_command_id_stands_on_the_result(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    apply_all(daemon)
    result = await client.open_wallet("alice")
    assert len(result.command_id) == 32
    assert daemon.requests[0]["params"]["command_id"] == result.command_id


async def test_a_refusal_is_an_exception_with_its_facts(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    def refuse(link: FakeLink, request: dict[str, Any]) -> None:
        link.fail(request, 3050, "insufficient_funds", retry="new_command_id", available="5", required="9")

    daemon.answers["transfer.post"] = refuse
    with pytest.raises(Refused, match="insufficient_funds!") as refused:
        await client.pay("alice", "bob", 9, "EUR", command_id="c9")
    assert refused.value.reason is Reason.INSUFFICIENT_FUNDS
    assert refused.value.outcome is Outcome.NOT_APPLIED
    assert refused.value.retry is Retry.NEW_COMMAND_ID
    assert refused.value.facts == {"available": "5", "required": "9"}
    assert refused.value.command_id == "c9"


async def test_calls_of_one_tick_travel_together_and_are_answered_in_any_order(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    held: list[tuple[FakeLink, dict[str, Any]]] = []

    def hold(link: FakeLink, request: dict[str, Any]) -> None:
        held.append((link, request))
        if len(held) == 50:
            for link_, request_ in reversed(held):
                link_.reply(request_, {"wallet": request_["params"]["wallet"]})

    daemon.answers["wallet.get"] = hold
    got: dict[int, Any] = {}

    async def ask(number: int) -> None:
        got[number] = await client.call("wallet.get", wallet=f"w{number}")

    await trio.testing.wait_all_tasks_blocked()
    reads = daemon.links[0].reads
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(ask, number)
    assert got == {number: {"wallet": f"w{number}"} for number in range(50)}
    assert daemon.links[0].reads - reads == 1


async def test_no_more_requests_are_unanswered_than_the_daemon_takes(
    daemon: FakeDaemon, connecting: Connect, autojump_clock: MockClock
) -> None:
    daemon.hello = hello(limits={"max_frame_bytes": 500, "max_in_flight": 2, "max_subscriptions": 1})
    async with connecting() as client, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(client.call, "session.ping")
        await daemon.received(2)
        await trio.testing.wait_all_tasks_blocked()
        assert len(daemon.requests) == 2
        daemon.answers["session.ping"] = lambda link, request: link.reply(request, {})
        for request in list(daemon.requests):
            daemon.links[0].reply(request, {})
        await daemon.received(5)
        with pytest.raises(RequestFailed, match="accepts at most 500; it was not sent"):
            await client.open_wallet("w", {"note": "x" * 500})


# --- reconnection --------------------------------------------------------------------------------------------------


async def test_an_unanswered_command_is_sent_again_with_the_same_id_on_the_next_connection(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    def only_the_second(link: FakeLink, request: dict[str, Any]) -> None:
        if len(daemon.links) == 1:
            link.drop()
        else:
            link.reply(request, applied(7, replayed=True))

    daemon.answers["transfer.post"] = only_the_second
    result = await client.pay("alice", "bob", 5, "EUR")
    assert result.sequence == 7
    assert result.replayed
    first, second = daemon.requests
    assert first == second
    assert len(daemon.links) == 2


@pytest.mark.parametrize("deadline_seconds", [6.0, 30.0, 300.0])
async def test_a_connection_that_died_unnoticed_is_found_and_the_command_sent_again_within_its_deadline(
    daemon: FakeDaemon, connecting: Connect, autojump_clock: MockClock, deadline_seconds: float
) -> None:
    daemon.answers["transfer.post"] = lambda link, request: link.reply(request, applied(7))
    async with connecting(deadline_seconds=deadline_seconds) as client:
        await trio.sleep(13)  # Idle: the next ping is far away.
        daemon.links[0].fall_silent()
        began = trio.current_time()
        assert (await client.pay("alice", "bob", 5, "EUR")).sequence == 7
        assert trio.current_time() - began < min(15, deadline_seconds / 2)
    assert len(daemon.links) == 2


async def test_a_network_that_swallows_an_attempt_to_come_back_leaves_time_for_another(
    daemon: FakeDaemon, connecting: Connect, autojump_clock: MockClock
) -> None:
    daemon.answers["transfer.post"] = lambda link, request: link.reply(request, applied(7))
    async with connecting(deadline_seconds=30.0) as client:
        daemon.links[0].fall_silent()
        daemon.swallows = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.pay, "alice", "bob", 5, "EUR")
            await trio.sleep(15)
            daemon.swallows = False
    assert len(daemon.requests) == 1


async def test_an_answer_that_takes_long_on_a_living_connection_is_waited_for(
    daemon: FakeDaemon, connecting: Connect, autojump_clock: MockClock
) -> None:
    async with connecting(deadline_seconds=30.0) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.call, "daemon.audit")
        (request,) = await daemon.received(1)
        await trio.sleep(29)
        daemon.links[0].reply(request, {})
    assert (len(daemon.links), len(daemon.requests)) == (1, 1)


async def test_what_is_unanswered_is_repeated_in_its_order(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(client.call, "wallet.get")
            await daemon.received(number + 1)
        daemon.is_down = True
        daemon.links[0].close(1012, "restart")
        await trio.sleep(3)
        nursery.start_soon(client.call, "session.ping")
        for method in ("wallet.get", "session.ping"):
            daemon.answers[method] = lambda link, request: link.reply(request, {})
        daemon.is_down = False
    assert [request["id"] for request in daemon.requests[5:]] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("code", [4401, 4408])
async def test_a_token_that_is_no_longer_taken_stops_the_client(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock, code: int
) -> None:
    daemon.answers["wallet.get"] = lambda link, request: link.close(code, "the token was revoked")
    for _ in range(2):
        with pytest.raises(AuthenticationFailed, match="revoked"):
            await client.wallet("alice")
    assert len(daemon.links) == 1


async def test_a_command_under_way_when_the_client_stops_has_an_unknown_outcome(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    daemon.answers["wallet.open"] = lambda link, request: link.close(4401, "the token was revoked")
    with pytest.raises(OutcomeUnknown):
        await client.open_wallet("alice")


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        ({"is_down": True}, NotReachable),
        ({"http_status": 401}, AuthenticationFailed),
        ({"http_status": 503}, NotReachable),
        ({"close_at_once": (4401, "unknown token")}, AuthenticationFailed),
        ({"close_at_once": (4406, "version")}, NotReachable),
        ({"close_at_once": (1013, "full")}, NotReachable),
        ({"hello": None}, NotReachable),
        ({"hello": hello(auth={"required": True}), "answers": {"session.authenticate": decline}}, AuthenticationFailed),
        ({"hello": hello(auth={"required": True})}, NotReachable),
    ],
)
async def test_a_first_connection_that_cannot_be_made_says_why(
    daemon: FakeDaemon, connecting: Connect, autojump_clock: MockClock, prepare: dict[str, Any], error: type[Exception]
) -> None:
    for name, value in prepare.items():
        setattr(daemon, name, value)
    with pytest.raises(error):
        async with connecting():
            pass


# --- deadlines -----------------------------------------------------------------------------------------------------


async def test_a_command_that_was_sent_and_not_answered_has_an_unknown_outcome(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    with pytest.raises(OutcomeUnknown) as unknown:
        await client.pay("alice", "bob", 5, "EUR")
    assert unknown.value.command_id == daemon.requests[0]["params"]["command_id"]
    assert trio.current_time() >= 30


async def test_a_read_or_a_dry_run_that_is_not_answered_applied_nothing(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    with pytest.raises(NotReachable, match="nothing was applied"):
        await client.wallet("alice")
    with pytest.raises(NotReachable):
        await client.pay("alice", "bob", 5, "EUR", dry_run=True)


async def test_a_command_that_was_never_sent_was_not_applied(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    daemon.is_down = True
    daemon.links[0].drop()
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(NotReachable):
        await client.open_wallet("alice")


async def test_a_busy_daemon_is_asked_again_with_the_same_command_id(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    def busy(link: FakeLink, request: dict[str, Any]) -> None:
        if len(daemon.requests) < 4:
            link.fail(request, 1005, "overloaded", retry="same_command_id", retry_after_ms=2000)
        else:
            link.reply(request, applied(1))

    daemon.answers["wallet.open"] = busy
    await client.open_wallet("alice")
    assert trio.current_time() >= 6
    assert len({request["params"]["command_id"] for request in daemon.requests}) == 1


async def test_a_daemon_that_stays_busy_is_the_answer_at_the_deadline(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    daemon.answers["wallet.open"] = lambda link, request: link.fail(request, 1007, "unavailable", retry_after_ms=500)
    with pytest.raises(RequestFailed) as failed:
        await client.open_wallet("alice")
    assert failed.value.reason is Reason.UNAVAILABLE


async def test_asking_a_busy_daemon_again_can_be_switched_off(
    daemon: FakeDaemon, connecting: Connect, autojump_clock: MockClock
) -> None:
    daemon.answers["wallet.open"] = lambda link, request: link.fail(request, 1004, "draining", retry_after_ms=500)
    async with connecting(retry_busy=False) as client:
        with pytest.raises(RequestFailed):
            await client.open_wallet("alice")
    assert len(daemon.requests) == 1


async def test_an_exception_of_the_block_comes_out_as_it_is(connecting: Connect) -> None:
    with pytest.raises(ZeroDivisionError):
        async with connecting():
            raise ZeroDivisionError


async def test_a_call_that_its_caller_cancels_is_not_repeated(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    with trio.move_on_after(1):
        await client.call("wallet.get", wallet="alice")
    daemon.links[0].drop()
    daemon.answers["session.ping"] = lambda link, request: link.reply(request, {})
    await client.call("session.ping")
    assert [request["method"] for request in daemon.requests] == ["wallet.get", "session.ping"]


async def test_lists_are_paged_by_themselves(daemon: FakeDaemon, client: Client, autojump_clock: MockClock) -> None:
    def wallets(link: FakeLink, request: dict[str, Any]) -> None:
        after = request["params"].get("after")
        view = {"status": "open", "version": 1, "opened_at": "2030-01-31T12:00:00Z", "balances": [], "sequence": 1}
        names, following = (["c"], None) if after else (["a", "b"], "b")
        page = {"wallets": [{"wallet": name, **view} for name in names], "sequence": 1}
        link.reply(request, page | ({"next": following} if following else {}))

    daemon.answers["wallet.list"] = wallets
    assert [wallet.wallet async for wallet in client.wallets()] == ["a", "b", "c"]


async def test_a_hold_is_read_by_its_id(daemon: FakeDaemon, client: Client, autojump_clock: MockClock) -> None:
    view = {"hold": "h7", "wallet": "alice", "asset": "EUR", "amount": "20", "captured": "5", "reserved": "15"}
    more = {"state": "open", "placed_at": "2030-01-31T12:00:00Z", "sequence": 9}
    daemon.answers["hold.get"] = lambda link, request: link.reply(request, view | more)
    assert (await client.hold("alice", "h7")).reserved == "15"
    assert daemon.requests[-1]["params"] == {"wallet": "alice", "hold": "h7"}
