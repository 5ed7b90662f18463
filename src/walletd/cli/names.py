"""``walletd complete``: the names that fit where a person presses Tab: wallets, assets and holds of the daemon.

``walletd complete -- pay al`` answers ``alice``, if there is such a wallet.

The completion scripts call it where the parser knows nothing to propose.  A person waits for it: without a daemon that
answers soon, it proposes nothing.
"""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from cyclopts import Parameter

from walletd.cli.arguments import COMMON_OPTIONS
from walletd.cli.connection import Connection
from walletd.client import ClientError
from walletd.client.blocking_client import BlockingClient, completed

PATIENCE_SECONDS = 2.0
MOST_NAMES = 200

WALLET, ASSET, HOLD, OTHER = "wallet", "asset", "hold", ""

PLACES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("balance",): (WALLET, ASSET),
    ("statement",): (WALLET,),
    ("watch",): (WALLET,) * 20,
    ("pay",): (WALLET, WALLET, OTHER, ASSET),
    **{("wallet", name): (WALLET,) for name in ("get", "describe", "freeze", "unfreeze", "close")},
    ("wallet", "limit"): (WALLET, ASSET),
    ("hold", "place"): (WALLET, OTHER, ASSET),
    ("hold", "capture"): (WALLET, HOLD, WALLET),
    **{("hold", name): (WALLET, HOLD) for name in ("extend", "adjust", "void", "get")},
    ("hold", "list"): (WALLET,),
}
"""What stands in each place of a command."""

VALUES = {"--with": WALLET, "--sweep-to": WALLET, "--asset": ASSET}
"""What stands behind an option."""


class Wanted(NamedTuple):
    """The kind of name that is wanted, its beginning, and the wallet that a hold is of."""

    kind: str
    prefix: str
    wallet: str


def complete(words: Annotated[list[str], Parameter(allow_leading_hyphen=True, negative="")], /) -> int:
    """Print the names that the last of these words may become.

    For example:

        $ walletd complete -- pay al

    Parameters
    ----------
    words
        The command line as it was typed, without its first word.
    """
    options, rest = _options_of(words)
    wanted = wanted_in(rest)
    if wanted is None:
        return 0
    found: list[str] = []
    with (
        suppress(ClientError, OSError),
        _connection(options).connected(deadline_seconds=PATIENCE_SECONDS) as client,
    ):
        completed(_find_names(client, wanted, found))
    for name in found:
        sys.stdout.write(f"{name}\n")
    sys.stdout.flush()
    return 0


def wanted_in(words: Sequence[str]) -> Wanted | None:
    """What the last word may become; None if the daemon knows nothing of it."""
    if not words:
        return None
    prefix, before = words[-1], words[:-1]
    if before and before[-1] in VALUES:
        return Wanted(VALUES[before[-1]], prefix, "")
    for command, places in PLACES.items():
        given = [word for word in before[len(command) :] if not word.startswith("-")]
        if tuple(before[: len(command)]) == command and len(given) < len(places) and places[len(given)]:
            return Wanted(places[len(given)], prefix, given[0] if given else "")
    return None


async def _find_names(client: BlockingClient, wanted: Wanted, found: list[str]) -> None:
    async for name in _names(client, wanted):
        if name.startswith(wanted.prefix):
            found.append(name)
        if len(found) == MOST_NAMES:
            return


async def _names(client: BlockingClient, wanted: Wanted) -> AsyncIterator[str]:
    if wanted.kind == WALLET:
        for view in (await client.wallet_page(wanted.prefix)).wallets:
            yield view.wallet
    elif wanted.kind == ASSET:
        for asset in sorted(await client.assets()):
            yield asset
    elif wanted.kind == HOLD:
        async for hold in client.holds(wanted.wallet):
            yield hold.hold


def _options_of(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The common options among the words, and the other words."""
    options: dict[str, str] = {}
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        name, equals, value = word.partition("=")
        if name in COMMON_OPTIONS and (equals or word != words[-1]):
            options[name] = value if equals else next(waiting, "")
        elif word not in ("--json", "--plain-text"):
            rest.append(word)
    return options, rest


def _connection(options: dict[str, str]) -> Connection:
    def file(name: str) -> Path | None:
        return Path(options[name]) if name in options else None

    return Connection(
        url=options.get("--url"),
        token=options.get("--token"),
        token_file=file("--token-file"),
        ca=file("--ca"),
        certificate=file("--certificate"),
        key=file("--key"),
    )


def completion_script(shell: Literal["bash", "zsh", "fish"]) -> str:
    """The completion script of a shell, with the daemon's names."""
    from walletd.cli.app import app  # Which names this module, too.

    return app.generate_completion(prog_name="walletd", shell=shell) + WITH_NAMES[shell]


BASH = """
# Names of the daemon, where the parser has nothing to propose.
_walletd_with_names() {
  _walletd
  local cur="${COMP_WORDS[COMP_CWORD]}" line="${COMP_LINE:0:COMP_POINT}" name
  [[ ${#COMPREPLY[@]} -gt 0 || "$cur" == -* ]] && return
  local -a words
  read -ra words <<< "$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  local typed="${words[-1]}"
  while IFS= read -r name; do
    [[ -n "$name" ]] && COMPREPLY+=("${name#"${typed%"$cur"}"}")
  done < <("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)
}

complete -F _walletd_with_names walletd
"""

FISH = """
# Names of the daemon.
complete -c walletd -f -a '(walletd complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
"""

ZSH = """
# Names of the daemon first, else what the parser proposes.
_walletd() {
  local -a names
  if [[ "$PREFIX" != -* ]]; then
    names=("${(@f)$("${words[1]}" complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    names=("${(@)names:#}")
    if (( $#names )); then
      compadd -a names
      return
    fi
  fi
  _cyclopts_walletd "$@"
}

# Autoloaded by its name, or read with source.
if [[ "${funcstack[1]}" == _walletd ]]; then
  _walletd "$@"
else
  compdef _walletd walletd
fi
"""

WITH_NAMES = {"bash": BASH, "zsh": ZSH, "fish": FISH}
"""What the completion script of a shell has besides what the parser makes."""
