"""The queries of the read tables."""
