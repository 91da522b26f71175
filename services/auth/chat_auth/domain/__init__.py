"""The rules of accounts, passwords, sessions and signing keys: no I/O, no framework."""
