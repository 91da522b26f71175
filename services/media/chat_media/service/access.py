"""Who may see which file."""

import time
from collections.abc import Awaitable, Callable

from chat_media.clients import Rooms
from chat_media.domain.files import MediaFile, any_lets_in
from chat_media.domain.links import Link, LinkSigner
from chat_media.errors import MediaNotFound
from chat_media.store import FileStore

#: Says who is calling, or None for somebody without a token.
Identify = Callable[[], Awaitable[str | None]]


class Access:
    """Finds a file for somebody who may see it; for everybody else it does not exist."""

    def __init__(self, files: FileStore, rooms: Rooms, links: LinkSigner) -> None:
        self._files = files
        self._rooms = rooms
        self._links = links

    async def find(self, media_id: str, identify: Identify, link: Link | None = None) -> MediaFile:
        """Return a file for the caller, or for whoever has a valid link.

        Who is calling is only asked where it matters: a stale cookie must not hide an avatar.

        Raises:
            MediaNotFound: there is none, or the caller may not see it.
            Unauthenticated: the caller's token is not valid (any more).
            RoomsAway: it depends on a membership that cannot be asked for.
        """
        file = await self._files.find(media_id)
        if file is not None and (file.is_public or self._is_opened_by(link, media_id)):
            return file
        # Asked for an unknown file too, so that a bad token gets the same answer there.
        user_id = await identify()
        if file is None or user_id is None or not await self._may_see(file, user_id):
            raise MediaNotFound
        return file

    def link(self, media_id: str) -> Link:
        """Return a link by which anybody may see a file until it expires."""
        return self._links.sign(media_id, time.time())

    def _is_opened_by(self, link: Link | None, media_id: str) -> bool:
        return link is not None and self._links.is_valid(media_id, link, time.time())

    async def _may_see(self, file: MediaFile, user_id: str) -> bool:
        if user_id == file.owner_id:
            return True
        if not file.room_ids:
            return False
        return any_lets_in(await self._rooms.standings(user_id, file.room_ids))
