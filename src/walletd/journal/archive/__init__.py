"""Archived segments of the journal, in separate files."""
