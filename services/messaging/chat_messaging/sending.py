"""Use case: messages from a gateway or REST into the room log."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from bson import ObjectId
from chat_shared.contracts.internal import MediaAttachment, SendItem, SendResult
from chat_shared.errors import ChatError, OutcomeUnknown, Unavailable
from chat_shared.logging import get_logger
from chat_shared.request_context import seconds_left
from chat_shared.tracing import begin, end, traceparent
from pymongo.errors import PyMongoError

from chat_messaging.appenders import Appenders
from chat_messaging.ciphers import RoomKey
from chat_messaging.clients import MediaClient
from chat_messaging.crash_points import CrashPoints
from chat_messaging.domain import Body, Draft, MessageKey, failed
from chat_messaging.errors import ImageNotFound
from chat_messaging.membership import Member, Memberships
from chat_messaging.room_keys import RoomKeys

if TYPE_CHECKING:
    from opentelemetry.trace import Span

log = get_logger(__name__)

MAX_SECONDS = 8.0
ANSWER_MARGIN_SECONDS = 0.25
"""Left of the caller's time for our answer to reach it."""


class Sending:
    """Checks, seals and appends messages; every item gets an outcome."""

    def __init__(
        self,
        memberships: Memberships,
        media: MediaClient,
        keys: RoomKeys,
        appenders: Appenders,
        crash_points: CrashPoints,
    ) -> None:
        self._memberships = memberships
        self._media = media
        self._keys = keys
        self._appenders = appenders
        self._crash_points = crash_points

    async def send(self, items: Sequence[SendItem]) -> list[SendResult]:
        """Append messages and return their outcomes in the order of the items.

        A caller that goes away does not stop an append: the appender owns it.

        Raises:
            Unavailable: the caller's deadline has passed; nothing was stored.
        """
        deadline = time.monotonic() + seconds_left(MAX_SECONDS) - ANSWER_MARGIN_SECONDS
        members = {Member(item.room_id, item.sender_id) for item in items}
        refusals, unreadable = await asyncio.gather(
            self._memberships.refusals(members),
            self._keys.unreadable({member.room_id for member in members}),
        )
        refusals = {
            **{member: Unavailable() for member in members if member.room_id in unreadable},
            **refusals,
        }
        allowed = [item for item in items if Member(item.room_id, item.sender_id) not in refusals]
        images = await self._attach_images(allowed)
        keys = {room_id: await self._room_key(room_id) for room_id in {item.room_id for item in allowed}}
        self._crash_points.passing("before_seal")
        answers = [
            self._refused(refusals[Member(item.room_id, item.sender_id)])
            if Member(item.room_id, item.sender_id) in refusals
            else self._append(item, images, keys[item.room_id], deadline)
            for item in items
        ]
        done, _ = await asyncio.wait(
            answers, timeout=max(0.0, deadline - time.monotonic()) + ANSWER_MARGIN_SECONDS
        )
        self._crash_points.passing("before_answer")
        return [answer.result() if answer in done else failed(OutcomeUnknown()) for answer in answers]

    def _refused(self, error: ChatError) -> asyncio.Future[SendResult]:
        answer: asyncio.Future[SendResult] = asyncio.get_running_loop().create_future()
        answer.set_result(failed(error))
        return answer

    async def _attach_images(self, items: Sequence[SendItem]) -> dict[int, str | ChatError]:
        """Return the stored address or the refusal of each image, by the identity of its item; one call.

        While media is away only the images wait: the texts of the batch have nothing to do with it.
        """
        asked = [
            (item, media_id)
            for item in items
            if item.image_url is not None and (media_id := self._media.media_id(item.image_url)) is not None
        ]
        if not asked:
            return {}
        try:
            accepted = await self._media.attach(
                [
                    MediaAttachment(media_id=media_id, room_id=item.room_id, user_id=item.sender_id)
                    for item, media_id in asked
                ]
            )
        except ChatError as error:
            log.warning("images not attached", images=len(asked), error=error.code)
            return {id(item): Unavailable() for item, _ in asked}
        return {
            id(item): self._media.url(media_id)
            for (item, media_id), is_accepted in zip(asked, accepted, strict=True)
            if is_accepted
        }

    async def _room_key(self, room_id: str) -> RoomKey | ChatError:
        """Return the key of a room, or why nothing can be written there: other rooms have their own."""
        try:
            return await self._keys.for_writing(room_id)
        except ChatError as error:
            return error
        except PyMongoError as error:
            log.warning("room key not read", room_id=room_id, error=repr(error)[:200])
            return Unavailable()
        except Exception as error:
            log.error("room key not usable", room_id=room_id, exc_info=error)
            return ChatError()

    def _append(
        self,
        item: SendItem,
        images: dict[int, str | ChatError],
        room_key: RoomKey | ChatError,
        deadline: float,
    ) -> asyncio.Future[SendResult]:
        if item.trace is None or (span := begin("append", item.trace, room=item.room_id)) is None:
            return self._seal_and_submit(item, images, room_key, deadline)
        answer = self._seal_and_submit(item, images, room_key, deadline, trace=traceparent(span))
        answer.add_done_callback(partial(_appended, span))
        return answer

    def _seal_and_submit(
        self,
        item: SendItem,
        images: dict[int, str | ChatError],
        room_key: RoomKey | ChatError,
        deadline: float,
        *,
        trace: str | None = None,
    ) -> asyncio.Future[SendResult]:
        image = images.get(id(item), ImageNotFound()) if item.image_url is not None else None
        if isinstance(image, ChatError):
            return self._refused(image)
        if isinstance(room_key, ChatError):
            return self._refused(room_key)
        try:
            draft = self._seal(item, image, room_key, deadline)
            draft.trace = trace
            self._appenders.submit(draft)
        except ChatError as error:
            return self._refused(error)
        except Exception as error:
            # Some of the others are stored by now: they must get their answers.
            log.error("message not sealed", room_id=item.room_id, exc_info=error)
            return self._refused(ChatError())
        return draft.answer

    def _seal(self, item: SendItem, image_url: str | None, room_key: RoomKey, deadline: float) -> Draft:
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
            body_hash=room_key.hash(key, plaintext),
            deadline=deadline,
            answer=asyncio.get_running_loop().create_future(),
        )


def _appended(span: "Span", answer: asyncio.Future[SendResult]) -> None:
    if answer.cancelled():
        end(span, outcome="cancelled")
        return
    result = answer.result()
    end(span, outcome=result.error.code if result.error else "stored", seq=result.seq or 0)
