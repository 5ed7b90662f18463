"""The component's document: every heading of its template, every method, reason, metric, state, table and setting."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from walletd.daemon.metrics_of_parts import COMMANDS
from walletd.journal.sqlite import schema as journal_schema
from walletd.protocol.methods import METHODS
from walletd.settings.settings import Settings
from walletd.tables import schema
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import ActorState, DaemonState, HoldState, WalletStatus

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "walletd"
COMPONENT = (DOCS / "component.md").read_text()
METHODS_PAGE = (DOCS / "reference" / "methods.md").read_text()
sys.path.insert(0, str(DOCS))
from made import diagrams, entities, other_events  # noqa: E402
from made.costs import COSTS  # noqa: E402
from made.methods import GROUPS  # noqa: E402

TEMPLATE = (
    "# Wallet Backend",
    "## Special Needs",
    "## Neighbors & API Dependencies",
    "## Operating Environment",
    "## Key Library Dependencies",
    "## Logical Data Model",
    "### Entities",
    "### Invariants",
    "## Responsibilities",
    "### Interface Data Types",
    "### API's",
    "## Non-Functional Requirements",
    "### Scalability",
    "### Availability",
    "### Security",
    "### Debugability, Serviceability",
    "## Life Cycle (State Machine)",
)
TABLE = re.compile(r"CREATE TABLE (\w+)")
METRIC = re.compile(r'"(walletd_\w+)"')
REFERENCE = re.compile(r"`([a-z_]+(?:/[a-z_]+)+)\.([A-Za-z_]\w+)`")
METHODS_OF = re.compile(r"`([a-z_]+(?:/[a-z_]+)+)\.(\w+)` \(((?:`\w+`(?:, )?)+)\)")
CODE_FILE = re.compile(r"`([a-z_]+(?:/[a-z_]+)*\.py)`")
SUFFIXES = ("py", "token", "md", "toml", "yml", "json", "svg", "puml", "db", "socket", "service", "segments")
HOT = ("transfer.post", "hold.place", "hold.capture", "hold.void", "batch.execute", "balance.get", "statement.get")
NOTIFICATION = re.compile(r'(?:notify\(\s*|"method":)"([a-z_.]+)"')


@cache
def all_pages() -> str:
    return "\n".join(page.read_text() for page in sorted(DOCS.rglob("*.md")))


def source_of(module: str) -> str:
    """The text of a module, or of every module of a package."""
    package = SOURCE / module
    files = sorted(package.glob("*.py")) if package.is_dir() else [SOURCE / f"{module}.py"]
    return "\n".join(file.read_text() for file in files)


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[\w.]+", text))


def test_every_heading_of_the_template_is_there_in_its_order() -> None:
    headings = [line for line in COMPONENT.splitlines() if line.startswith("#")]
    assert [line for line in headings if line in TEMPLATE] == list(TEMPLATE)
    for entity in entities.ENTITIES:
        assert f"#### {entity.name}" in headings


def test_the_page_itself_stays_short() -> None:
    own = re.sub(r"<!-- made: .*?<!-- end -->\n", "", COMPONENT, flags=re.DOTALL)
    assert len(own.splitlines()) <= 400


def test_every_method_has_its_cost_and_every_cost_its_method() -> None:
    assert set(COSTS) == set(METHODS)
    for name in METHODS:
        assert f"### `{name}`\n" in METHODS_PAGE
        assert f"[`{name}`](reference/methods.md#" in COMPONENT
        assert any(name.split(".")[0] in group for group in GROUPS.values())
    assert all(COSTS[name].counted for name in HOT)


@pytest.mark.parametrize("name", [name for name, cost in COSTS.items() if cost.counted])
def test_the_test_that_counts_a_methods_steps_is_there(name: str) -> None:
    path, _, test = COSTS[name].counted.partition("::")
    assert f"def {test}(" in (ROOT / path).read_text()


def test_every_notification_of_the_daemon_is_among_the_events() -> None:
    modules = [module for part in ("gateway", "streams", "daemon") for module in (SOURCE / part).rglob("*.py")]
    said = {name for module in modules for name in NOTIFICATION.findall(module.read_text())}
    assert said == {event.name for event in other_events.NOTIFICATIONS}


def test_every_reason_is_in_the_documents() -> None:
    assert {reason.value for reason in Reason} <= words_of(all_pages())


def test_every_state_is_in_the_document() -> None:
    for states in (DaemonState, WalletStatus, HoldState, ActorState):
        for state in states:
            assert f"`{state.value}`" in COMPONENT, state


def test_every_table_is_in_the_document() -> None:
    tables = TABLE.findall(schema.SCHEMA) + TABLE.findall("".join(journal_schema.SCHEMA))
    assert len(tables) > 12
    for table in tables:
        assert re.search(rf"\btables? [^.;]*`{table}`|`{table}`", COMPONENT), table


def test_every_setting_and_every_metric_is_in_the_documents() -> None:
    words = words_of(all_pages())
    assert set(Settings.__struct_fields__) <= words
    metrics = {name for module in SOURCE.rglob("*.py") for name in METRIC.findall(module.read_text())}
    assert len(metrics) > 50
    known = {word.removesuffix("_total").removesuffix("_info") for word in words}
    assert metrics <= known | words


def test_the_daemons_own_commands_are_among_the_events() -> None:
    own = set(COMMANDS) - set(METHODS)
    assert own <= {event.name for event in other_events.TIMERS}


PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")), *sorted(SOURCE.rglob("DESIGN.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_place_in_the_code_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    for module, name in REFERENCE.findall(text):
        if name not in SUFFIXES:
            defined = rf"^(?:async )?(?:def|class) {name}\b|^{name}\b.*="
            assert re.search(defined, source_of(module), re.MULTILINE), f"{module}.{name}"
    for module, name, methods in METHODS_OF.findall(text):
        _, _, body = source_of(module).partition(f" {name}")
        for method in re.findall(r"`(\w+)`", methods):
            assert re.search(rf"^ +(?:async )?def {method}\(", body, re.MULTILINE), f"{module}.{name}.{method}"
    for file in CODE_FILE.findall(text):
        assert (SOURCE / file).exists() or (ROOT / file).exists(), file


@pytest.mark.parametrize("name", diagrams.SOURCES)
def test_a_diagram_is_drawn_from_what_the_code_says_now(name: str) -> None:
    assert diagrams.is_drawn(name), "run make docs where there is PlantUML (Debian: plantuml)"
    assert diagrams.source_of(name) == (diagrams.FOLDER / f"{name}.puml").read_text()


@pytest.mark.parametrize("name", diagrams.SOURCES)
def test_plantuml_draws_the_same_words_again(name: str) -> None:
    needs_plantuml()
    committed = (diagrams.FOLDER / f"{name}.svg").read_text()
    assert diagrams.words_of(committed) == diagrams.words_of(diagrams.drawn(name))
    assert sum(diagrams.words_of(committed).values()) > 5


def needs_plantuml() -> None:
    """Skip with a sentence where there is no PlantUML; fail where all programs are asked for."""
    if diagrams.can_draw():
        return
    if os.environ.get("TEST_REQUIRE") == "all":
        pytest.fail("there is no plantuml here (Debian: plantuml, graphviz)")
    pytest.skip("there is no plantuml here (Debian: plantuml, graphviz), so the diagrams are not drawn again")


def test_a_drawing_of_another_source_is_noticed() -> None:
    svg = (diagrams.FOLDER / "lifecycle.svg").read_text()
    other = svg.replace("draining", "drowning")
    assert diagrams.words_of(other) != diagrams.words_of(svg)


def test_the_template_is_filled_in_by_the_builder() -> None:
    command = [sys.executable, str(DOCS / "build.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0
