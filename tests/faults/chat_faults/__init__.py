"""Breaks the system on purpose, under load, and proves that every promise held."""
