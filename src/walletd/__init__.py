"""walletd: a self-hosted wallet backend, one process that just works.

The packages, from the top down; each imports only from those below it:

    cli                           the commands that people type
    daemon                        the process: every part built, wired, started and ended
    gateway                       connections, sessions and the answers to their requests
    wallets, upkeep               commands decided, one wallet at a time; recovery, compaction, audits
    tables, streams               the read model in state.db; entries to subscribers
    journal, sessions             the durable truth; the server's side of a conversation
    client, contract              the library for Python programs; the AsyncAPI document
    protocol, ledger, runtime     what goes over the wire; the rules of money; what a process runs on
    settings                      the configuration
    vocabulary, logs              the words that all share; log lines

Follow one command through them in ARCHITECTURE.md.
"""
