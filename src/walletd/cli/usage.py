"""A mistake in the arguments."""


class UsageError(Exception):
    """The arguments are well-formed but make no sense together; the message is one sentence that says what to write."""
