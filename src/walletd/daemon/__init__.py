"""The composition root: it builds the engine and the listeners, serves, and ends."""
