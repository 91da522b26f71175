"""Routes for the other services."""

from typing import Annotated

from chat_shared.auth import require_service
from chat_shared.contracts.base import EntityId
from chat_shared.contracts.internal import AvatarStored, MediaAttach, MediaAttached
from fastapi import APIRouter, Depends, Query, Request

from chat_media.api.forms import FORM_OVERHEAD, received_upload
from chat_media.api.parts import PartsOfApp
from chat_media.schemas import media_url


def internal_routes(max_image_bytes: int) -> APIRouter:
    """Return the routes, with this limit on avatars."""
    router = APIRouter(
        prefix="/internal/v1", dependencies=[Depends(require_service)], include_in_schema=False
    )

    @router.post("/avatars", max_body_size=max_image_bytes + FORM_OVERHEAD)
    async def store_avatar(
        user_id: Annotated[EntityId, Query(alias="userId")], request: Request, parts: PartsOfApp
    ) -> AvatarStored:
        """Store an image as the avatar of a user."""
        async with received_upload(
            request, parts.slots, owner_id=user_id, field="image", max_bytes=max_image_bytes
        ) as upload:
            file = await parts.uploads.avatar(upload)
        return AvatarStored(media_id=file.id, url=media_url(parts.public_url, file.id))

    @router.post("/media/attach")
    async def attach_media(body: MediaAttach, parts: PartsOfApp) -> MediaAttached:
        """Decide which files may be shown in which rooms, and note it."""
        return MediaAttached(accepted=await parts.attachments.attach(body.attachments))

    return router
