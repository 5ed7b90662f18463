"""Sockets: accepting, reading, writing, TLS, bounds."""
