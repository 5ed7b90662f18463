"""Logs: what the standard library's loggers say goes in, one line per event on stderr comes out.

No line carries a token, and what repeats is said with a count.
Imports the standard library only: every part of walletd may use it.
"""
