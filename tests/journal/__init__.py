"""The journal: what is told is durable, what is durable is served as it was written, and rot is refused."""
