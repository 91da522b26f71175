"""A client that loses nothing: an outbox, the same id until acknowledged, catch-up from the last `seq`.

It keeps a history of all it did and saw, for `delivery_checker`.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import socketio
from socketio.exceptions import SocketIOError

from chat_shared.ids import uuid7
from chat_shared.lifecycle import TaskSet

ACK_SECONDS = 10.0
FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 3.0


@dataclass
class SentMessage:
    """One message from the moment somebody wanted to send it."""

    room_id: str
    client_message_id: str
    content: str
    ack: dict[str, Any] | None = None
    """The acknowledgement that said ok."""
    refused: str | None = None
    """The code of a refusal that no retry would change."""
    attempts: int = 0


@dataclass
class ClientHistory:
    """What one client did and saw."""

    user_id: str
    sent: list[SentMessage] = field(default_factory=list)
    applied: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Per room, the messages in the order in which the client showed them."""


class CarefulClient:
    """Stays connected to one URL, whatever dies behind it."""

    def __init__(self, url: str, user_id: str, token: str, room_ids: Sequence[str]) -> None:
        self.history = ClientHistory(user_id, applied={room_id: [] for room_id in room_ids})
        self._url = url
        self._token = token
        self._tasks = TaskSet()
        self._socket: socketio.AsyncClient | None = None
        self._changed = asyncio.Event()
        self._synced = asyncio.Event()
        self.connects = 0

    def position(self, room_id: str) -> int:
        """Return the last `seq` applied in a room."""
        applied = self.history.applied[room_id]
        return applied[-1]["seq"] if applied else 0

    async def start(self) -> None:
        """Connect, and again after every loss, until `stop`."""
        self._tasks.spawn(self._stay_connected(), name="careful-client")
        async with asyncio.timeout(30):
            await self._synced.wait()

    async def stop(self) -> None:
        """Disconnect for good."""
        await self._tasks.cancel()
        await self._close()

    async def send(self, room_id: str, content: str) -> SentMessage:
        """Send until it is acknowledged or refused for good; return what became of it."""
        message = SentMessage(room_id, uuid7(), content)
        self.history.sent.append(message)
        pause = FIRST_RETRY_SECONDS
        while message.ack is None and message.refused is None:
            await self._synced.wait()
            if await self._attempt(message):
                break
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, LONGEST_RETRY_SECONDS)
        return message

    async def wait_applied(self, heads: dict[str, int], timeout: float) -> None:
        """Return when every room was applied up to its head.

        Raises:
            AssertionError: not within `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while behind := {
                    room: self.position(room) for room in heads if self.position(room) < heads[room]
                }:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"behind after {timeout} s: {behind} of {heads}") from None

    async def _attempt(self, message: SentMessage) -> bool:
        socket = self._socket
        if socket is None:
            return False
        message.attempts += 1
        payload = {
            "roomId": message.room_id,
            "content": message.content,
            "clientMessageId": message.client_message_id,
        }
        try:
            answer = await socket.call("send_message", payload, timeout=ACK_SECONDS)
        except (SocketIOError, OSError):
            return False
        if answer["ok"]:
            message.ack = answer
        elif not answer["error"]["retryable"]:
            message.refused = answer["error"]["code"]
        return message.ack is not None or message.refused is not None

    async def _stay_connected(self) -> None:
        pause = FIRST_RETRY_SECONDS
        while True:
            lost = asyncio.Event()
            try:
                await self._connect(lost)
                await self._sync()
                self._synced.set()
                pause = FIRST_RETRY_SECONDS
                await lost.wait()
            except (SocketIOError, OSError):
                pause = min(pause * 2, LONGEST_RETRY_SECONDS)
            self._synced.clear()
            await self._close()
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))

    async def _connect(self, lost: asyncio.Event) -> None:
        socket = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        socket.on("new-message", self._apply)
        socket.on("disconnect", lambda *_: lost.set())
        await socket.connect(
            self._url, auth={"token": self._token}, transports=["websocket"], wait_timeout=10
        )
        self._socket = socket
        self.connects += 1

    async def _sync(self) -> None:
        """Ask for all that was missed; the messages come as `new-message` before the answer."""
        if self._socket is None:
            return
        rooms = [{"roomId": room_id, "after": self.position(room_id)} for room_id in self.history.applied]
        if rooms:
            answer = await self._socket.call("sync", {"rooms": rooms}, timeout=ACK_SECONDS)
            failed = [room for room in answer.get("rooms", []) if room.get("error") or room.get("reset")]
            if not answer["ok"] or failed:
                raise SocketIOError(f"sync failed: {answer}")

    async def _apply(self, message: dict[str, Any]) -> None:
        position = self.position(message["roomId"])
        if message["seq"] <= position:
            return
        if message["seq"] > position + 1:
            # A hole: live messages overtook the catch-up. What is missing comes again, in order.
            if self._synced.is_set():
                await self._sync_again()
            return
        self.history.applied[message["roomId"]].append(message)
        self._changed.set()

    async def _sync_again(self) -> None:
        self._synced.clear()

        async def sync() -> None:
            try:
                await self._sync()
                self._synced.set()
            except (SocketIOError, OSError):
                await self._close()

        self._tasks.spawn(sync(), name="careful-sync")

    async def _close(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.shutdown()
