"""A submission: a command on its way, its sender, and its outcome.

submission = Submission(command, principal, reply)
submission.settle(Answer(durable, replayed=False))     # calls reply, and those of repetitions sent meanwhile
"""

from collections.abc import Callable
from datetime import datetime
from time import perf_counter
from typing import NamedTuple

import msgspec

from walletd.journal.history import DurableEntry
from walletd.ledger.guards import Verdict
from walletd.vocabulary.claims import ids_of
from walletd.vocabulary.commands import AnyCommand, ExecuteBatch, ExpireHold, RefusedCommand
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.identifiers import CommandId, Principal
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.room import Room
from walletd.vocabulary.sameness import first_difference, kept_of


class Answer(NamedTuple):
    """The command's entry, which is durable; ``replayed`` if it was decided for an earlier sending."""

    durable: DurableEntry
    replayed: bool


class Foreseen(NamedTuple):
    """The result of a dry run, and the room that it would leave; everything it saw is durable."""

    verdict: Verdict
    time: datetime
    room: tuple[Room, ...] = ()


Behind = Callable[[], int | None]
"""The entry that a read must not precede; None: an earlier command is not decided, and the read has to ask again."""

Settlement = Answer | Foreseen | Declined
"""The outcome of a submission.  It has a name because annotations of inner functions are evaluated at each call."""

Settled = Callable[[Settlement], None]
"""What is told the outcome of a submission."""


def _never() -> bool:
    return False


def _nobody(answer: Settlement) -> None:
    raise AssertionError("a command is answered once")


class Submission:
    """A command on its way, and the repetitions of its id meanwhile."""

    __slots__ = (
        "arrived",
        "command",
        "decided",
        "durable",
        "followers",
        "is_abandoned",
        "is_settled",
        "key",
        "principal",
        "received",
        "reply",
        "sequence",
    )

    def __init__(self, command: AnyCommand, principal: Principal, reply: Settled) -> None:
        self.arrived = perf_counter()
        self.decided = 0.0
        self.command = command
        self.principal = principal
        self.key = (principal, command.command_id)
        """The key that may be used only once."""
        self.reply = reply
        self.received: datetime | None = None
        """Its arrival, by the clock that times its entry: the seconds for which it is valid count from here."""
        self.sequence = 0
        """The sequence of its entry, once it is decided; 0 before."""
        self.durable: DurableEntry | None = None
        self.is_settled = False
        self.is_abandoned: Callable[[], bool] = _never
        """Tells whether its sender has left; set for one that is not decided on arrival."""
        self.followers: list[Settled] = []

    @property
    def is_decided(self) -> bool:
        """True if its order among the entries is fixed, or it will never have one."""
        return self.sequence > 0 or self.is_settled

    @property
    def keys(self) -> list[tuple[Principal, CommandId]]:
        """Its own key, and those of the commands in it."""
        if not isinstance(self.command, ExecuteBatch):
            return [self.key]
        return [(self.principal, name) for name in ids_of(self.command)]

    def settle(self, answer: Settlement) -> None:
        """Answer the sender, and then all repetitions sent meanwhile."""
        assert not self.is_settled
        self.is_settled = True
        # A reply usually references its submission: drop it, so that both die by reference count.
        reply, self.reply, self.is_abandoned = self.reply, _nobody, _never
        reply(answer)
        for follower in self.followers:
            follower(answer)
        self.followers.clear()


def answer_again(durable: DurableEntry, command: AnyCommand, warm: AnyCommand | None = None) -> Answer | Declined:
    """The answer to a repeated command: the same as before, or the difference.

    ``warm``: the first command, while it is in memory.  Without it, only a digest tells whether a refused command is
    repeated, and the first field that differs is not known.
    """
    decided = durable.entry.command
    if isinstance(decided, RefusedCommand):
        if decided == kept_of(command):
            return Answer(durable, replayed=True)
        if warm is None:
            facts = {"command_id": command.command_id, "sequence": durable.entry.sequence}
            return Declined(Reason.COMMAND_ID_REUSED, facts)
        decided = warm
    if isinstance(command, ExpireHold) and isinstance(decided, ExpireHold):
        command = msgspec.structs.replace(command, most=decided.most)  # It is chosen when the command is decided.
    difference = first_difference(decided, command)
    if difference is None:
        return Answer(durable, replayed=True)
    facts = {"command_id": command.command_id, "field": difference, "sequence": durable.entry.sequence}
    return Declined(Reason.COMMAND_ID_REUSED, facts)
