"""Write the generated parts of docs/: reference/asyncapi.json, and the text between ``<!-- made: NAME -->`` and
``<!-- end -->``.

python docs/build.py              # rewrite them
python docs/build.py --check      # exit 1 where a page is not what the code says
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from made import diagrams, entities, events, metrics
from made import errors as error_reference
from made import settings as settings_reference
from made.types import type_name
from tests.faults import table

from walletd.protocol import contract
from walletd.protocol.close_codes import CloseCode
from walletd.protocol.errors import SENTENCES
from walletd.protocol.messages import NoParams
from walletd.protocol.method_reasons import BEFORE_ANY_METHOD, OF_A_CALL, OF_A_COMMAND, reasons_of
from walletd.protocol.methods import METHODS, Kind, Method
from walletd.protocol.session_limits import LIMITS
from walletd.vocabulary.error_codes import Reason
from walletd.vocabulary.lifecycle import PERMITTED_MOVES

HERE = Path(__file__).parent
REFERENCE = HERE / "reference"
LINE = 120
SECTION = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def methods() -> str:
    """Every method: what it is for, its params and its result, field by field."""
    return "\n".join(_method(method) for method in METHODS.values())


def _method(method: Method) -> str:
    explained = method.meaning if method.params is NoParams else _first_paragraph(method.params)
    lines = [f"## `{method.name}`", "", explained, "", f"Needs {method.needs.__doc__}.", ""]
    lines += _fields("Params", method.params) + _fields("Result", method.result)
    own = [reason for reason in reasons_of(method.name) if reason not in _common(method)]
    told = ", ".join(f"`{reason.value}`" for reason in own)
    lines += [
        f"May fail with {told}, and with what {_KINDS[_common(method)]} may." if told else _NOTHING_OF_ITS_OWN,
        "",
    ]
    return "\n".join([*lines, *_example(method.name)])


_KINDS = {
    (): "a frame",
    OF_A_CALL: "[every method](protocol.md#errors)",
    (*OF_A_CALL, *OF_A_COMMAND): "[every command](protocol.md#errors)",
}
_NOTHING_OF_ITS_OWN = "May fail with nothing but what [every method](protocol.md#errors) may."


def _common(method: Method) -> tuple[Reason, ...]:
    """The reasons that all methods of its kind have."""
    if method.name == "session.authenticate":
        return ()
    return (*OF_A_CALL, *OF_A_COMMAND) if method.kind is Kind.COMMAND else OF_A_CALL


def _example(name: str) -> list[str]:
    """An exchange as it was recorded."""
    recorded = json.loads((REFERENCE / "examples.json").read_text())["methods"].get(name)
    if recorded is None:
        return []
    lines = [_wrapped(f"{sign} ", recorded[side]) for sign, side in (("→", "request"), ("←", "response"))]
    return ["```", *lines, "```", ""]


def _wrapped(sign: str, document: Any) -> str:
    """JSON in lines that fit, broken between fields."""
    lines = [sign]
    for word in json.dumps(document, ensure_ascii=False).split(" "):
        if len(lines[-1]) + len(word) > LINE and lines[-1].strip():
            lines.append("  ")
        lines[-1] += word if lines[-1].endswith(" ") and len(lines[-1]) <= len(sign) else f" {word}"
    return "\n".join(lines)


def common_reasons() -> str:
    """What any frame, any method and any command may fail with."""
    rows = (("any frame", BEFORE_ANY_METHOD), ("every method", OF_A_CALL), ("every command besides", OF_A_COMMAND))
    return "".join(
        f"- {what}: {', '.join(f'`{reason.value}`' for reason in Reason if reason in reasons)}\n"
        for what, reasons in rows
    )


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
    "common_reasons": common_reasons,
    "close_codes": close_codes,
    "session_limits": session_limits,
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


def contract_file() -> str:
    """The contract, spread over lines so that a change of it can be read."""
    return json.dumps(contract.document(), indent=1, ensure_ascii=False) + "\n"


def main(is_check: bool) -> int:
    """Rewrite all, or say what is not true any more."""
    pages = [*sorted(HERE.rglob("*.md")), *sorted((HERE.parent / "tests").glob("*/README.md"))]
    made = {page: built(page.read_text()) for page in pages} | diagrams.files()
    made[REFERENCE / "asyncapi.json"] = contract_file()
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
