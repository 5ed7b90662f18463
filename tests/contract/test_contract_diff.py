"""What counts as breaking: a table of changes to the published contract, and what the comparison says of each."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract_diff import Change, meant
from patterns import admits
from tests.contract.witness import PUBLISHED

TOOL = Path(__file__).parents[2] / "tools" / "contract_diff.py"
Edit = Callable[[dict[str, Any]], object]


def schema(document: dict[str, Any], name: str) -> Any:
    return document["components"]["schemas"][name]


def field(document: dict[str, Any], name: str, field: str) -> Any:
    return schema(document, name)["properties"][field]


def reason(document: dict[str, Any], word: str) -> Any:
    return next(row for row in document["x-errors"] if row["reason"] == word)


LONGER = r"^h[1-9][0-9]{0,15}(\.[0-9]{1,3})?(-[0-9a-z]{8})?(/[a-z]+)?$"
NAMED = [("*.entry.command.scopes[]", "pattern"), ("*.scopes", "pattern"), ("*", "is gone")]
LEVEL = {"$ref": "#/components/schemas/LogLevel"}
NULLABLE = {"anyOf": [{"type": "boolean"}, {"type": "null"}]}

BREAKING: list[tuple[str, Edit]] = [
    ("a method is gone", lambda d: d["operations"].pop("wallet.get")),
    ("a notification is gone", lambda d: d["operations"].pop("stream.heartbeat")),
    ("another scope is needed", lambda d: d["operations"]["asset.list"].update({"x-needs": "`admin`"})),
    ("a param is gone", lambda d: schema(d, "GetStatement")["properties"].pop("limit")),
    ("a param is required now", lambda d: schema(d, "GetStatement")["required"].append("limit")),
    ("a new param is required", lambda d: _add(schema(d, "GetWallet"), "why", {"type": "string"}, True)),
    ("a param has another type", lambda d: field(d, "PostingGiven", "amount").update(type="integer")),
    ("a param has another pattern", lambda d: field(d, "PostingGiven", "amount").update(pattern="^[0-9]+$")),
    ("a recorded id may be longer", lambda d: field(d, "CaptureHold", "hold").update(pattern=LONGER)),
    ("a param may not be null", lambda d: d["components"]["schemas"]["SetLogLevel"]["properties"].update(level=LEVEL)),
    ("fewer postings", lambda d: field(d, "PostTransferParams", "postings").update(maxItems=50)),
    ("a word of a param is gone", lambda d: _words(d, "FrozenSide").pop()),
    ("a result's field is gone", lambda d: schema(d, "Applied")["properties"].pop("balances")),
    ("a result's field is not certain", lambda d: schema(d, "Applied")["required"].remove("balances")),
    ("a result's field has another type", lambda d: field(d, "BalanceRecord", "posted").update(type="integer")),
    ("an event's field is gone", lambda d: schema(d, "StreamEvent")["properties"].pop("previous_sequence")),
    ("a new state of a hold", lambda d: schema(d, "HoldState")["enum"].append("lost")),
    ("a reason has another code", lambda d: reason(d, "forbidden").update(code=1999)),
    ("a reason is of another retry class", lambda d: reason(d, "overloaded").update(retry="never")),
    ("a reason leaves out a fact", lambda d: reason(d, "insufficient_funds")["facts"].remove("short_by")),
    ("another reconnect rule", lambda d: d["x-close-codes"][-1].update(reconnect="no")),
    ("a new limit", lambda d: d["x-limits"].append({"limit": "max_words"})),
]

ADDING: list[tuple[str, Edit]] = [
    ("a new optional param", lambda d: _add(schema(d, "GetWallet"), "why", {"type": "string"}, False)),
    ("a param is optional now", lambda d: schema(d, "GetWallet")["required"].clear()),
    ("a param's pattern admits more", lambda d: field(d, "CaptureHoldParams", "hold").update(pattern=LONGER)),
    ("a param without a pattern", lambda d: field(d, "CaptureHoldParams", "hold").pop("pattern")),
    ("a param may be null", lambda d: field(d, "GetStatement", "newest_first").update(NULLABLE)),
    ("a scope that the old one includes", lambda d: d["operations"]["daemon.audit"].update({"x-needs": "`define`"})),
    ("more postings", lambda d: field(d, "PostTransferParams", "postings").update(maxItems=200)),
    ("a new field of a result", lambda d: _add(schema(d, "Applied"), "mood", {"type": "string"}, False)),
    ("a new field of every result", lambda d: _add(schema(d, "Applied"), "mood", {"type": "string"}, True)),
    ("a new reason", lambda d: d["x-errors"].append({"reason": "tired", "code": 1, "retry": "never", "facts": []})),
    ("a new word where words may grow", lambda d: schema(d, "DaemonState")["enum"].append("dozing")),
    ("another reason of a method", lambda d: d["operations"]["asset.list"]["x-errors"].append("tired")),
    ("a new close code", lambda d: d["x-close-codes"].append({"code": 4999, "reconnect": "no"})),
]


def _add(target: dict[str, Any], name: str, declared: dict[str, Any], is_required: bool) -> None:
    target["properties"][name] = declared
    if is_required:
        target["required"].append(name)


def _words(document: dict[str, Any], name: str) -> Any:
    return schema(document, name)["enum"]


def compare(tmp_path: Path, edit: Edit) -> subprocess.CompletedProcess[str]:
    old = json.loads(PUBLISHED.read_text())
    new = copy.deepcopy(old)
    edit(new)
    assert new != old
    files = [tmp_path / "old.json", tmp_path / "new.json"]
    for file, document in zip(files, (old, new), strict=True):
        file.write_text(json.dumps(document))
    return subprocess.run([sys.executable, str(TOOL), *map(str, files)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("edit", [row[1] for row in BREAKING], ids=[row[0] for row in BREAKING])
def test_what_breaks_a_client_is_said_to_break(tmp_path: Path, edit: Edit) -> None:
    compared = compare(tmp_path, edit)
    assert compared.returncode == 1, compared.stdout + compared.stderr
    assert compared.stdout.startswith("breaks  ")


@pytest.mark.parametrize("edit", [row[1] for row in ADDING], ids=[row[0] for row in ADDING])
def test_what_only_adds_is_said_to_add(tmp_path: Path, edit: Edit) -> None:
    compared = compare(tmp_path, edit)
    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert compared.stdout.startswith("adds  ")


def test_another_name_of_a_type_is_no_change(tmp_path: Path) -> None:
    compared = compare(tmp_path, lambda d: schema(d, "WalletLimits").update(title="Bounds"))
    assert compared.stdout == "0 changes, 0 of them breaking\n"


@pytest.mark.parametrize(
    ("wider", "narrower"),
    [
        (r"^t[0-9]{0,15}(-[a-z]{8})?$", r"^t[0-9]{0,15}$"),
        (r"^(?:a|b|c):x$", r"^(?:a|c):x$"),
        (r"^[A-Za-z0-9._]{0,64}$", r"^[A-Z0-9.]{1,63}$"),
        (r"^(a|b(c|d)?|(e|f):[0-9]+\*?)$", r"^(a|b|e:[0-9]{2})$"),
        (r"^x*y+$", r"^xy$"),
    ],
)
def test_a_pattern_with_additions_admits_more(wider: str, narrower: str) -> None:
    assert admits(wider, narrower)
    assert admits(wider, wider)
    assert not admits(narrower, wider)


@pytest.mark.parametrize(
    ("one", "other"), [("^ab$", "^ac$"), ("^[^a]$", "^[^ab]$"), ("^a{2}$", "^a$"), ("^(a|b)c$", "^c$"), ("^a$", "a")]
)
def test_patterns_that_differ_otherwise_are_not_said_to_admit_each_other(one: str, other: str) -> None:
    assert not admits(one, other)
    assert not admits(other, one)


def test_a_break_on_purpose_is_named_with_its_place_and_kind() -> None:
    change = Change("hold.get.reply.result.entry.command.scopes[]", "pattern was ^a$ and is ^b$", is_breaking=True)
    assert [meant(change, f"- `{place}`: {what}: why\n") for place, what in NAMED] == [True, False, False]


def test_a_contract_and_itself_do_not_differ() -> None:
    command = [sys.executable, str(TOOL), str(PUBLISHED), str(PUBLISHED)]
    compared = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (compared.returncode, compared.stdout) == (0, "0 changes, 0 of them breaking\n")
