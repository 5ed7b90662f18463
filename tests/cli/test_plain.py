"""Nothing that a peer says moves a cursor: hostile words through every output of the command line and of the log."""

import io
import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.cli import hostile
from tests.cli.conftest import Walletd
from tests.cli.standin import NOON, StandIn, applied, balance
from tests.cli.test_verify import lived
from walletd.cli.lines import say, write_json
from walletd.cli.output import Output, new_console, new_table
from walletd.cli.watch import event_line
from walletd.client import NotReachable, RequestFailed
from walletd.client.results import EntryView
from walletd.logs.context import about_command
from walletd.logs.formats import FORMATS, formatter_of
from walletd.logs.plain import ascii_json, plain, plain_json, plain_lines
from walletd.protocol.messages import StatementLine
from walletd.vocabulary.commands import PostTransfer
from walletd.vocabulary.entries import Entry, decode_entry
from walletd.vocabulary.identifiers import AssetCode, WalletId
from walletd.vocabulary.reasons import Outcome, Reason, Retry

EVIL = (
    "\x1b[2J\x1b]0;owned\x07"  # clears the screen, names the window
    "\x9b31m\x90\x9c\x85"  # the same by C1 controls
    "\u202eevil\u202c\u2066\u2069\u200f\u061c"  # turns the direction of writing
    "\u2028\u2029\r\n\x0b\x0c\b\x7f\x00"  # begins another line, goes back
    "\u200b\u2060\ufeff\u00ad"  # cannot be seen
)
TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from(EVIL), max_size=40)


def assert_plain(text: str) -> None:
    """Lines of printable characters: also no escape that rich did not need."""
    for line in text.split("\n"):
        assert line.isprintable(), ascii(line)


@given(TEXTS)
def test_words_are_plain_and_plain_words_stay(words: str) -> None:
    assert plain(words).isprintable()
    assert plain(plain(words)) == plain(words)
    assert all(line.isprintable() for line in plain_lines(words).split("\n"))
    if words.isprintable():
        assert plain(words) == words


@given(TEXTS)
def test_a_document_means_the_same_escaped(words: str) -> None:
    document = json.dumps({"said": words}, ensure_ascii=False)
    assert json.loads(plain_json(document)) == json.loads(ascii_json(document)) == {"said": words}
    assert plain_json(document).isprintable()
    assert ascii_json(document).isascii()
    assert ascii_json(document).isprintable()


def test_letters_of_every_language_stay() -> None:
    assert plain("Zürich 東京 нет שלום 🙂 12.50 €") == "Zürich 東京 нет שלום 🙂 12.50 €"
    assert plain("a\tb\\c") == "a\\tb\\c"


def test_a_table_a_line_and_a_sentence_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    table = new_table("name", EVIL, folding=("name",))
    table.add_row(EVIL, EVIL)
    output = Output(False)
    output.answer({}, lambda: table)
    output.answer({}, lambda: EVIL)
    output.line(EVIL)
    new_console(stderr=True).print(EVIL)
    say(EVIL)
    out, err = capsys.readouterr()
    assert_plain(out)
    assert_plain(err)
    assert "\\x1b[2J" in out
    assert "\\x1b[2J" in err
    assert "…" not in out, "nothing is cut"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_json_is_ascii_and_elsewhere_it_is_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stream)
        write_json({"said": f"Zürich{EVIL}"})
        written = stream.getvalue()
        assert json.loads(written) == {"said": f"Zürich{EVIL}"}
        assert written.count("\n") == 1
        assert written.isascii() == stream.isatty()
        if stream.isatty():
            assert_plain(written)


def test_an_entry_is_shown_without_controls(walletd: Walletd, daemon: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    async def entry(**_: Any) -> EntryView:
        return EntryView(entry=hostile_entry(), entry_hash=EVIL)

    monkeypatch.setattr(daemon, "entry", entry, raising=False)
    ended = walletd("entry", "7")
    assert ended.exit_code == 0, ended.err
    assert_plain(ended.out)
    assert "\\u202e" in ended.out


def hostile_entry() -> Entry:
    document = {
        "sequence": 7,
        "time": "2026-01-31T12:00:00Z",
        "principal": "shop",
        "command": {
            "method": "transfer.post",
            "command_id": "t",
            "postings": [{"from": "alice", "to": "bob", "asset": "EUR", "amount": "1"}],
            "reference": EVIL,
            "metadata": {"note": EVIL},
        },
        "refusal": {"reason": "wallet_not_found", "facts": {"wallet": EVIL}},
    }
    return decode_entry(json.dumps(document).encode())


def test_an_event_of_a_stream_is_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    entry = hostile_entry()
    assert isinstance(entry.command, PostTransfer)
    Output(False).line(event_line(entry, {"EUR": 2}))
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert_plain(shown)


def failures() -> list[tuple[str, BaseException]]:
    facts = {"wallet": EVIL, "available": "1", "required": "2", "asset": "EUR", "short": "1"}
    said: dict[str, Any] = {"outcome": Outcome.NOT_APPLIED, "retry": Retry.NEVER, "command_id": EVIL}
    return [
        ("a refusal", RequestFailed(Reason.INSUFFICIENT_FUNDS, EVIL, facts=facts, **said)),
        ("an unknown reason", RequestFailed(EVIL, EVIL, facts={EVIL: EVIL}, **said)),
        ("a hangup", NotReachable(f"closed: {EVIL}")),
    ]


@pytest.mark.parametrize("failure", [row[1] for row in failures()], ids=[row[0] for row in failures()])
@pytest.mark.parametrize("command", [("pay", "alice", "bob", "1", "EUR"), ("wallet", "open", "alice"), ("status",)])
def test_what_a_daemon_says_of_a_failure_is_one_plain_line(
    walletd: Walletd, daemon: StandIn, failure: BaseException, command: tuple[str, ...]
) -> None:
    for name in ("post", "pay", "submit", "open_wallet", "status", "send"):
        daemon.failing[name] = failure
    ended = walletd(*command)
    assert ended.exit_code != 0, ended
    assert_plain(ended.err)
    assert ended.err.count("\n") == 1


def test_every_look_at_what_a_peer_wrote_is_plain(walletd: Walletd, daemon: StandIn) -> None:
    daemon.answer = applied(balance("alice", "EUR", 1), transfer=EVIL)
    posting: dict[str, Any] = {"time": NOON, "amount": "1", "asset": AssetCode("EUR"), "posted": "1"}
    words: dict[str, Any] = {"kind": EVIL, "counterparty": WalletId(EVIL), "transfer": EVIL, "reference": EVIL}
    line = StatementLine(sequence=7, line=0, **posting, **words)
    daemon.lines = [line]
    for command in (("statement", "alice"), ("pay", "alice", "bob", "1", "EUR"), ("balance", "alice")):
        ended = walletd(*command)
        assert_plain(ended.out)
        assert_plain(ended.err)


@pytest.mark.parametrize("name", FORMATS)
def test_a_log_line_is_plain_in_every_format(name: str) -> None:
    try:
        raise ValueError(EVIL)
    except ValueError:
        failed = sys.exc_info()
    record = logging.LogRecord("walletd.gateway", logging.ERROR, "x.py", 1, "refused: %s", (EVIL,), failed)
    record.connection = EVIL
    record.__dict__.update(about_command(EVIL))
    line = formatter_of(name).format(record)
    assert_plain(line)
    if name == "json":
        assert json.loads(line)["event"] == f"refused: {EVIL}"
    else:
        assert "\\x1b[2J" in line


def test_what_verify_quotes_from_a_forged_journal_is_plain(walletd: Walletd, tmp_path: Path) -> None:
    trio.run(lived, tmp_path / "data")
    hostile.forged(tmp_path / "data", lambda entry: entry.update(history="x", principal=EVIL, time=EVIL))
    ended = walletd("verify", "data")
    assert ended.exit_code == 65
    assert_plain(ended.err)
    assert_plain(ended.out)
