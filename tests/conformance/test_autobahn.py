"""The websocket as Autobahn judges it: each of its cases, against the adapter that the daemon uses."""

from pathlib import Path

import pytest

from tests.conformance.cases import load_cases
from tests.conformance.verdicts import ALLOWED, SECTIONS, allowed, section, table, verdict_of
from tests.faults.rows import figure
from tests.faults.tally import tally
from walletd.gateway.websocket import frames
from walletd.gateway.websocket.fragments import FragmentedText

CASES = {number: kind for number, kind in load_cases().items() if section(number) in SECTIONS}
MESSAGES = figure("TEST_MESSAGES")
"""Of the thousand that each case of compression sends."""

BUGS = ["text is not checked to be UTF-8"]

PAGE = Path(__file__).parents[2] / "docs" / "understand" / "conformance.md"


def test_all_cases_of_the_sections_are_there() -> None:
    counts = {number: sum(section(case) == number for case in CASES) for number in SECTIONS}
    tally(cases=sum(counts.values()))
    assert counts == {1: 16, 2: 11, 3: 7, 4: 10, 5: 20, 6: 145, 7: 37, 9: 54, 12: 90, 13: 126}


@pytest.mark.parametrize("number", CASES)
def test_a_case_has_its_verdict(number: str) -> None:
    verdict = verdict_of(number, CASES[number], MESSAGES)
    exception = allowed(number)
    if exception is None:
        assert verdict.is_good, verdict
    else:
        differs, why = exception
        assert differs(verdict), f"allowed is only: {why}; not {verdict}"


def test_nothing_is_allowed_that_no_case_needs() -> None:
    for name in ALLOWED:
        assert any(allowed(number) is ALLOWED[name] for number in CASES), name


def test_without_the_check_of_utf8_many_cases_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness sees the bug that it is there for."""
    monkeypatch.setattr(frames, "_is_utf8", lambda data: True)

    def unchecked(self: FragmentedText, data: bytes, is_final: bool) -> bytes | None:
        self._fragments.append(data)
        return b"".join(self._fragments) if is_final else None

    monkeypatch.setattr(FragmentedText, "add", unchecked)
    verdicts = {number: verdict_of(number, kind) for number, kind in CASES.items() if section(number) == 6}
    assert sum(not verdict.is_good for verdict in verdicts.values()) >= 70


def test_the_page_shows_the_table_of_today() -> None:
    verdicts = {number: verdict_of(number, kind, MESSAGES) for number, kind in CASES.items()}
    assert table(verdicts) in PAGE.read_text(), (
        "write what `make conformance` prints into docs/understand/conformance.md"
    )
