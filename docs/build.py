"""Write the generated parts of docs/: reference/asyncapi.json, the text between ``<!-- made: NAME -->`` and
``<!-- end -->``, and the methods of the JavaScript client and of the synchronous one.

python docs/build.py              # rewrite them
python docs/build.py --check      # exit 1 if a page is out of date
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from made import diagrams, entities, events, faces, javascript, methods, metrics, python
from made import errors as error_reference
from made import settings as settings_reference
from tests.faults import table

from walletd.contract import document as contract
from walletd.contract.limits import LIMITS
from walletd.protocol.close_codes import CloseCode
from walletd.vocabulary.states import PERMITTED_MOVES

HERE = Path(__file__).parent
REFERENCE = HERE / "reference"
JAVASCRIPT = HERE.parent / "clients" / "javascript" / "src" / "methods.js"
SECTION = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def close_codes() -> str:
    """Every code that a connection is closed with."""
    rows = ["| code | meaning | reconnect |", "|---|---|---|"]
    rows += [f"| {code.value} | {code.meaning} | {code.reconnect} |" for code in CloseCode]
    return "\n".join(rows) + "\n"


def session_limits() -> str:
    """Every limit of a session."""
    rows = ["| limit | of | beyond it |", "|---|---|---|"]
    rows += [f"| `{name}` | {limit.meaning} | {limit.beyond} |" for name, limit in LIMITS.items()]
    return "\n".join(rows) + "\n"


def lifecycle() -> str:
    """The daemon's states and the moves between them."""
    rows = ["| from | to |", "|---|---|"]
    for state, moves in PERMITTED_MOVES.items():
        reached = (
            ", ".join(f"`{other.value}`" for other in sorted(moves, key=lambda other: other.value)) or "none: the end"
        )
        rows.append(f"| `{state.value}` | {reached} |")
    return "\n".join(rows) + "\n"


SECTIONS: dict[str, Callable[[], str]] = {
    "close_codes": close_codes,
    "session_limits": session_limits,
    "lifecycle": lifecycle,
    **entities.SECTIONS,
    **events.SECTIONS,
    **methods.SECTIONS,
    **python.SECTIONS,
    **error_reference.SECTIONS,
    **metrics.SECTIONS,
    **settings_reference.SECTIONS,
    "rows": table.rows_table,
    "row_commands": table.commands_table,
    "row_bugs": table.bugs_table,
    "simulation_rows": lambda: table.rows_table([5]),
    "soak": table.soak_table,
}


def built(page: str) -> str:
    """The page with its made sections as the code has them."""
    return SECTION.sub(lambda match: match.group(1) + SECTIONS[match.group(2)]() + match.group(3), page)


def contract_file() -> str:
    """The contract, spread over lines so that a change of it can be read."""
    return json.dumps(contract.document(), indent=1, ensure_ascii=False) + "\n"


def main(is_check: bool) -> int:
    """Rewrite all pages, or report those that are out of date."""
    pages = [*sorted(HERE.rglob("*.md")), *sorted((HERE.parent / "tests").glob("*/README.md"))]
    made = {page: built(page.read_text()) for page in pages} | diagrams.files()
    made[REFERENCE / "asyncapi.json"] = contract_file()
    made |= faces.files()
    made[JAVASCRIPT] = javascript.module(contract.document())
    stale = [page for page, text in made.items() if not page.exists() or page.read_text() != text]
    for page in stale:
        if is_check:
            sys.stderr.write(f"{page.relative_to(HERE.parent)} is not what the code says; run: make docs\n")
        else:
            page.write_text(made[page])
    if not is_check:
        for name in diagrams.draw():
            sys.stderr.write(f"docs/diagrams/{name}.svg is out of date and cannot be drawn here: install plantuml\n")
    return 1 if stale and is_check else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))
