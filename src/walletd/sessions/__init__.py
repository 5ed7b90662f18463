"""The server's side of a conversation, without I/O: session, access, rates, redaction."""
