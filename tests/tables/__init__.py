"""The read tables: what they say of now, of every moment of the past, and page by page."""
