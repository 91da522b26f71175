"""Use case: messages from a gateway or REST into the room log."""

import asyncio
import time
from collections.abc import Sequence

from bson import ObjectId
from chat_shared.contracts.internal import MediaAttachment, SendItem, SendResult
from chat_shared.errors import ChatError, OutcomeUnknown
from chat_shared.request_context import seconds_left

from chat_messaging.appenders import Appenders
from chat_messaging.clients import MediaClient
from chat_messaging.domain import Body, Draft, MessageKey, failed
from chat_messaging.errors import ImageNotFound
from chat_messaging.membership import Member, Memberships
from chat_messaging.room_keys import RoomKeys

MAX_SECONDS = 8.0
ANSWER_MARGIN_SECONDS = 0.25
"""Left of the caller's time for our answer to reach it."""


class Sending:
    """Checks, seals and appends messages; every item gets an outcome."""

    def __init__(
        self, memberships: Memberships, media: MediaClient, keys: RoomKeys, appenders: Appenders
    ) -> None:
        self._memberships = memberships
        self._media = media
        self._keys = keys
        self._appenders = appenders

    async def send(self, items: Sequence[SendItem]) -> list[SendResult]:
        """Append messages and return their outcomes in the order of the items.

        A caller that goes away does not stop an append: the appender owns it.

        Raises:
            ChatError: a service that has to be asked first is away; nothing was stored.
        """
        deadline = time.monotonic() + seconds_left(MAX_SECONDS) - ANSWER_MARGIN_SECONDS
        refusals = await self._memberships.refusals({Member(item.room_id, item.sender_id) for item in items})
        allowed = [item for item in items if Member(item.room_id, item.sender_id) not in refusals]
        images = await self._attach_images(allowed)
        answers = [
            self._refused(refusals[Member(item.room_id, item.sender_id)])
            if Member(item.room_id, item.sender_id) in refusals
            else await self._append(item, images, deadline)
            for item in items
        ]
        done, _ = await asyncio.wait(
            answers, timeout=max(0.0, deadline - time.monotonic()) + ANSWER_MARGIN_SECONDS
        )
        return [answer.result() if answer in done else failed(OutcomeUnknown()) for answer in answers]

    def _refused(self, error: ChatError) -> asyncio.Future[SendResult]:
        answer: asyncio.Future[SendResult] = asyncio.get_running_loop().create_future()
        answer.set_result(failed(error))
        return answer

    async def _attach_images(self, items: Sequence[SendItem]) -> dict[int, str]:
        """Return the stored address of each accepted image by the identity of its item; one call at most."""
        asked = [
            (item, media_id)
            for item in items
            if item.image_url is not None and (media_id := self._media.media_id(item.image_url)) is not None
        ]
        if not asked:
            return {}
        accepted = await self._media.attach(
            [
                MediaAttachment(media_id=media_id, room_id=item.room_id, user_id=item.sender_id)
                for item, media_id in asked
            ]
        )
        return {
            id(item): self._media.url(media_id)
            for (item, media_id), is_accepted in zip(asked, accepted, strict=True)
            if is_accepted
        }

    async def _append(
        self, item: SendItem, images: dict[int, str], deadline: float
    ) -> asyncio.Future[SendResult]:
        if item.image_url is not None and id(item) not in images:
            return self._refused(ImageNotFound())
        try:
            draft = await self._seal(item, images.get(id(item)), deadline)
            self._appenders.submit(draft)
        except ChatError as error:
            return self._refused(error)
        return draft.answer

    async def _seal(self, item: SendItem, image_url: str | None, deadline: float) -> Draft:
        room_key = await self._keys.for_writing(item.room_id)
        key = MessageKey(item.sender_id, item.client_message_id)
        body = Body(item.content, item.message_type, image_url)
        plaintext = body.to_bytes()
        message_id = ObjectId()
        return Draft(
            room_id=item.room_id,
            key=key,
            body=body,
            message_id=message_id,
            cipher=room_key.seal(item.room_id, message_id, key, plaintext),
            body_hash=room_key.hash(plaintext),
            deadline=deadline,
            answer=asyncio.get_running_loop().create_future(),
        )
