"""Logs: records of the standard library's loggers go in, one line per event on stderr comes out.

No line contains a token, and repeated lines are counted.  Imports the standard library only: every part of walletd may
use it.
"""
