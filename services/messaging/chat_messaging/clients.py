"""What messaging asks of media."""

from collections.abc import Sequence

from chat_shared.contracts.internal import MediaAttach, MediaAttached, MediaAttachment
from chat_shared.http import ServiceClient

ATTACH_SECONDS = 2.0
"""The messages behind an image wait for the answer of media, so they do not wait long."""
MEDIA_PATH = "/media/"
ID_LENGTH = 24


class MediaClient:
    """Uploads that messages show."""

    def __init__(self, http: ServiceClient, public_url: str) -> None:
        self._http = http
        self._base = f"{public_url.rstrip('/')}{MEDIA_PATH}"

    def media_id(self, image_url: str) -> str | None:
        """Return the id of one of our own uploads, absolute or relative; None for any other address."""
        for prefix in (self._base, MEDIA_PATH):
            media_id = image_url.removeprefix(prefix)
            if (
                media_id != image_url
                and len(media_id) == ID_LENGTH
                and set(media_id) <= set("0123456789abcdef")
            ):
                return media_id
        return None

    def url(self, media_id: str) -> str:
        """Return the one form in which an upload's address is stored."""
        return f"{self._base}{media_id}"

    async def attach(self, attachments: Sequence[MediaAttachment]) -> list[bool]:
        """Note that images are shown in rooms; tell for each whether its sender may do that."""
        question = MediaAttach(attachments=list(attachments))
        answer = await self._http.post(
            "/internal/v1/media/attach", question, MediaAttached, timeout=ATTACH_SECONDS
        )
        return answer.accepted
