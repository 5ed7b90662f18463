"""The questions that the read tables answer."""
