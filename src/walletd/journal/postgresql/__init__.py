"""The journal in PostgreSQL: segments come in and leave as from ``sqlite/``; several ledgers share one database.

Only the composition root and the command line import it, and only where a ledger in PostgreSQL is configured: it needs
psycopg (``pip install 'walletd[postgresql]'``).
"""
