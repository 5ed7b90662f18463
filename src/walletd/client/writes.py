"""What the clients change: one method for each command, the same with trio, with asyncio and without either.

    placed = await client.place_hold("alice", Decimal("40.00"), "EUR", expires_in_seconds=3600)
    await client.capture_hold("alice", placed.hold, {"shop": Decimal("25.00")}, final=True)

Amounts are ints of smallest units or Decimals in the main unit.  ``sync_writes`` is made from this file.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Unpack

from walletd.client import clients, commands, requests
from walletd.client.batches import BatchApplied, batch_results
from walletd.client.commands import Terms
from walletd.client.errors import RequestFailed, nothing_left
from walletd.client.reads import Reads
from walletd.client.results import Amount, Applied, Leg, needs_scale
from walletd.vocabulary.commands import AnyCommand, BatchedCommand, RefundTransfer, WalletLimits
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import FrozenSide


class Writes(Reads):
    """The commands that a client sends."""

    async def define_asset(self, code: str, scale: int, *, command_id: str | None = None) -> Applied:
        """Define an asset and, permanently, the number of decimal places of its main unit."""
        applied = await self.ask(requests.define_asset(code, scale, command_id))
        self._scales = None
        return applied

    async def open_wallet(
        self, wallet: str, metadata: Mapping[str, str] | None = None, *, command_id: str | None = None
    ) -> Applied:
        """Open a wallet.  A name that starts with ``@`` makes a system wallet, which may go below zero."""
        return await self.ask(requests.open_wallet(wallet, metadata, command_id))

    async def pay(
        self,
        source: str,
        to: str,
        amount: Amount,
        asset: str,
        *,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        command_id: str | None = None,
        dry_run: bool = False,
    ) -> Applied:
        """Move an amount from one wallet to another: an int of smallest units, or a Decimal in the main unit."""
        return await self.post(
            [Leg(source, to, amount, asset)],
            reference=reference,
            metadata=metadata,
            command_id=command_id,
            dry_run=dry_run,
        )

    async def post(
        self,
        legs: Iterable[Leg],
        *,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        command_id: str | None = None,
        if_version: Mapping[str, int] | None = None,
        valid_until: datetime | None = None,
        valid_for_seconds: int | None = None,
        dry_run: bool = False,
    ) -> Applied:
        """Move money along all the legs at once, or along none.

        ``if_version`` gives the versions that wallets must have; ``valid_until`` the time, by the daemon's clock, until
        which the command may be decided, or ``valid_for_seconds`` the seconds after the daemon received it; with
        ``dry_run`` nothing is changed.  Raises TypeError for a float and ValueError for an amount finer than the
        asset's smallest unit, before anything is sent.
        """
        postings = [(leg.source, leg.to, leg.asset, await self._units(leg.amount, leg.asset)) for leg in legs]
        return await self.ask(
            requests.post(
                postings,
                reference=reference,
                metadata=metadata,
                command_id=command_id,
                if_version=if_version,
                valid_until=valid_until,
                valid_for_seconds=valid_for_seconds,
                dry_run=dry_run,
            )
        )

    async def refund(
        self,
        transfer: str,
        legs: Iterable[Leg] | None = None,
        *,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **terms: Unpack[Terms],
    ) -> Applied:
        """Move money of a transfer or a capture back: along the legs, which run in the reverse direction, or all that
        is left of it.

        Sent again with the same command id, it asks for what it asked for the first time.
        """
        if legs is None:
            legs = await self._rest_of(transfer, terms.get("command_id"))
        legs = [leg._replace(amount=await self._units(leg.amount, leg.asset)) for leg in legs]
        return await self.submit(
            commands.refund_transfer(transfer, legs, reference=reference, metadata=metadata, **terms)
        )

    async def submit(self, command: AnyCommand) -> Applied:
        """Send any command; ``walletd.client.commands`` has a function for each."""
        return await self.ask(requests.submit(command))

    async def batch(
        self,
        commands: Iterable[BatchedCommand],
        *,
        atomic: bool = True,
        command_id: str | None = None,
        dry_run: bool = False,
    ) -> BatchApplied:
        """Run commands in one entry, as ``walletd.client.commands`` makes them: all, or none, or each by itself.

        The results are in the commands' order, each refused command with its refusal.  An atomic batch raises Refused
        for the first command that is refused; its ``facts["command"]`` is that command's index.
        """
        return batch_results(await self.ask(requests.batch(commands, atomic, command_id, dry_run)))

    # --- holds -----------------------------------------------------------------------------------------------------

    async def place_hold(
        self,
        wallet: str,
        amount: Amount,
        asset: str,
        *,
        expires_in_seconds: int | None = None,
        expires_at: datetime | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **terms: Unpack[Terms],
    ) -> Applied:
        """Reserve an amount in a wallet, so that a capture cannot fail for lack of funds; the result's ``hold`` is its
        id.
        """
        return await self.submit(
            commands.place_hold(
                wallet,
                await self._units(amount, asset),
                asset,
                expires_in_seconds=expires_in_seconds,
                expires_at=expires_at,
                reference=reference,
                metadata=metadata,
                **terms,
            )
        )

    async def capture_hold(
        self,
        wallet: str,
        hold: str,
        parts: Mapping[str, Amount],
        *,
        final: bool = False,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **terms: Unpack[Terms],
    ) -> Applied:
        """Pay from a hold: to each wallet its part.  ``final`` releases the rest."""
        units = {to: await self._units_of_hold(amount, wallet, hold) for to, amount in parts.items()}
        return await self.submit(
            commands.capture_hold(wallet, hold, units, final=final, reference=reference, metadata=metadata, **terms)
        )

    async def extend_hold(
        self,
        wallet: str,
        hold: str,
        *,
        expires_in_seconds: int | None = None,
        expires_at: datetime | None = None,
        **terms: Unpack[Terms],
    ) -> Applied:
        """Change an open hold's expiry; with neither, it stays open until it is captured or voided."""
        return await self.submit(
            commands.extend_hold(wallet, hold, expires_in_seconds=expires_in_seconds, expires_at=expires_at, **terms)
        )

    async def adjust_hold(self, wallet: str, hold: str, amount: Amount, **terms: Unpack[Terms]) -> Applied:
        """Raise or lower the amount that an open hold reserves; captured money stays captured."""
        units = await self._units_of_hold(amount, wallet, hold)
        return await self.submit(commands.adjust_hold(wallet, hold, units, **terms))

    async def void_hold(self, wallet: str, hold: str, **terms: Unpack[Terms]) -> Applied:
        """Release everything that an open hold still reserves."""
        return await self.submit(commands.void_hold(wallet, hold, **terms))

    # --- wallets ---------------------------------------------------------------------------------------------------

    async def update_wallet(
        self,
        wallet: str,
        *,
        metadata: Mapping[str, str] | None = None,
        limits: Mapping[str, WalletLimits | None] | None = None,
        **terms: Unpack[Terms],
    ) -> Applied:
        """Replace a wallet's metadata, the limits of some of its assets, or both; None removes an asset's limits."""
        return await self.submit(commands.update_wallet(wallet, metadata=metadata, limits=limits, **terms))

    async def freeze_wallet(
        self,
        wallet: str,
        why: str,
        *,
        frozen: FrozenSide | str = FrozenSide.BOTH,
        until_in_seconds: int | None = None,
        until: datetime | None = None,
        **terms: Unpack[Terms],
    ) -> Applied:
        """Stop money into a wallet, out of it, or both, until it is unfrozen or for a time."""
        return await self.submit(
            commands.freeze_wallet(wallet, why, frozen=frozen, until_in_seconds=until_in_seconds, until=until, **terms)
        )

    async def unfreeze_wallet(self, wallet: str, **terms: Unpack[Terms]) -> Applied:
        """End a wallet's freeze early."""
        return await self.submit(commands.unfreeze_wallet(wallet, **terms))

    async def close_wallet(self, wallet: str, *, sweep_to: str | None = None, **terms: Unpack[Terms]) -> Applied:
        """Close a wallet permanently; it must be empty, or name the wallet that receives its balances."""
        return await self.submit(commands.close_wallet(wallet, sweep_to=sweep_to, **terms))

    # --- clients ---------------------------------------------------------------------------------------------------

    async def create_client(
        self,
        client: str,
        scopes: Iterable[str],
        token: str,
        *,
        expires_at: datetime | None = None,
        expires_in_seconds: int | None = None,
        addresses: Iterable[str] | None = None,
        budget: Mapping[str, int] | None = None,
        command_id: str | None = None,
    ) -> Applied:
        """Create a client with this token, of which only the hash is sent; ``new_token()`` makes one.

        The tokens of a client with ``addresses`` are valid there only: addresses, or networks such as 10.1.0.0/16.
        """
        expiry = clients.Expiry(expires_at, expires_in_seconds)
        return await self.ask(clients.create_client(client, scopes, token, expiry, addresses, budget, command_id))

    async def update_client(
        self,
        client: str,
        *,
        scopes: Iterable[str] | None = None,
        addresses: Iterable[str] | None = None,
        budget: Mapping[str, int] | None = None,
        command_id: str | None = None,
    ) -> Applied:
        """Change a client's scopes, budget or addresses; without an admin's rights, narrow one's own."""
        return await self.ask(clients.update_client(client, scopes, addresses, budget, command_id))

    async def rotate_client(
        self,
        client: str,
        token: str,
        *,
        expires_at: datetime | None = None,
        expires_in_seconds: int | None = None,
        overlap_until: datetime | None = None,
        overlap_for_seconds: int | None = None,
        command_id: str | None = None,
    ) -> Applied:
        """Give a client a new token; earlier ones end at once, or with the overlap."""
        expiry = clients.Expiry(expires_at, expires_in_seconds)
        overlap = clients.Expiry(overlap_until, overlap_for_seconds)
        return await self.ask(clients.rotate_client(client, token, expiry, overlap, command_id))

    async def revoke_client(self, client: str, *, command_id: str | None = None) -> Applied:
        """Revoke a client permanently, with its viewing keys."""
        return await self.ask(clients.revoke_client(client, command_id))

    # --- amounts that depend on what is there ----------------------------------------------------------------------

    async def _units_of_hold(self, amount: Amount, wallet: str, hold: str) -> int:
        """The amount in smallest units of the asset that is held."""
        return await self._units(amount, (await self.hold(wallet, hold)).asset if needs_scale(amount) else "")

    async def _rest_of(self, transfer: str, command_id: str | None) -> Iterable[Leg]:
        """What may still be refunded of a transfer or, if this id has refunded it, what it refunded."""
        if command_id is not None:
            try:
                earlier = (await self.entry(command_id=command_id)).entry.command
            except RequestFailed as failed:
                if failed.reason != Reason.ENTRY_NOT_FOUND:
                    raise
            else:
                if isinstance(earlier, RefundTransfer):
                    return [Leg(one.source, one.to, int(one.amount), one.asset) for one in earlier.postings]
        view = await self.transfer(transfer)
        moved = [Leg(one.to, one.source, int(one.amount), one.asset) for one in view.postings]
        if view.refunded:
            moved = [Leg(one.to, one.source, int(one.amount) - int(one.refunded), one.asset) for one in view.refunded]
        legs = [leg for leg in moved if leg.amount > 0]
        if not legs:
            raise nothing_left(transfer)
        return legs
