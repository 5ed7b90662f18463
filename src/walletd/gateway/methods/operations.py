"""The operator's methods: from a permitted call to the daemon's operations.

``daemon_audit`` reads the tables and takes long; all others are answered at once.
"""

from collections.abc import Callable

from walletd.gateway.endpoint import ClientEndpoint
from walletd.protocol.errors import InvalidParams
from walletd.protocol.messages import operator as o
from walletd.sessions.session import Call
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import DaemonState


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
    endpoint.reply(
        call, o.Draining(lifecycle=services.operator.lifecycle(), sessions=len(services.admission.endpoints))
    )
    services.operator.operations.drain()


def report(endpoint: ClientEndpoint, call: Call) -> None:
    """A report of the present state."""
    text, file = endpoint.services.operator.operations.report()
    endpoint.reply(call, o.FaultReport(report=text, file=file))


def daemon_status(endpoint: ClientEndpoint, call: Call) -> None:
    """The daemon at a glance."""
    endpoint.reply(call, endpoint.services.operator.status())


def daemon_compact(endpoint: ClientEndpoint, call: Call) -> None:
    """Start a compaction."""
    state, compaction = endpoint.services.operator.lifecycle(), endpoint.services.operator.compaction
    if state in (DaemonState.SERVING, DaemonState.COMPACTING):
        compaction.request(call.params.keep_entries)
        endpoint.reply(call, compaction.status)
    else:
        facts = {"why": f"the daemon is {state.value}", "retry_after_ms": 1000}
        endpoint.refuse(call, Declined(Reason.UNAVAILABLE, facts | endpoint.services.operator.leader()))


async def daemon_audit(endpoint: ClientEndpoint, call: Call) -> None:
    """The sums of all balances."""
    operator = endpoint.services.operator
    endpoint.reply(call, await operator.audits.report(call.params.after, operator.operations.audited))


OPERATIONS: dict[str, Callable[[ClientEndpoint, Call], None]] = {
    "daemon.status": daemon_status,
    "daemon.compact": daemon_compact,
    "daemon.log_level": log_level,
    "daemon.drain": drain,
    "daemon.report": report,
}
