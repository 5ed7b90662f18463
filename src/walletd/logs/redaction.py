"""No secret is logged: a last check of every line, tracebacks and arguments included, before it is written.

    redacted("Authorization: Bearer walletd_4J2...")      # "Authorization: Bearer [redacted]"

No secret should get this far; a test puts a token into everything that carries one, and this module keeps secrets that
were overlooked, here or in a library, out of the log.
"""

import re

REDACTED = "[redacted]"

_SECRETS = re.compile(
    r"(?P<kept>\bwalletd_|\bwalletd\.bearer\.|\b[Bb]earer\s+|(?i:[\"']?\b(?:token|password|secret)[\"']?\s*[:=]\s*[\"']?))"
    r"(?P<secret>[A-Za-z0-9_\-.~+/=]{16,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
"""Tokens by their prefix and by their position; private keys whole.  Names of at least 16 characters after ``token=``
are redacted, too: better a name too few than a secret too many.
"""


def redacted(text: str) -> str:
    """The text with a mark in place of every secret."""
    return _SECRETS.sub(lambda found: (found["kept"] or "") + REDACTED, text)
