"""The answers to requests, a module a subject."""
