"""``walletd config check`` and ``walletd config show``: the configuration as the daemon would read it.

Neither opens the journal or a port, so both may run beside a daemon, or before one starts.
"""

from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from walletd.cli.groups import DAEMON
from walletd.cli.lines import say, write_json
from walletd.runtime.ending import EXIT_CONFIGURATION
from walletd.settings.layers import DEFAULT, Configuration, load
from walletd.settings.settings import RELOADABLE, ConfigurationError

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
AsJson = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]

config = App(name="config", help="Check or show the configuration, without a daemon.", group=DAEMON)


@config.command
def check(*, config: Path | None = None) -> int:
    """Check the configuration; if it is wrong, say where and what to do, and exit with 78.

    For example:

        $ walletd config check
        $ walletd config check --config /etc/walletd/walletd.toml

    Parameters
    ----------
    config
        The main file; default WALLETD_CONFIG, then /etc/walletd/walletd.toml.
    """
    configuration = _loaded(config)
    if configuration is None:
        return EXIT_CONFIGURATION
    read = " and ".join(map(str, configuration.files)) or "no file"
    given = sum(origin != DEFAULT for origin in configuration.origins.values())
    print(f"the configuration is right: {read} read, {given} of {len(configuration.origins)} settings are not defaults")
    return 0


@config.command
def show(
    *, config: Path | None = None, origin: Flag = False, as_json: Annotated[Flag, Parameter("--json")] = False
) -> int:
    """Show the effective value of every setting.

    For example:

        $ walletd config show
        $ walletd config show --origin
        $ walletd config show --origin --json

    Parameters
    ----------
    config
        The main file; default WALLETD_CONFIG, then /etc/walletd/walletd.toml.
    origin
        Show the file and line, variable or default that each value comes from.
    as_json
        Answer with one JSON document, for scripts.
    """
    configuration = _loaded(config)
    if configuration is None:
        return EXIT_CONFIGURATION
    values = msgspec.to_builtins(configuration.settings, enc_hook=str)
    if as_json:
        shown = {name: {"value": value, "origin": configuration.origins[name]} for name, value in values.items()}
        write_json(shown if origin else values)
        return 0
    lines = {name: _line(name, value) for name, value in values.items()}
    width = min(48, max(map(len, lines.values())))
    for name, line in lines.items():
        reload = ", reloadable" if name in RELOADABLE else ""
        print(f"{line:<{width}}  # {configuration.origins[name]}{reload}" if origin else line)
    return 0


def _loaded(file: Path | None) -> Configuration | None:
    try:
        return load(file)
    except ConfigurationError as error:
        say(f"walletd: {error}")
        return None


def _line(name: str, value: Any) -> str:
    """The setting as a line of TOML; a setting without a value is a comment."""
    if value is None:
        return f"# {name} ="
    if isinstance(value, dict):
        return f"{name} = {{{', '.join(f'{key} = {_toml(inner)}' for key, inner in value.items())}}}"
    return f"{name} = {_toml(value)}"


def _toml(value: Any) -> str:
    """The value in TOML; strings, numbers, booleans and lists of strings are written as in JSON."""
    return msgspec.json.encode(value).decode().replace('","', '", "')
