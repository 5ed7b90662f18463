"""The whole spine of the daemon in one process, one thread and virtual time: one seed decides everything."""
