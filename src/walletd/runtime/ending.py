"""The exit codes of the command line, after sysexits.h, so that scripts and service managers can tell them apart."""

EXIT_OK = 0
EXIT_REFUSED = 1
"""The daemon refused the request; for ``demo``, a proof failed."""

EXIT_USAGE = 64
EXIT_DAMAGED = 65
EXIT_NO_INPUT = 66
EXIT_NOT_REACHABLE = 69
EXIT_SOFTWARE = 70
EXIT_INPUT_OUTPUT = 74
EXIT_TRY_LATER = 75
EXIT_AUTHENTICATION = 77
EXIT_CONFIGURATION = 78

EXIT_INTERRUPTED = 130
"""The shell's code for a command that Ctrl-C ended."""
