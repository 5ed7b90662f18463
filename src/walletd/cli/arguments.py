"""Arguments as people type them, in the order that the parser knows.

    in_order(["--json", "balance", "alice"])        # ["balance", "alice", "--json"]
    in_order(["help", "wallet", "open"])            # ["wallet", "open", "--help"]
    in_order(["-V"])                                # ["--version"]

Standard library only.
"""

VERSION_WORDS = {"version", "-V", "--version"}
HELP_WORD = "help"
JSON_FLAG = "--json"
NO_MORE_OPTIONS = "--"

COMMON_OPTIONS = {"--url", "--token", "--token-file", "--ca", "--certificate", "--key"}
"""The options of every client command that take a value."""

COMMON_FLAGS = {JSON_FLAG, "--plain-text"}
"""Those that take none."""


def in_order(arguments: list[str]) -> list[str]:
    """The arguments with the common options after the command, and ``help`` as the option that it means."""
    options, rest = _leading_options(arguments)
    if is_version_asked(rest):
        return ["--version"]
    if rest[:1] == [HELP_WORD]:
        return [*rest[1:], "--help"]
    if not options:
        return rest
    end = rest.index(NO_MORE_OPTIONS) if NO_MORE_OPTIONS in rest else len(rest)
    return [*rest[:end], *options, *rest[end:]]


def is_version_asked(arguments: list[str]) -> bool:
    """True if the arguments ask for nothing else than the version."""
    return len(arguments) == 1 and arguments[0] in VERSION_WORDS


def wants_json(arguments: list[str]) -> bool:
    """True if the answer, and therefore an error too, is to be JSON."""
    end = arguments.index(NO_MORE_OPTIONS) if NO_MORE_OPTIONS in arguments else len(arguments)
    return JSON_FLAG in arguments[:end]


def _leading_options(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The common options before the command, and the rest."""
    at = 0
    while at < len(arguments):
        name, equals, _ = arguments[at].partition("=")
        if name in COMMON_FLAGS:
            at += 1
        elif name in COMMON_OPTIONS:
            at += 1 if equals else 2
        else:
            break
    return arguments[:at], arguments[at:]
