"""Files that are sent into rooms as part of messages."""

from collections import defaultdict
from collections.abc import Sequence

from chat_shared.contracts.internal import MediaAttachment

from chat_media.store import FileStore


class Attachments:
    """Decides what may be shown where, and notes it, which lets the members of the room see it."""

    def __init__(self, files: FileStore) -> None:
        self._files = files

    async def attach(self, attachments: Sequence[MediaAttachment]) -> list[bool]:
        """Return one verdict per attachment, in order; what is accepted is noted (repeating is safe).

        Messaging has checked that each user is a member of the room.
        """
        files = await self._files.find_many(attachment.media_id for attachment in attachments)
        verdicts = []
        accepted: defaultdict[str, list[str]] = defaultdict(list)
        for attachment in attachments:
            file = files.get(attachment.media_id)
            verdict = file is not None and file.may_be_shown_in(attachment.room_id, attachment.user_id)
            verdicts.append(verdict)
            if verdict:
                accepted[attachment.room_id].append(attachment.media_id)
        for room_id, media_ids in accepted.items():
            await self._files.show_in_room(media_ids, room_id)
        return verdicts
