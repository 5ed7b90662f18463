"""Durable entries on their way to subscribers."""
