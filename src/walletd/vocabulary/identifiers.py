"""Names of things, and what a well-formed name looks like.

Every identifier is a string with a closed alphabet, so that it can stand in a log line, a URL or a
shell command without quoting.  A type such as ``WalletName`` is what a message declares: msgspec checks
the pattern while it decodes, so that the code behind it never sees a malformed one.

    >>> msgspec.json.decode(b'"@external"', type=WalletName)
    '@external'
"""

from typing import Annotated, NewType

import msgspec

WalletId = NewType("WalletId", str)
AssetCode = NewType("AssetCode", str)
CommandId = NewType("CommandId", str)
Principal = NewType("Principal", str)
TransferId = NewType("TransferId", str)
HoldId = NewType("HoldId", str)
Sequence = NewType("Sequence", int)
Version = NewType("Version", int)

# ``\Z`` and not ``$``: the latter also matches before a final newline.
WALLET_ID_PATTERN = r"^@?[A-Za-z0-9][A-Za-z0-9._:/-]{0,62}\Z"
ASSET_CODE_PATTERN = r"^[A-Z][A-Z0-9._-]{0,15}\Z"
COMMAND_ID_PATTERN = r"^[\x21-\x7e]{1,64}\Z"
TRANSFER_ID_PATTERN = r"^t[1-9][0-9]{0,15}(\.[0-9]{1,3})?(-[0-9a-z]{8})?\Z"
HOLD_ID_PATTERN = r"^h[1-9][0-9]{0,15}(\.[0-9]{1,3})?(-[0-9a-z]{8})?\Z"
HISTORY_MARK_PATTERN = r"^([0-9a-z]{8})?\Z"
CLIENT_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}(/[A-Za-z0-9][A-Za-z0-9._:-]{0,62})?\Z"
TOKEN_HASH_PATTERN = r"^[0-9a-f]{64}\Z"
SCOPE_PATTERN = r"^(admin|operate|metrics|(spend|view):(@?[A-Za-z0-9][A-Za-z0-9._:/-]{0,62}\*?|@?\*))\Z"
WALLET_PREFIX_PATTERN = r"^(|@|@?[A-Za-z0-9][A-Za-z0-9._:/-]{0,62})\Z"

WalletName = Annotated[WalletId, msgspec.Meta(pattern=WALLET_ID_PATTERN)]
WalletPrefix = Annotated[str, msgspec.Meta(pattern=WALLET_PREFIX_PATTERN)]
AssetName = Annotated[AssetCode, msgspec.Meta(pattern=ASSET_CODE_PATTERN)]
CommandName = Annotated[CommandId, msgspec.Meta(pattern=COMMAND_ID_PATTERN)]
TransferName = Annotated[TransferId, msgspec.Meta(pattern=TRANSFER_ID_PATTERN)]
HoldName = Annotated[HoldId, msgspec.Meta(pattern=HOLD_ID_PATTERN)]
ClientName = Annotated[Principal, msgspec.Meta(pattern=CLIENT_NAME_PATTERN)]
TokenHash = Annotated[str, msgspec.Meta(pattern=TOKEN_HASH_PATTERN)]
Scope = Annotated[str, msgspec.Meta(pattern=SCOPE_PATTERN)]
SequenceNumber = Annotated[Sequence, msgspec.Meta(ge=0, le=2**53 - 1)]
VersionNumber = Annotated[Version, msgspec.Meta(ge=0, le=2**53 - 1)]

EXTERNAL = WalletId("@external")
"""The world outside: money comes in from it and goes out to it.  It is open from the first entry on."""

DAEMON = Principal("@walletd")
"""The principal of the entries that the daemon writes of its own accord."""

NOBODY = Principal("")
"""Who may do nothing about clients: no name of a client is empty."""

OPERATOR = Principal("operator")
"""The client whose token the daemon makes at its first start and keeps in a file."""


def owner_of(client: str) -> Principal | None:
    """The owner of a viewing key, whose name is the owner's, a slash and a word; None for any other client."""
    owner, slash, _ = client.partition("/")
    return Principal(owner) if slash else None


def is_system_wallet(wallet: str) -> bool:
    """Whether the wallet belongs to the ledger's owner (its name starts with ``@``) and may go below zero."""
    return wallet.startswith("@")


def transfer_id(sequence: int, index: int | None = None, history: str = "") -> TransferId:
    """The id of the transfer that this entry posted: ``t``, the sequence, in a batch the command's index and, after a
    restore, the mark of the entry's history: ``t7``, ``t7.2``, ``t7.2-k3f9a2xq``."""
    return TransferId("t" + _place_name(sequence, index, history))


def hold_id(sequence: int, index: int | None = None, history: str = "") -> HoldId:
    """The id of the hold that this entry placed: ``h``, and then as a transfer's."""
    return HoldId("h" + _place_name(sequence, index, history))


def sequence_of(name: TransferId | HoldId) -> Sequence:
    """The sequence of the entry that posted this transfer or placed this hold."""
    return Sequence(place_of(name)[0])


def place_of(name: TransferId | HoldId) -> tuple[int, int]:
    """The entry's sequence and the command's index in its batch, or -1: numbers that sort in order of posting.

    Within one journal they name one thing, for each sequence is there once; over histories the mark belongs to it.
    """
    sequence, _, index = name[1:].partition("-")[0].partition(".")
    return int(sequence), int(index or -1)


def history_of(name: TransferId | HoldId) -> str:
    """The mark of the history in which the id was given out; empty: the first."""
    return name.partition("-")[2]


def _place_name(sequence: int, index: int | None, history: str) -> str:
    place = f"{sequence}" if index is None else f"{sequence}.{index}"
    return f"{place}-{history}" if history else place
