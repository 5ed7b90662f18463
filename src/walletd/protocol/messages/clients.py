"""The messages about clients: what ``client.list`` answers."""

from walletd.protocol.messages import ClientView, PageLimit, Params, Result
from walletd.vocabulary.identifiers import ClientName, Principal


class ListClients(Params, frozen=True, kw_only=True):
    """Clients in the order of their names: all of them for an admin, else the client itself and its viewing keys.

    ``after`` is the last name of the page before.
    """

    after: ClientName | None = None
    limit: PageLimit = 100


class ClientPage(Result, frozen=True, kw_only=True):
    """One page of clients; ``next`` is the ``after`` of the following page, absent on the last."""

    clients: tuple[ClientView, ...]
    next: Principal | None = None
