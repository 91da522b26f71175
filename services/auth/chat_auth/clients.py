"""What auth asks of other services."""

import aiohttp
from chat_shared.contracts.internal import AvatarStored
from chat_shared.errors import RemoteError, Unavailable
from chat_shared.http import ServiceClient

from chat_auth.errors import AvatarStoreAway

AVATAR_SECONDS = 15.0
#: Refusals of media that are about the image itself and so for the client to read.
_ABOUT_THE_IMAGE = frozenset({400, 413, 415})


class AvatarClient:
    """Stores avatars with media."""

    def __init__(self, media: ServiceClient) -> None:
        self._media = media

    async def store(self, user_id: str, image: bytes) -> str:
        """Store an image as the avatar of a user and return its URL.

        Raises:
            RemoteError: when media does not accept the image.
            AvatarStoreAway: when media cannot be asked, or it is not known whether it stored the image.
        """
        form = aiohttp.FormData()
        form.add_field("image", image, filename="avatar", content_type="application/octet-stream")
        path = f"/internal/v1/avatars?userId={user_id}"
        try:
            answer = await self._media.request("POST", path, form, timeout=AVATAR_SECONDS)
        except Unavailable as error:
            raise AvatarStoreAway from error
        except RemoteError as error:
            if error.status in _ABOUT_THE_IMAGE:
                raise
            raise AvatarStoreAway from error
        return AvatarStored.model_validate_json(answer).url
