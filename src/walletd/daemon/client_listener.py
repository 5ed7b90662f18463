"""The clients' listener: the server on their addresses, an endpoint for each connection, and the effect of a reload."""

from collections.abc import Callable

from walletd.daemon.admin_listener import Listeners, status_pages
from walletd.daemon.descriptors import SPARED_BY_CLIENTS
from walletd.daemon.launch import Launch
from walletd.daemon.listeners import terms_of
from walletd.gateway.audit_trail import SHOWN_OF_A_HASH, Visit
from walletd.gateway.endpoint import ClientEndpoint
from walletd.gateway.methods import dispatch
from walletd.gateway.network.bounds import Deadlines
from walletd.gateway.network.connection import Connection
from walletd.gateway.network.places import ALL_OF_ITS_OWN, Caps
from walletd.gateway.network.server import GatewayServer
from walletd.gateway.services import Services, connection_id
from walletd.gateway.websocket.handshake import Handshake, Policy
from walletd.logs.context import about_connection
from walletd.protocol.methods import METHODS
from walletd.sessions.access import OPERATE, Grant
from walletd.sessions.session import WITHOUT_STREAMS, Session
from walletd.settings.settings import Settings
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import DaemonState
from walletd.wallets.commit_at_once import CommitAtOnce

CROWDED_RETRY_SECONDS = 1.0
"""The wait that a client is told that finds no place for its connection."""


def client_listener(
    launch: Launch,
    listeners: Listeners,
    services: Services,
    passes: CommitAtOnce,
    is_silenced: Callable[[], bool] | None = None,
) -> GatewayServer:
    """The server for clients; each reload gives it new terms of admission."""
    settings, parts = launch.settings, listeners.parts

    def open_endpoint(connection: Connection, handshake: Handshake) -> ClientEndpoint:
        grant = None
        if handshake.token is not None:
            grant = services.admission.register.grant_of(handshake.token)
        elif connection.certified is not None:
            grant = services.admission.register.grant_of_principal(connection.certified)

        def take_place(grant: Grant) -> Declined | None:
            account = services.budgets.account(grant.principal)
            most = account.budget.connections or 0
            full = connection.take_place(account.name, has_reserve=grant.permits(OPERATE), most=most)
            if full is None:
                token = grant.token_sha256[:SHOWN_OF_A_HASH]
                seal = connection.fingerprint[:SHOWN_OF_A_HASH] if grant.is_certified else ""
                services.audit.begun(name, Visit(grant.principal, token, connection.peer, handshake.user_agent, seal))
                return None
            if full == ALL_OF_ITS_OWN:
                return services.budgets.refusal("connections", most, CROWDED_RETRY_SECONDS)
            return Declined(Reason.OVERLOADED, {"what": full, "retry_after_ms": int(CROWDED_RETRY_SECONDS * 1000)})

        name = connection_id()
        register, limits = services.admission.register, services.terms.limits
        throttle = parts.rates.throttle(services.budgets.account)
        methods = METHODS if handshake.body is None else WITHOUT_STREAMS
        session = Session(register, limits, grant, throttle, take_place, connection.peer, methods)
        if grant is not None and not grant.is_valid_at(connection.peer):
            session.end()
        about_connection(name)
        return ClientEndpoint(services, session, connection, name, dispatch.answer)

    policy, deadlines, caps = _terms(settings, launch, services)
    server = GatewayServer(
        settings.host,
        settings.port,
        policy,
        deadlines,
        parts.bounds,
        caps,
        open_endpoint,
        listeners.inherited,
        reserved=listeners.reserved,
        certificates=parts.certificates,
        unix_socket=parts.unix_socket,
        passes=passes,
        proxies=parts.proxies,
        spares_descriptors=SPARED_BY_CLIENTS,
        traffic=parts.traffic,
        token_refused=services.audit.refused,
        is_silenced=is_silenced,
    )
    launch.operations.takers.append(lambda taken: parts.refresh())
    launch.operations.takers.append(lambda taken: server.amend(*_terms(taken, launch, services)))
    return server


def _terms(settings: Settings, launch: Launch, services: Services) -> tuple[Policy, Deadlines, Caps]:
    """The reloadable terms: which connections are admitted, and the time limits of a peer."""
    return terms_of(
        settings,
        status_pages(launch.lifecycle, launch.operations).page,
        admits=lambda token: services.admission.register.grant_of(token) is not None,
        is_draining=lambda: launch.lifecycle.state is DaemonState.DRAINING,
    )
