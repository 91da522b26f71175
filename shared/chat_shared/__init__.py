"""Contracts and plumbing that the chat services share; no business rules live here."""
