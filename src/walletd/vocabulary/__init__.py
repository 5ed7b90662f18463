"""The words of walletd: identifiers, money, reasons, lifecycle, commands and entries.

Nothing enters and nothing leaves: these are types and the smallest rules that make them well-formed.
This package imports only the standard library and msgspec.
"""
