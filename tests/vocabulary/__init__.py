"""What a well-formed name, amount, command and entry looks like."""
