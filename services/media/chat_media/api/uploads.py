"""Routes of uploads."""

from chat_shared.auth import CurrentUser
from chat_shared.contracts.envelope import Success
from chat_shared.errors import RateLimited
from chat_shared.openapi import problem_responses
from fastapi import APIRouter, Request

from chat_media.api.forms import FORM_OVERHEAD, form_schema, received_upload
from chat_media.api.parts import UPLOAD_RATE, PartsOfApp
from chat_media.errors import (
    ImageBroken,
    ImageTooLarge,
    NotAMember,
    QuotaExceeded,
    RoomNotFound,
    UnsupportedImage,
    UploadsBusy,
)
from chat_media.schemas import FileBody, ImageBody, file_body, image_body

_REFUSED = (RateLimited, RoomNotFound, NotAMember, QuotaExceeded, UploadsBusy)


def upload_routes(max_image_bytes: int, max_file_bytes: int) -> APIRouter:
    """Return the routes, with these limits on what is sent."""
    router = APIRouter(prefix="/api/v1/upload", tags=["uploads"])

    @router.post(
        "/image/", status_code=201, max_body_size=max_image_bytes + FORM_OVERHEAD, include_in_schema=False
    )
    @router.post(
        "/image",
        status_code=201,
        summary="Upload an image",
        response_description="Image uploaded",
        responses=problem_responses(*_REFUSED, UnsupportedImage, ImageBroken, ImageTooLarge),
        max_body_size=max_image_bytes + FORM_OVERHEAD,
        openapi_extra=form_schema("image", "JPEG, PNG, GIF or WEBP; recognised by its content"),
    )
    async def upload_image(request: Request, user: CurrentUser, parts: PartsOfApp) -> Success[ImageBody]:
        """Store an image, encoded anew and without its metadata."""
        await parts.limiter.hit(UPLOAD_RATE, user.user_id)
        async with received_upload(
            request, parts.slots, owner_id=user.user_id, field="image", max_bytes=max_image_bytes
        ) as upload:
            file = await parts.uploads.image(upload)
        return Success(status_code=201, message="Image uploaded", data=image_body(file, parts.public_url))

    @router.post(
        "/file/", status_code=201, max_body_size=max_file_bytes + FORM_OVERHEAD, include_in_schema=False
    )
    @router.post(
        "/file",
        status_code=201,
        summary="Upload a file",
        response_description="File uploaded",
        responses=problem_responses(*_REFUSED),
        max_body_size=max_file_bytes + FORM_OVERHEAD,
        openapi_extra=form_schema("file", "Any file; browsers will download it and not show it"),
    )
    async def upload_file(request: Request, user: CurrentUser, parts: PartsOfApp) -> Success[FileBody]:
        """Store a file of any type as it is."""
        await parts.limiter.hit(UPLOAD_RATE, user.user_id)
        async with received_upload(
            request, parts.slots, owner_id=user.user_id, field="file", max_bytes=max_file_bytes
        ) as upload:
            file = await parts.uploads.file(upload)
        return Success(status_code=201, message="File uploaded", data=file_body(file, parts.public_url))

    return router
