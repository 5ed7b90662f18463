"""The client library: its conversation in tables, its faces against a small fake daemon."""
