"""The settings of the daemon, their layers, and the operator's token."""
