"""The units: as files, everywhere; and under a real systemd that is booted for it, by ``make test-systemd``."""
