"""HTTP in: parse, call a use case, return."""

from chat_media.api.internal import internal_routes
from chat_media.api.media import router as media_router
from chat_media.api.parts import Parts
from chat_media.api.uploads import upload_routes

__all__ = ["Parts", "internal_routes", "media_router", "upload_routes"]
