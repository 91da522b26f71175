"""The room log: every message, encrypted, in order, for ever."""
