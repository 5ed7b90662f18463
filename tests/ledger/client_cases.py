"""Words and tables for clients: which client admits which, and what is refused.

ledger = office()                 # root is an admin, shop may spend shop-*, the operator was revoked, ...
ledger.sent_by("shop").run(create("shop/phone", "view:shop-1"))
"""

from datetime import datetime
from hashlib import sha256
from typing import Any

from tests.ledger.cases import NOW, TICK, Ledger
from tests.ledger.refusal_cases import RefusalCase
from walletd.ledger.clients import MAX_KEYS, MAX_TOKENS
from walletd.vocabulary.budgets import Budget
from walletd.vocabulary.commands import CreateClient, RevokeClient, RotateClient, UpdateClient
from walletd.vocabulary.identifiers import CommandId, Principal
from walletd.vocabulary.reasons import Reason

LATER = NOW + TICK


def hash_of(token: str) -> str:
    """What is told of a token."""
    return sha256(token.encode()).hexdigest()


def create(
    client: str, *scopes: str, token: str | None = None, expires_at: datetime | None = None, **conditions: Any
) -> CreateClient:
    """Let a client in; by a token of its own name, where no other is said."""
    return CreateClient(
        client=Principal(client),
        scopes=scopes,
        token_sha256=hash_of(token or client),
        expires_at=expires_at,
        **{"command_id": CommandId("c"), **conditions},
    )


def rotate(client: str, token: str, **fields: Any) -> RotateClient:
    """Give a client another token."""
    return RotateClient(
        client=Principal(client), token_sha256=hash_of(token), **{"command_id": CommandId("c"), **fields}
    )


def change(client: str, *scopes: str, addresses: tuple[str, ...] | None = None, **conditions: Any) -> UpdateClient:
    """Change a client's scopes, if there are some, or its addresses."""
    return UpdateClient(
        client=Principal(client),
        scopes=scopes or None,
        addresses=addresses,
        **{"command_id": CommandId("c"), **conditions},
    )


def revoke(client: str, **conditions: Any) -> RevokeClient:
    """Shut a client out."""
    return RevokeClient(client=Principal(client), **{"command_id": CommandId("c"), **conditions})


def with_office(ledger: Ledger) -> Ledger:
    """This ledger with some clients: root, an admin, sends the commands that follow."""
    before = ledger.principal
    ledger.sent_by("@walletd").after(create("operator", "admin")).sent_by("operator").after(create("root", "admin"))
    ledger.sent_by("root").after(
        revoke("operator"),
        create("shop", "spend:shop-*", "spend:till"),
        create("gone", "operate"),
        create("busy", "operate"),
        *(rotate("busy", f"busy-{number}", overlap_until=LATER) for number in range(1, MAX_TOKENS)),
        revoke("gone"),
    )
    ledger.sent_by("shop").after(create("shop/desk", "view:shop-1", "view:till"))
    return ledger.sent_by("root" if before == "a client" else before)


def with_keys(ledger: Ledger, number: int) -> Ledger:
    """This ledger with so many viewing keys of the shop's, besides the one at the desk."""
    with_office(ledger).sent_by("shop")
    return ledger.after(*(create(f"shop/{index}", "view:till") for index in range(number)))


def by(principal: str) -> Any:
    """The office, where this client sends the command."""
    return lambda ledger: with_office(ledger).sent_by(principal)


# In the order of the enum.
CLIENT_REFUSALS: tuple[RefusalCase, ...] = (
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "a client that may spend creates viewing keys only",
        create("friend", "view:shop-1"),
        {"field": "client", "principal": "shop", "needs": "only an admin; a key is named shop/WORD"},
        by("shop"),
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "a viewing key with a budget of its owner's choice",
        create("shop/x", "view:shop-1", budget=Budget(in_flight=0)),
        {"field": "budget", "principal": "shop", "needs": "an admin"},
        by("shop"),
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "a larger budget for oneself",
        change("shop", budget=Budget(journal_bytes_per_second=0)),
        {"field": "budget", "principal": "shop", "needs": "an admin"},
        by("shop"),
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "in the daemon's name there is only the operator: another admin is forged",
        create("mallory", "admin"),
        {"field": "client", "principal": "@walletd", "needs": "the daemon creates only operator"},
        by("@walletd"),
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "a key under another client's name, also for an admin",
        create("shop/spy", "view:shop-1"),
        {"field": "client", "principal": "root", "needs": "a viewing key is named root/WORD"},
        with_office,
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "a name that only begins like the own one",
        create("shopping/x", "view:shop-1"),
        {"field": "client", "principal": "shop", "needs": "a viewing key is named shop/WORD"},
        by("shop"),
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "a key cannot spend, even if an admin makes it",
        create("root/x", "view:bob", "spend:bob"),
        {"field": "scopes[1]", "principal": "root", "needs": "a viewing key has only view: scopes"},
        with_office,
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "a wallet outside of the own prefix",
        create("shop/x", "view:shop-1", "view:shop"),
        {"field": "scopes[1]", "principal": "shop", "needs": "it has no spend:shop"},
        by("shop"),
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "a wider prefix than the own one",
        create("shop/x", "view:shop*"),
        {"field": "scopes[0]", "principal": "shop", "needs": "it has no spend:shop*"},
        by("shop"),
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "the wallets that begin like the own one",
        create("shop/x", "view:till*"),
        {"field": "scopes[0]", "principal": "shop", "needs": "it has no spend:till*"},
        by("shop"),
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "a key has no keys",
        create("shop/desk/x", "view:shop-1"),
        {"field": "client", "principal": "shop/desk", "needs": "a viewing key is named shop/desk/WORD"},
        by("shop/desk"),
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "a principal that is no client",
        create("x", "metrics"),
        {"field": "client", "principal": "nobody", "needs": "only an admin; a key is named nobody/WORD"},
        by("nobody"),
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "its own scopes become no wider",
        change("shop", "spend:shop-1", "spend:*"),
        {"field": "scopes[1]", "principal": "shop", "needs": "it has no spend:*"},
        by("shop"),
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "nor does it become an admin",
        change("busy", "admin"),
        {"field": "scopes[0]", "principal": "busy", "needs": "it has no admin"},
        by("busy"),
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "a key that would show more than its owner spends, also if an admin changes it",
        change("shop/desk", "view:bob"),
        {"field": "scopes[0]", "principal": "root", "needs": "its owner has no spend:bob"},
        with_office,
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "the operator stays an admin, which is the way back in",
        change("operator", "metrics"),
        {"field": "scopes", "principal": "root", "needs": "the operator stays an admin"},
        with_office,
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "bound to addresses, it does not unbind itself",
        change("bound", addresses=()),
        {"field": "addresses", "principal": "bound", "needs": "an admin, for more addresses than it has"},
        lambda ledger: (
            by("root")(ledger).after(create("bound", "metrics", addresses=("10.1.0.0/16",))).sent_by("bound")
        ),
    ),
    RefusalCase(
        Reason.BEYOND_OWN_ACCESS,
        "by rotating itself it does not stay longer",
        rotate("guest", "fresh", expires_at=LATER + TICK),
        {"field": "expires_at", "principal": "guest", "needs": "an admin, for a later expiry than its own"},
        lambda ledger: by("root")(ledger).after(create("guest", "metrics", expires_at=LATER)).sent_by("guest"),
    ),
    RefusalCase(
        Reason.CLIENT_ALREADY_EXISTS,
        "with the same scopes, too",
        create("shop", "spend:shop-*", "spend:till", token="fresh"),
        {"client": "shop", "created_at": "2030-01-01T12:00:00Z"},
        with_office,
    ),
    RefusalCase(
        Reason.CLIENT_ALREADY_EXISTS,
        "the name of a revoked client stands for its command ids",
        create("gone", "metrics", token="fresh"),
        {"client": "gone", "created_at": "2030-01-01T12:00:00Z"},
        with_office,
    ),
    RefusalCase(
        Reason.CLIENT_ALREADY_EXISTS,
        "a key that is in force",
        create("shop/desk", "view:till", token="fresh"),
        {"client": "shop/desk", "created_at": "2030-01-01T12:00:00Z"},
        by("shop"),
    ),
    RefusalCase(
        Reason.CLIENT_NOT_FOUND,
        "there is none",
        rotate("ghost", "fresh"),
        {"client": "ghost"},
        with_office,
    ),
    RefusalCase(
        Reason.CLIENT_NOT_FOUND,
        "another client's, as if there were none",
        revoke("busy"),
        {"client": "busy"},
        by("shop"),
    ),
    RefusalCase(
        Reason.CLIENT_NOT_FOUND,
        "no key but its own",
        revoke("shop/desk"),
        {"client": "shop/desk"},
        by("busy"),
    ),
    RefusalCase(
        Reason.CLIENT_NOT_FOUND,
        "the daemon has no right over any client but the operator",
        rotate("root", "forged"),
        {"client": "root"},
        by("@walletd"),
    ),
    RefusalCase(
        Reason.CLIENT_NOT_FOUND,
        "nor does it revoke",
        revoke("root"),
        {"client": "root"},
        by("@walletd"),
    ),
    RefusalCase(
        Reason.KEPT_IN_FILE,
        "the daemon leaves no earlier token of the operator in force",
        rotate("operator", "forged", overlap_until=LATER),
        {"client": "operator"},
        by("@walletd"),
    ),
    RefusalCase(
        Reason.KEPT_IN_FILE,
        "also for an admin",
        rotate("operator", "fresh"),
        {"client": "operator"},
        with_office,
    ),
    RefusalCase(
        Reason.CLIENT_REVOKED,
        "it gets no other token",
        rotate("gone", "fresh"),
        {"client": "gone", "revoked_at": "2030-01-01T12:00:00Z"},
        with_office,
    ),
    RefusalCase(
        Reason.CLIENT_REVOKED,
        "and is not revoked again",
        revoke("gone"),
        {"client": "gone", "revoked_at": "2030-01-01T12:00:00Z"},
        with_office,
    ),
    RefusalCase(Reason.TOKEN_IN_USE, "of another client", create("x", "metrics", token="shop"), {}, with_office),
    RefusalCase(Reason.TOKEN_IN_USE, "its own", rotate("shop", "shop", overlap_until=LATER), {}, with_office),
    RefusalCase(Reason.TOKEN_IN_USE, "of a revoked client", create("x", "metrics", token="gone"), {}, with_office),
    RefusalCase(
        Reason.TOO_MANY_TOKENS,
        "as many as may overlap",
        rotate("busy", "fresh", overlap_until=LATER),
        {"client": "busy", "limit": MAX_TOKENS},
        with_office,
    ),
    RefusalCase(
        Reason.TOO_MANY_CLIENTS,
        "one key more than an owner may have",
        create("shop/more", "view:till"),
        {"client": "shop/more", "limit": MAX_KEYS},
        lambda ledger: with_keys(ledger, MAX_KEYS - 1),
    ),
    RefusalCase(Reason.LAST_ADMIN, "an admin revokes itself", revoke("root"), {"client": "root"}, with_office),
    RefusalCase(
        Reason.LAST_ADMIN,
        "its only token would expire",
        rotate("root", "fresh", expires_at=LATER),
        {"client": "root"},
        with_office,
    ),
    RefusalCase(
        Reason.LAST_ADMIN,
        "another admin's token expires",
        revoke("root"),
        {"client": "root"},
        lambda ledger: with_office(ledger).after(create("guest", "admin", expires_at=LATER)),
    ),
)
