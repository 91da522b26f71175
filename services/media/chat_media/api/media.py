"""Routes of stored files."""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from chat_shared.auth import TOKEN_SECURITY, Authenticator, CurrentUser
from chat_shared.contracts.base import EntityId
from chat_shared.contracts.envelope import Success
from chat_shared.openapi import problem_responses
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from chat_media.api.download import download
from chat_media.api.parts import PartsOfApp
from chat_media.domain.links import Link
from chat_media.errors import MediaNotFound, NotYourMedia, RangeNotSatisfiable
from chat_media.schemas import LinkBody, media_url
from chat_media.service.access import Identify

router = APIRouter(tags=["media"])

_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {"*/*": {}}},
    206: {"description": "The part that was asked for", "content": {"*/*": {}}},
    304: {"description": "The caller's copy is still good"},
}

#: Avatars and signed links need none.
_ALSO_WITHOUT_TOKEN: dict[str, Any] = {"security": [*TOKEN_SECURITY, {}]}

MediaId = Annotated[EntityId, Path(description="The `mediaId` of an upload")]
Expires = Annotated[str | None, Query(max_length=20, description="From a signed link")]
Signature = Annotated[str | None, Query(max_length=100, description="From a signed link")]


@router.head("/media/{media_id}", include_in_schema=False)
@router.get(
    "/media/{media_id}",
    summary="Download a file",
    response_class=Response,
    openapi_extra=_ALSO_WITHOUT_TOKEN,
    responses={**_CONTENT, **problem_responses(MediaNotFound, RangeNotSatisfiable)},
)
async def download_media(
    media_id: MediaId,
    request: Request,
    parts: PartsOfApp,
    expires: Expires = None,
    signature: Signature = None,
) -> Response:
    """Send a file to those who may see it: avatars to everybody, the rest by token, cookie or signed link."""
    link = Link(expires, signature) if expires and signature else None
    file = await parts.access.find(media_id, _caller(request), link)
    return await download(request, file, parts.stores.holding(file))


@router.get(
    "/api/v1/media/{media_id}/link",
    summary="Make a signed link",
    response_description="The link",
    responses=problem_responses(MediaNotFound),
)
async def sign_link(media_id: MediaId, user: CurrentUser, parts: PartsOfApp) -> Success[LinkBody]:
    """Make a link that opens a file without token or cookie until it expires."""
    await parts.access.find(media_id, _known(user.user_id))
    link = parts.access.link(media_id)
    query = urlencode({"expires": link.expires, "signature": link.signature})
    return Success(
        data=LinkBody(
            url=f"{media_url(parts.public_url, media_id)}?{query}",
            expires_at=datetime.fromtimestamp(int(link.expires), UTC),
        )
    )


@router.delete(
    "/api/v1/media/{media_id}",
    summary="Delete a file",
    response_description="File deleted",
    responses=problem_responses(MediaNotFound, NotYourMedia),
)
async def delete_media(media_id: MediaId, user: CurrentUser, parts: PartsOfApp) -> Success[None]:
    """Delete one's own file."""
    file = await parts.access.find(media_id, _known(user.user_id))
    await parts.removal.delete(file, user.user_id)
    return Success(message="File deleted", data=None)


def _caller(request: Request) -> Identify:
    async def identify() -> str | None:
        authenticator: Authenticator = request.app.state.authenticator
        identity = await authenticator.identify(request)
        return None if identity is None else identity.user_id

    return identify


def _known(user_id: str) -> Identify:
    async def identify() -> str | None:
        return user_id

    return identify
