"""A member who is removed while others talk, and notes all that still arrives: nothing may."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx2
import socketio
from chat_shared.lifecycle import TaskSet
from chat_shared.loop_health import LoopHealth
from chat_shared.testing import ApiClient, User
from socketio.exceptions import SocketIOError

from chat_faults.load import Room

GRACE_SECONDS = 1.0
"""How long after a removal its news may take."""
ASK_SECONDS = 2.0
ASK_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Heard:
    """One message that reached the witness."""

    at: float
    room_id: str
    seq: int


class Witness:
    """A stock client of one user in one room, straight at one gateway or through the public URL."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.heard: list[Heard] = []
        self.removed_at: float | None = None
        """When the removal was confirmed; None while the witness is a member."""
        self._room: Room | None = None
        self._socket = socketio.AsyncClient(reconnection_delay=0.5, reconnection_delay_max=2)
        self._socket.on("new-message", self._note)
        self._socket.on("message-history", self._note_history)
        self._tasks = TaskSet()
        self._lateness = LoopHealth()

    async def start(self, url: str, room: Room) -> None:
        """Connect and listen to a room."""
        self._room = room
        await self._lateness.start()
        await self._socket.connect(
            url, auth={"token": self.user.access_token}, transports=["websocket"], wait_timeout=10, retry=True
        )

    async def stop(self) -> None:
        """Disconnect."""
        await self._tasks.cancel()
        await self._lateness.stop()
        await self._socket.shutdown()

    async def remove(self, api: ApiClient) -> None:
        """Have the owner remove the witness, however often that takes, and go on asking for messages."""
        assert self._room is not None
        path = f"/room/{self._room.id}/members/{self.user.id}"
        while self.removed_at is None:
            with suppress(httpx2.HTTPError):  # whatever is broken right now: try again
                response = await api.send("DELETE", path, self._room.owner)
                if response.status_code == 200 or _says_gone(response):
                    self.removed_at = time.monotonic()
            await asyncio.sleep(ASK_PAUSE_SECONDS)
        self._tasks.spawn(self._ask_on(), name="witness")

    async def _ask_on(self) -> None:
        """Try to get at messages in each way that a socket offers."""
        assert self._room is not None
        position = {"roomId": self._room.id, "after": 0}
        while True:
            for event, payload in (("sync", {"rooms": [position]}), ("join_room", position)):
                with suppress(SocketIOError, OSError):
                    await self._socket.call(event, payload, timeout=ASK_SECONDS)
            await asyncio.sleep(ASK_PAUSE_SECONDS)

    def _note(self, message: dict[str, Any]) -> None:
        self.heard.append(Heard(time.monotonic(), message["roomId"], message["seq"]))

    def _note_history(self, page: dict[str, Any]) -> None:
        for message in page["messages"]:
            self._note(message)

    def leaks(self) -> list[str]:
        """Return what arrived more than the grace after the removal.

        What this very process was late in looking at is not held against the system.
        """
        if self.removed_at is None:
            return []
        bound = self.removed_at + GRACE_SECONDS + self._lateness.worst()
        return [
            f"seq {heard.seq} of {heard.room_id}, {heard.at - self.removed_at:.1f} s after the removal"
            for heard in self.heard
            if heard.at > bound
        ]


def _says_gone(response: httpx2.Response) -> bool:
    """Tell whether rooms says that an earlier try did it; a starting Traefik answers 404 to everything."""
    return response.status_code == 404 and '"member_not_found"' in response.text
