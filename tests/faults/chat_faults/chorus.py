"""All members of the busy room talk at once, by sockets that do not listen to what the others say."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import orjson
from chat_shared.ids import uuid7
from chat_shared.lifecycle import TaskSet
from chat_shared.testing import RawSocket, User, eventually
from chat_shared.testing.careful_client import SentMessage

from chat_faults.fault import Run

LISTENERS = 2
"""Members who stay in the room as careful clients, and see everything."""
ACK = "43"
ANSWER_SECONDS = 10.0


class _Voice:
    """One socket that sends on a schedule and waits for nothing."""

    def __init__(self, run: Run, socket: RawSocket) -> None:
        self._run = run
        self._socket = socket
        self._open: dict[int, SentMessage] = {}

    async def leave_room(self) -> None:
        """Stay a member and hear nothing of the room."""
        await self._socket.send_event("leave_room", {"roomId": self._run.load.hot_room.id}, ack_id=0)
        await self._socket.wait_for(f"{ACK}0")
        self._socket.on_frame = self._note

    async def talk(self, per_second: float) -> None:
        """Send until cancelled."""
        room_id, due, number = self._run.load.hot_room.id, time.monotonic(), 0
        while True:
            due += self._run.rng.expovariate(per_second)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            number += 1
            key = uuid7()
            self._open[number] = self._run.load.expect(room_id, key, key)
            payload = {"roomId": room_id, "content": key, "clientMessageId": key}
            await self._socket.send_event("send_message", payload, ack_id=number)

    @property
    def unanswered(self) -> int:
        """How many sends have no answer yet."""
        return len(self._open)

    def _note(self, frame: str) -> None:
        self._socket.frames.clear()
        if not frame.startswith(ACK):
            return
        number, _, body = frame.removeprefix(ACK).partition("[")
        message = self._open.pop(int(number), None)
        answer: dict[str, Any] = orjson.loads(f"[{body}")[0]
        if message is not None and answer["ok"]:
            message.ack, message.ended = answer, time.monotonic()


@asynccontextmanager
async def chorus(run: Run, per_second: float) -> AsyncIterator[None]:
    """Let everybody in the busy room but the listeners talk, `per_second` each, for the time of the block."""
    speakers: list[User] = list(run.load.hot_room.members[LISTENERS:])
    await run.load.retire({user.id for user in speakers})
    gateways = run.rig.instances("gateway-ws")
    tasks = TaskSet()
    async with AsyncExitStack() as stack:
        voices = []
        for number, user in enumerate(speakers):
            url = run.rig.process(gateways[number % len(gateways)]).url
            socket = await stack.enter_async_context(RawSocket(url))
            await socket.log_in(user.access_token)
            voices.append(_Voice(run, socket))
            await voices[-1].leave_room()
        for voice in voices:
            tasks.spawn(voice.talk(per_second), name="voice")
        yield
        await tasks.cancel()
        with suppress(AssertionError):
            await eventually(lambda: not any(voice.unanswered for voice in voices), ANSWER_SECONDS)
