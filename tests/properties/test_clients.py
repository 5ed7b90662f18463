"""Any history of clients: the invariants hold after every entry; and an entry shows each client only its own."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.cases import NOW, Ledger
from tests.ledger.client_cases import change, create, hash_of, revoke, rotate
from tests.ledger.core import REAL
from tests.properties import times
from tests.properties.programs import PRELUDE, Run, Step, programs
from walletd.ledger.audit import Audit
from walletd.ledger.client_book import ClientBook, is_in_force, live_tokens
from walletd.ledger.clients import MAX_TOKENS
from walletd.sessions.access import Grant
from walletd.sessions.redaction import concerns, redacted, shown_facts
from walletd.vocabulary.commands import RefusedCommand
from walletd.vocabulary.entries import ClientRecord, Effects, Entry, decode_entry
from walletd.vocabulary.identifiers import Principal, owner_of
from walletd.vocabulary.scopes import Need, includes, ownership_of, permitted

NAMES = ["root", "shop", "bob", "shop/a", "shop/b", "bob/a", "operator"]
SCOPES = ["admin", "operate", "metrics", "spend:shop-*", "spend:shop-1", "view:shop-1", "view:shop-*", "view:*"]
TELLING = {"available", "posted", "held", "maximum", "would_have", "stands", "version", "why"}
"""Facts that say what a wallet has, or how it stands."""

_names = st.sampled_from(NAMES)
_tokens = st.integers(0, 40).map(lambda number: f"token-{number}")
_ends = st.none() | st.integers(-1, 20).map(lambda seconds: NOW + timedelta(seconds=seconds))
_scopes = st.lists(st.sampled_from(SCOPES), min_size=1, max_size=3)
_networks = st.sampled_from([None, (), ("10.1.0.0/16",), ("10.1.2.0/24", "10.1.3.7")])
_commands = st.one_of(
    st.builds(lambda n, s, t, e: create(n, *s, token=t, expires_at=e), _names, _scopes, _tokens, _ends),
    st.builds(lambda n, t, e, o: rotate(n, t, expires_at=e, overlap_until=o), _names, _tokens, _ends, _ends),
    st.builds(revoke, _names),
    st.builds(lambda n, s, a: change(n, *s, addresses=a), _names, _scopes, _networks),
)
_histories = st.lists(
    st.tuples(st.sampled_from(["root", "shop", *NAMES, "nobody", "@walletd"]), _commands, st.integers(0, 5))
)


@settings(max_examples=times(3), deadline=None)
@given(history=_histories)
def test_whoever_sends_whatever_the_clients_stay_sound(history: list[tuple[str, Any, int]]) -> None:
    ledger, now = Ledger().sent_by("@walletd").after(create("operator", "admin")), NOW
    ledger.sent_by("operator").after(create("root", "admin"), create("shop", "spend:shop-*")).sent_by("shop").after(
        create("shop/a", "view:shop-1")
    )
    for by, command, seconds in history:
        now += timedelta(seconds=seconds)
        clients: ClientBook = ledger.books.clients
        if clients.is_shut_out(Principal(by), now):
            continue
        before = dict(clients.records)
        verdict = ledger.sent_by(by).run(command, now)
        assert_sound(clients)
        for name, record in before.items():
            after = clients.records.get(name)
            if owner_of(name) is None:
                assert after is not None
                assert after.created_at == record.created_at
                if by in before and "admin" not in before[Principal(by)].scopes:
                    assert all(includes(record.scopes, scope) for scope in after.scopes)
                    assert not record.addresses or after.addresses
                    assert not lasts_longer(after, record, now)
                back = (by, name) == ("@walletd", "operator") and after.revoked_at is None
                assert record.revoked_at is None or after.revoked_at == record.revoked_at or back
        if isinstance(verdict, Effects) and by != "@walletd":
            sender = before[Principal(by)]
            for record in verdict.clients:
                assert "admin" in sender.scopes or by in (record.client, owner_of(record.client))
        elif isinstance(verdict, Effects):
            assert {record.client for record in verdict.clients} == {"operator"}
    audit = Audit()
    for entry in ledger.entries:
        audit.fold(entry)
    assert audit.close() == []
    assert audit.books.clients == ledger.books.clients


def lasts_longer(after: ClientRecord, before: ClientRecord, now: datetime) -> bool:
    """Whether the client can authenticate after the end of all tokens that it had."""
    ends = [token.expires_at for token in live_tokens(before, now)]
    if not ends or None in ends:
        return False
    last = max(end for end in ends if end is not None)
    return any(token.expires_at is None or token.expires_at > last for token in live_tokens(after, now))


def assert_sound(clients: ClientBook) -> None:
    """What must hold of the clients at any time."""
    rebuilt = ClientBook(clients.records.values())
    assert (rebuilt.tokens, rebuilt.number_of_keys) == (clients.tokens, clients.number_of_keys)
    assert {owner: set(keys) for owner, keys in rebuilt.keys.items()} == {o: set(k) for o, k in clients.keys.items()}
    assert sum(len(record.tokens) for record in clients.records.values()) == len(clients.tokens)
    assert clients.has_lasting_admin()
    for record in clients.records.values():
        assert len(record.tokens) <= MAX_TOKENS
        owner = owner_of(record.client)
        if owner is not None:
            mine = clients.records[owner]
            assert mine.revoked_at is None or record.revoked_at is not None
            needs = [ownership_of(scope) or Need.spend("\0") for scope in record.scopes]
            assert record.revoked_at is not None or all(permitted(mine.scopes, need) for need in needs)
            for token in record.tokens:
                bearer = clients.bearer(token.sha256, NOW)
                assert bearer is None or is_in_force(mine, NOW)
    assert clients.bearer(hash_of("nobody's"), NOW) is None


_grants = st.builds(
    lambda name, scopes: Grant(Principal(name), tuple(scopes)),
    st.sampled_from(["p", "somebody"]),
    st.lists(
        st.sampled_from(["view:alice", "view:b*", "spend:carol", "view:@fees", "spend:@*", "metrics"]), max_size=3
    ),
)


@settings(max_examples=times(2), deadline=None)
@given(program=programs, grant=_grants)
def test_of_any_entry_nobody_is_shown_what_he_may_not_see(program: list[Step], grant: Grant) -> None:
    run = Run(REAL)
    for step in PRELUDE + program:
        assert run.step(step) is None
    for entry in run.entries:
        if concerns(entry, grant):
            assert_shown_to(redacted(entry, grant), entry, grant)
        if entry.refusal is not None:
            wallet = entry.refusal.facts.get("wallet")
            shown = shown_facts(entry.refusal.facts, grant)
            if wallet is not None and not grant.permits(Need.view(wallet)):
                assert not TELLING & set(shown)


def assert_shown_to(shown: Entry, entry: Entry, grant: Grant) -> None:
    """The entry is well-formed, and has no record of a wallet that the grant does not show."""
    again = decode_entry(msgspec.json.encode(shown))
    assert again == shown
    assert (shown.sequence, shown.time) == (entry.sequence, entry.time)
    assert shown.redacted == (shown != entry)
    if entry.principal != grant.principal and shown.redacted:
        assert (shown.principal, shown.command.command_id) == ("-", "-")
        assert isinstance(shown.command, RefusedCommand) or not shown.command.if_balance
    if shown.effects is None:
        return
    effects = shown.effects
    for records in (effects.balances, effects.wallets, effects.holds):
        assert all(grant.permits(Need.view(record.wallet)) for record in records)
    for moved in effects.moved:
        assert grant.permits(Need.view(moved.source)) or grant.permits(Need.view(moved.to))
    for balance in entry.effects.balances if entry.effects is not None else ():
        assert (balance in effects.balances) == grant.permits(Need.view(balance.wallet))
