"""The commands of ``walletd``, by name.

    exit_code = run_client_command(["balance", "alice"], begin)

The module of a command is imported once the command is named: a person waits for nothing else.
"""

import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError, UnusedCliTokensError

from walletd.cli.arguments import in_order, wants_json
from walletd.cli.confirmation import NotConfirmed
from walletd.cli.groups import DAEMON, LOOKING, MONEY, MORE
from walletd.cli.lines import say, write_json
from walletd.cli.surroundings import OUTPUT_FAILURES, drop_output
from walletd.cli.usage import UsageError
from walletd.runtime.ending import EXIT_INPUT_OUTPUT, EXIT_INTERRUPTED, EXIT_OK, EXIT_REFUSED, EXIT_SOFTWARE, EXIT_USAGE


def _version() -> str:
    from importlib.metadata import version

    return version("walletd")


app = App(
    name="walletd",
    help=(
        "A self-hosted wallet backend: the daemon, and every command to work with it.\n\n"
        "Start with `walletd serve`, then `walletd demo` in a second terminal."
    ),
    help_format="markdown",
    version=_version,
    group_commands=MORE,
    suppress_keyboard_interrupt=False,
)


@app.command(group=DAEMON)
def serve(
    *,
    config: Path | None = None,
    data: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    log_level: Annotated[Literal["debug", "info", "warning", "error"] | None, Parameter()] = None,
    postgresql: str | None = None,
    ledger: str | None = None,
) -> int:
    """Run the daemon until Ctrl-C or SIGTERM.

    For example:

        $ walletd serve
        $ walletd serve --data /var/lib/walletd --port 8000
        $ walletd serve --config config/walletd.toml

    Parameters
    ----------
    config
        A TOML file with settings; default WALLETD_CONFIG, then /etc/walletd/walletd.toml.
    data
        The directory of the journal and the token; default var.
    host
        The address to listen on; default 127.0.0.1.
    port
        The port to listen on; default 7878.
    log_level
        The log level; default info.
    postgresql
        The connection string of the database that has the journal; default: the journal is a file in data.
    ledger
        The name of the journal there; default main.
    """
    from walletd.cli import serve as daemon_command

    flags = {"data": data, "host": host, "port": port, "log_level": log_level}
    flags |= {"postgresql": postgresql, "ledger": ledger}
    return daemon_command.serve(config, flags)


@app.command(group=MORE)
def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print the completion script for a shell.

    For example:

        $ source <(walletd completion bash)
        $ walletd completion zsh > ~/.zfunc/_walletd
        $ walletd completion fish > ~/.config/fish/completions/walletd.fish

    Parameters
    ----------
    shell
        The shell.
    """
    from walletd.cli.names import completion_script

    sys.stdout.write(completion_script(shell))
    return EXIT_OK


COMMANDS = (
    ("demo", "demo.command:demo", DAEMON),
    ("backup", "backup:backup", DAEMON),
    ("restore", "restore:restore", DAEMON),
    ("compact", "compact:compact", DAEMON),
    ("clock", "clock:clock", DAEMON),
    ("client", "clients:client", DAEMON),
    ("verify", "verify:verify", DAEMON),
    ("journal", "journal:journal", DAEMON),
    ("status", "looking:status", DAEMON),
    ("discover", "looking:discover", DAEMON),
    ("config", "configuration:config", DAEMON),
    ("install-service", "service:install_service", DAEMON),
    ("audit", "operations:audit", DAEMON),
    ("report", "operations:report", DAEMON),
    ("log-level", "operations:log_level", DAEMON),
    ("drain", "operations:drain", DAEMON),
    ("asset", "assets:asset", MONEY),
    ("wallet", "wallets:wallet", MONEY),
    ("hold", "holds:hold", MONEY),
    ("refund", "holds:refund", MONEY),
    ("pay", "payments:pay", MONEY),
    ("batch", "batch:batch", MONEY),
    ("balance", "looking:balance", LOOKING),
    ("statement", "looking:statement", LOOKING),
    ("watch", "watch:watch", LOOKING),
    ("entry", "looking:entry", LOOKING),
    ("transfer", "looking:transfer", LOOKING),
)
"""Each command, where it is, and its heading in the help."""

for _name, _place, _group in COMMANDS:
    app.command(f"walletd.cli.{_place}", name=_name, group=_group)

app.command("walletd.cli.names:complete", name="complete", show=False)


def run_client_command(arguments: list[str], begin: Callable[[], None] = lambda: None) -> int:
    """Parse the arguments and run the command that they name.  Returns the exit code; a failure prints one line.

    ``begin`` is called between the two.
    """
    arguments = in_order(arguments)
    as_json = wants_json(arguments)
    try:
        command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
        begin()
        exit_code = command(*bound.args, **bound.kwargs)
        sys.stdout.flush()
        return exit_code if isinstance(exit_code, int) else EXIT_OK
    except UnknownCommandError as error:
        return _failed("usage", f"{_unknown(error)}; see: walletd {_named(arguments)}--help", EXIT_USAGE, as_json)
    except UnusedCliTokensError as error:
        word = ascii((error.unused_tokens or [""])[0])
        sentence = f"{word} is an argument too many for {_chain(error)}"
        return _failed("usage", f"{sentence}; see: walletd {_named(arguments)}--help", EXIT_USAGE, as_json)
    except (CycloptsError, UsageError) as error:
        sentence = " ".join(str(error).split()).rstrip(".")
        return _failed("usage", f"{sentence}; see: walletd {_named(arguments)}--help", EXIT_USAGE, as_json)
    except NotConfirmed as refusal:
        return _failed("not_confirmed", str(refusal), EXIT_REFUSED, as_json)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has read enough.
        drop_output()
        return EXIT_OK
    except OSError as error:
        return _failed("input_output", _told(error), EXIT_INPUT_OUTPUT, as_json)
    except UnicodeError as error:
        word = ascii(error.object) if isinstance(error, UnicodeEncodeError | UnicodeDecodeError) else str(error)
        sentence = f"{word[:200]} cannot be written or named in this locale; set LC_ALL=C.UTF-8"
        return _failed("usage", sentence, EXIT_USAGE, as_json)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        advice = "please report it, with the output under PYTHONDEVMODE=1"
        sentence = f"internal error in walletd, {type(error).__name__}: {error}; {advice}"
        return _failed("internal_error", sentence, EXIT_SOFTWARE, as_json)


def _failed(reason: str, sentence: str, exit_code: int, as_json: bool) -> int:
    try:
        sys.stdout.flush()
        if as_json:
            write_json({"error": {"reason": reason, "message": sentence}})
    except OSError:
        drop_output()
    say(f"walletd: {sentence}")
    return exit_code


def _chain(error: UnusedCliTokensError) -> str:
    """The command that was given more than it takes."""
    return " ".join(["walletd", *(error.command_chain or ())])


def _unknown(error: UnknownCommandError) -> str:
    """The sentence about a command that does not exist: one that is alike, and all that exist."""
    assert error.unused_tokens
    assert error.app is not None
    word, of = error.unused_tokens[0], " ".join(error.command_chain or ())
    names = sorted(name for name in error.app if not name.startswith("-") and error.app[name].show)
    alike = difflib.get_close_matches(word, names, n=1)
    guess = f", did you mean {alike[0]!r}?" if alike else ";"
    missing = f"option {word!r} here" if word.startswith("-") else f"command {' '.join([of, word]).strip()!r}"
    return f"there is no {missing}{guess} {of or 'walletd'} has: {', '.join(names)}"


def _told(error: OSError) -> str:
    """The failure of the operating system in words, with the file concerned."""
    if error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    if error.errno in OUTPUT_FAILURES:
        return f"the answer cannot be written; the request may have been applied: {error.strerror}"
    return error.strerror or str(error)


def _named(arguments: list[str]) -> str:
    """The command that the arguments name, as far as it exists, to point to its help."""
    named: list[str] = []
    for argument in arguments:
        try:
            chain, _, rest = app.parse_commands([*named, argument])
        except CycloptsError:
            break
        if rest or len(chain) <= len(named):
            break
        named.append(argument)
    return "".join(f"{name} " for name in named)
