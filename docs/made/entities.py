"""The logical data model: each entity with its type in the code, and the relations between entities."""

import typing
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from made.types import short_name
from walletd.journal.archive.file import Contents
from walletd.journal.segment import Segment
from walletd.journal.sqlite.charter import Charter
from walletd.sessions.session import Session
from walletd.streams.publisher import Subscription
from walletd.tables.writer import Progress
from walletd.upkeep.snapshot import Snapshot
from walletd.vocabulary import commands as c
from walletd.vocabulary import entries as e


class Entity(NamedTuple):
    """An entity: its name, type, keys, attributes borrowed from other entities, and omitted attributes."""

    name: str
    kind: Any
    keys: tuple[str, ...]
    borrowed: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()


OF_A_WALLET = (("wallet", "WalletId"), ("asset", "AssetCode"))

ENTITIES = (
    Entity("Asset", e.AssetRecord, ("asset",)),
    Entity("Wallet", e.WalletRecord, ("wallet",), left_out=("limits", "freeze")),
    Entity("Balance", e.BalanceRecord, ("wallet", "asset")),
    Entity("Limits", c.WalletLimits, ("wallet", "asset"), OF_A_WALLET, left_out=("velocity",)),
    Entity("Window", c.Window, ("wallet", "asset", "seconds"), OF_A_WALLET),
    Entity("Freeze", e.Freeze, ("wallet",), (("wallet", "WalletId"),)),
    Entity("Hold", e.HoldRecord, ("hold",)),
    Entity("Outflow", e.OutflowRecord, ("wallet", "asset", "sequence", "command")),
    Entity("Transfer", e.Refundable, ("transfer", "from", "to", "asset"), (("transfer", "TransferId"),)),
    Entity("Posting", e.Moved, ("sequence", "line"), (("sequence", "Sequence"), ("line", "integer"))),
    Entity("Entry", e.Entry, ("sequence",), left_out=("redacted",)),
    Entity("Segment", Segment, ("first_sequence",)),
    Entity("Archive", Contents, ("first_sequence",)),
    Entity("Snapshot", Snapshot, ("sequence",)),
    Entity("Journal", Charter, ("instance",)),
    Entity("Progress", Progress, ("instance",)),
    Entity("Client", e.ClientRecord, ("client",), left_out=("tokens",)),
    Entity("Token", e.TokenRecord, ("sha256",), (("client", "Principal"),)),
    Entity("Session", Session, ("connection",), (("connection", "string"),)),
    Entity(
        "Subscription",
        Subscription,
        ("connection", "id"),
        (("connection", "string"),),
        left_out=("scope", "shown", "outlet"),
    ),
)

RELATIONS = """
Journal ||--o{ Segment
Journal ||--o| Progress : shown up to
Journal ||--o{ Archive
Archive |o--|{ Segment
Progress ||--o| Snapshot : copied
Segment ||--|{ Entry
Entry ||--o{ Posting : moved
Entry }o--o{ Wallet : touches
Entry }o--o| Client : decided for
Transfer ||--|{ Posting : of one way
Wallet ||--o{ Posting : from, to
Wallet ||--o{ Balance
Wallet ||--o{ Hold
Wallet ||--o| Freeze
Wallet ||--o{ Limits
Wallet ||--o{ Outflow
Asset ||--o{ Balance
Asset ||--o{ Hold
Asset ||--o{ Posting
Limits ||--o{ Window
Hold |o--o{ Outflow
Client ||--|{ Token
Client ||--o{ Client : viewing keys
Client ||--o{ Session
Session ||--o{ Subscription
Subscription }o--o{ Wallet : watches
""".strip()


def fields_of(entity: Entity) -> list[tuple[str, str, bool]]:
    """Each attribute with its type, and whether it may be missing."""
    found = [(name, kind, False) for name, kind in entity.borrowed]
    if isinstance(entity.kind, type) and issubclass(entity.kind, msgspec.Struct):
        fields = msgspec.structs.fields(entity.kind)
        found += [(field.encode_name, short_name(field.type), not field.required) for field in fields]
    elif hasattr(entity.kind, "_fields"):
        hints = typing.get_type_hints(entity.kind)
        found += [(name, short_name(hints[name]), False) for name in entity.kind._fields]
    else:
        found += [(name, "", False) for name in entity.kind.__slots__ if not name.startswith("_")]
    return [field for field in found if field[0] not in entity.left_out]


def diagram() -> str:
    """The model in PlantUML's information engineering notation."""
    blocks = []
    for entity in ENTITIES:
        fields = fields_of(entity)
        keys = [f"  * {name}" for name, _, _ in fields if name in entity.keys]
        rest = [f"  {name}" for name, _, _ in fields if name not in entity.keys]
        blocks.append("\n".join([f"entity {entity.name} {{", *keys, "  --", *rest, "}"]))
    return "\n".join([*blocks, RELATIONS])


def _table(entity: Entity) -> Callable[[], str]:
    def rows() -> str:
        lines = [f"| attribute of {entity.name} | type | |", "|---|---|---|"]
        for name, kind, is_optional in fields_of(entity):
            lines.append(
                f"| `{name}` | {kind} | {'key' if name in entity.keys else 'optional' if is_optional else ''} |"
            )
        return "\n".join(lines) + "\n"

    return rows


SECTIONS: dict[str, Callable[[], str]] = {f"entity_{entity.name}": _table(entity) for entity in ENTITIES}
