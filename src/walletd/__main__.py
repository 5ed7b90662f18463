"""The console entry: ``walletd`` and ``python -m walletd``.

The daemon's path is light: it loads neither the argument parser of the client commands nor their drawing.
"""

import errno
import os
import signal
import sys


def main() -> None:
    """Run the command that the arguments name, and end the process with its exit code."""
    os.umask(0o077)  # Before anything can be written: journals, backups and tokens are their owner's alone.
    # Until something has begun, Ctrl-C ends the process as the kernel does; if it is ignored (nohup), it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from walletd.cli.surroundings import NotText, settle, written
    from walletd.runtime.ending import (
        EXIT_CONFIGURATION,
        EXIT_INTERRUPTED,
        EXIT_SOFTWARE,
        EXIT_USAGE,
        end_despite_threads,
    )

    settle(answers=not _is_the_daemon(sys.argv[1:]))
    if not __debug__:
        sys.stderr.write("walletd: assertions guard the money and must be on; start python without -O\n")
        sys.exit(EXIT_USAGE)
    code = EXIT_SOFTWARE
    try:
        code = run(written(sys.argv[1:]))
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        code = EXIT_CONFIGURATION
        os.write(2, b"walletd: too few open files are permitted; raise the limit (ulimit -n)\n")
    except NotText as error:
        sys.stderr.write(f"walletd: {error}\n")
        code = EXIT_USAGE
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    finally:
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # All is done; the interpreter would complain.
        finally:
            end_despite_threads(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """The exit code of one command."""
    if _is_the_daemon(arguments):
        # By default they end the process; ``signals.listen`` accepts them, including those that came before.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGUSR1})
        from walletd.cli.serve import serve_with

        _hear_ctrl_c()
        return serve_with(arguments[1:])
    from walletd.cli.arguments import is_version_asked

    if is_version_asked(arguments):
        return _print_version()
    from walletd.cli.app import run_client_command

    return run_client_command(arguments, begin=_hear_ctrl_c)


def _print_version() -> int:
    """Without the parser, which takes longer than all the rest."""
    from importlib.metadata import version

    from walletd.cli.surroundings import drop_output

    try:
        print(version("walletd"), flush=True)
    except OSError:
        drop_output()
    return 0


def _hear_ctrl_c() -> None:
    """Make Ctrl-C raise KeyboardInterrupt from now on."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_the_daemon(arguments: list[str]) -> bool:
    return arguments[:1] == ["serve"] and not {"-h", "--help"} & set(arguments)


if __name__ == "__main__":
    main()
