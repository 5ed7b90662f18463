"""The contract is a document that tools read, and it says what the registry says."""

import ast
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.contract.witness import published
from tests.daemon.process import Daemon
from tests.interop.programs import node, packages
from tests.ledger.cases import shop
from tests.ledger.client_cases import CLIENT_REFUSALS
from tests.ledger.refusal_cases import REFUSALS, RefusalCase
from walletd.contract import document as contract
from walletd.contract.facts import facts_of
from walletd.contract.reasons import BEFORE_ANY_METHOD, reasons_of
from walletd.contract.schemas import NOTIFICATIONS
from walletd.protocol.close_codes import CloseCode
from walletd.protocol.errors import failure
from walletd.protocol.methods import METHODS, Kind
from walletd.vocabulary.commands import ExpireHold
from walletd.vocabulary.entries import Refusal
from walletd.vocabulary.reasons import Reason

HERE = Path(__file__).parent
PUBLISHED = HERE.parents[1] / "docs" / "reference" / "asyncapi.json"
GATEWAY = HERE.parents[1] / "src" / "walletd" / "gateway"
METHOD_OF = {method.params: name for name, method in METHODS.items() if method.kind is Kind.COMMAND}


OPERATIONS_OF_A_PART = 12
"""The parser takes a minute for all of the document, and a quarter of that for its parts."""


def parse(*documents: Path) -> subprocess.CompletedProcess[str]:
    """What the AsyncAPI project's own parser says of them."""
    command = [node(), str(HERE / "accept.mjs"), *map(str, documents)]
    environment = {"NODE_PATH": str(packages(HERE)), "PATH": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)


def test_the_parser_of_asyncapi_accepts_every_part_of_the_published_document(tmp_path: Path) -> None:
    """A part is the document without the other operations and their messages."""
    published = json.loads(PUBLISHED.read_text())
    names = [*METHODS, *NOTIFICATIONS]
    parts = [names[first : first + OPERATIONS_OF_A_PART] for first in range(0, len(names), OPERATIONS_OF_A_PART)]
    files, messages = [], set()
    for number, part in enumerate(parts):
        document = only(*part)
        messages |= document["components"]["messages"].keys()
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(json.dumps(document))
    assert set(names) == published["operations"].keys()
    assert messages == published["components"]["messages"].keys()
    parsed = parse(*files)
    assert parsed.returncode == 0, parsed.stderr
    assert parsed.stdout.splitlines() == [f"3.1.0 {len(part)}" for part in parts]


def only(*names: str) -> dict[str, Any]:
    """The document with these operations, and their messages."""
    document: dict[str, Any] = json.loads(PUBLISHED.read_text())
    messages = {"error", *(message for name in names for message in (f"{name}.request", f"{name}.reply", name))}
    document["operations"] = {name: document["operations"][name] for name in names}
    for place in (document["channels"]["session"], document["components"]):
        place["messages"] = {name: message for name, message in place["messages"].items() if name in messages}
    return document


@pytest.mark.parametrize("kind", ["object", "posting"])
def test_the_parser_does_not_accept_everything(tmp_path: Path, kind: str) -> None:
    broken = only("transfer.post")
    broken["components"]["schemas"]["Posting"]["type"] = kind
    document = tmp_path / "broken.json"
    document.write_text(json.dumps(broken))
    parsed = parse(document)
    if kind == "object":
        assert parsed.returncode == 0, parsed.stderr
    else:
        assert parsed.returncode == 1
        assert "asyncapi-document-resolved" in parsed.stderr


def test_a_daemon_hands_out_the_published_document(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        assert client.call("rpc.discover") == json.loads(PUBLISHED.read_text())


def test_many_who_ask_for_the_document_at_once_get_it_one_after_the_other(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        asked = [client.send("rpc.discover") for _ in range(200)]
        assert all(client.reply(request_id)["result"]["asyncapi"] == "3.1.0" for request_id in asked)


def test_every_method_and_notification_is_an_operation_with_its_messages() -> None:
    document = contract.document()
    assert set(document["operations"]) == set(METHODS) | set(NOTIFICATIONS)
    messages = document["components"]["messages"]
    assert set(messages) == set(document["channels"]["session"]["messages"])
    for name, method in METHODS.items():
        operation = document["operations"][name]
        assert (operation["summary"], operation["x-needs"]) == (method.meaning, method.needs)
        assert {f"{name}.request", f"{name}.reply"} <= set(messages)


def test_what_clients_send_is_closed_and_what_the_server_sends_is_open() -> None:
    document = contract.document()
    schemas = document["components"]["schemas"]
    for name, method in METHODS.items():
        request = document["components"]["messages"][f"{name}.request"]["payload"]
        for schema in _objects(request, schemas, set()):
            assert schema.get("additionalProperties", False) is not True
            assert "additionalProperties" in schema or not schema["properties"], (name, schema)
        for schema in _objects({"$ref": f"#/components/schemas/{method.result.__name__}"}, schemas, set()):
            assert schema.get("additionalProperties") is not False, (name, schema)


def _objects(schema: Any, schemas: dict[str, Any], seen: set[str]) -> list[dict[str, Any]]:
    """Every schema of an object that this one leads to."""
    if isinstance(schema, list):
        return [found for part in schema for found in _objects(part, schemas, seen)]
    if not isinstance(schema, dict):
        return []
    if isinstance(schema.get("$ref"), str):
        name = schema["$ref"].rpartition("/")[2]
        if name in seen:
            return []
        seen.add(name)
        return _objects(schemas[name], schemas, seen)
    here = [schema] if schema.get("type") == "object" and "properties" in schema else []
    return here + [found for part in schema.values() for found in _objects(part, schemas, seen)]


def _name(case: RefusalCase) -> str:
    return f"{case.reason.value}: {case.situation}"


CASES = [case for case in REFUSALS + CLIENT_REFUSALS if not isinstance(case.command, ExpireHold)]


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_a_command_is_refused_with_a_reason_and_facts_that_are_declared(case: RefusalCase) -> None:
    assert case.reason in reasons_of(METHOD_OF[type(case.command)])
    refusal = case.arrange(shop()).decide(case.command)
    assert isinstance(refusal, Refusal)
    assert set(refusal.facts) - {"command", "posting", "condition"} <= set(facts_of(refusal.reason))
    response = json.loads(failure(1, refusal.reason, refusal.facts))
    assert published().faults("error", response) == []


def test_every_reason_is_listed_by_some_method() -> None:
    listed = {reason for name in METHODS for reason in reasons_of(name)}
    assert set(Reason) - listed - set(BEFORE_ANY_METHOD) == {Reason.CURSOR_EXPIRED}


def test_the_gateway_closes_with_codes_of_the_table_only() -> None:
    for file in GATEWAY.glob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") in ("close", "end", "fail", "_fail"):
                assert not any(isinstance(word, ast.Constant) and isinstance(word.value, int) for word in call.args)
    rows = contract.document()["x-close-codes"]
    assert [row["code"] for row in rows] == sorted(code.value for code in CloseCode)


def test_every_moment_is_declared_as_one() -> None:
    for name, schema in contract.document()["components"]["schemas"].items():
        for field, declared in schema.get("properties", {}).items():
            if field.endswith("_at") or field in ("time", "until", "overlap_until", "valid_until"):
                assert '"date-time"' in json.dumps(declared), f"{name}.{field}"
