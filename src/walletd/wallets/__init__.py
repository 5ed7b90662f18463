"""Wallets as actors: decisions about commands, one at a time for each wallet, and reads of wallets at one moment.

Commands and reads enter from the gateway, each with a way to answer; answers leave once everything they saw is durable.
This package imports ``walletd.journal``, ``walletd.tables``, ``walletd.streams``, ``walletd.ledger`` and the layers
below.
"""
