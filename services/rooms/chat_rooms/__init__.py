"""Rooms, memberships and roles."""
