"""Wallets as actors: the supervisor, the projector with its read tables, and the publisher of streams.

Commands and reads enter from the gateway, each with a way to answer; answers leave once what they saw is durable.
This package imports ``walletd.journal``, ``walletd.protocol`` (its messages), ``walletd.ledger`` and vocabulary.
"""
