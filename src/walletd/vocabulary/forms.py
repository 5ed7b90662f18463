"""The form of a text: the pattern that a client's text must match, which a text of the journal has matched before.

    Form(r"^[1-9][0-9]{0,35}\\Z")                      # in the annotation of a field, beside its type

Matching patterns takes most of the time of decoding a command or a record.  msgspec does not know a ``Form``, so that
these are decoded without it; ``protocol.strict_types`` makes the types that check what clients send.
"""

import msgspec


class Form(msgspec.Struct, frozen=True):
    """The regular expression that a whole text matches.  ``is_often_seen``: the same texts come again and again."""

    pattern: str
    is_often_seen: bool = False
