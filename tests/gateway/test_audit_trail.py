"""The audit log: who was here, what operators did, who was refused; bounded, and without a secret."""

import json
import logging
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.process import Daemon, furnish, transfer
from tests.gateway.clients import let_in, open_town, session_of
from tests.gateway.wires import bearer
from walletd.client import AuthenticationFailed, connect_sync, new_token
from walletd.gateway import audit_trail
from walletd.gateway.audit_trail import ACTS, LINES_A_MINUTE, OTHERS, WHOLE_READS, AuditTrail, Visit
from walletd.journal.memory.store import MemoryJournalStore
from walletd.logs.formats import JsonFormatter
from walletd.logs.repeats import AUDIT, LimitRepeats
from walletd.protocol.methods import METHODS, Kind
from walletd.sessions.access import token_hash

SHOP = Visit("shop", "4f2a91c0", "192.0.2.7", "shop/1")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> "Lines":
    caplog.set_level(logging.INFO, AUDIT)
    return Lines(caplog)


class Lines:
    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def all(self, event: str | None = None) -> list[dict[str, Any]]:
        """The events so far, as a machine reads them."""
        found = []
        for record in self._caplog.records:
            if record.name == AUDIT:
                read = json.loads(JsonFormatter().format(record))
                name, _, rest = record.getMessage().partition(" ")
                assert read.items() >= ({"event": name, "component": "audit"} | json.loads(rest)).items()
                found.append(read)
        return [line for line in found if event in (None, line["event"])]


def trail() -> AuditTrail:
    return AuditTrail(lambda: 7.0)


CERTIFIED = SHOP._replace(token="", certificate="9c0ffee0")


@pytest.mark.parametrize("visit", [SHOP, CERTIFIED])
def test_a_session_has_a_line_at_its_begin_and_one_at_its_end(lines: Lines, visit: Visit) -> None:
    audit = trail()
    audit.begun("c1", visit)
    audit.acted("c1", "daemon.drain", {})
    audit.ended("c1", 1012, requests=17)
    opened, act, ended = lines.all()
    facts = {name: fact for name, fact in visit._asdict().items() if fact}
    assert opened.items() >= {"event": "session_opened", "connection": "c1", **facts}.items()
    assert opened.get("token") == ended.get("token") == facts.get("token")
    assert opened.get("certificate") == ended.get("certificate") == facts.get("certificate")
    assert act.items() >= {"event": "act", "method": "daemon.drain", "principal": "shop"}.items()
    assert ended.items() >= {"close_code": 1012, "why": "restart", "requests": 17, "acts": {"daemon.drain": 1}}.items()


def test_a_connection_that_never_authenticated_leaves_no_line(lines: Lines) -> None:
    audit = trail()
    audit.ended("c1", 1006, requests=0)
    audit.acted("c1", "daemon.drain", {})
    assert lines.all() == []


def test_a_read_of_the_whole_ledger_has_one_line_however_many_pages_it_takes(lines: Lines) -> None:
    audit = trail()
    audit.begun("c1", SHOP)
    for page in range(1000):
        audit.acted("c1", "journal.read", {"after": page})
    audit.ended("c1", 1000, requests=1000)
    assert len(lines.all("act")) == 1
    assert lines.all("session_ended")[0]["acts"] == {"journal.read": 1000}
    assert audit.acts == {("shop", "journal.read"): 1000}


@pytest.mark.parametrize("event", ["token_refused", "forbidden", "session_opened"])
def test_of_each_cause_so_many_lines_a_minute_and_then_one_with_the_number(lines: Lines, event: str) -> None:
    audit = trail()
    audit.begun("c1", SHOP)
    audit.begun("c2", SHOP._replace(principal="other"))
    for number in range(500):
        if event == "token_refused":
            audit.refused("192.0.2.7")
        elif event == "forbidden":
            audit.forbidden("c1", "daemon.drain", "admin")
        elif number:
            audit.begun(f"x{number}", SHOP)
    told = [line for line in lines.all(event) if line.get("principal") != "other"]
    assert len(told) == LINES_A_MINUTE
    before = len(lines.all(event))
    audit.refused("192.0.2.8")
    audit.forbidden("c2", "daemon.drain", "admin")
    assert len(lines.all(event)) == before + (event != "session_opened"), "another cause is another window"
    audit.sum_up()
    (summary,) = [line for line in lines.all(event) if "left_out" in line]
    assert summary["left_out"] == 500 - LINES_A_MINUTE
    assert summary["of"] in ("shop", "192.0.2.7")
    audit.refused("192.0.2.7")
    assert lines.all("token_refused")[-1]["address"] == "192.0.2.7", "a new minute"


def test_the_causes_that_are_kept_apart_are_bounded(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_trail, "KEPT_WINDOWS", 5)
    monkeypatch.setattr(audit_trail, "KEPT_PRINCIPALS", 3)
    audit = trail()
    for number in range(100):
        audit.refused(f"192.0.2.{number}")
        audit._label(f"operator-{number}")
    assert len(lines.all()) == 5 + LINES_A_MINUTE
    assert len(audit._windows) == 6
    assert audit._label("operator-50") == OTHERS
    assert audit.refusals["token_refused"] == 100


def test_repeated_lines_of_this_log_are_not_left_out_as_others_are() -> None:
    limit = LimitRepeats(1, 10)
    record = logging.LogRecord(AUDIT, logging.INFO, "x.py", 1, "act", (), None)
    assert all(limit.filter(record) for _ in range(5))


def test_every_operators_method_is_an_act_or_tells_nothing_of_the_ledger() -> None:
    operators = {name for name, method in METHODS.items() if method.kind is Kind.OPERATOR}
    assert operators - ACTS - WHOLE_READS == {"daemon.status"}
    assert METHODS.keys() >= ACTS | WHOLE_READS


async def test_acts_refusals_and_forbidden_attempts_of_sessions_are_told(lines: Lines, tmp_path: Path) -> None:
    async with open_town(tmp_path, MemoryJournalStore()) as desk:
        root = await session_of(desk, "root")
        await let_in(root, "shop", "spend:shop-1")
        shop = await session_of(desk, "shop")
        desk.services.audit.begun(shop.endpoint.connection_id, SHOP)
        await shop.refused("wallet.get", wallet="bob")
        await shop.refused("daemon.drain")
        await desk.client(None).refused("session.authenticate", token="nobody's")
        await shop.call("stream.subscribe", wallets=["shop-1"])
        desk.services.audit.begun(root.endpoint.connection_id, SHOP._replace(principal="root"))
        await root.call("daemon.log_level", level="debug", component="journal")
        await root.call("stream.subscribe", all=True)
        await root.call("entry.list", after=0)
        shop.vanish()
    assert [(line["method"], line["scope"]) for line in lines.all("forbidden")] == [
        ("wallet.get", "view:bob"),
        ("daemon.drain", "admin"),
    ]
    assert [line["address"] for line in lines.all("token_refused")] == ["192.0.2.1"]
    acts = [(line["method"], line.get("params")) for line in lines.all("act")]
    assert acts[0] == ("daemon.log_level", {"level": "debug", "component": "journal"})
    assert [method for method, _ in acts] == ["daemon.log_level", "stream.subscribe", "entry.list"]
    assert lines.all("session_ended")[0]["why"] == "gone"


def test_no_line_of_a_daemon_contains_a_token_and_each_way_in_has_its_line(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data", environment={"WALLETD_LOG_FORMAT": "json"}) as daemon:
        token, wrong = new_token(), new_token()
        with daemon.client() as client:
            furnish(client, "alice", "bob", amount=100)
            client.call(
                "client.create", command_id="c", client="shop", scopes=["spend:a*"], token_sha256=token_hash(token)
            )
            client.call("transfer.post", **transfer("p", "alice", "bob", 1))
            client.call("entry.list", after=0)
        with connect_sync(daemon.url, token=token) as shop, pytest.raises(Exception, match="does not permit"):
            shop.call("daemon.drain")
        for _ in range(3):
            with pytest.raises(AuthenticationFailed), connect_sync(daemon.url, token=wrong):
                raise AssertionError("a token that was never issued came in")
        with daemon.client(additional_headers={}) as guest:
            assert "error" in guest.reply(guest.send("session.authenticate", token=wrong))
        daemon.signal(signal.SIGTERM)
        daemon.wait()
        said = daemon.log()
    audited = [json.loads(line) for line in said.splitlines() if '"component":"audit"' in line]
    events = {line["event"] for line in audited}
    assert events == {"session_opened", "session_ended", "act", "forbidden", "token_refused"}
    opened = [line for line in audited if line["event"] == "session_opened"]
    assert {line["principal"] for line in opened} == {"operator", "shop"}
    assert {line["token"] for line in opened} == {token_hash(daemon.token)[:8], token_hash(token)[:8]}
    assert {line["address"] for line in audited if "address" in line} == {"127.0.0.1"}
    for secret in (token, wrong, daemon.token, bearer(token), token_hash(token)):
        assert secret not in said
