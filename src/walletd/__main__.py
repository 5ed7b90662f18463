"""The console entry: ``walletd`` and ``python -m walletd``.

The daemon's path is light: neither the argument parser of the client commands nor their drawing is loaded for it.
"""

import sys

from walletd.cli.exits import EXIT_USAGE

HELP_FLAGS = {"-h", "--help"}


def main() -> None:
    """Run the command that the arguments name, and end the process with its exit code."""
    if not __debug__:
        sys.stderr.write("walletd: assertions guard the money and must be on; start python without -O\n")
        sys.exit(EXIT_USAGE)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of one command."""
    if arguments[:1] == ["serve"] and not HELP_FLAGS & set(arguments):
        from walletd.cli.serve import serve_with

        return serve_with(arguments[1:])
    from walletd.cli.app import run_client_command

    return run_client_command(arguments)


if __name__ == "__main__":
    main()
