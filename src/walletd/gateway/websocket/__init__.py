"""The websocket protocol, without I/O."""
