"""walletd: a self-hosted wallet backend, one process that just works."""
