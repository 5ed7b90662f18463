"""The commands of ``walletd``, by name.

exit_code = run_client_command(["balance", "alice"])
"""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from walletd.cli.assets import asset
from walletd.cli.backup import backup
from walletd.cli.batch import batch
from walletd.cli.clients import client
from walletd.cli.clock import clock
from walletd.cli.compact import compact
from walletd.cli.configuration import config as configuration
from walletd.cli.demo.command import demo
from walletd.cli.failures import UsageError
from walletd.cli.groups import DAEMON, LOOKING, MONEY, MORE
from walletd.cli.holds import hold, refund
from walletd.cli.looking import balance, discover, entry, statement, status, transfer
from walletd.cli.operations import audit, drain, log_level, report
from walletd.cli.output import say
from walletd.cli.payments import pay
from walletd.cli.restore import restore
from walletd.cli.surroundings import OUTPUT_FAILURES, drop_output
from walletd.cli.verify import verify
from walletd.cli.wallet_state import close, describe, freeze, limit, unfreeze
from walletd.cli.wallets import wallet
from walletd.cli.watch import watch
from walletd.runtime.ending import EXIT_INPUT_OUTPUT, EXIT_INTERRUPTED, EXIT_OK, EXIT_SOFTWARE, EXIT_USAGE

app = App(
    name="walletd",
    help=(
        "A self-hosted wallet backend: the daemon, and every command to work with it.\n\n"
        "Start with `walletd serve`, then `walletd demo` in a second terminal."
    ),
    help_format="markdown",
    version=version("walletd"),
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
    """
    from walletd.cli import serve as daemon_command

    flags = {"data": data, "host": host, "port": port, "log_level": log_level}
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
    sys.stdout.write(app.generate_completion(prog_name="walletd", shell=shell))
    return EXIT_OK


app.command(demo, group=DAEMON)
app.command(backup, group=DAEMON)
app.command(restore, group=DAEMON)
app.command(compact, group=DAEMON)
app.command(clock, group=DAEMON)
app.command(client)
app.command(verify, group=DAEMON)
app.command(status, group=DAEMON)
app.command(discover, group=DAEMON)
app.command(configuration)
for operation in (audit, report, log_level, drain):
    app.command(operation, group=DAEMON)
app.command(asset)
for change in (describe, freeze, unfreeze, limit, close):
    wallet.command(change)
app.command(wallet)
app.command(hold)
app.command(refund, group=MONEY)
app.command(pay, group=MONEY)
app.command(batch, group=MONEY)
app.command(balance, group=LOOKING)
app.command(statement, group=LOOKING)
app.command(watch, group=LOOKING)
app.command(entry, group=LOOKING)
app.command(transfer)


def run_client_command(arguments: list[str]) -> int:
    """Parse the arguments and run the command that they name.  Returns the exit code; a failure prints one line."""
    try:
        exit_code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return exit_code if isinstance(exit_code, int) else EXIT_OK
    except (CycloptsError, UsageError) as error:
        sentence = " ".join(str(error).split()).rstrip(".")
        return _failed(f"{sentence}; see: walletd {_named(arguments)}--help", EXIT_USAGE)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has read enough.
        drop_output()
        return EXIT_OK
    except OSError as error:
        return _failed(_told(error), EXIT_INPUT_OUTPUT)
    except UnicodeError as error:
        word = ascii(error.object) if isinstance(error, UnicodeEncodeError | UnicodeDecodeError) else str(error)
        return _failed(f"{word[:200]} cannot be written or named in this locale; set LC_ALL=C.UTF-8", EXIT_USAGE)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        advice = "please report it, with the output under PYTHONDEVMODE=1"
        return _failed(f"internal error in walletd, {type(error).__name__}: {error}; {advice}", EXIT_SOFTWARE)


def _failed(sentence: str, exit_code: int) -> int:
    try:
        sys.stdout.flush()
    except OSError:
        drop_output()
    say(f"walletd: {sentence}")
    return exit_code


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
