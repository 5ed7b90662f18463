"""Command ids: whether a command was sent before, and the answer to a repetition.

    ids = CommandIds(index, history.entry)
    earlier = ids.find(submission.key)                 # the earlier submission, the sequence of its entry, or None
    ids.follow(earlier, submission)                    # the same answer, at once or when it is there
    ids.remember(submission)                           # new: from now on its ids are used
    ids.forget(submission)                             # it reached no decision: its ids are unused again
    ids.note(entries)                                  # the read tables show these entries, and their ids

Same id, same content: the same answer, always.  An id is remembered in memory from the submission of its command until
the read tables show its entry; from then on ``CommandIndex`` finds it there.  So memory holds no more ids than there
are entries that the tables lack.
"""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any

import trio

from walletd.journal.history import DurableEntry
from walletd.runtime.fair_turns import FairTurns
from walletd.runtime.task_home import TaskHome
from walletd.tables.command_ids import CommandIndex
from walletd.vocabulary.claims import ids_of
from walletd.vocabulary.commands import ExecuteBatch
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.identifiers import CommandId, Principal
from walletd.vocabulary.reasons import Reason
from walletd.wallets.submission import Answer, Settlement, Submission, answer_again

Key = tuple[Principal, CommandId]

ReadEntry = Callable[[int], Awaitable[DurableEntry]]


class CommandIds:
    """The used ids: in memory those that the read tables lack, in the index all others."""

    __slots__ = ("_index", "_payer", "_read_entry", "_recent", "_tasks", "_turns")

    def __init__(
        self,
        index: CommandIndex,
        read_entry: ReadEntry,
        turns: FairTurns[Any] | None = None,
        payer: Callable[[Principal], Hashable] = lambda principal: principal,
    ) -> None:
        """``turns``: those of all that is read for clients, by their payers."""
        self._index = index
        self._read_entry = read_entry
        self._turns: FairTurns[Any] = turns if turns is not None else FairTurns(1, 1)
        self._payer = payer
        self._recent: dict[Key, Submission] = {}
        self._tasks = TaskHome()
        """The tasks that read old entries for repeated commands."""

    def __len__(self) -> int:
        """The number of ids remembered in memory."""
        return len(self._recent)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled: the tasks that read old entries run in here."""
        await self._tasks.run(task_status)

    def knows(self, principal: Principal, command_id: CommandId) -> bool:
        """True if this command was sent before, and so has an answer or will have one."""
        return self.find((principal, command_id)) is not None

    def find(self, key: Key) -> Submission | int | None:
        """The submission that has this id, or the sequence of its entry in the read tables; None if it is new."""
        recent = self._recent.get(key)
        return recent if recent is not None else self._index.find(*key)

    def reused(self, submission: Submission) -> Declined | None:
        """The reason why the ids of the commands in a new batch cannot be used: the first that was used before."""
        if not isinstance(submission.command, ExecuteBatch):
            return None
        for key in submission.keys[1:]:
            used = self.find(key)
            if used is not None:
                sequence = used.sequence if isinstance(used, Submission) else used
                facts = {"command_id": key[1], "field": "commands", "sequence": sequence}
                return Declined(Reason.COMMAND_ID_REUSED, facts)
        return None

    def remember(self, submission: Submission) -> None:
        """Note that the ids of this submission are used from now on."""
        self._recent[submission.key] = submission
        if isinstance(submission.command, ExecuteBatch):
            for key in submission.keys:
                self._recent[key] = submission

    def forget(self, submission: Submission) -> None:
        """The submission reached no decision, or its entry was undone: its ids are unused again."""
        for key in submission.keys:
            if self._recent.get(key) is submission:
                del self._recent[key]

    def note(self, entries: Sequence[DurableEntry]) -> None:
        """The read tables show these entries: their ids are found there from now on."""
        index, recent = self._index, self._recent
        for durable in entries:
            principal = durable.entry.principal
            for name in ids_of(durable.entry.command):
                index.note(principal, name)
                recent.pop((principal, name), None)  # A follower decided none of them.

    # --- commands sent again ---------------------------------------------------------------------------------------

    def follow(self, earlier: Submission | int, submission: Submission) -> None:
        """Answer the submission as the earlier one with its id was answered, or will be."""
        if isinstance(earlier, Submission):
            self._repeat(earlier, submission)
        else:
            self._tasks.start_soon(self._replay, earlier, submission)

    def _repeat(self, earlier: Submission, submission: Submission) -> None:
        if earlier.is_settled:
            assert earlier.durable is not None
            submission.settle(answer_again(earlier.durable, submission.command, earlier.command))
            return

        def follow(answer: Settlement) -> None:
            if isinstance(answer, Answer):
                answer = answer_again(answer.durable, submission.command, earlier.command)
            submission.settle(answer)

        earlier.followers.append(follow)

    async def _replay(self, sequence: int, submission: Submission) -> None:
        async with self._turns.turn(self._payer(submission.principal)):
            submission.settle(answer_again(await self._read_entry(sequence), submission.command))
