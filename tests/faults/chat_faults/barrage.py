"""Messages past the careful clients: one from many sockets at once, or one by one with a stopwatch."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
from chat_shared.ids import uuid7
from chat_shared.testing import SocketClient
from socketio.exceptions import SocketIOError

from chat_faults.fault import Run

ANSWER_SECONDS = 15.0
TIMED_PAUSE_SECONDS = 0.2
REST_WRITERS = 4
REST_PAUSE_SECONDS = 0.05


async def send_from_all(run: Run, rounds: int, sockets: int) -> list[set[tuple[Any, ...]]]:
    """Let one user send the same message from `sockets` sockets on each gateway at once, round after round.

    Returns:
        for each round the different places that its acknowledgements name.
    """
    sender = run.load.hot_room.owner
    clients = [
        await SocketClient().connect(run.rig.process(name).url, sender.access_token)
        for name in run.rig.instances("gateway-ws")
        for _ in range(sockets)
    ]
    try:
        return [await _round(run, clients) for _ in range(rounds)]
    finally:
        await asyncio.gather(*(client.disconnect() for client in clients))


async def _round(run: Run, clients: list[SocketClient]) -> set[tuple[Any, ...]]:
    room_id, key = run.load.hot_room.id, uuid7()
    payload = {"roomId": room_id, "content": f"the same {key}", "clientMessageId": key}
    run.load.expect(room_id, key, payload["content"])
    answers = await asyncio.gather(*(_until_ok(client, payload) for client in clients))
    return {(answer["messageId"], answer["seq"], answer["createdAt"]) for answer in answers}


async def _until_ok(client: SocketClient, payload: dict[str, Any]) -> dict[str, Any]:
    """Send until it is acknowledged: being told to slow down is no answer yet."""
    while True:
        answer = await client.call("send_message", payload, timeout=ANSWER_SECONDS)
        if answer["ok"]:
            return answer
        assert answer["error"]["retryable"], answer
        await asyncio.sleep(0.2)


@asynccontextmanager
async def contention(run: Run) -> AsyncIterator[None]:
    """Let every messaging process write into the busy room, over REST, for the time of the block.

    Gateways send a room's messages to one process as long as it is there; Traefik does not.
    """
    writers = [asyncio.create_task(_write_over_rest(run)) for _ in range(REST_WRITERS)]
    try:
        yield
    finally:
        for writer in writers:
            writer.cancel()
        await asyncio.wait(writers)


async def _write_over_rest(run: Run) -> None:
    room = run.load.hot_room
    while True:
        key = uuid7()
        body = {"content": f"over REST {key}", "clientMessageId": key}
        run.load.expect(room.id, key, body["content"])
        with suppress(httpx2.HTTPError):  # a process that dies takes its connections with it
            await run.api.send("POST", f"/room/{room.id}/messages", room.owner, json=body)
        await asyncio.sleep(REST_PAUSE_SECONDS)


class Stopwatch:
    """One socket that sends without ever repeating, and how long the answers took."""

    def __init__(self) -> None:
        self.longest = 0.0
        """An event that is not answered at all counts with the time we waited for it."""

    async def send_on(self, run: Run, client: SocketClient) -> None:
        """Send until cancelled."""
        room = run.load.hot_room
        while True:
            key = uuid7()
            payload = {"roomId": room.id, "content": f"timed {key}", "clientMessageId": key}
            run.load.expect(room.id, key, payload["content"])
            began = time.monotonic()
            with suppress(SocketIOError):
                await client.call("send_message", payload, timeout=ANSWER_SECONDS)
            self.longest = max(self.longest, time.monotonic() - began)
            await asyncio.sleep(TIMED_PAUSE_SECONDS)


@asynccontextmanager
async def stopwatch(run: Run) -> AsyncIterator[Stopwatch]:
    """Send and measure for the time of the block."""
    watch = Stopwatch()
    token = run.load.hot_room.owner.access_token
    client = await SocketClient().connect(run.rig.process("gateway-ws-1").url, token)
    sending = asyncio.create_task(watch.send_on(run, client))
    try:
        yield watch
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        await client.disconnect()
