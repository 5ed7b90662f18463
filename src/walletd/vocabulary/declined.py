"""What a request gets that reached no decision: nothing of it is journaled, and its command id is still unused.

A decision against a command is a ``Refusal``, which its entry records.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from walletd.vocabulary.reasons import Reason


class Declined(NamedTuple):
    """The reason, and the facts that explain it."""

    reason: Reason
    facts: Mapping[str, Any] = {}
