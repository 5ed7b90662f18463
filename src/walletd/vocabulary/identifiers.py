"""Identifiers, and the form of a well-formed one.

Every identifier is a string over a closed alphabet, so that it can appear in a log line, a URL or a shell command
without quoting.  A message declares a type such as ``WalletName``: msgspec checks the pattern while it decodes, so
later code never sees a malformed one.  What is journaled declares a type such as ``WalletText`` instead, whose form is
checked only when a client sends it.

    >>> msgspec.json.decode(b'"@external"', type=WalletName)
    '@external'
"""

from typing import Annotated, NewType

import msgspec

from walletd.vocabulary.forms import Form

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
SCOPE_PATTERN = (
    r"^(admin|operate|metrics|mint|define|(spend|view):(@?[A-Za-z0-9][A-Za-z0-9._:/-]{0,62}\*?|@?\*)"
    r"|(open|freeze):([A-Za-z0-9][A-Za-z0-9._:/-]{0,62}\*?|\*))\Z"
)
"""Only admins open and freeze system wallets, so no other scope names them."""
NETWORK_PATTERN = r"^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?\Z"
WALLET_PREFIX_PATTERN = r"^(|@|@?[A-Za-z0-9][A-Za-z0-9._:/-]{0,62})\Z"

WalletName = Annotated[WalletId, msgspec.Meta(pattern=WALLET_ID_PATTERN)]
WalletPrefix = Annotated[str, msgspec.Meta(pattern=WALLET_PREFIX_PATTERN)]
AssetName = Annotated[AssetCode, msgspec.Meta(pattern=ASSET_CODE_PATTERN)]
CommandName = Annotated[CommandId, msgspec.Meta(pattern=COMMAND_ID_PATTERN)]
TransferName = Annotated[TransferId, msgspec.Meta(pattern=TRANSFER_ID_PATTERN)]
HoldName = Annotated[HoldId, msgspec.Meta(pattern=HOLD_ID_PATTERN)]
ClientName = Annotated[Principal, msgspec.Meta(pattern=CLIENT_NAME_PATTERN)]

WalletText = Annotated[WalletId, Form(WALLET_ID_PATTERN, is_often_seen=True)]
AssetText = Annotated[AssetCode, Form(ASSET_CODE_PATTERN, is_often_seen=True)]
CommandText = Annotated[CommandId, Form(COMMAND_ID_PATTERN)]
TransferText = Annotated[TransferId, Form(TRANSFER_ID_PATTERN)]
HoldText = Annotated[HoldId, Form(HOLD_ID_PATTERN)]
ClientText = Annotated[Principal, Form(CLIENT_NAME_PATTERN)]
TokenHash = Annotated[str, Form(TOKEN_HASH_PATTERN)]
Scope = Annotated[str, Form(SCOPE_PATTERN)]
Network = Annotated[str, Form(NETWORK_PATTERN)]
"""An address such as 10.0.0.7, or a network such as 10.1.0.0/16 or 2001:db8::/32."""

SequenceNumber = Annotated[Sequence, msgspec.Meta(ge=0, le=2**53 - 1)]
VersionNumber = Annotated[Version, msgspec.Meta(ge=0, le=2**53 - 1)]

EXTERNAL = WalletId("@external")
"""The world outside: money enters from it and leaves to it.  It is open from the first entry on."""

DAEMON = Principal("@walletd")
"""The principal of entries that the daemon writes on its own."""

NOBODY = Principal("")
"""A principal without rights over clients: no client's name is empty."""

OPERATOR = Principal("operator")
"""The client whose token the daemon creates at its first start and keeps in a file."""


def owner_of(client: str) -> Principal | None:
    """The owner of a viewing key, whose name is the owner's, a slash and a word; None for any other client."""
    owner, slash, _ = client.partition("/")
    return Principal(owner) if slash else None


def is_system_wallet(wallet: str) -> bool:
    """True if the wallet belongs to the ledger's owner (its name starts with ``@``) and may go below zero."""
    return wallet.startswith("@")


def transfer_id(sequence: int, index: int | None = None, history: str = "") -> TransferId:
    """The id of the transfer that this entry posted: ``t``, the sequence, in a batch the command's index and, after a
    restore, the mark of the entry's history: ``t7``, ``t7.2``, ``t7.2-k3f9a2xq``.
    """
    return TransferId("t" + _place_name(sequence, index, history))


def hold_id(sequence: int, index: int | None = None, history: str = "") -> HoldId:
    """The id of the hold that this entry placed: ``h``, followed by the same parts as a transfer's id."""
    return HoldId("h" + _place_name(sequence, index, history))


def sequence_of(name: TransferId | HoldId) -> Sequence:
    """The sequence of the entry that posted this transfer or placed this hold."""
    return Sequence(place_of(name)[0])


def place_of(name: TransferId | HoldId) -> tuple[int, int]:
    """The entry's sequence and the command's index in its batch, or -1: numbers that sort in order of posting.

    Within one journal the pair is unique, because each sequence exists once; across histories the mark is needed as
    well.
    """
    sequence, _, index = name[1:].partition("-")[0].partition(".")
    return int(sequence), int(index or -1)


def history_of(name: TransferId | HoldId) -> str:
    """The mark of the history that issued the id; empty for the first."""
    return name.partition("-")[2]


def _place_name(sequence: int, index: int | None, history: str) -> str:
    place = f"{sequence}" if index is None else f"{sequence}.{index}"
    return f"{place}-{history}" if history else place
