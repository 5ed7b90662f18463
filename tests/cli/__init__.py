"""The command line: what it reads, what it answers, and with which exit code it ends."""
