"""Helpers for tests only; import-linter keeps production modules away from them."""
