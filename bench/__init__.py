"""The benchmark: walletd beside what people would pick instead, in one run.  walletd never imports it."""
