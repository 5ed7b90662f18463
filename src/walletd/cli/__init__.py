"""The command line: what a person or a script types enters, calls of the client library or of the daemon leave.

``serve`` needs only the standard library before the daemon runs; every other command is parsed by cyclopts and drawn
by rich.  It may import everything; nothing but ``__main__`` imports it.
"""
