"""A failure of the journal's files, for people and scripts: a sentence, an error, an exit code."""

from walletd.cli.lines import say
from walletd.cli.output import Output
from walletd.journal.failures import JournalCorrupt, JournalFailure, JournalLocked, JournalUnsupported
from walletd.runtime.ending import (
    EXIT_CONFIGURATION,
    EXIT_DAMAGED,
    EXIT_INPUT_OUTPUT,
    EXIT_NO_INPUT,
    EXIT_REFUSED,
    EXIT_TRY_LATER,
)


class JournalMissing(JournalFailure):
    """There is nothing to read."""

    advice = "Give a data directory such as var, a backup's directory, or a journal's file."


class NotConfirmed(JournalFailure):
    """A person who was asked did not agree."""

    advice = "Nothing was restored."


def failed(failure: JournalFailure | OSError, output: Output) -> int:
    """Report the failure, to people on stderr and to scripts as JSON, and return the exit code."""
    if output.as_json:
        output.document({"error": {"reason": type(failure).__name__, "message": _sentence(failure)}})
    say(f"walletd: {_sentence(failure)}")
    match failure:
        case JournalLocked():
            return EXIT_TRY_LATER
        case JournalUnsupported():
            return EXIT_CONFIGURATION
        case NotConfirmed():
            return EXIT_REFUSED
        case JournalMissing():
            return EXIT_NO_INPUT
        case JournalCorrupt():
            return EXIT_DAMAGED
        case _:
            return EXIT_INPUT_OUTPUT


def _sentence(failure: JournalFailure | OSError) -> str:
    if isinstance(failure, OSError) and failure.strerror:
        return f"{failure.strerror}: {failure.filename}" if failure.filename else failure.strerror
    return str(failure)
