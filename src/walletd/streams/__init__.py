"""Durable entries on their way to those who follow them."""
