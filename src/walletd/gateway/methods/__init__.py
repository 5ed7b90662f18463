"""The answers to requests, one module per subject."""
