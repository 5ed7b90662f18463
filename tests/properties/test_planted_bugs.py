"""The tests are tested: each small bug, planted into a copy of the code in memory, is caught by the oracle that must.

A row says what the bug is, where it is planted, and who must catch it.  A bug that survives fails the test.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.ledger.core import REAL, patched_copies, planted
from tests.properties.oracles import (
    access_against,
    audit_against,
    properties_against,
    session_against,
    tables_against,
)

pytestmark = pytest.mark.interpreted

PROTOCOL = ["walletd.vocabulary.scopes", *(f"walletd.sessions.{name}" for name in ("access", "needs", "session"))]


class Bug(NamedTuple):
    """A bug: what it is, the module, the text that it replaces, and whether the tables and the model can see it."""

    what: str
    module: str
    old: str
    new: str
    tables: bool = True
    model: bool = True


BUGS_IN_THE_RULES: list[Bug] = [
    # time
    Bug("expires at valid_until, not after it", "guards", "now > command.valid_until", "now >= command.valid_until"),
    Bug("never expires", "guards", "now > command.valid_until", "False"),
    Bug("expires before its time", "guards", "now > command.valid_until", "now < command.valid_until"),
    # existence
    Bug(
        "an asset is defined twice",
        "rules",
        "if known is not None:\n        return refuse(Reason.ASSET",
        "if False:\n        return refuse(Reason.ASSET",
    ),
    Bug(
        "a wallet is opened twice",
        "wallets",
        "if known is not None:\n        return refuse(Reason.WALLET",
        "if False:\n        return refuse(Reason.WALLET",
    ),
    Bug("an asset need not be defined", "transfers", "if posting.asset not in books.assets:", "if False:"),
    Bug(
        "only the first posting's asset is looked at",
        "transfers",
        "if posting.asset not in books.assets:",
        "if index == 0 and posting.asset not in books.assets:",
    ),
    Bug(
        "only payers must exist",
        "transfers",
        "for wallet in (posting.source, posting.to):\n            if wallet not in",
        "for wallet in (posting.source,):\n            if wallet not in",
    ),
    Bug("a wallet may pay itself", "transfers", "if posting.source == posting.to:", "if False:"),
    Bug(
        "a closed wallet may receive",
        "guards",
        "for wallet in (posting.source, posting.to):\n            book = ",
        "for wallet in (posting.source,):\n            book = ",
    ),
    Bug(
        "a closed wallet takes part",
        "guards",
        "if book.status is WalletStatus.CLOSED:\n                return",
        "if False:\n                return",
    ),
    # funds
    Bug("the last unit cannot be paid", "guards", "left < 0", "left <= 0"),
    Bug("one unit too many can be paid", "guards", "left < 0", "left < -1"),
    Bug("the funds are not looked at", "guards", "left < 0", "False"),
    Bug(
        "what is held can be paid",
        "draft",
        "- (balance.held + change.held - change.freed) - floor",
        "- floor",
    ),
    Bug("system wallets stop at zero", "book", "None if is_system else 0", "0"),
    Bug("no wallet has a floor", "book", "None if is_system else 0", "None"),
    Bug(
        "only the first posting's funds are looked at",
        "guards",
        "self.funds or covered_guard(",
        "self.funds or index == 0 and covered_guard(",
    ),
    Bug(
        "the payee's funds are looked at",
        "guards",
        "covered_guard(self._draft, posting.source, posting.asset",
        "covered_guard(self._draft, posting.to, posting.asset",
    ),
    # the order of postings
    Bug(
        "a payment does not offset an earlier one",
        "draft",
        "self._change(source, asset).posted -= amount",
        "self._change(source, asset).posted = -amount",
    ),
    Bug(
        "a receipt does not add to an earlier one",
        "draft",
        "self._change(to, asset).posted += amount",
        "self._change(to, asset).posted = amount",
    ),
    Bug(
        "the payee gets one unit more",
        "draft",
        "self._change(to, asset).posted += amount",
        "self._change(to, asset).posted += amount + 1",
    ),
    Bug("amounts go through a float", "transfers", "int(posting.amount)", "int(float(posting.amount))"),
    Bug(
        "assets are thrown together",
        "transfers",
        "posting.to, posting.asset, amount",
        "posting.to, postings[0].asset, amount",
    ),
    Bug(
        "postings are judged together",
        "transfers",
        "refusal = steps.funds or",
        "refusal = funds_guard(draft) or",
    ),
    Bug(
        "the postings of a refund are judged together",
        "refunds",
        "refusal = steps.funds or",
        "refusal = funds_guard(draft) or",
        model=False,
    ),
    Bug(
        "the maximum is looked at when all is done",
        "transfers",
        "or steps.maximum",
        "or maximum_guard(books, draft)",
        model=False,
    ),
    # versions
    Bug(
        "the version is not counted",
        "draft",
        "book.balance(asset), book.version + 1",
        "book.balance(asset), book.version",
    ),
    Bug(
        "the version is counted twice",
        "draft",
        "book.balance(asset), book.version + 1",
        "book.balance(asset), book.version + 2",
    ),
    Bug("an unopened wallet is at version 1", "guards", "book.version if book else 0", "book.version if book else 1"),
    Bug("a later version will do", "guards", "if version != demanded:", "if version < demanded:"),
    Bug("an earlier version will do", "guards", "if version != demanded:", "if version > demanded:"),
    Bug("if_version is not looked at", "guards", "if version != demanded:", "if False:"),
    # precedence
    Bug(
        "a self-transfer comes before a missing wallet",
        "transfers",
        "            if wallet not in books.wallets:\n",
        "            if posting.source == posting.to:\n"
        "                return refuse(Reason.SELF_TRANSFER, wallet=wallet, posting=index)\n"
        "            if wallet not in books.wallets:\n",
    ),
    Bug(
        "a version comes before a defined asset",
        "rules",
        "    known = books.assets.get(command.asset)\n",
        "    if refusal := conditions_guard(books, command, now):\n"
        "        return refusal\n"
        "    known = books.assets.get(command.asset)\n",
    ),
    Bug(
        "a version comes before an existing wallet",
        "wallets",
        "    known = books.wallets.get(command.wallet)\n",
        "    if refusal := conditions_guard(books, command, now):\n"
        "        return refusal\n"
        "    known = books.wallets.get(command.wallet)\n",
    ),
    # facts
    Bug(
        "what is short is said with the wrong sign",
        "guards",
        "required - available",
        "available - required",
        model=False,
    ),
    Bug(
        "the wrong posting is named",
        "transfers",
        "asset=posting.asset, posting=index",
        "asset=posting.asset, posting=0",
        model=False,
    ),
    # apply
    Bug("apply does not write the posted balance", "book", "    balance.posted = int(record.posted)\n", ""),
    Bug("apply forgets what is held", "book", "    balance.held = int(record.held)\n", ""),
    Bug("apply does not count the version", "book", "    book.version = record.version\n    balance", "    balance"),
    Bug(
        "records show another availability",
        "book",
        "str(posted - held - floor)",
        "str(posted - held)",
        tables=False,
    ),
    # holds
    Bug("a hold may be captured twice", "holds", "-left if is_over else -taken", "0"),
    Bug("a final capture keeps the rest reserved", "holds", "-left if is_over else -taken", "-taken", model=False),
    Bug("one unit too many is captured", "holds", "if taken > left:", "if taken > left + 1:", model=False),
    Bug("all of a hold cannot be captured", "holds", "if taken > left:", "if taken >= left:", model=False),
    Bug(
        "a capture forgets what was captured before",
        "holds",
        "str(int(hold.captured) + taken)",
        "str(taken)",
        model=False,
    ),
    Bug("a hold is placed for nothing", "holds", "int(command.amount))\n    draft", "0)\n    draft"),
    Bug("a void keeps one unit", "holds", "-reserved(hold))", "1 - reserved(hold))"),
    Bug(
        "an adjustment ignores what is captured",
        "holds",
        "int(hold.captured) + int(command.amount)",
        "int(command.amount)",
        model=False,
    ),
    Bug(
        "raising needs no funds",
        "holds",
        "command.wallet, hold.asset, more)",
        "command.wallet, hold.asset, min(more, 0))",
        model=False,
    ),
    Bug("a hold lives one moment longer", "book", "self.expiries[place][0] <= now", "self.expiries[place][0] < now"),
    Bug("an expired hold still reserves", "draft", ".freed += reserved(hold)", ".freed += 0"),
    Bug(
        "what expired is not recorded",
        "draft",
        "self.put_hold(msgspec.structs.replace(hold, state=HoldState.EXPIRED))",
        "pass",
    ),
    Bug(
        "an extended hold expires at its old time",
        "book",
        "known is None or known.expires_at != record.expires_at",
        "known is None",
    ),
    Bug(
        "holds are placed in a frozen wallet",
        "holds",
        "freeze_guard(books, wallet, FrozenSide.DEBITS, now)\n",
        "None\n",
        model=False,
    ),
    # refunds
    Bug(
        "a refund is not counted",
        "refunds",
        "refunded = int(part.refunded) + int(posting.amount)",
        "refunded = int(part.refunded)",
    ),
    Bug(
        "one unit too many is refunded",
        "refunds",
        "if int(posting.amount) <= left:",
        "if int(posting.amount) <= left + 1:",
    ),
    Bug(
        "all of a transfer cannot be refunded",
        "refunds",
        "if int(posting.amount) <= left:",
        "if int(posting.amount) < left:",
    ),
    Bug("refunds are refunded", "refunds", "in (TRANSFER, CAPTURE)", "is not None"),
    Bug("captures are not refunded", "refunds", "in (TRANSFER, CAPTURE)", "== TRANSFER", model=False),
    # batches
    Bug(
        "a batch counts a version for each command",
        "batches",
        "self._versions.get(wallet, Version(0))",
        "self.books.wallets[wallet].version",
    ),
    Bug("what a batch does is not seen inside it", "batches", "        apply(self.books, effects)\n", ""),
    Bug("an atomic batch goes on behind a refusal", "batches", "elif command.atomic:", "elif False:"),
    Bug(
        "no batch goes on behind a refusal",
        "batches",
        "elif command.atomic:",
        "elif True:",
    ),
    # limits, freezes, closing
    Bug("a freeze ends one moment late", "book", "now < freeze.until", "now <= freeze.until", model=False),
    Bug(
        "a freeze of debits stops credits", "guards", "posting.to, FrozenSide.CREDITS", "posting.to, FrozenSide.DEBITS"
    ),
    Bug(
        "the maximum is not reached",
        "guards",
        "if posted > int(limits.maximum)",
        "if posted >= int(limits.maximum)",
        model=False,
    ),
    Bug("credit is a minimum", "book", "-int(limits.credit_limit)", "int(limits.credit_limit)"),
    Bug(
        "limits are not looked at when they are set",
        "wallets",
        "if available is not None and available < 0:",
        "if False:",
    ),
    Bug(
        "a wallet with holds is closed",
        "wallets",
        "if number := draft.open_holds(wallet):",
        "if number := 0:",
        model=False,
    ),
    Bug("a debt is swept", "wallets", "if balance.posted > 0", "if balance.posted != 0", model=False),
    Bug("velocity counts one unit too many", "guards", "if used > limit:", "if used >= limit:", tables=False),
    Bug("velocity is not looked at", "guards", "if used > limit:", "if False:"),
    Bug("a hold does not count", "holds", "origin, hold)", "origin, hold) if False else None", tables=False),
    Bug("a void gives nothing back", "holds", "    draft.give_back(hold, reserved(hold))", "    pass", tables=False),
    Bug("a wallet with money is closed", "wallets", "if posted != 0:", "if posted < 0:", model=False),
]
EQUIVALENT: set[str] = set()


@pytest.mark.parametrize("bug", [bug for bug in BUGS_IN_THE_RULES if bug.tables], ids=lambda bug: bug.what)
def test_the_tables_catch(bug: Bug) -> None:
    assert tables_against(planted(bug.module, old=bug.old, new=bug.new)) != []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", [bug for bug in BUGS_IN_THE_RULES if bug.model], ids=lambda bug: bug.what)
def test_the_model_catches(bug: Bug) -> None:
    assert properties_against(planted(bug.module, old=bug.old, new=bug.new)) != []


def test_every_bug_in_the_rules_is_somebodys_to_catch() -> None:
    assert {bug.what for bug in BUGS_IN_THE_RULES if not bug.tables and not bug.model} == EQUIVALENT


# --- the audit -------------------------------------------------------------------------------------------------------

BUGS_IN_THE_AUDIT: list[tuple[str, str, str]] = [
    ("gaps are let pass", "entry.sequence == self.sequence + 1", "entry.sequence >= self.sequence + 1"),
    (
        "doubles are let pass",
        "entry.sequence == self.sequence + 1",
        "entry.sequence in (self.sequence, self.sequence + 1)",
    ),
    ("time may run backwards", "entry.time >= self.time", "True"),
    ("time must move", "entry.time >= self.time", "entry.time > self.time"),
    ("command ids are not looked at", "command_id not in self._command_ids", "True"),
    ("command ids are not remembered", "        self._command_ids.add(command_id)\n", ""),
    (
        "effects are not compared",
        "self._expect(_agree(verdict, entry.effects)",
        "self._expect(isinstance(verdict, Effects)",
    ),
    ("any refusal will do", "not is_refusal or _agree(verdict, entry.refusal)", "True"),
    ("a refusal of what is allowed will do", "self._expect(is_refusal, entry", "self._expect(True, entry"),
    ("effects are not applied", "            apply(self.books, effects)\n", "            pass\n"),
]


@pytest.mark.parametrize(
    ("old", "new"), [row[1:] for row in BUGS_IN_THE_AUDIT], ids=[row[0] for row in BUGS_IN_THE_AUDIT]
)
def test_the_falsified_histories_catch(old: str, new: str) -> None:
    assert audit_against(planted("audit", old=old, new=new)) != []


# --- access and the session ------------------------------------------------------------------------------------------

BUGS_IN_THE_PROTOCOL: list[tuple[str, str, str, str]] = [
    ("every client is an operator", "scopes", 'if "operate" in scopes:', "if scopes:"),
    (
        "an operator is an admin",
        "scopes",
        "if need.right is Right.ADMIN:\n        return False\n",
        "if False:\n        return False\n",
    ),
    ("an admin has no rights", "scopes", 'return "admin" in scopes', "return False"),
    (
        "a name is taken for a prefix",
        "scopes",
        "return not need.is_prefix and need.wallet == pattern",
        "return need.wallet == pattern",
    ),
    (
        "every name is a prefix",
        "scopes",
        "return not need.is_prefix and need.wallet == pattern",
        "return need.wallet.startswith(pattern)",
    ),
    ("the star is forgotten", "scopes", "need.wallet.startswith(pattern[:-1])", "need.wallet.startswith(pattern)"),
    (
        "a prefix above the scope's will do",
        "scopes",
        "return need.wallet.startswith(pattern[:-1])",
        "return need.wallet.startswith(pattern[:-1]) or pattern.startswith(need.wallet)",
    ),
    ("the separator is cut off with the star", "scopes", "pattern[:-1]", "pattern[:-2]"),
    ("an empty pattern covers the empty name", "scopes", "if not pattern or (right", "if (right"),
    ("who may see may spend", "scopes", '("view", Right.VIEW),', '("view", Right.VIEW), ("view", Right.SPEND),'),
    ("who may spend may not see", "scopes", '    ("spend", Right.VIEW),\n', ""),
    ("who may see may hand it on", "scopes", '("spend", Right.KEYS),', '("spend", Right.KEYS), ("view", Right.KEYS),'),
    (
        "an operator owns the system's wallets",
        "needs",
        "return ADMIN if is_system_wallet",
        "return OPERATE if is_system_wallet",
    ),
    ("anybody makes clients", "needs", "return (ADMIN,)", "return (KEYS,)"),
    ("every client may read the metrics", "scopes", "return need.right.value in scopes", "return True"),
    ("a star mints", "scopes", "need.right is Right.MINT and not is_system_wallet(pattern)", "False"),
    ("who opens may freeze", "scopes", '("open", Right.OPEN),', '("open", Right.OPEN), ("open", Right.FREEZE),'),
    (
        "system wallets are anybody's",
        "scopes",
        "Right.MINT if is_system_wallet(wallet) else Right.SPEND",
        "Right.SPEND",
    ),
    (
        "one of several needs is enough",
        "session",
        "in NEEDS[method.name](params):",
        "in list(NEEDS[method.name](params))[:1]:",
    ),
    ("the payee must agree, not the payer", "needs", "Need.spend(posting.source)", "Need.spend(posting.to)"),
    ("seeing is paying", "needs", "Need.spend(posting.source)", "Need.view(posting.source)"),
    ("any version may be probed", "needs", "[Need.view(wallet) for wallet in params.if_version]", "[]"),
    (
        "the whole journal is free",
        "needs",
        "        needs.append(OPERATE)\n",
        "        needs.append(AUTHENTICATED)\n",
    ),
    (
        "a subscribed prefix is one wallet",
        "needs",
        "needs.append(Need.view_prefix(params.prefix))",
        "needs.append(Need.view(params.prefix))",
    ),
    (
        "a listed prefix is one wallet",
        "needs",
        "(Need.view_prefix(params.prefix),)\n\n\ndef _views_sub",
        "(Need.view(params.prefix),)\n\n\ndef _views_sub",
    ),
    ("anybody opens wallets", "needs", '"wallet.open": _opens', '"wallet.open": _authenticated'),
    (
        "anybody reads the journal",
        "needs",
        '"entry.list": _operates_all',
        '"entry.list": _authenticated',
    ),
    (
        "one call too many",
        "session",
        "self.in_flight >= self.limits.max_in_flight",
        "self.in_flight > self.limits.max_in_flight",
    ),
    (
        "one call too few",
        "session",
        "self.in_flight >= self.limits.max_in_flight",
        "self.in_flight + 1 >= self.limits.max_in_flight",
    ),
    ("calls are not counted", "session", "        self.in_flight += 1\n", ""),
    ("strangers are served", "session", "if self.grant is None:", "if False:"),
    (
        "any token will do",
        "session",
        "        if grant is None or self.is_ended or not grant.is_valid_at(self._address):\n",
        "        if False:\n",
    ),
    ("a method that does not exist is looked up", "session", "        if method is None:\n", "        if False:\n"),
    (
        "deep frames are not expected",
        "session",
        "(msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error",
        "(msgspec.DecodeError, UnicodeDecodeError) as error",
    ),
]


@pytest.mark.parametrize(
    ("module", "old", "new"), [row[1:] for row in BUGS_IN_THE_PROTOCOL], ids=[row[0] for row in BUGS_IN_THE_PROTOCOL]
)
def test_the_tables_of_access_and_session_catch(module: str, old: str, new: str) -> None:
    modules = patched_copies(PROTOCOL, next(name for name in PROTOCOL if name.endswith(f".{module}")), old, new)
    assert access_against(modules) + session_against(modules) != []


# --- and without a bug -----------------------------------------------------------------------------------------------

WITHOUT_A_BUG: list[tuple[str, Callable[[], list[str]]]] = [
    ("tables", lambda: tables_against(REAL)),
    ("model", lambda: properties_against(REAL, lots=1)),  # test_programs runs a thousand others.
    ("audit", lambda: audit_against(REAL)),
    ("access", lambda: access_against(patched_copies(PROTOCOL, PROTOCOL[0], "import enum", "import enum"))),
    ("session", lambda: session_against(patched_copies(PROTOCOL, PROTOCOL[0], "import enum", "import enum"))),
]


@pytest.mark.timeout(600)  # A minute, where others use the machine.
@pytest.mark.parametrize("oracle", [row[1] for row in WITHOUT_A_BUG], ids=[row[0] for row in WITHOUT_A_BUG])
def test_no_oracle_complains_about_the_code_as_it_is(oracle: Callable[[], list[str]]) -> None:
    assert oracle() == []
