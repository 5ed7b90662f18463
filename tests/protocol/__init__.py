"""The sans-I/O session, its errors and its rules of access, stated as tables made from the registry of methods."""
