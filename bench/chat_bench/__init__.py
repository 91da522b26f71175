"""Measures the chat stack beside two peers on the same machine, in one run."""
