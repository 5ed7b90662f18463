"""The diagrams: their sources are generated from the code, and PlantUML draws them.

Each is docs/diagrams/NAME.puml with NAME.svg beside it, which ends in a comment with the SHA-256 of the source that it
was drawn from.  Another version of PlantUML draws other lines and coordinates; the source and the words must agree.
"""

import ast
import hashlib
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from made import entities
from walletd.vocabulary.states import PERMITTED_MOVES, DaemonState

FOLDER = Path(__file__).parents[1] / "diagrams"
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
SOURCE_FOLDER = Path(__file__).parents[2] / "src" / "walletd"
LOOKS = """
skinparam shadowing false
skinparam backgroundColor white
skinparam defaultFontName DejaVu Sans
skinparam roundCorner 6
skinparam ArrowColor #555555
skinparam classBackgroundColor #f6f8fa
skinparam classBorderColor #57606a
skinparam stateBackgroundColor #f6f8fa
skinparam stateBorderColor #57606a
skinparam rectangleBackgroundColor #f6f8fa
skinparam rectangleBorderColor #57606a
skinparam noteBackgroundColor white
skinparam noteBorderColor #57606a
""".strip()


def lifecycle() -> str:
    """The daemon's states; moves to failed, which every state but an end has, are left out."""
    arrows = ["hide empty description", "[*] --> starting"]
    for state, moves in PERMITTED_MOVES.items():
        for other in sorted(moves, key=lambda other: other.value):
            if other is not DaemonState.FAILED:
                arrows.append(f"{state.value} --> {other.value}")
    arrows += [f"{state.value} --> [*]" for state, moves in PERMITTED_MOVES.items() if not moves]
    return "\n".join([*arrows, "note right of failed : from every state but stopped"])


def layers() -> str:
    """The layers, as pyproject.toml has them and import-linter holds them: imports point down only."""
    contracts = tomllib.loads(PYPROJECT.read_text())["tool"]["importlinter"]["contracts"]
    rows = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    lines = ["skinparam ranksep 20"]
    for number, row in enumerate(rows):
        words = "\\n".join(_promise(name.strip()) for name in row.split("|"))
        lines.append(f'rectangle "{words}" as layer{number}')
        if number:
            lines.append(f"layer{number - 1} -down-> layer{number}")
    return "\n".join(lines)


def _promise(name: str) -> str:
    """A module or package with the first words of its docstring."""
    path = SOURCE_FOLDER / f"{name}.py"
    path = path if path.exists() else SOURCE_FOLDER / name / "__init__.py"
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    sentence = re.split(r"[.:;]\s|[.:;]$", " ".join(said.split("\n\n")[0].split()))[0]
    return f"**{name.replace('__', '~__')}**  {sentence.replace('`', '')}"


def entity_relations() -> str:
    """The logical data model."""
    return f"hide circle\nhide methods\n{entities.diagram()}"


def command() -> str:
    """The way of a command, from the request to the reply; written by hand."""
    return """
hide footbox
skinparam sequenceMessageAlign center
skinparam participantBackgroundColor #f6f8fa
skinparam participantBorderColor #57606a
skinparam databaseBackgroundColor #f6f8fa
skinparam databaseBorderColor #57606a
skinparam sequenceLifeLineBorderColor #8c959f
participant client
participant "gateway\\nframes, session" as gateway
participant "wallets\\nmailboxes, turns" as wallets
participant "ledger\\npure rules" as ledger
participant "journal\\none writer" as journal
database disk
participant "streams,\\nread tables" as readers
client -> gateway : request
gateway -> wallets : permitted command
wallets -> wallets : claim all its wallets
wallets -> ledger : decide(books, command, now)
ledger --> wallets : effects, or a refusal
wallets -> journal : entry
note over wallets, ledger : the wallets are free for the next command,\\nbefore the disk is asked
journal -> disk : one segment, one sync\\nfor all queued entries
disk --> journal : durable
journal -> wallets : durable, in the order of the entries
wallets -> gateway : answer
gateway --> client : reply
journal -> readers : entries
readers --> client : events of the subscribed wallets
""".strip()


SOURCES: dict[str, Callable[[], str]] = {
    "command": command,
    "entities": entity_relations,
    "layers": layers,
    "lifecycle": lifecycle,
}


def source_of(name: str) -> str:
    """The whole PlantUML source of a diagram."""
    return f"@startuml {name}\n{LOOKS}\n{SOURCES[name]()}\n@enduml\n"


def files() -> dict[Path, str]:
    """The sources as they should stand in docs/diagrams."""
    return {FOLDER / f"{name}.puml": source_of(name) for name in SOURCES}


def is_drawn(name: str) -> bool:
    """Whether the committed drawing is of the source that the code makes now."""
    drawing = FOLDER / f"{name}.svg"
    return drawing.exists() and _signature(source_of(name)) in drawing.read_text()


def can_draw() -> bool:
    """Whether there is a PlantUML here (Debian: plantuml, with graphviz)."""
    return shutil.which("plantuml") is not None and shutil.which("dot") is not None


def drawn(name: str) -> str:
    """The diagram as the PlantUML of this machine draws it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.puml"
        path.write_text(source_of(name))
        command = ["plantuml", "-tsvg", "-nometadata", "-charset", "UTF-8", str(path)]
        subprocess.run(command, check=True, capture_output=True)
        svg = (
            path.with_suffix(".svg").read_text().rstrip().replace('style="width:', 'style="background:white;width:', 1)
        )
        return f"{svg}\n<!-- {_signature(source_of(name))} -->\n"


def draw() -> list[str]:
    """Redraw outdated drawings, and return the names of those that could not be drawn."""
    stale = [name for name in SOURCES if not is_drawn(name)]
    if not can_draw():
        return stale
    for name in stale:
        (FOLDER / f"{name}.svg").write_text(drawn(name))
    return []


def words_of(drawing: str) -> Counter[str]:
    """The words of a drawing, which do not depend on PlantUML's version or on fonts."""
    return Counter(word for text in re.findall(r"<text[^>]*>([^<]*)</text>", drawing) for word in text.split())


def _signature(source: str) -> str:
    return f"drawn from {hashlib.sha256(source.encode()).hexdigest()}"
