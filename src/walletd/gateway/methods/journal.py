"""The journal as it is stored, for those who keep a copy of it."""

from walletd.gateway.endpoint import ClientEndpoint
from walletd.protocol.messages.journal import JournalBlock
from walletd.sessions.session import Call


async def journal_read(endpoint: ClientEndpoint, call: Call) -> None:
    """Stored segments, packed."""
    services = endpoint.services
    block = await services.stored.history.block_after(call.params.after)
    result = JournalBlock(
        instance=services.about.instance,
        created_ns=services.about.created_at,
        epoch=services.about.epoch,
        head=services.publisher.head,
        block=block,
    )
    endpoint.reply(call, result)
