"""An actor: one wallet's turn, and the claims that wait for it in order of arrival.

A claim is in the mailboxes of all its wallets from its creation, and runs once it is the first in each.  Since it
enters all of them at once, every two claims have the same order wherever they meet: claims cannot wait for each other
in a circle, and each wallet sees its commands in the order of their arrival.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from walletd.vocabulary.declined import Declined
from walletd.vocabulary.identifiers import DAEMON, Principal, WalletId
from walletd.vocabulary.states import ActorState

KEEP: Final = "keep"
"""The result of a claim that still needs its turns."""


class Claim:
    """A request for the turns of several wallets at once: ``run`` is called with every turn in hand, or ``fail`` with a
    ``Declined``.

    ``run`` receives the claim itself, so that it need not hold it: a claim dies by reference count.  It does not
    await: no other claim has a turn meanwhile, and the turns are released when it returns.  If it returns ``KEEP``,
    they are not: it runs again when the roster is told to ``resume`` the claim.
    """

    __slots__ = ("command_id", "fail", "is_vital", "lacking", "run", "sender", "wallets")

    def __init__(
        self,
        wallets: Sequence[WalletId],
        run: Callable[["Claim"], object],
        fail: Callable[[Declined], None],
        command_id: str | None = None,
        *,
        is_vital: bool = False,
        sender: Principal = DAEMON,
    ) -> None:
        """``is_vital``: it may use the places of a mailbox that are kept for such claims.  ``sender`` pays for it."""
        self.sender = sender
        self.is_vital = is_vital
        self.command_id = command_id
        self.wallets = wallets
        self.run = run
        self.fail = fail
        self.lacking = len(wallets)
        """The number of wallets whose turn the claim does not have yet."""


class Actor:
    """One warm wallet: its state, the claims waiting for its turn, and the last entry that touched it."""

    __slots__ = ("last_sequence", "last_used", "lost", "mailbox", "state", "wallet", "wanted_by")

    def __init__(self, wallet: WalletId, wanted_by: Principal = DAEMON) -> None:
        self.wallet = wallet
        self.wanted_by = wanted_by
        """The sender of the claim that made it: one of its places while it loads."""
        self.state = ActorState.LOADING
        self.mailbox: Sequence[Claim] = ()
        """The first has the turn, once the actor is active.  A deque only while claims wait: it takes 0.6 KiB."""
        self.last_sequence = 0
        """The last entry that touched the wallet, durable or not; 0 if none did since it was loaded."""
        self.last_used = 0.0
        self.lost: Declined | None = None
        """The reason why its book could not be loaded: waiting claims fail with it, and then the actor ends."""

    def enter(self, claim: Claim) -> None:
        """Add the claim behind the others."""
        if not isinstance(self.mailbox, deque):
            self.mailbox = deque()
        self.mailbox.append(claim)

    def leave(self, claim: Claim) -> None:
        """Remove the claim, which is the first."""
        assert isinstance(self.mailbox, deque)
        assert self.mailbox[0] is claim
        self.mailbox.popleft()
        if not self.mailbox:
            self.mailbox = ()

    @property
    def is_free(self) -> bool:
        """True if a claim may have the turn at once."""
        return self.state is ActorState.ACTIVE and not self.mailbox
