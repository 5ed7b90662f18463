"""Write the parts of the documents that are made from the code: between ``<!-- made: NAME -->`` and ``<!-- end -->``.

python docs/build.py              # rewrite them
python docs/build.py --check      # exit 1 where a page is not what the code says
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from made import diagrams, entities, events, metrics
from made import errors as error_reference
from made import settings as settings_reference
from made.types import type_name
from tests.faults import table

from walletd.protocol.errors import SENTENCES
from walletd.protocol.messages import NoParams
from walletd.protocol.methods import METHODS, Method
from walletd.vocabulary.error_codes import Reason
from walletd.vocabulary.lifecycle import PERMITTED_MOVES

HERE = Path(__file__).parent
SECTION = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def methods() -> str:
    """Every method: what it is for, its params and its result, field by field."""
    return "\n".join(_method(method) for method in METHODS.values())


def _method(method: Method) -> str:
    explained = method.meaning if method.params is NoParams else _first_paragraph(method.params)
    lines = [f"### `{method.name}`", "", explained, ""]
    lines += _fields("Params", method.params) + _fields("Result", method.result)
    return "\n".join(lines)


def _fields(title: str, struct: type) -> list[str]:
    fields = msgspec.structs.fields(struct)
    if not fields:
        return [f"{title}: none.", ""]
    rows = [f"| {title} | type | |", "|---|---|---|"]
    for field in fields:
        needed = "required" if field.required else "optional"
        rows.append(f"| `{field.encode_name}` | {type_name(field.type)} | {needed} |")
    return [*rows, ""]


def _first_paragraph(struct: type) -> str:
    return " ".join((struct.__doc__ or "").split("\n\n")[0].split())


def errors() -> str:
    """Every reason, in order of precedence."""
    rows = ["| reason | code | retry | meaning | message |", "|---|---|---|---|---|"]
    for reason in Reason:
        message = SENTENCES.get(reason, "").replace("|", "\\|")
        rows.append(f"| `{reason.value}` | {reason.code} | {reason.retry.value} | {reason.meaning} | {message} |")
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


def access() -> str:
    """What each method needs."""
    rows = ["| method | needs |", "|---|---|"]
    rows += [f"| `{method.name}` | {method.needs.__doc__} |" for method in METHODS.values()]
    return "\n".join(rows) + "\n"


SECTIONS: dict[str, Callable[[], str]] = {
    "methods": methods,
    "errors": errors,
    "lifecycle": lifecycle,
    "access": access,
    **entities.SECTIONS,
    **events.SECTIONS,
    **error_reference.SECTIONS,
    **metrics.SECTIONS,
    **settings_reference.SECTIONS,
    "rows": table.rows_table,
    "row_commands": table.commands_table,
    "row_bugs": table.bugs_table,
    "simulation_rows": lambda: table.rows_table([5]),
    "simulation_bugs": lambda: table.bugs_table([5]),
    "soak": table.soak_table,
}


def built(page: str) -> str:
    """The page with its made sections as the code has them."""
    return SECTION.sub(lambda match: match.group(1) + SECTIONS[match.group(2)]() + match.group(3), page)


def main(is_check: bool) -> int:
    """Rewrite all, or say what is not true any more."""
    pages = [*sorted(HERE.glob("*.md")), *sorted((HERE.parent / "tests").glob("*/README.md"))]
    made = {page: built(page.read_text()) for page in pages} | diagrams.files()
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
