"""An actor: one wallet's turn, and the claims that wait for it in order of arrival.

A claim stands in the mailboxes of all its wallets from the moment it is made, and runs once it is the first in each.
Since it enters all of them at once, every two claims stand in the same order wherever they meet: no circle of claims
can wait for each other, and each wallet sees its commands in the order in which they came.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from walletd.vocabulary.identifiers import WalletId
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import ActorState

KEEP: Final = "keep"
"""What a claim returns that has not done with its turns."""


class Claim:
    """A wish to act on several wallets at once: ``run`` is called with every turn in hand, or ``fail`` with a reason.

    ``run`` does not await: nobody else has a turn meanwhile, and the turns are given back when it returns.  Where it
    returns ``KEEP`` they are not: it runs once more when the roster is told to ``resume`` the claim.
    """

    __slots__ = ("command_id", "fail", "lacking", "run", "wallets")

    def __init__(
        self,
        wallets: Sequence[WalletId],
        run: Callable[[], object],
        fail: Callable[[Reason, dict[str, Any]], None],
        command_id: str | None = None,
    ) -> None:
        self.command_id = command_id
        self.wallets = wallets
        self.run = run
        self.fail = fail
        self.lacking = len(wallets)
        """Of how many wallets the claim does not have the turn yet."""


class Actor:
    """One warm wallet: its state, who waits for its turn, and the last entry that touched it."""

    __slots__ = ("last_sequence", "last_used", "lost", "mailbox", "state", "wallet")

    def __init__(self, wallet: WalletId) -> None:
        self.wallet = wallet
        self.state = ActorState.LOADING
        self.mailbox: Sequence[Claim] = ()
        """The first has the turn, once the actor is active.  A deque only while somebody waits: it takes 0.6 KiB."""
        self.last_sequence = 0
        """The last entry that touched the wallet, durable or not; 0 where none did since it was loaded."""
        self.last_used = 0.0
        self.lost: dict[str, Any] | None = None
        """Why its book could not be loaded: whoever waits is told so, and then the actor ends."""

    def enter(self, claim: Claim) -> None:
        """Have the claim wait behind the others."""
        if not isinstance(self.mailbox, deque):
            self.mailbox = deque()
        self.mailbox.append(claim)

    def leave(self, claim: Claim) -> None:
        """The claim, which is the first, is done."""
        assert isinstance(self.mailbox, deque)
        assert self.mailbox[0] is claim
        self.mailbox.popleft()
        if not self.mailbox:
            self.mailbox = ()

    @property
    def is_free(self) -> bool:
        """Whether a claim may have the turn at once."""
        return self.state is ActorState.ACTIVE and not self.mailbox
