"""The rules of money, stated as tables and sentences; everything here is pure and runs in a blink."""
