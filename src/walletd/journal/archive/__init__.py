"""Archived segments of the journal, in files of their own."""
