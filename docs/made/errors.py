"""The reference of errors: every reason with its meaning, the reaction to it, and the methods that answer with it."""

import re
from collections.abc import Callable

from walletd.contract.facts import FACTS, facts_of
from walletd.contract.reasons import BEFORE_ANY_METHOD, OF_A_BOOK, OF_A_CALL, OF_A_COMMAND, OWN
from walletd.protocol.errors import SENTENCES
from walletd.vocabulary.reasons import Reason, Retry

PLACE = re.compile(r"\{(\w+)(?:![rs])?\}")
WHAT_TO_DO = {
    Retry.NEVER: "do not repeat it: the answer would be the same",
    Retry.SAME_COMMAND_ID: "repeat it under the same command id, after `retry_after_ms` if the error has it",
    Retry.NEW_COMMAND_ID: "it may succeed later, or with other params, under a new command id",
}
CLASSES: dict[str, Callable[[Reason], bool]] = {
    "Malformed requests": lambda reason: reason.is_malformed,
    "The session and the daemon's state": lambda reason: 1000 <= reason.code < 2000,
    "Reads and streams": lambda reason: 2000 <= reason.code < 3000,
    "Refusals of a command": lambda reason: reason.code >= 3000,
}

assert set(WHAT_TO_DO) == set(Retry)


def error_pages() -> str:
    """Every reason, in order of precedence."""
    parts = []
    for title, belongs in CLASSES.items():
        parts += [f"## {title}", ""]
        parts += [_reason(reason) for reason in Reason if belongs(reason)]
    return "\n".join(parts)


def _reason(reason: Reason) -> str:
    rows = {
        "code": str(reason.code),
        "retry": f"`{reason.retry.value}`: {WHAT_TO_DO[reason.retry]}",
        "answers": _methods(reason),
    }
    if facts := facts_of(reason):
        rows["facts"] = "; ".join(f"`{name}`: {FACTS[name]['description']}" for name in facts)
    if sentence := SENTENCES.get(reason):
        rows["message"] = PLACE.sub(r"*\1*", sentence).replace("|", "\\|")
    table = [f"| {name} | {text} |" for name, text in rows.items()]
    return "\n".join([f"### `{reason.value}`", "", reason.meaning, "", "| | |", "|---|---|", *table, ""])


def _methods(reason: Reason) -> str:
    if reason in BEFORE_ANY_METHOD:
        return "every frame"
    found = [name for name, reasons in OWN.items() if reason in reasons]
    if reason in OF_A_CALL:
        return "every request"
    if reason in OF_A_BOOK:
        return "every command, and reads of this moment"
    if reason in OF_A_COMMAND:
        return "every command"
    if reason is Reason.NOT_REACHED:
        return "every read with `at_least`"
    return ", ".join(f"`{name}`" for name in found) or "reserved: no method answers with it today"


SECTIONS: dict[str, Callable[[], str]] = {"error_pages": error_pages}
