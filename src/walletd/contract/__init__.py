"""The AsyncAPI document, made from the protocol."""
