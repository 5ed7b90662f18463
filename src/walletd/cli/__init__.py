"""The command line: the words of a person or a script enter, calls of the client library or of the daemon leave.

``serve`` needs only the standard library before the daemon runs; cyclopts parses every other command, and rich draws
its answer.  It may import everything; only ``__main__`` imports it.
"""
