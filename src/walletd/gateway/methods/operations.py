"""The operator's methods: from a permitted call to the daemon's operations."""

from collections.abc import Callable

from walletd.gateway.endpoint import ClientEndpoint
from walletd.protocol.errors import InvalidParams
from walletd.protocol.messages import operator as o
from walletd.sessions.session import Call


def log_level(endpoint: ClientEndpoint, call: Call) -> None:
    """Set a level from now on; or only report the levels."""
    level = call.params.level
    try:
        levels = endpoint.services.operator.operations.log_level(
            call.params.component, None if level is None else level.value
        )
    except ValueError as error:
        raise InvalidParams("component", str(error)) from error
    endpoint.reply(call, o.LogLevels(levels=dict(levels)))


def drain(endpoint: ClientEndpoint, call: Call) -> None:
    """The answer is queued before the daemon begins to stop."""
    services = endpoint.services
    endpoint.reply(call, o.Draining(lifecycle=services.operator.lifecycle(), sessions=len(services.admission.guests)))
    services.operator.operations.drain()


def report(endpoint: ClientEndpoint, call: Call) -> None:
    """A report of the present state."""
    text, file = endpoint.services.operator.operations.report()
    endpoint.reply(call, o.FaultReport(report=text, file=file))


OPERATIONS: dict[str, Callable[[ClientEndpoint, Call], None]] = {
    "daemon.log_level": log_level,
    "daemon.drain": drain,
    "daemon.report": report,
}
