"""Sending and reading in one room, on the example client, which loses nothing (`examples/python`)."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import careful_client

from chat_local.client.errors import CommandFailed, Refused
from chat_local.client.session import Session
from chat_local.terminal import printable

Message = dict[str, Any]
ResultT = TypeVar("ResultT")

#: Messages that wait to be shown; when it is full, what comes is not applied, and asked for again.
MOST_WAITING = 1000


class TurnedAway(CommandFailed):
    """The installation does not want this client back."""

    def __init__(self, why: dict[str, Any]) -> None:
        reason = printable(str(why.get("reason") or why.get("code") or why.get("message") or why))
        super().__init__(f"The installation ended the connection: {reason}. Log in again.")


class ConnectionBroken(CommandFailed):
    """The client ended with an error that it does not expect."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"The connection broke: {type(error).__name__}: {printable(str(error))[:200]}")


class NotSent(CommandFailed):
    """The message was refused for good, or its acknowledgement did not come in time."""


class Talk:
    """One user's connection to one room; the application of the example client.

    With `history` None it only sends. Otherwise `messages` gets the newest `history` messages of the room and
    everything after them, in order, once each.
    """

    def __init__(self, session: Session, room_id: str, head: int = 0, history: int | None = None) -> None:
        """`head` is the room's newest position."""
        self.epoch: int | None = None
        self.positions: dict[str, int] = {}
        self.outbox: dict[str, Message] = {}
        self.messages: asyncio.Queue[Message] = asyncio.Queue(MOST_WAITING)
        self._session = session
        self._room_id = room_id
        self._history = history
        if history is not None:
            self.positions[room_id] = max(head - history, 0)
        self._client = _ClientOfRooms(session.api.url, self, set(self.positions))
        self._given_up: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    @property
    def is_connected(self) -> bool:
        """Whether what is sent goes out now."""
        return self._client.caught_up.is_set()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Stay connected, or come back, for as long as the context lasts."""
        self._running = asyncio.create_task(self._client.run())
        try:
            yield
        finally:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def send(self, content: str, client_message_id: str) -> Message:
        """Send until it is acknowledged, and return the acknowledgement.

        Raises:
            NotSent: it was refused for good.
            TurnedAway, ConnectionBroken: see `unless_turned_away`.
        """
        message = {"roomId": self._room_id, "content": content, "clientMessageId": client_message_id}
        try:
            return await self.unless_turned_away(self._client.send(message))
        except ValueError as refusal:
            raise NotSent(f"Not sent: {printable(str(refusal))}") from refusal

    async def unless_turned_away(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Do the work, as long as the installation wants this client.

        Raises:
            TurnedAway: it does not.
            ConnectionBroken: the client cannot go on.
        """
        working = asyncio.create_task(work)
        try:
            ends: set[asyncio.Future[Any]] = {working, self._running, self._given_up}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            if self._given_up.done():
                raise TurnedAway(self._given_up.result())
            if error := self._running.exception():
                raise ConnectionBroken(error) from error
            raise TurnedAway(self._running.result())
        finally:
            working.cancel()

    async def auth(self) -> dict[str, str]:
        """Say who connects; the example client asks at each attempt."""
        try:
            return {"token": await self._session.token()}
        except Refused as refused:
            if not refused.retryable and not self._given_up.done():
                self._given_up.set_result({"code": refused.code})
            raise

    def on_message(self, message: Message) -> None:
        """Take a message in its turn."""
        if message["roomId"] == self._room_id and self._history is not None:
            self.messages.put_nowait(message)

    def on_reset(self, room_id: str, head: int, _epoch: int | None) -> int:
        """Go on with the newest messages of a room after too long an absence, or of another log."""
        return max(head - (self._history or 0), 0)


class _ClientOfRooms(careful_client.CarefulClient):
    """The example client for some of its user's rooms: what happens in the others is not asked for."""

    retry_seconds, reconnect_seconds, longest_seconds = 0.3, 0.5, 5.0

    def __init__(self, url: str, app: Talk, room_ids: set[str]) -> None:
        super().__init__(url, app)
        self._room_ids = room_ids

    async def catch_up(self, room_ids: Any) -> None:
        await super().catch_up(self._room_ids.intersection(room_ids))
