"""The process and what it runs on: its end, signals, systemd, watches, threads.  Nothing here knows of money."""
