"""No secret is logged: a last look at every line, tracebacks and arguments included, before it is written.

    redacted("Authorization: Bearer walletd_4J2...")      # "Authorization: Bearer [redacted]"

Nothing should get this far; a test puts a token into everything that carries one, and this keeps what was overlooked,
here or in a library, out of the log.
"""

import re

REDACTED = "[redacted]"

_SECRETS = re.compile(
    r"(?P<kept>\bwalletd_|\bwalletd\.bearer\.|\b[Bb]earer\s+|(?i:[\"']?\b(?:token|password|secret)[\"']?\s*[:=]\s*[\"']?))"
    r"(?P<secret>[A-Za-z0-9_\-.~+/=]{16,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
"""Tokens by their prefix and by where they stand; private keys whole.  Names of 16 characters and more that follow
``token=`` go, too: rather a name too little than a secret too much."""


def redacted(text: str) -> str:
    """The text with a mark in place of every secret."""
    return _SECRETS.sub(lambda found: (found["kept"] or "") + REDACTED, text)
