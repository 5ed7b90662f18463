"""Fault reports: what they show, and when they are written."""
