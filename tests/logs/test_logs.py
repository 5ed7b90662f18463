"""Lines: for people, for machines, for systemd's journal; with ids, without secrets, repeats counted."""

import io
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

import walletd
from walletd.logs import setup
from walletd.logs.context import AddContext, about_command, about_connection
from walletd.logs.formats import FORMATS, formatter_of, is_journal
from walletd.logs.redaction import redacted
from walletd.logs.repeats import LimitRepeats
from walletd.logs.setup import COMPONENTS

CANARY = "walletd_4Jk2-x_Qz8mN0pRvT6yWbC1dEfGhIjKl"


class Log:
    """A logger with one handler in some format; ``lines`` is what it wrote."""

    def __init__(self, form: str) -> None:
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(formatter_of(form))
        self.handler.addFilter(AddContext())
        self.logger = logging.Logger("walletd.gateway.network.connection")
        self.logger.addHandler(self.handler)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def raise_with(secret: str) -> None:
    raise ValueError(f"could not use {secret}")


@pytest.mark.parametrize("form", FORMATS)
def test_an_event_is_one_line_whatever_a_client_put_into_it(form: str) -> None:
    log = Log(form)
    log.logger.warning("method %s", "x\n2026-01-01 CRITICAL walletd: forged\r\x1b[2J")
    (line,) = log.lines
    assert "\x1b" not in line
    assert "forged" in line


def test_a_line_for_people_says_when_how_grave_who_and_what() -> None:
    log = Log("console")
    log.logger.error("lost %d", 3, extra=about_command("order-1"))
    when, _, said = log.lines[0].partition(" ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", when)
    assert said == "ERROR   walletd.gateway.network.connection: lost 3 command_id=order-1"


def test_a_line_for_machines_is_a_document() -> None:
    log = Log("json")
    try:
        raise_with("it")
    except ValueError:
        log.logger.exception("lost %d", 3, extra=about_command("order-1"))
    document = json.loads(log.lines[0])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document.pop("time"))
    assert "could not use it" in document.pop("traceback")
    assert document == {
        "level": "error",
        "component": "gateway.network.connection",
        "event": "lost 3",
        "command_id": "order-1",
    }


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_systemds_journal_is_told_the_priority_of_every_line_of_a_traceback(level: int, priority: int) -> None:
    log = Log("journald")
    try:
        raise_with("it")
    except ValueError:
        log.logger.log(level, "lost", exc_info=True)
    assert log.lines[0] == f"<{priority}>gateway.network.connection: lost"
    assert len(log.lines) > 3
    assert all(line.startswith(f"<{priority}>") for line in log.lines)


async def test_the_connection_is_in_the_lines_of_its_task_and_of_those_it_starts() -> None:
    log = Log("json")

    async def serve(connection: str, nursery: trio.Nursery) -> None:
        about_connection(connection)
        await trio.lowlevel.checkpoint()
        nursery.start_soon(speak)
        log.logger.warning("own")

    async def speak() -> None:
        log.logger.warning("started")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, "aaa", nursery)
        nursery.start_soon(serve, "bbb", nursery)
    log.logger.warning("nobody's")
    said = sorted((line["event"], line.get("connection")) for line in map(json.loads, log.lines[:-1]))
    assert said == [("own", "aaa"), ("own", "bbb"), ("started", "aaa"), ("started", "bbb")]
    assert "connection" not in json.loads(log.lines[-1])


CARRIERS = [
    "{}",
    "Authorization: Bearer {}",
    "GET /?token={} HTTP/1.1",
    '{{"method":"session.authenticate","params":{{"token":"{}"}}}}',
    "{{'token': '{}'}}",
    "WALLETD_TOKEN={}",
    "password = {}",
]


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_token_is_in_no_line_whatever_carries_it(form: str, carrier: str) -> None:
    log = Log(form)
    carried = carrier.format(CANARY)
    log.logger.error("as message: %s" % carried)  # noqa: UP031
    log.logger.error("as argument: %s and %r", carried, {"in": carried})
    log.logger.error("as id", extra=about_command(carried))
    try:
        raise_with(carried)
    except ValueError:
        log.logger.exception("as failure")
    said = log.stream.getvalue()
    assert CANARY not in said
    assert CANARY.removeprefix("walletd_") not in said
    assert said.count("[redacted]") >= 5


def test_tokens_that_are_not_ours_go_too_and_ordinary_words_stay() -> None:
    assert redacted("Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc") == "Bearer [redacted]"
    assert redacted("walletd.bearer.d2FsbGV0ZF9hYmNkZWZnaA") == "walletd.bearer.[redacted]"
    key = "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----"
    assert redacted(f"x {key} y") == "x [redacted] y"
    plain = "walletd_journal_head is 12, the token file is var/operator.token; told to stop by SIGTERM"
    assert redacted(plain) == plain


def test_what_repeats_is_counted_and_the_count_is_said() -> None:
    now = [0.0]
    log = Log("json")
    limit = LimitRepeats(burst=3, window_seconds=10, clock=lambda: now[0])
    log.handler.addFilter(limit)

    def fail(number: int) -> None:
        log.logger.error("connection %d failed", number)

    for number in range(50):
        fail(number)
    log.logger.error("another place")
    assert [json.loads(line)["event"] for line in log.lines] == [
        *(f"connection {number} failed" for number in range(3)),
        "another place",
    ]
    now[0] = 10.0
    fail(50)
    assert json.loads(log.lines[-1]) | {"time": ""} == {
        "time": "",
        "level": "error",
        "component": "gateway.network.connection",
        "event": "connection 50 failed",
        "repeats": 47,
    }
    assert limit.suppressed == 47
    for number in range(20):
        log.logger.critical("the end %d", number)
    assert len(log.lines) == 25


def test_stderr_is_the_journal_only_where_systemd_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, "w") as stream:
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
        assert not is_journal(stream)
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert is_journal(stream)
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino + 1}")
        assert not is_journal(stream)


@pytest.fixture
def levels_restored() -> Iterator[None]:
    """The levels of the process as they were."""
    names = ("", "walletd", *(f"walletd.{name}" for name in setup.COMPONENTS))
    before = {name: logging.getLogger(name).level for name in names}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.usefixtures("levels_restored")
def test_a_component_has_a_level_of_its_own_until_it_is_taken_away() -> None:
    setup.set_levels("warning", {"journal": "debug"})
    assert setup.levels() == dict.fromkeys(setup.COMPONENTS, "warning") | {"audit": "info", "journal": "debug"}
    assert logging.getLogger("walletd.gateway.network.server").getEffectiveLevel() == logging.WARNING
    setup.set_level("gateway", "error")
    assert logging.getLogger("walletd.gateway.network.server").getEffectiveLevel() == logging.ERROR
    setup.set_level(None, "debug")
    assert setup.levels() == dict.fromkeys(setup.COMPONENTS, "debug") | {"audit": "info", "gateway": "error"}
    assert logging.getLogger().level == logging.INFO
    setup.set_levels("info", {})
    assert setup.levels() == dict.fromkeys(setup.COMPONENTS, "info")
    with pytest.raises(ValueError, match="there is no component 'jornal'"):
        setup.set_level("jornal", "debug")


def test_every_logger_belongs_to_a_component_whose_level_can_be_set() -> None:
    source = Path(walletd.__file__).parent
    for path in source.rglob("*.py"):
        module = ".".join(("walletd", *path.relative_to(source).with_suffix("").parts))
        for name in re.findall(r'= logging\.getLogger\(("walletd[\w.]*"|__name__)\)', path.read_text()):
            logger = module if name == "__name__" else name.strip('"')
            assert logger.split(".")[1] in COMPONENTS, f"{module} logs as {logger}"
