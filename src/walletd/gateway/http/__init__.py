"""One request over plain HTTP: bytes of a POST enter, one JSON-RPC request leaves, and its response as HTTP.

It imports the handshake's checks of ``websocket`` and the protocol's errors, and knows no socket.
"""
