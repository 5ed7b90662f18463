"""The process and its surroundings: its end, signals, systemd, watches, threads.  Nothing here knows of money."""
