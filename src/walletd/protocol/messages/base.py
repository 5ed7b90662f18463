"""The parts that messages are made of: the bounds of pages, and the bases of params and results."""

from typing import Annotated, Any

import msgspec

from walletd.vocabulary.commands import Instant
from walletd.vocabulary.identifiers import (
    SequenceNumber,
)

PROTOCOL_VERSION = "1"
SUBPROTOCOL = "walletd.v1"
MAX_PAGE = 1000
MAX_SUBSCRIBED_WALLETS = 1000
MAX_SNAPSHOT_WALLETS = 1000

MAX_READ_WALLETS = 100
"""The limit of one balance.get: the wallets are claimed together, as those of a transfer are."""
PageLimit = Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE)]
RequestId = Annotated[int, msgspec.Meta(ge=-(2**53 - 1), le=2**53 - 1)] | Annotated[str, msgspec.Meta(max_length=64)]

Moment = SequenceNumber | Instant
"""A point of the history: the sequence of an entry, or a time."""


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The params of a request that changes nothing."""


class Read(Params, frozen=True, kw_only=True):
    """The params of a read, which may be answered by any node of a ledger."""

    at_least: SequenceNumber | None = None
    """The entry that the answer must show, such as the ``sequence`` of the client's last command: a node that has not
    come so far waits for it.
    """


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """The result of a request that succeeded."""


JournalEntry = Annotated[Any, msgspec.Meta(extra_json_schema={"$ref": "#/components/schemas/Entry"})]
"""An entry (``walletd.vocabulary.entries.Entry``) as its stored bytes, which are not encoded again."""


class NoParams(Params, frozen=True):
    """The method takes no parameters."""


class ErrorObject(msgspec.Struct, frozen=True):
    """The reason why a request failed: a code, a sentence for people, and ``data`` for programs."""

    code: int
    message: str
    data: dict[str, Any]
