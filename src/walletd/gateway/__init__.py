"""The gateway: sockets, websockets, deadlines, back-pressure and HTTP status pages; from a frame to the function that
answers.

Bytes of the network enter, commands and reads go down to ``walletd.wallets``, replies and events leave.  This package
imports ``walletd.wallets``, ``walletd.protocol``, ``walletd.ledger`` and ``walletd.vocabulary``.
"""
