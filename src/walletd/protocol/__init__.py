"""The wire protocol, sans I/O: messages, methods, access and the session that turns frames into calls.

Text frames enter; replies and calls leave.  There is no socket, no clock and no ``await`` here.
This package imports only ``walletd.ledger`` and ``walletd.vocabulary``.
"""
