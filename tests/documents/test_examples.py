"""The exchanges of the reference page are those of a real daemon, for every method."""

import json
from pathlib import Path
from typing import Any

from tests.contract.witness import published
from tests.daemon.process import Daemon
from tests.documents.record_examples import EXAMPLES, record, shortened


def shape(document: Any) -> Any:
    """The document without what differs from one run to the next: numbers, ids, times and hashes."""
    if isinstance(document, dict):
        return {name: shape(part) for name, part in document.items()}
    if isinstance(document, list):
        return [shape(part) for part in document[:1]]
    return type(document).__name__


def test_the_recorded_exchanges_are_what_a_daemon_says_today(tmp_path: Path) -> None:
    kept = json.loads(EXAMPLES.read_text())["methods"]
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        recorded = record(client, daemon.token)
    assert set(recorded) == set(kept) == published().methods
    for method, exchange in recorded.items():
        today = {"request": exchange["request"], "response": shortened(method, exchange["response"])}
        assert shape(today) == shape(kept[method]), f"{method}: run python -m tests.documents.record_examples"
