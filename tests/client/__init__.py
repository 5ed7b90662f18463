"""The client library: its core in tables, its faces against a small fake daemon."""
