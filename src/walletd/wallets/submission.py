"""A submission: a command on its way, who sent it, and what becomes of it.

submission = Submission(command, principal, reply)
submission.settle(Answer(durable, replayed=False))     # reply is called, and whoever sent the same id meanwhile
"""

from collections.abc import Callable
from datetime import datetime
from time import perf_counter
from typing import Any, NamedTuple

import msgspec

from walletd.journal.history import DurableEntry
from walletd.ledger.guards import Verdict
from walletd.vocabulary.commands import AnyCommand, ExecuteBatch, ExpireHold, ids_of
from walletd.vocabulary.identifiers import CommandId, Principal
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.room import Room
from walletd.vocabulary.sameness import first_difference


class Answer(NamedTuple):
    """The command's entry, which is durable; ``replayed`` where it was decided for an earlier sending."""

    durable: DurableEntry
    replayed: bool


class Foreseen(NamedTuple):
    """What a dry run found, and how much room it would leave; what it saw is durable."""

    verdict: Verdict
    time: datetime
    room: tuple[Room, ...] = ()


class NotDecided(NamedTuple):
    """The command never reached a decision; its id is as new as before."""

    reason: Reason
    facts: dict[str, Any]


Behind = Callable[[], int | None]
"""The entry that a read must not lie before; None: something before it is not decided, and whoever asked asks again."""

Reply = Callable[[Answer | Foreseen | NotDecided], None]


def _nobody(answer: Answer | Foreseen | NotDecided) -> None:
    raise AssertionError("a command is answered once")


class Submission:
    """A command on its way, and those who sent the same id meanwhile."""

    __slots__ = (
        "arrived",
        "command",
        "decided",
        "durable",
        "followers",
        "is_settled",
        "key",
        "principal",
        "received",
        "reply",
        "sequence",
    )

    def __init__(self, command: AnyCommand, principal: Principal, reply: Reply) -> None:
        self.arrived = perf_counter()
        self.decided = 0.0
        self.command = command
        self.principal = principal
        self.key = (principal, command.command_id)
        """What may be used only once."""
        self.reply = reply
        self.received: datetime | None = None
        """When it came, by the clock that times its entry: the seconds for which it is valid count from here."""
        self.sequence = 0
        """The sequence of its entry, once it is decided; 0 before."""
        self.durable: DurableEntry | None = None
        self.is_settled = False
        self.followers: list[Reply] = []

    @property
    def is_decided(self) -> bool:
        """Whether it has its place in the order of things, or never will."""
        return self.sequence > 0 or self.is_settled

    @property
    def keys(self) -> list[tuple[Principal, CommandId]]:
        """Its own key, and those of the commands in it."""
        if not isinstance(self.command, ExecuteBatch):
            return [self.key]
        return [(self.principal, name) for name in ids_of(self.command)]

    def settle(self, answer: Answer | Foreseen | NotDecided) -> None:
        """Answer whoever sent this, and then all who sent it again meanwhile."""
        assert not self.is_settled
        self.is_settled = True
        # A reply usually knows its submission: let go of it, so that both die by reference count.
        reply, self.reply = self.reply, _nobody
        reply(answer)
        for follower in self.followers:
            follower(answer)
        self.followers.clear()


def answer_again(durable: DurableEntry, command: AnyCommand) -> Answer | NotDecided:
    """What a command sent again is answered: as before, or what differs."""
    decided = durable.entry.command
    if isinstance(command, ExpireHold) and isinstance(decided, ExpireHold):
        command = msgspec.structs.replace(command, most=decided.most)  # It is chosen when the command is decided.
    difference = first_difference(decided, command)
    if difference is None:
        return Answer(durable, replayed=True)
    facts = {"command_id": command.command_id, "field": difference, "sequence": durable.entry.sequence}
    return NotDecided(Reason.COMMAND_ID_REUSED, facts)
