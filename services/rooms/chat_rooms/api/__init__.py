"""HTTP in: parse, call a use case, answer."""

from chat_rooms.api.internal import router as internal_router
from chat_rooms.api.members import router as members_router
from chat_rooms.api.rooms import router as rooms_router

__all__ = ["internal_router", "members_router", "rooms_router"]
