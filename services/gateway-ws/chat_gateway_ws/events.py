"""What a client may say: each event validated, done, and answered exactly once."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from chat_shared.contracts.internal import SendItem, SendResult
from chat_shared.contracts.sockets import (
    AckDone,
    AckError,
    AckFailed,
    AckSynced,
    ErrorNotice,
    JoinRoom,
    LeaveRoom,
    RoomPresence,
    SendMessage,
    Sync,
    Typing,
    TypingNotice,
)
from chat_shared.error_handlers import validation_failed
from chat_shared.errors import ChatError
from chat_shared.ids import uuid7
from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger
from chat_shared.tracing import begin, end, traceparent
from pydantic import BaseModel, ValidationError

from chat_gateway_ws.catch_up import CatchUp
from chat_gateway_ws.connections import Connection, Connections
from chat_gateway_ws.drain import Drain
from chat_gateway_ws.errors import Busy, NotAMember, TooManyEvents, UnknownEvent
from chat_gateway_ws.metrics import EVENTS
from chat_gateway_ws.room_feeds import RoomFeeds
from chat_gateway_ws.send_batcher import SendBatcher
from chat_gateway_ws.wire import ack_frame, event_frame, sent_ack_frame

if TYPE_CHECKING:
    from opentelemetry.trace import Span

log = get_logger(__name__)

MAX_JOBS = 16
"""Events of one socket that wait because they take long."""

counted = cache(EVENTS.labels)
"""The counter of an event and its outcome: to look it up costs more than to count, and there are few."""


class Reply:
    """The one answer to an event: an acknowledgement where it was asked for, else `error` on failure."""

    __slots__ = ("_ack_id", "_answered", "_connection", "_event")

    def __init__(self, connection: Connection, event: str, ack_id: int | None) -> None:
        self._connection = connection
        self._event = event
        self._ack_id = ack_id
        self._answered = False

    def done(self, answer: BaseModel) -> None:
        """The event worked."""
        self._answered = True
        counted(self._event, "ok").inc()
        if self._ack_id is not None:
            self._connection.send(ack_frame(self._ack_id, answer))

    def sent(self, result: SendResult) -> None:
        """The message is stored."""
        self._answered = True
        counted(self._event, "ok").inc()
        if self._ack_id is not None:
            self._connection.send(sent_ack_frame(self._ack_id, result))

    def failed(self, code: str, message: str, *, retryable: bool) -> None:
        """The event was refused."""
        counted(self._event, code).inc()
        if self._ack_id is not None:
            refusal = AckFailed(error=AckError(code=code, message=message, retryable=retryable))
            self._connection.send(ack_frame(self._ack_id, refusal))
        else:
            self._connection.send(event_frame("error", ErrorNotice(code=code, message=message)))

    def raised(self, error: Exception) -> None:
        """The event ended with an exception; nothing internal leaves the process."""
        if self._answered:
            log.warning("event failed after its answer", event_name=self._event, error=repr(error)[:200])
            return
        if isinstance(error, ValidationError):
            failure: ChatError = validation_failed(error)
            first = failure.errors[0]
            self.failed(failure.code, f"{first.field}: {first.message}", retryable=False)
            return
        if not isinstance(error, ChatError):
            log.error("event handler failed", event_name=self._event, exc_info=error)
            error = ChatError()
        self.failed(error.code, error.message, retryable=error.retryable)


Handler = Callable[[Connection, Any, Reply], None]


class Events:
    """Dispatches client events. Nothing here waits: slow work continues behind the socket's back."""

    def __init__(
        self,
        connections: Connections,
        feeds: RoomFeeds,
        batcher: SendBatcher,
        catch_up: CatchUp,
        drain: Drain,
        *,
        max_pending_sends: int,
    ) -> None:
        self._connections = connections
        self._feeds = feeds
        self._batcher = batcher
        self._catch_up = catch_up
        self._drain = drain
        self._max_pending_sends = max_pending_sends
        self._tasks = TaskSet()
        self._handlers: dict[str, tuple[str, Handler]] = {}
        for name, handler in (
            ("join_room", self._join_room),
            ("leave_room", self._leave_room),
            ("send_message", self._send_message),
            ("sync", self._sync),
            ("typing", self._typing),
        ):
            self._handlers[name] = self._handlers[name.replace("_", "-")] = (name, handler)

    async def start(self) -> None:
        """Nothing to begin: events start what they need."""

    async def stop(self) -> None:
        """End what is still under way for sockets that are gone."""
        await self._tasks.cancel()

    def handle(self, connection: Connection, event: str, payload: Any, ack_id: int | None) -> bool:
        """Take an event of a client, in the order in which they came; tell whether it keeps to its rate."""
        name, handler = self._handlers.get(event, ("unknown", _refuse_unknown))
        reply = Reply(connection, name, ack_id)
        if not connection.bucket.take():
            reply.raised(TooManyEvents())
            return False
        try:
            handler(connection, payload, reply)
        except Exception as error:
            reply.raised(error)
        return True

    def _send_message(self, connection: Connection, payload: Any, reply: Reply) -> None:
        self._drain.require_staying(connection)
        body = SendMessage.model_validate(payload)
        if connection.pending_sends >= self._max_pending_sends:
            raise Busy
        span = begin("send_message", room=body.room_id)
        item = SendItem(
            room_id=body.room_id,
            sender_id=connection.user_id,
            content=body.content,
            message_type=body.message_type,
            image_url=body.image_url,
            client_message_id=body.client_message_id or uuid7(),
            trace=traceparent(span),
        )
        try:
            outcome = self._batcher.submit(item)
        except ChatError as error:
            end(span, outcome=error.code)
            raise
        connection.pending_sends += 1
        outcome.add_done_callback(partial(self._sent, connection, reply, span))

    def _sent(
        self, connection: Connection, reply: Reply, span: "Span | None", outcome: asyncio.Future[SendResult]
    ) -> None:
        connection.pending_sends -= 1
        result = outcome.result()
        end(span, outcome=result.error.code if result.error else "stored")
        if result.error is not None:
            reply.failed(result.error.code, result.error.message, retryable=result.error.retryable)
        else:
            reply.sent(result)

    def _join_room(self, connection: Connection, payload: Any, reply: Reply) -> None:
        body = JoinRoom.model_validate(payload)

        async def join() -> None:
            joining = await self._catch_up.join(connection, body.room_id, body.after, body.epoch)
            reply.done(joining.answer)
            await joining.send_history()
            if body.room_id in connection.listening:  # it may have lost the room meanwhile
                self._tell_others("user-joined", connection, body.room_id)

        self._queue(connection, join, reply)

    def _leave_room(self, connection: Connection, payload: Any, reply: Reply) -> None:
        body = LeaveRoom.model_validate(payload)

        async def leave() -> None:
            self._require_listening(connection, body.room_id)
            self._feeds.detach(connection, [body.room_id])
            reply.done(AckDone())
            self._tell_others("user-left", connection, body.room_id)

        self._queue(connection, leave, reply)

    def _sync(self, connection: Connection, payload: Any, reply: Reply) -> None:
        body = Sync.model_validate(payload)

        async def sync() -> None:
            rooms = [await self._catch_up.sync(connection, room, body.epoch) for room in body.rooms]
            reply.done(AckSynced(epoch=self._catch_up.epoch, rooms=rooms))

        self._queue(connection, sync, reply)

    def _typing(self, connection: Connection, payload: Any, reply: Reply) -> None:
        body = Typing.model_validate(payload)
        self._require_listening(connection, body.room_id)
        notice = TypingNotice(user_id=connection.user_id, room_id=body.room_id, typing=body.typing)
        self._feeds.publish(body.room_id, event_frame("typing", notice), except_user=connection.user_id)
        reply.done(AckDone())

    def _require_listening(self, connection: Connection, room_id: str) -> None:
        if room_id not in connection.listening:
            raise NotAMember

    def _tell_others(self, event: str, connection: Connection, room_id: str) -> None:
        frame = event_frame(event, RoomPresence(user_id=connection.user_id, room_id=room_id))
        self._feeds.publish(room_id, frame, except_user=connection.user_id)

    def _queue(self, connection: Connection, job: Callable[[], Awaitable[None]], reply: Reply) -> None:
        """Do slow work in the order of the events, one job of a socket at a time."""

        async def answered() -> None:
            try:
                await job()
            except Exception as error:
                reply.raised(error)

        if connection.jobs.qsize() >= MAX_JOBS:
            raise Busy
        connection.jobs.put_nowait(answered)
        if connection.worker is None:
            connection.worker = self._tasks.spawn(_work(connection), name="socket-jobs")


async def _work(connection: Connection) -> None:
    try:
        while not connection.jobs.empty() and not connection.gone:
            await connection.jobs.get_nowait()()
    finally:
        connection.worker = None


def _refuse_unknown(_connection: Connection, _payload: Any, _reply: Reply) -> None:
    raise UnknownEvent
