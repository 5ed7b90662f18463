"""``walletd client``: create clients, change them, replace their tokens, and revoke them."""

import os
import re
from pathlib import Path
from typing import Annotated, get_args

from cyclopts import App, Parameter

from walletd.cli.confirmation import Yes, confirm
from walletd.cli.connection import DEFAULT, CommandId, Connection, talk
from walletd.cli.durations import expiry_of
from walletd.cli.groups import DAEMON
from walletd.cli.output import Output, again, moment, new_table
from walletd.cli.usage import UsageError
from walletd.client import Applied, new_token
from walletd.client.blocking_client import BlockingClient
from walletd.protocol.messages import ClientView
from walletd.vocabulary.budgets import BudgetField

client = App(name="client", group=DAEMON, help="Manage clients, their tokens and viewing keys.")

Addresses = Annotated[list[str] | None, Parameter(name="--address", negative="")]
Budgets = Annotated[list[str] | None, Parameter(name="--budget", negative="")]
Out = Annotated[Path | None, Parameter(name="--out")]


@client.command
def create(
    name: str,
    /,
    *,
    scope: Annotated[list[str], Parameter(name="--scope", negative="")],
    expires: str | None = None,
    address: Addresses = None,
    budget: Budgets = None,
    out: Out = None,
    command_id: CommandId = None,
    connection: Connection = DEFAULT,
) -> int:
    """Create a client and print its token, this once.

    A name with a slash is a viewing key of the client before the slash; it is created with that client's token.

    For example:

        $ walletd client create shop --scope 'spend:shop-*'
        $ walletd client create prometheus --scope metrics --expires 90d --out prometheus.token
        $ walletd client create shop/phone --scope view:shop-1 --expires 12h --token-file shop.token

    Parameters
    ----------
    name
        The client's name, which is never reused.
    scope
        Its rights: admin, operate, metrics, mint, define, or spend:, view:, open: or freeze: with a WALLET or PREFIX*;
        repeatable.
    expires
        When the token expires: 30m, 12h or 90d from now, or a time such as 2030-01-31T12:00:00Z; default never.
    address
        An address or a network such as 10.1.0.0/16 where its tokens are valid; repeatable; default everywhere.
    budget
        What it may take, such as journal_bytes_per_second=65536; repeatable; default by its scopes; 0 is no limit.
    out
        Write the token to this file, readable by its owner only, instead of printing it; an existing token is used.
    command_id
        An id that you choose: with --out, sending the same command again returns the first answer.
    """
    expires_at, expires_in_seconds = expiry_of("--expires", expires)
    token = token_for(out)

    async def act(talking: BlockingClient, output: Output) -> int:
        applied = await talking.create_client(
            name,
            scope,
            token,
            expires_at=expires_at,
            expires_in_seconds=expires_in_seconds,
            addresses=address,
            budget=amounts_of(budget),
            command_id=command_id,
        )
        tell_token(output, applied, f"client {name} is created", token, out)
        return 0

    return talk(connection, act)


@client.command
def update(
    name: str,
    /,
    *,
    scope: Annotated[list[str] | None, Parameter(name="--scope", negative="")] = None,
    address: Addresses = None,
    budget: Budgets = None,
    everywhere: Annotated[bool, Parameter(negative="")] = False,
    command_id: CommandId = None,
    connection: Connection = DEFAULT,
) -> int:
    """Change a client's scopes, budget or addresses; without an admin's token, narrow one's own.

    For example:

        $ walletd client update shop --scope 'spend:shop-*' --address 10.1.0.0/16
        $ walletd client update shop --scope spend:shop-1 --token-file shop.token

    Parameters
    ----------
    name
        The client's name.
    scope
        Its rights from now on, all of them; repeatable; default as they are.
    address
        Where its tokens are valid from now on; repeatable; default as it is.
    everywhere
        Its tokens are valid everywhere.
    budget
        Its own budget from now on, such as in_flight=100, in place of any before; repeatable; default as it is.
    command_id
        An id that you choose.
    """
    if scope is None and address is None and budget is None and not everywhere:
        raise UsageError("say what to change, with --scope, --address, --everywhere or --budget")
    if everywhere and address is not None:
        raise UsageError("--everywhere and --address exclude each other")

    async def act(talking: BlockingClient, output: Output) -> int:
        addresses = [] if everywhere else address
        amounts = amounts_of(budget)
        applied = await talking.update_client(
            name, scopes=scope, addresses=addresses, budget=amounts, command_id=command_id
        )
        keys = [view.client for view in applied.clients if view.client != name]
        also = f"; {', '.join(keys)} showed more and is revoked" if keys else ""
        output.answer(applied, lambda: f"client {name} is updated{also}{again(applied)}")
        return 0

    return talk(connection, act)


@client.command(name="list")
def list_(*, connection: Connection = DEFAULT) -> int:
    """List the clients and their rights: all of them for an admin, otherwise this client and its viewing keys.

    For example:

        $ walletd client list
    """

    async def show(talking: BlockingClient, output: Output) -> int:
        found = [view async for view in talking.clients()]
        table = new_table("client", "scopes", "tokens", "created by", "created at", folding=("scopes",))
        for view in found:
            table.add_row(
                view.client, "\n".join(view.scopes), tokens_of(view), view.created_by, moment(view.created_at)
            )
        output.answer({"clients": found}, lambda: table)
        return 0

    return talk(connection, show)


@client.command
def rotate(
    name: str,
    /,
    *,
    overlap: str | None = None,
    expires: str | None = None,
    out: Out = None,
    command_id: CommandId = None,
    connection: Connection = DEFAULT,
) -> int:
    """Give a client a new token and print it; the previous one ends now, or after an overlap.

    For example:

        $ walletd client rotate shop --overlap 24h

    Parameters
    ----------
    name
        The client's name.
    overlap
        How long earlier tokens stay valid: 30m, 12h or 2d from now, or a time; default not at all.
    expires
        When the new token expires; default never.
    out
        Write the token to this file, readable by its owner only, instead of printing it; an existing token is used.
    command_id
        An id that you choose.
    """
    expires_at, expires_in_seconds = expiry_of("--expires", expires)
    overlap_until, overlap_for_seconds = expiry_of("--overlap", overlap)
    token = token_for(out)

    async def act(talking: BlockingClient, output: Output) -> int:
        applied = await talking.rotate_client(
            name,
            token,
            expires_at=expires_at,
            expires_in_seconds=expires_in_seconds,
            overlap_until=overlap_until,
            overlap_for_seconds=overlap_for_seconds,
            command_id=command_id,
        )
        tell_token(output, applied, f"client {name} has a new token", token, out)
        return 0

    return talk(connection, act)


@client.command
def revoke(name: str, /, *, yes: Yes = False, command_id: CommandId = None, connection: Connection = DEFAULT) -> int:
    """Revoke a client permanently, with all its tokens, open connections and viewing keys.

    For example:

        $ walletd client revoke shop/phone

    Parameters
    ----------
    name
        The client's name.
    yes
        Do not ask at a terminal.
    command_id
        An id that you choose.
    """
    confirm(f"revoke client {name} permanently, with all its tokens and viewing keys", yes)

    async def act(talking: BlockingClient, output: Output) -> int:
        applied = await talking.revoke_client(name, command_id=command_id)
        keys = [view.client for view in applied.clients if view.client != name]
        also = f", and with it {', '.join(keys)}" if keys else ""
        output.answer(applied, lambda: f"client {name} is revoked{also}{again(applied)}")
        return 0

    return talk(connection, act)


def token_for(out: Path | None) -> str:
    """A fresh token, written to the file before it is sent, or the token already in the file.  Raises UsageError."""
    if out is None:
        return new_token()
    token = new_token()
    try:
        with open(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(token + "\n")
    except FileExistsError:
        kept = out.read_text(encoding="utf-8-sig", errors="replace").strip()
        if not re.fullmatch(r"walletd_[\w-]{43}", kept):
            raise UsageError(f"{out} exists and does not contain a token of walletd; name another file") from None
        return kept
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from None
    return token


def tell_token(output: Output, applied: Applied, sentence: str, token: str, out: Path | None) -> None:
    """Print the outcome and, this once, the token; or the file that contains it."""
    kept = {"token": token} if out is None else {"token_file": str(out)}
    if output.as_json:
        output.document({"applied": applied, **kept})
        return
    output.line(sentence + again(applied))
    output.line(f"its token, which is not shown again: {token}" if out is None else f"its token is in {out}")


def tokens_of(view: ClientView) -> str:
    """A client's valid tokens, one per line, or how the client ended."""
    if view.revoked_at is not None:
        return f"revoked {moment(view.revoked_at)}"
    lines = [
        f"{token.token}… " + ("permanent" if token.expires_at is None else f"until {moment(token.expires_at)}")
        for token in view.tokens
    ]
    return "\n".join(lines) or "expired"


def amounts_of(budget: list[str] | None) -> dict[str, int] | None:
    """The amounts of a budget by their names.  Raises UsageError for anything but NAME=NUMBER."""
    if budget is None:
        return None
    amounts = {}
    for text in budget:
        name, _, number = text.partition("=")
        if name not in get_args(BudgetField) or not number.isascii() or not number.isdigit():
            raise UsageError(f"{text!r} is no budget; write it like in_flight=100: {', '.join(get_args(BudgetField))}")
        amounts[name] = int(number)
    return amounts
