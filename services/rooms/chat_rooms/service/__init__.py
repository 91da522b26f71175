"""Use cases, one module per group: plain functions that take what they need from `Parts`."""

from chat_rooms.service.parts import Parts

__all__ = ["Parts"]
