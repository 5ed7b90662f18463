"""The read tables: folded from the journal, read by queries, and rebuilt from the journal at any time."""
