"""The public routes: history and sending over REST."""

from typing import Annotated

from chat_shared.auth import CurrentUser
from chat_shared.contracts.base import EntityId
from chat_shared.contracts.envelope import Success
from chat_shared.contracts.internal import SendItem, SendResult
from chat_shared.errors import ChatError, RateLimited
from chat_shared.ids import uuid7
from chat_shared.openapi import problem_responses
from chat_shared.rate_limits import RateLimiter
from fastapi import APIRouter, Header, Path, Query, Response

from chat_messaging.domain import REST_SEND
from chat_messaging.errors import SEND_FAILURES, ConflictingKeys, NotAMember, RoomNotFound
from chat_messaging.membership import Member, Memberships
from chat_messaging.reading import Reader
from chat_messaging.schemas import KEY_PATTERN, MessageCreate, MessagePage, SentMessage
from chat_messaging.sending import Sending

MAX_SEQ = 2**53
STORED, STORED_BEFORE = "Message stored", "The message had been stored before"
PATH = "/api/v1/room/{room_id}/messages"

RoomId = Annotated[EntityId, Path(description="The room's id")]
Before = Annotated[int | None, Query(ge=0, le=MAX_SEQ, description="Only messages below this `seq`")]
After = Annotated[int | None, Query(ge=0, le=MAX_SEQ, description="Only messages above this `seq`")]
Limit = Annotated[int, Query(ge=1, le=100, description="Messages at most")]
Skip = Annotated[int, Query(ge=0, le=MAX_SEQ, description="Messages to pass over first")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1, max_length=64, pattern=KEY_PATTERN, description="The same key is stored once, for ever"
    ),
]


def create_router(
    reader: Reader, sending: Sending, memberships: Memberships, limits: RateLimiter
) -> APIRouter:
    """Return the public routes."""
    router = APIRouter(tags=["messages"])

    @router.get(f"{PATH}/", include_in_schema=False)
    @router.get(
        PATH,
        summary="List the messages",
        response_description="A page of the history",
        responses=problem_responses(NotAMember, RoomNotFound),
    )
    async def list_messages(
        room_id: RoomId,
        user: CurrentUser,
        before: Before = None,
        after: After = None,
        limit: Limit = 50,
        skip: Skip = 0,
    ) -> Success[MessagePage]:
        """A room's messages, oldest first: the newest page, or what is before or after a `seq`."""
        await memberships.require_reader(Member(room_id, user.user_id))
        if after is not None:
            views, head = await reader.after(room_id, after + skip, limit)
            if before is not None:
                views = [view for view in views if view["seq"] < before]
        else:
            views, head = await reader.before(room_id, before, limit, skip)
        return Success(data=MessagePage(messages=views, head=head, total_message=head))

    @router.post(f"{PATH}/", status_code=201, include_in_schema=False)
    @router.post(
        PATH,
        status_code=201,
        summary="Send a message",
        response_description=STORED,
        responses={
            200: {"description": STORED_BEFORE, "model": Success[SentMessage]},
            **problem_responses(*SEND_FAILURES.values(), ConflictingKeys, RateLimited),
        },
    )
    async def send_message(
        room_id: RoomId,
        body: MessageCreate,
        user: CurrentUser,
        response: Response,
        idempotency_key: IdempotencyKey = None,
    ) -> Success[SentMessage]:
        """Send a message; with the same `Idempotency-Key` it is stored once, and a repeat answers 200."""
        if idempotency_key and body.client_message_id not in (None, idempotency_key):
            raise ConflictingKeys
        await limits.hit(REST_SEND, user.user_id)
        item = SendItem(
            room_id=room_id,
            sender_id=user.user_id,
            content=body.content,
            message_type=body.message_type,
            image_url=body.image_url,
            client_message_id=idempotency_key or body.client_message_id or uuid7(),
        )
        [result] = await sending.send([item])
        _raise_if_failed(result)
        response.status_code = 200 if result.duplicate else 201
        said = STORED_BEFORE if result.duplicate else STORED
        views, _ = await reader.after(room_id, (result.seq or 1) - 1, 1)
        message = SentMessage.model_validate({**views[0], "duplicate": result.duplicate})
        return Success(data=message, status_code=response.status_code, message=said)

    return router


def _raise_if_failed(result: SendResult) -> None:
    if result.error is not None:
        raise SEND_FAILURES.get(result.error.code, ChatError)(result.error.message)
